//! Giving a file its pre-image back: in place where it still is the same file, anew where we deleted it.

use super::super::error::Result;
use super::super::preimage::Rest;
use super::super::{After, EffectState, fault};
use super::{Place, Row, Step, Undoing, attributes, batch, place, torn};
use foil_record::UndoOutcome;
use foil_safe_path::{self as safe_path, Fingerprint, Look, PathError, flags};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

type Tried = std::result::Result<Step, PathError>;

/// What there is to bring back.
struct Wanted<'a> {
    path: &'a Path,
    before: &'a Fingerprint,
    content: Vec<u8>,
    rest: Rest,
}

impl Undoing<'_> {
    pub(super) fn restore(
        &mut self,
        row: &Row,
        path: &Path,
        before: &Fingerprint,
        preimage: i64,
        after: &After,
    ) -> Result<Tried> {
        let wanted = match self.content(preimage)? {
            Some((meta, content)) => match serde_json::from_str(&meta) {
                Ok(rest) => Wanted { path, before, content, rest },
                Err(e) => return Ok(Ok(UndoOutcome::Failed(format!("its pre-image cannot be read: {e}")).into())),
            },
            None => return Ok(Ok(UndoOutcome::Failed("its pre-image is not in the journal".into()).into())),
        };
        let place = match place(path) {
            Ok(Some(place)) => place,
            Ok(None) => return Ok(conflict("its folder is gone")),
            Err(PathError::Limit { .. }) => return Ok(conflict("somebody else made it larger than what Foil writes")),
            Err(e) => return Ok(Err(e)),
        };
        let staged = staging_name(self.run.as_str(), row.id);
        if self.may_be_torn(row) {
            // A recreation that died before it got its name.
            let _ = rustix::fs::unlinkat(&place.folder, &staged, AtFlags::empty());
        }
        let Place { folder, held } = place;
        let learned_gone = *after == After::Unknown && row.learned_gone();
        let Some((held, found)) = held else {
            if *after != After::Nothing && !learned_gone {
                return Ok(conflict("somebody else removed it"));
            }
            let made = match recreate(&wanted, folder.as_fd(), &staged) {
                Ok(made) => made,
                Err(e) => {
                    let _ = rustix::fs::unlinkat(&folder, &staged, AtFlags::empty());
                    let taken = matches!(e, PathError::Io { errno: Errno::EXIST, .. });
                    return Ok(if taken { conflict("somebody else put something there") } else { Err(e) });
                }
            };
            if let Err(error) = flags::restore(&made, wanted.rest.flags, path) {
                return Ok(Err(error));
            }
            self.came_back(path, before, &made);
            // A link's content is on the disk with its folder, and an `O_PATH` descriptor cannot be synced.
            if before.kind == "file" {
                self.batch.sync_file(made);
            }
            self.batch.sync_folder(folder);
            return Ok(verified(&wanted, UndoOutcome::Undone));
        };
        let now = &found.fingerprint;
        // A child may have replaced the file by another (as `sed -i` does); `applied` learned which.
        let learned_same = row.learned.as_ref().is_some_and(|l| self.same_file(path, l, now));
        if !self.same_file(path, before, now) && !learned_same {
            let same = safe_path::metadata_matches(now, before);
            // A program's effect removed the file only if it was gone when the program ended. Otherwise the file that the
            // program changed is not here any more, however much this one is like it.
            if same && (*after == After::Nothing || learned_gone) {
                // Ours, brought back before a crash, or somebody's who was faster: either way it is as it was.
                self.came_back(path, before, &held);
                return Ok(verified(&wanted, UndoOutcome::NothingToDo));
            }
            return Ok(conflict("somebody else put another file there"));
        }
        if learned_same && !self.same_file(path, before, now) && found.hard_links > 1 {
            return Ok(conflict(
                "it was replaced by a file that has other names too (hard links), which would change with it",
            ));
        }
        let is_before = (&now.kind, &now.sha256, now.size) == (&before.kind, &before.sha256, before.size);
        let difference = attributes::difference(&held, &found, before, &wanted.rest, path);
        match difference {
            None => return Ok(Ok(UndoOutcome::NothingToDo.into())),
            // It was to be deleted and is there: whatever is different, we did not do it.
            Some(why) if *after == After::Nothing => return Ok(conflict(&format!("somebody else changed it: {why}"))),
            Some(_) => {}
        }
        if !attributes::ours(now, before, row.learned.as_ref()) {
            return Ok(conflict("somebody else changed its owner or permission bits meanwhile"));
        }
        if !is_before {
            if !self.is_ours(row, after, &wanted.content, &found)? {
                return Ok(conflict("somebody else changed it meanwhile"));
            }
            if (*after == After::Unknown || row.state == EffectState::Residue) && !row.restoring {
                // What is there now is not in the journal, or the run's first undo is long over: without this mark, a crash
                // while we write would leave something that nobody can tell from a stranger's.
                self.inner.write(|tx| tx.execute("UPDATE effects SET restoring = 1 WHERE id = ?1", [row.id]))?;
            }
            fault::point("undo.restore.marked");
        }
        if learned_same {
            self.came_back(path, before, &held);
        }
        Ok(self.in_place(&wanted, &held, is_before))
    }

    /// Whether the content that was found is what we wrote, or what our writing or restoring left half done.
    fn is_ours(&self, row: &Row, after: &After, before: &[u8], found: &Look) -> Result<bool> {
        if let Some(learned) = &row.learned {
            if safe_path::metadata_matches(learned, &found.fingerprint) {
                return Ok(true);
            }
            if !self.may_be_torn(row) {
                return Ok(false);
            }
        }
        let content = |row| Ok::<_, super::super::JournalError>(self.content(row)?.map(|(_, content)| content));
        Ok(match after {
            After::Content { row } => content(*row)?.is_some_and(|new| torn::is_mixture(&found.content, &new, before)),
            After::Appended { row } => {
                content(*row)?.is_some_and(|added| torn::is_partial_append(&found.content, before, &added))
            }
            After::Unknown => row.restoring,
            After::Nothing => false,
        })
    }

    fn in_place(&mut self, wanted: &Wanted<'_>, held: &File, is_before: bool) -> Tried {
        // Nothing can be written to what is immutable or append-only.
        let found = flags::read(held, wanted.path)?;
        flags::unprotect(held, wanted.path)?;
        if !is_before {
            let file = safe_path::reopen(held, OFlags::WRONLY, wanted.path)?;
            self.writing = true;
            write(&file, &wanted.content).map_err(|e| PathError::from_io(wanted.path, "writing its content", &e))?;
            fault::point("undo.restore.written");
            attributes::restore(held, wanted.before, &wanted.rest, wanted.path)?;
            self.batch.sync_file(file);
        } else {
            attributes::restore(held, wanted.before, &wanted.rest, wanted.path)?;
        }
        flags::restore(held, wanted.rest.flags.or(found), wanted.path)?;
        verified(wanted, UndoOutcome::Undone)
    }

    /// Older effects on this path know the file by its device and inode from before.
    fn came_back(&mut self, path: &Path, before: &Fingerprint, made: &File) {
        let old = (before.dev, before.ino);
        if let Some(new) = batch::identity(made)
            && (new != old || self.successors.contains_key(path))
        {
            self.successors.insert(path.into(), (old, new));
            self.batch.successor(path, old, new);
        }
    }
}

