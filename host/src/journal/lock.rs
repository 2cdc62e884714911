//! A lock per run: whoever holds it is alive, or is recovering the run. The kernel lets go of it when the holder dies.

use super::error::{JournalError, Result};
use crate::run_id::RunId;
use rustix::fs::{FlockOperation, OFlags};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A run's lock, held.
#[derive(Debug)]
pub(super) struct RunLock {
    file: File,
    path: PathBuf,
}

/// The folder of the locks.
pub(super) fn folder(state: &Path) -> PathBuf {
    state.join("locks")
}

fn open(path: &Path, create: bool) -> Result<Option<File>> {
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .create(create)
        .mode(0o600)
        .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC).bits().cast_signed())
        .open(path);
    match opened {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && !create => Ok(None),
        Err(e) => Err(JournalError::file(path, "opening the run's lock")(e)),
    }
}

impl RunLock {
    /// Takes the lock, or says that somebody holds it. Never waits.
    pub(super) fn take(state: &Path, run: &RunId) -> Result<Self> {
        let path = folder(state).join(run.as_str());
        loop {
            let Some(mut file) = open(&path, true)? else { continue };
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Err(JournalError::Alive(run.to_string())),
                Err(e) => return Err(JournalError::file(&path, "locking the run")(e.into())),
            }
            // Whoever held it before may have removed the file just before we locked it: then ours is a lock on nothing.
            if !same_file(&file, &path) {
                continue;
            }
            let written =
                file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
            written.map_err(JournalError::file(&path, "writing the run's lock"))?;
            return Ok(Self { file, path });
        }
    }

    /// Lets go of it for good: the run is over.
    pub(super) fn release(self) {
        // While still held, so that nobody can be holding this very file afterwards. If it stays, `sweep` takes it.
        let _ = std::fs::remove_file(&self.path);
        drop(self.file);
    }
}

fn same_file(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

/// A run whose lock is held right now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveRun {
    /// Which.
    pub run: RunId,
    /// The process id in its lock. `None`: it is still writing it.
    pub pid: Option<u32>,
    lock: (u64, u64),
}

impl LiveRun {
    /// Whether that process (still) has the run's lock file open: process ids are reused, and killing is for ever.
    pub fn holds(&self, pid: u32) -> bool {
        let Ok(links) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        links.flatten().any(|link| std::fs::metadata(link.path()).is_ok_and(|m| (m.dev(), m.ino()) == self.lock))
    }
}

/// The runs whose locks are held. Only looks: it takes each free lock for a moment at most.
pub(super) fn live(state: &Path) -> Result<Vec<LiveRun>> {
    let mut live = Vec::new();
    for run in files(state)? {
        let path = folder(state).join(run.as_str());
        let Some(mut file) = open(&path, false)? else { continue };
        if !is_held(&file) {
            continue;
        }
        let mut text = String::new();
        let _ = (&mut file).take(16).read_to_string(&mut text);
        let lock =
            file.metadata().map(|m| (m.dev(), m.ino())).map_err(JournalError::file(&path, "looking at the lock"))?;
        live.push(LiveRun { run, pid: text.trim().parse().ok(), lock });
    }
    live.sort_by(|a, b| a.run.cmp(&b.run));
    Ok(live)
}

/// Whether somebody holds the run's lock.
pub(super) fn is_live(state: &Path, run: &RunId) -> Result<bool> {
    Ok(open(&folder(state).join(run.as_str()), false)?.is_some_and(|file| is_held(&file)))
}

fn is_held(file: &File) -> bool {
    // Shared, so that two that only look do not take each other for a live run.
    let held = rustix::fs::flock(file, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK);
    if !held {
        let _ = rustix::fs::flock(file, FlockOperation::Unlock);
    }
    held
}

/// Removes lock files that nobody holds and whose run `keep` does not need.
pub(super) fn sweep(state: &Path, keep: impl Fn(&RunId) -> bool) -> Result<()> {
    for run in files(state)?.into_iter().filter(|run| !keep(run)) {
        match RunLock::take(state, &run) {
            Ok(lock) => lock.release(),
            Err(JournalError::Alive(_)) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn files(state: &Path) -> Result<Vec<RunId>> {
    let folder = folder(state);
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(JournalError::file(&folder, "listing the locks")(e)),
    };
    Ok(entries.flatten().filter_map(|e| RunId::try_from(e.file_name().into_string().ok()?).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_and_it_can_be_found() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder(dir.path())).unwrap();
        let run = RunId::new();
        let lock = RunLock::take(dir.path(), &run).unwrap();
        assert!(matches!(RunLock::take(dir.path(), &run), Err(JournalError::Alive(_))));
        let found = live(dir.path()).unwrap();
        let me = std::process::id();
        assert_eq!((found.len(), found[0].pid), (1, Some(me)));
        assert!(found[0].holds(me) && !found[0].holds(1));
        sweep(dir.path(), |_| false).unwrap();
        assert!(is_live(dir.path(), &run).unwrap(), "a sweep leaves live runs alone");
        drop(lock);
        assert!(!is_live(dir.path(), &run).unwrap() && live(dir.path()).unwrap().is_empty());
        sweep(dir.path(), |r| *r == run).unwrap();
        assert_eq!(files(dir.path()).unwrap(), vec![run]);
        sweep(dir.path(), |_| false).unwrap();
        assert!(files(dir.path()).unwrap().is_empty());
    }
}
