//! The way to the scratch folder.
//!
//! It lies in a folder of mode 0700 that belongs to whoever runs Foil: whatever a child does to its scratch folder, nobody
//! outside reaches what is in it, neither to run it nor to connect to it. A child that is another user (`run-as`) could
//! not get there either. So in the run's own mount namespace something else lies over that folder: a small file system
//! that lets everybody through, and shows the scratch folder only.

use crate::RunSpec;
use crate::overlay::tree;
use foil_text::Shown as _;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, fstat, mkdirat, openat, openat2};
use rustix::mount::{MountAttrFlags, OpenTreeFlags, open_tree};
use std::os::fd::{AsFd, OwnedFd};

/// Whoever may go through a folder without being its owner.
const OTHERS: u32 = 0o011;

/// Whether the run's user cannot get to its scratch folder.
pub fn is_out_of_reach(spec: &RunSpec) -> Result<bool, String> {
    let me = rustix::process::geteuid().as_raw();
    if spec.identity.as_ref().is_none_or(|identity| identity.uid == me) {
        return Ok(false);
    }
    let (folder, _) = folder(spec)?;
    let stat = fstat(&folder).map_err(|error| failed(spec, &error))?;
    Ok(stat.st_uid == me && stat.st_mode & OTHERS == 0)
}

/// Opens the way for the calling process's mount namespace.
pub fn open_way(spec: &RunSpec) -> Result<(), String> {
    let (folder, name) = folder(spec)?;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let scratch = openat(&folder, name, flags, Mode::empty()).map_err(|error| failed(spec, &error))?;
    let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    let copy = open_tree(&scratch, "", clone).map_err(|error| failed(spec, &error))?;
    let quiet =
        MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let options = [("source", "tmpfs"), ("size", "4096"), ("nr_inodes", "4"), ("mode", "0711")];
    let cover = tree::make("tmpfs", &options, quiet)?;
    mkdirat(&cover, name, Mode::from_raw_mode(0o711)).map_err(|error| failed(spec, &error))?;
    let place = openat(&cover, name, flags, Mode::empty()).map_err(|error| failed(spec, &error))?;
    tree::attach(cover.as_fd(), folder.as_fd()).map_err(|error| failed(spec, &error))?;
    tree::attach(copy.as_fd(), place.as_fd()).map_err(|error| failed(spec, &error))
}

/// The folder that the scratch folder lies in, and its name there.
fn folder(spec: &RunSpec) -> Result<(OwnedFd, &std::ffi::OsStr), String> {
    let (Some(parent), Some(name)) = (spec.scratch.parent(), spec.scratch.file_name()) else {
        return Err(format!("{} cannot be a scratch folder", spec.scratch.shown()));
    };
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = openat2(CWD, parent, flags, Mode::empty(), resolve).map_err(|error| failed(spec, &error))?;
    Ok((folder, name))
}

fn failed(spec: &RunSpec, error: &dyn std::fmt::Display) -> String {
    format!("the run's user has no way to the scratch folder {}: {error}", spec.scratch.shown())
}