fn conflict(why: &str) -> Tried {
    Ok(UndoOutcome::Conflict(why.into()).into())
}

/// Looks, by the path, whether it is as it was.
fn verified(wanted: &Wanted<'_>, outcome: UndoOutcome) -> Tried {
    fault::point("undo.verify.before");
    let wrong = match place(wanted.path)?.and_then(|place| place.held) {
        None => Some("it is not there".to_string()),
        Some((held, look)) => attributes::difference(&held, &look, wanted.before, &wanted.rest, wanted.path),
    };
    Ok(match wrong {
        None => outcome.into(),
        Some(why) => Step { outcome: UndoOutcome::Failed(format!("after restoring, {why}")), torn: true },
    })
}

/// The content over what is there, then cut: at every moment each byte is an old or a new one (see [`torn`]).
fn write(file: &File, content: &[u8]) -> std::io::Result<()> {
    // In two halves only where a test may kill us between them.
    let half = if cfg!(feature = "faults") { content.len() / 2 } else { content.len() };
    let (first, second) = content.split_at(half);
    file.write_all_at(first, 0)?;
    fault::point("undo.restore.half");
    file.write_all_at(second, first.len() as u64)?;
    file.set_len(content.len() as u64)
}

/// Where a recreated file is until it has its name, on file systems without nameless files.
fn staging_name(run: &str, id: i64) -> OsString {
    format!(".foil-{run}-{id}").into()
}

