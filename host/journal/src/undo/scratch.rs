//! Removing a scratch folder with all in it. Its content is the children's: hostile, deep, full of links and mode 000.
//!
//! No link is followed and no mount crossed. Depth costs no descriptors and no stack: going up is `..`, checked against
//! the device and inode that we came from.

use super::super::fault;
use foil_record::UndoOutcome;
use foil_safe_path::{self as safe_path, PathError, flags};
use foil_text::RunId;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, StatxFlags};
use rustix::io::Errno;
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

type Tried<T> = std::result::Result<T, PathError>;

/// A directory on the way down.
struct Frame {
    /// Its name in its parent.
    name: OsString,
    identity: (u64, u64),
    /// What could not be removed from it.
    stuck: HashSet<OsString>,
}

/// Removes it. Residue names what could not be removed.
pub(super) fn remove(path: &Path, run: &RunId, owner: u32) -> Tried<UndoOutcome> {
    let (folder, name) = match safe_path::open_parent(path) {
        Err(PathError::NotFound(_)) => return Ok(UndoOutcome::NothingToDo),
        other => other?,
    };
    let Some(top) = safe_path::entry(folder.as_fd(), name, path)? else { return Ok(UndoOutcome::NothingToDo) };
    let meta = top.metadata().map_err(|e| PathError::from_io(path, "looking at it", &e))?;
    let conflict = |why: String| Ok(UndoOutcome::Conflict(why));
    if !name.to_string_lossy().contains(run.as_str()) {
        return conflict("its name does not have the run's id in it, so Foil did not make it".into());
    }
    if !meta.is_dir() {
        return conflict("it is no directory any more".into());
    }
    let me = rustix::process::geteuid().as_raw();
    if ![0, me, owner].contains(&meta.uid()) {
        return conflict(format!("it belongs to uid {} now", meta.uid()));
    }
    let mount = mount_of(&top, path)?;
    if mount != mount_of(&File::from(folder.try_clone().map_err(|e| PathError::from_io(path, "opening", &e))?), path)? {
        return conflict("another file system is mounted there".into());
    }
    let mut stuck = Vec::new();
    empty(&top, (meta.dev(), meta.ino()), mount, path, &mut stuck)?;
    if stuck.is_empty() {
        rustix::fs::unlinkat(&folder, name, AtFlags::REMOVEDIR)
            .map_err(|e| PathError::from_errno(path, "removing", e))?;
        fault::point("undo.verify.before");
        return Ok(match safe_path::entry(folder.as_fd(), name, path)? {
            None => UndoOutcome::Undone,
            Some(_) => UndoOutcome::Failed("it is there again".into()),
        });
    }
    Ok(UndoOutcome::Failed(format!("{} thing(s) in it could not be removed: {}", stuck.len(), first(&stuck))))
}

/// Empties a directory, depth first.
fn empty(top: &File, identity: (u64, u64), mount: u64, path: &Path, stuck: &mut Vec<String>) -> Tried<()> {
    let mut at = enter(top, path)?;
    let mut frames = vec![Frame { name: OsString::new(), identity, stuck: HashSet::new() }];
    while let Some(frame) = frames.last_mut() {
        match next_directory(&at, frame, mount, path, stuck)? {
            Some((name, held, identity)) => {
                at = enter(&held, path)?;
                frames.push(Frame { name, identity, stuck: HashSet::new() });
            }
            None => {
                let Some(done) = frames.pop() else { break };
                let Some(parent) = frames.last_mut() else { break };
                at = go_up(&at, parent.identity, path)?;
                fault::point("undo.scratch.half");
                let removed = rustix::fs::unlinkat(&at, &done.name, AtFlags::REMOVEDIR);
                if let Err(e) = removed
                    && e != Errno::NOENT
                {
                    if done.stuck.is_empty() {
                        stuck.push(format!("{}: {e}", done.name.to_string_lossy()));
                    }
                    parent.stuck.insert(done.name);
                }
            }
        }
    }
    Ok(())
}

/// A directory to go down into: its name, what holds it, its device and inode.
type Down = (OsString, File, (u64, u64));

/// Removes everything that is no directory from where we are; returns the first directory that is not stuck.
fn next_directory(
    at: &File,
    frame: &mut Frame,
    mount: u64,
    path: &Path,
    stuck: &mut Vec<String>,
) -> Tried<Option<Down>> {
    // Removing while listing makes some file systems skip entries: again until a whole pass removes nothing.
    loop {
        let mut removed = false;
        let entries = Dir::read_from(at).map_err(|e| PathError::from_errno(path, "listing it", e))?;
        for entry in entries {
            let entry = entry.map_err(|e| PathError::from_errno(path, "listing it", e))?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." || frame.stuck.contains(name) {
                continue;
            }
            match unlink_or_hold(at, name, mount, path)? {
                Found::Removed => removed = true,
                Found::Directory(held, identity) => return Ok(Some((name.to_owned(), held, identity))),
                Found::Stuck(why) => {
                    stuck.push(format!("{}: {why}", name.to_string_lossy()));
                    frame.stuck.insert(name.to_owned());
                }
            }
        }
        if !removed {
            return Ok(None);
        }
    }
}

