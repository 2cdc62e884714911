//! Marks of what was undone, written together. What they vouch for is on the disk before them.

use super::super::error::Result;
use super::super::{EffectState, Inner, Wait, fault};
use super::{Row, Step};
use foil_record::UndoOutcome;
use foil_text::RunId;
use rusqlite::params;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Effects in a batch: how much a crash makes the next recovery look at once more. It costs a few hundred bytes each.
const SIZE: usize = 1024;

/// Up to so many files are synced one by one. More are synced by file system, all at once: an `fsync` each costs 5 ms on a
/// plain disk, which makes a minute of ten thousand. The price is waiting for what others have written there.
const SINGLY: usize = 16;

/// Device and inode.
type Identity = (u64, u64);

/// A mark that waits.
#[derive(Debug)]
pub(super) struct Mark {
    id: i64,
    pub(super) what: String,
    pub(super) outcome: UndoOutcome,
    restoring: bool,
}

/// What waits to be made durable.
#[derive(Debug, Default)]
pub(super) struct Batch {
    marks: Vec<Mark>,
    paths: HashSet<String>,
    unsynced: Vec<Unsynced>,
    folders: HashSet<Identity>,
    successors: Vec<(String, Identity, Identity)>,
}

/// A restored file, or a folder in which an entry came or went.
#[derive(Debug)]
struct Unsynced {
    /// The number of its effect's mark.
    mark: usize,
    device: u64,
    /// Let go of where another one of the same file system is held: see [`SINGLY`].
    open: Option<OwnedFd>,
}

impl Batch {
    pub(super) fn is_full(&self) -> bool {
        self.marks.len() >= SIZE
    }

    /// Whether an effect of the batch is about this path or (of a folder) something below it. Then the batch goes first: an
    /// older effect must not be undone before the mark of the newer one is on the disk, or a second look at the newer one
    /// would find the older one's file.
    pub(super) fn touches(&self, path: &str, folder: bool) -> bool {
        let below = |p: &String| p.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
        self.paths.contains(path) || (folder && self.paths.iter().any(below))
    }

    pub(super) fn mark(&mut self, row: &Row, path: Option<&str>, step: Step) {
        self.paths.extend(path.map(str::to_string));
        let restoring = step.torn || (row.restoring && !matches!(step.outcome, UndoOutcome::Conflict(_)));
        self.marks.push(Mark { id: row.id, what: row.what.clone(), outcome: step.outcome, restoring });
    }

    /// This file's content is to be on the disk before the next mark.
    pub(super) fn sync_file(&mut self, file: File) {
        if let Some((device, _)) = identity(&file) {
            self.sync(device, file.into());
        }
    }

    /// This folder's entries are to be on the disk before the next mark. (`O_PATH`, so it is opened again for syncing; one
    /// that we may change but not read is left to the system.)
    pub(super) fn sync_folder(&mut self, folder: OwnedFd) {
        let folder = File::from(folder);
        let Some(identity) = identity(&folder) else { return };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        if !self.folders.contains(&identity)
            && let Ok(open) = rustix::fs::openat(&folder, ".", flags, Mode::empty())
        {
            self.folders.insert(identity);
            self.sync(identity.0, open);
        }
    }

    fn sync(&mut self, device: u64, open: OwnedFd) {
        let held = || self.unsynced.iter().any(|u| u.device == device && u.open.is_some());
        let spare = self.unsynced.len() >= SINGLY && held();
        self.unsynced.push(Unsynced { mark: self.marks.len(), device, open: (!spare).then_some(open) });
    }

    /// Waits until the disks have it; marks what they refuse as failed.
    fn settle(&mut self) {
        let singly = self.unsynced.len() <= SINGLY;
        let mut settled: HashMap<u64, Option<Errno>> = HashMap::new();
        for unsynced in self.unsynced.drain(..) {
            let failed = match (&unsynced.open, singly) {
                (Some(open), true) => rustix::fs::fsync(open).err(),
                // `syncfs` tells of errors since Linux 5.8.
                (Some(open), false) => {
                    *settled.entry(unsynced.device).or_insert_with(|| rustix::fs::syncfs(open).err())
                }
                (None, _) => settled.get(&unsynced.device).copied().flatten(),
            };
            // EINVAL: a file system that has nothing to sync.
            if let Some(errno) = failed.filter(|e| *e != Errno::INVAL)
                && let Some(mark) = self.marks.get_mut(unsynced.mark)
            {
                mark.outcome = UndoOutcome::Failed(format!("it could not be made durable: {errno}"));
            }
        }
    }

    /// The file that was `old` came back as this one.
    pub(super) fn successor(&mut self, path: &Path, old: Identity, new: Identity) {
        self.successors.push((path.to_string_lossy().into_owned(), old, new));
    }

    /// Makes what was done durable; returns the marks, and whether the journal has them. `wait`: whether the marks are to be on the disk
    /// as well, before the next batch begins.
    pub(super) fn commit(&mut self, inner: &Inner, run: &RunId, wait: Wait) -> (Vec<Mark>, Result<()>) {
        let mut batch = std::mem::take(self);
        if batch.marks.is_empty() {
            return (Vec::new(), Ok(()));
        }
        fault::point("undo.marks.before");
        batch.settle();
        let written = inner.write_at(
            wait,
            |tx| {
                let mut update =
                    tx.prepare_cached("UPDATE effects SET state = ?2, reason = ?3, restoring = ?4 WHERE id = ?1")?;
                let mut purge = tx.prepare_cached("DELETE FROM preimages WHERE effect = ?1")?;
                for mark in &batch.marks {
                    let (state, reason) = match &mark.outcome {
                        UndoOutcome::Undone | UndoOutcome::NothingToDo => (EffectState::Undone, None),
                        UndoOutcome::Irrevocable(why) => (EffectState::Undone, Some(why)),
                        UndoOutcome::Conflict(why) | UndoOutcome::Failed(why) => (EffectState::Residue, Some(why)),
                    };
                    let done = state == EffectState::Undone;
                    update.execute(params![mark.id, state.word(), reason, mark.restoring && !done])?;
                    if done {
                        purge.execute([mark.id])?;
                    }
                }
                let mut moved = tx.prepare_cached(
                    "INSERT OR REPLACE INTO successors (run, path, dev, ino, new_dev, new_ino) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?;
                for (path, old, new) in &batch.successors {
                    let signed = |n: u64| n.cast_signed();
                    moved.execute(params![run.as_str(), path, signed(old.0), signed(old.1), signed(new.0), signed(new.1)])?;
                }
                Ok(())
            },
            || fault::point("undo.marks.before-commit"),
        );
        fault::point("undo.marks.after-commit");
        (batch.marks, written)
    }
}

/// Device and inode of an open file.
pub(super) fn identity(file: &File) -> Option<Identity> {
    file.metadata().ok().map(|m| (m.dev(), m.ino()))
}
