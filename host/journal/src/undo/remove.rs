//! Removing what the run made, where it still is what the run made.

use super::super::error::Result;
use super::super::fault;
use super::{Row, Step, Undoing, place, torn};
use foil_record::UndoOutcome;
use foil_safe_path::{self as safe_path, Fingerprint, PathError, flags as inode_flags};
use rustix::fs::{AtFlags, Dir, Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

type Tried = std::result::Result<Step, PathError>;

impl Undoing<'_> {
    pub(super) fn remove_file(&mut self, row: &Row, path: &Path, content: Option<i64>) -> Result<Tried> {
        let place = match place(path) {
            Ok(Some(place)) => place,
            Ok(None) => return Ok(Ok(UndoOutcome::NothingToDo.into())),
            Err(PathError::Limit { .. }) => return Ok(conflict("somebody else made it larger than what Foil writes")),
            Err(e) => return Ok(Err(e)),
        };
        let Some((held, found)) = place.held else { return Ok(Ok(UndoOutcome::NothingToDo.into())) };
        let now = &found.fingerprint;
        let ours = match &row.learned {
            Some(learned) => {
                let same = (&learned.kind, &learned.sha256, learned.size) == (&now.kind, &now.sha256, now.size);
                same && self.same_file(path, learned, now)
            }
            // Nothing was there when the effect was intended; what is there and is the beginning of what we were to write is
            // ours.
            None => match content.map(|row| self.content(row)).transpose()?.flatten() {
                Some((_, content)) => now.kind == "file" && torn::is_partial_append(&found.content, &[], &content),
                None => false,
            },
        };
        if !ours {
            return Ok(conflict("somebody else changed it, or put another file there"));
        }
        let removed = unlink(place.folder.as_fd(), path, now, AtFlags::empty());
        if let Some(step) = removed.transpose() {
            return Ok(step);
        }
        self.batch.sync_folder(place.folder);
        // Through the descriptor that still holds it: names that somebody gave it meanwhile.
        let others = held.metadata().map_or(0, |m| m.nlink());
        if others > 0 {
            let why = format!("it was removed, but the same file has {others} other name(s), which Foil does not know");
            return Ok(Ok(UndoOutcome::Failed(why).into()));
        }
        Ok(gone(path))
    }

    pub(super) fn remove_directory(&mut self, row: &Row, path: &Path) -> Tried {
        let Some(place) = place(path)? else { return Ok(UndoOutcome::NothingToDo.into()) };
        let Some((held, found)) = place.held else { return Ok(UndoOutcome::NothingToDo.into()) };
        let now = &found.fingerprint;
        if now.kind != "directory" {
            return conflict("it is no directory any more");
        }
        if row.learned.as_ref().is_some_and(|learned| !self.same_file(path, learned, now)) {
            return conflict("somebody else put another directory there");
        }
        match unlink(place.folder.as_fd(), path, now, AtFlags::REMOVEDIR) {
            Ok(None) => {}
            Ok(Some(step)) => return Ok(step),
            Err(PathError::Io { errno: Errno::NOTEMPTY | Errno::EXIST, .. }) => {
                let why = format!("it is not empty; in it: {}", listing(&held));
                return Ok(UndoOutcome::Conflict(why).into());
            }
            Err(e) => return Err(e),
        }
        self.batch.sync_folder(place.folder);
        gone(path)
    }
}

fn conflict(why: &str) -> Tried {
    Ok(UndoOutcome::Conflict(why.into()).into())
}

/// Removes the name, after one more look that it is still the file that was judged. `Some`: it is not.
///
/// Linux cannot remove by descriptor, so a swap in the microsecond between is possible. It takes the right to write the
/// folder, and whoever has that could remove the file himself.
fn unlink(
    folder: BorrowedFd<'_>,
    path: &Path,
    judged: &Fingerprint,
    flags: AtFlags,
) -> std::result::Result<Option<Step>, PathError> {
    let name = safe_path::split(path)?.1;
    fault::point("undo.remove.before");
    let again = safe_path::entry(folder, name, path)?.and_then(|held| Some((held.metadata().ok()?, held)));
    let Some((_, held)) = again.filter(|(m, _)| (m.dev(), m.ino()) == (judged.dev, judged.ino)) else {
        return Ok(Some(UndoOutcome::Conflict("somebody else is changing it right now".into()).into()));
    };
    let removed = match rustix::fs::unlinkat(folder, name, flags) {
        // The run made it, and may have made it immutable or append-only.
        Err(Errno::PERM) if inode_flags::unprotect(&held, path)? => rustix::fs::unlinkat(folder, name, flags),
        other => other,
    };
    removed.map_err(|e| PathError::from_errno(path, "removing", e))?;
    fault::point("undo.remove.after");
    Ok(None)
}

/// Looks whether it is really gone.
fn gone(path: &Path) -> Tried {
    fault::point("undo.verify.before");
    Ok(match place(path)?.and_then(|place| place.held) {
        None => UndoOutcome::Undone.into(),
        Some(_) => UndoOutcome::Conflict("it was removed, and somebody else put something there".into()).into(),
    })
}

/// The first few names in a directory.
fn listing(held: &std::fs::File) -> String {
    const MOST: usize = 5;
    let names = || {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = rustix::fs::openat(held, ".", flags, Mode::empty()).ok()?;
        let names = Dir::read_from(open).ok()?.flatten().map(|e| e.file_name().to_string_lossy().into_owned());
        Some(names.filter(|n| n != "." && n != "..").take(MOST.saturating_add(1)).collect::<Vec<_>>())
    };
    let mut names = names().unwrap_or_default();
    if names.len() > MOST {
        names.truncate(MOST);
        names.push("…".into());
    }
    names.join(", ")
}