/// Makes the file or link anew, complete before it gets its name, and never over something that is there. Returns a
/// descriptor of a file that can be synced, of a link one that only holds it.
fn recreate(wanted: &Wanted<'_>, folder: BorrowedFd<'_>, staged: &OsStr) -> std::result::Result<File, PathError> {
    let path = wanted.path;
    let failed = |doing| move |e| PathError::from_errno(path, doing, e);
    let name = safe_path::split(path)?.1;
    if wanted.before.kind == "symlink" {
        let target = OsStr::from_bytes(&wanted.content);
        rustix::fs::symlinkat(target, folder, staged).map_err(failed("making the link again"))?;
        let held = safe_path::entry(folder, staged, path)?.ok_or_else(|| PathError::NotFound(path.into()))?;
        attributes::restore(&held, wanted.before, &wanted.rest, path)?;
        publish(path, folder, staged, name)?;
        return Ok(held);
    }
    let unnamed = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    match rustix::fs::openat(folder, ".", unnamed, Mode::RUSR | Mode::WUSR) {
        Ok(fd) => {
            let file = File::from(fd);
            fill(wanted, &file)?;
            fault::point("undo.recreate.staged");
            // By the magic link: the other way (AT_EMPTY_PATH) takes a capability.
            rustix::fs::linkat(CWD, safe_path::fd_path(&file), folder, name, AtFlags::SYMLINK_FOLLOW)
                .map_err(failed("giving it its name"))?;
            fault::point("undo.recreate.linked");
            Ok(file)
        }
        // File systems without nameless files answer in several ways.
        Err(Errno::NOTSUP | Errno::ISDIR | Errno::NOENT | Errno::INVAL) => recreate_named(wanted, folder, staged, name),
        Err(e) => Err(failed("making it again")(e)),
    }
}

/// The same where files cannot be nameless: under the staging name first.
fn recreate_named(
    wanted: &Wanted<'_>,
    folder: BorrowedFd<'_>,
    staged: &OsStr,
    name: &OsStr,
) -> std::result::Result<File, PathError> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::RDWR | OFlags::CLOEXEC;
    let file = rustix::fs::openat(folder, staged, flags, Mode::RUSR | Mode::WUSR)
        .map_err(|e| PathError::from_errno(wanted.path, "making it again", e))?;
    let file = File::from(file);
    fill(wanted, &file)?;
    publish(wanted.path, folder, staged, name)?;
    Ok(file)
}

fn fill(wanted: &Wanted<'_>, file: &File) -> std::result::Result<(), PathError> {
    write(file, &wanted.content).map_err(|e| PathError::from_io(wanted.path, "writing its content", &e))?;
    attributes::restore(file, wanted.before, &wanted.rest, wanted.path)
}

/// Gives what is staged its name, unless something has it.
fn publish(path: &Path, folder: BorrowedFd<'_>, staged: &OsStr, name: &OsStr) -> std::result::Result<(), PathError> {
    let failed = |doing| move |e| PathError::from_errno(path, doing, e);
    fault::point("undo.recreate.staged");
    match rustix::fs::renameat_with(folder, staged, folder, name, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS) => {
            rustix::fs::linkat(folder, staged, folder, name, AtFlags::empty()).map_err(failed("giving it its name"))?;
            rustix::fs::unlinkat(folder, staged, AtFlags::empty()).map_err(failed("removing its other name"))?;
        }
        other => other.map_err(failed("giving it its name"))?,
    }
    fault::point("undo.recreate.linked");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Preimage;

    #[test]
    fn without_nameless_files_it_comes_back_too_and_replaces_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().join("file");
        std::fs::write(&path, "content").unwrap();
        let (taken, before) = Preimage::take(&path).unwrap();
        let wanted = Wanted { path: &path, before: &before, content: taken.content, rest: taken.rest };
        let (folder, name) = safe_path::open_parent(&path).unwrap();
        let staged = staging_name("run", 1);
        let taken = recreate_named(&wanted, folder.as_fd(), &staged, name).unwrap_err();
        assert!(matches!(taken, PathError::Io { errno: Errno::EXIST, .. }), "{taken}");
        std::fs::remove_file(&path).unwrap();
        std::fs::remove_file(path.with_file_name(&staged)).unwrap();
        recreate_named(&wanted, folder.as_fd(), &staged, name).unwrap();
        assert!(matches!(verified(&wanted, UndoOutcome::Undone), Ok(Step { outcome: UndoOutcome::Undone, .. })));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
