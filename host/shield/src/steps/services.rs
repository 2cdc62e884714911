//! Services of the machine, where children may have Unix sockets at all: because a grant names one.
//!
//! Landlock says nothing of connecting to a socket by path before its ninth version (Linux 7.1), and many services act as
//! root for whoever can write to theirs. Their folders are covered, and not their sockets, which a service that starts
//! later makes anew.

use super::holds::{Holds, Purpose};
use super::mounts::set_read_only;
use crate::RunSpec;
use crate::overlay::tree;
use foil_text::Shown as _;
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, mkdirat, openat, openat2};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, OpenTreeFlags, open_tree};
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

/// Where services have their sockets by convention.
const FOLDERS: &[&CStr] = &[c"/run", c"/var/run"];

/// What libraries read there.
const KEPT: &str = "/etc/resolv.conf";

const LOOKUP: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Whether a grant names a socket.
pub fn are_granted(holds: &Holds) -> bool {
    holds.of(Purpose::Write).any(|hold| hold.kind == FileType::Socket)
}

/// Covers the folders for the calling process's mount namespace, but for what is granted in them. To be called when all
/// else is mounted.
pub fn cover(spec: &RunSpec) -> Result<(), String> {
    let mut kept: Vec<PathBuf> = spec.reads.iter().chain(&spec.writes).map(PathBuf::from).collect();
    kept.push(spec.scratch.clone());
    kept.extend(std::fs::canonicalize(KEPT));
    // What lies below another comes with it.
    kept.sort();
    kept.dedup_by(|deeper, above| deeper.starts_with(above));
    for &folder in FOLDERS {
        let path = Path::new(folder.to_str().unwrap_or_default());
        if spec.writes.iter().any(|granted| path.starts_with(granted)) {
            continue; // it is granted as a whole
        }
        let failed = |error: &dyn std::fmt::Display| format!("cannot cover {}: {error}", path.shown());
        match look_up(path) {
            Ok(place) if is_folder(&place) => cover_one(folder, path, &place, &kept).map_err(|error| failed(&error))?,
            // Not there, or a link to the other one.
            Ok(_) | Err(Errno::NOENT | Errno::LOOP) => {}
            Err(error) => return Err(failed(&error)),
        }
    }
    Ok(())
}

fn cover_one(folder: &CStr, path: &Path, place: &OwnedFd, kept: &[PathBuf]) -> Result<(), String> {
    let fail = |error: &dyn std::fmt::Display| error.to_string();
    let quiet =
        MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let cover = tree::make("tmpfs", &[("source", "tmpfs"), ("size", "65536"), ("mode", "0755")], quiet)?;
    let mut grants = Vec::new();
    for (kept, below) in kept.iter().filter_map(|kept| Some((kept, kept.strip_prefix(path).ok()?))) {
        // What is not there, or is reached through a link, is not granted.
        let Ok(object) = look_up(kept) else { continue };
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
        let copy = open_tree(&object, "", flags | OpenTreeFlags::AT_EMPTY_PATH).map_err(|error| fail(&error))?;
        let target = mountpoint(cover.as_fd(), below, is_folder(&object)).map_err(|error| fail(&error))?;
        grants.push((copy, target));
    }
    tree::attach(cover.as_fd(), place.as_fd()).map_err(|error| fail(&error))?;
    for (copy, target) in grants {
        tree::attach(copy.as_fd(), target.as_fd()).map_err(|error| fail(&error))?;
    }
    set_read_only(folder, true, false).map_err(|error| fail(&error))
}

/// Makes an empty folder or file, with the folders above it.
fn mountpoint(root: BorrowedFd<'_>, below: &Path, folder: bool) -> Result<OwnedFd, Errno> {
    let mut at = openat(root, ".", LOOKUP, Mode::empty())?;
    let mut parts = below.components().peekable();
    while let Some(part) = parts.next() {
        let Component::Normal(name) = part else { return Err(Errno::INVAL) };
        if parts.peek().is_some() || folder {
            match mkdirat(&at, name, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error),
            }
        } else {
            openat(&at, name, OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC, Mode::from_raw_mode(0o444))?;
        }
        at = openat(&at, name, LOOKUP, Mode::empty())?;
    }
    Ok(at)
}

fn look_up(path: &Path) -> Result<OwnedFd, Errno> {
    openat2(CWD, path, LOOKUP, Mode::empty(), ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS)
}

fn is_folder(held: &OwnedFd) -> bool {
    fstat(held).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}