enum Found {
    Removed,
    Directory(File, (u64, u64)),
    Stuck(String),
}

fn unlink_or_hold(at: &File, name: &OsStr, mount: u64, path: &Path) -> Tried<Found> {
    let armed = disarm(at, name).err();
    if armed.is_none() {
        match rustix::fs::unlinkat(at, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(Found::Removed),
            // A directory: EISDIR on Linux, EPERM where a file system follows POSIX. Others may not be removed.
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(e) => return Ok(Found::Stuck(e.to_string())),
        }
    }
    let Some(held) = safe_path::entry(at.as_fd(), name, path)? else { return Ok(Found::Removed) };
    let meta = held.metadata().map_err(|e| PathError::from_io(path, "looking at it", &e))?;
    Ok(if !meta.is_dir() {
        // A child may have made it immutable or append-only. With another name it may be somebody else's file, who did.
        let only_here = meta.nlink() == 1 && mount_of(&held, path)? == mount;
        let freed = only_here && flags::unprotect(&held, path).unwrap_or(false);
        if freed && disarm(at, name).is_ok() && rustix::fs::unlinkat(at, name, AtFlags::empty()).is_ok() {
            Found::Removed
        } else if let Some(e) = armed {
            Found::Stuck(format!("it gives rights to whoever runs it, and they cannot be taken from it: {e}"))
        } else {
            Found::Stuck("it may not be removed (is it immutable?)".into())
        }
    } else if mount_of(&held, path)? != mount {
        Found::Stuck("another file system is mounted there".into())
    } else {
        Found::Directory(held, (meta.dev(), meta.ino()))
    })
}

/// Takes set-id bits and file capabilities from a regular file. Removing a name does not: the file lives on under another
/// (a hard link), and for whoever has it open.
fn disarm(at: &File, name: &OsStr) -> std::result::Result<(), Errno> {
    const SET_ID: u32 = 0o6000;
    // What is gone, or cannot be looked at, the removal judges.
    let Ok(stat) = rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW) else { return Ok(()) };
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Ok(());
    }
    // Held first, so that a link that comes in its place is not followed. There is nobody left to put one there, but for
    // whoever runs Foil.
    let held = match rustix::fs::openat(at, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
        Ok(held) => held,
        Err(Errno::NOENT) => return Ok(()),
        Err(e) => return Err(e),
    };
    let link = safe_path::fd_path(&held);
    if stat.st_mode & SET_ID != 0 {
        rustix::fs::chmodat(CWD, &link, Mode::from_raw_mode(stat.st_mode & 0o1777), AtFlags::empty())?;
    }
    match rustix::fs::removexattr(&link, "security.capability") {
        // Only root could have given it any.
        Ok(()) | Err(Errno::NODATA | Errno::NOTSUP | Errno::PERM | Errno::NOSYS | Errno::ACCESS) => Ok(()),
        Err(e) => Err(e),
    }
}

/// Opens a directory for listing and changing. As an ordinary user, a directory of mode 000 is opened up first.
fn enter(held: &File, path: &Path) -> Tried<File> {
    let open = || rustix::fs::openat(held, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let writable = held.metadata().is_ok_and(|m| m.mode() & 0o700 == 0o700);
    if !writable {
        // Through the descriptor, so never through a link. If it fails, the next step says what is wrong.
        let _ = rustix::fs::chmodat(CWD, safe_path::fd_path(held), Mode::RWXU, AtFlags::empty());
    }
    let opened = open().map(File::from).map_err(|e| PathError::from_errno(path, "opening a directory in it", e))?;
    // Nothing can be removed from an immutable or append-only directory, nor it itself. If it fails, the next step says so.
    let _ = flags::unprotect(&opened, path);
    Ok(opened)
}

fn go_up(at: &File, expected: (u64, u64), path: &Path) -> Tried<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let up = rustix::fs::openat(at, "..", flags, Mode::empty());
    let up = File::from(up.map_err(|e| PathError::from_errno(path, "going up in it", e))?);
    let meta = up.metadata().map_err(|e| PathError::from_io(path, "looking at it", &e))?;
    if (meta.dev(), meta.ino()) == expected {
        Ok(up)
    } else {
        Err(PathError::Refused {
            path: path.into(),
            why: "somebody moves directories in it while it is removed".into(),
        })
    }
}

/// The mount that something is on: a bind mount of the same file system has the same device number, but not this.
fn mount_of(held: &File, path: &Path) -> Tried<u64> {
    match rustix::fs::statx(held, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID) {
        Ok(stat) if stat.stx_mask & StatxFlags::MNT_ID.bits() != 0 => Ok(stat.stx_mnt_id),
        // Before Linux 5.8: the device has to do.
        Ok(_) | Err(Errno::NOSYS) => {
            held.metadata().map(|m| m.dev()).map_err(|e| PathError::from_io(path, "looking at it", &e))
        }
        Err(e) => Err(PathError::from_errno(path, "looking for its mount", e)),
    }
}

fn first(stuck: &[String]) -> String {
    let shown: Vec<&str> = stuck.iter().take(5).map(String::as_str).collect();
    shown.join("; ") + if stuck.len() > shown.len() { "; …" } else { "" }
}
