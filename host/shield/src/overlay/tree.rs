//! Mounts as handles: made detached, given their attributes, then attached to a directory that was looked up below the
//! view's root without following a link. No path is resolved twice, and no path needs escaping in an option string.
//!
//! The calls are those of Linux 5.2 (`fsopen`) and 5.12 (`mount_setattr`); an older kernel answers ENOSYS, and the
//! level is then not to be had.

use std::fmt::Display;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

/// A handle for looking up and attaching, not for reading.
const LOOKUP: OFlags = OFlags::PATH.union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);

/// Makes a file system and a detached mount of it. An option without a value is a flag.
pub fn make(kind: &str, options: &[(&str, &str)], attributes: MountAttrFlags) -> Result<OwnedFd, String> {
    let fail = |what: &dyn Display, error: rustix::io::Errno, log: String| {
        Err(format!("{kind} cannot be mounted ({what}: {}){log}", io::Error::from(error)))
    };
    let context = match fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC) {
        Ok(context) => context,
        Err(error) => return fail(&"fsopen", error, hint(error)),
    };
    for (key, value) in options {
        let set = match value.is_empty() {
            true => fsconfig_set_flag(context.as_fd(), *key),
            false => fsconfig_set_string(context.as_fd(), *key, *value),
        };
        if let Err(error) = set {
            return fail(&format!("option {key}={value}"), error, log(&context));
        }
    }
    if let Err(error) = fsconfig_create(context.as_fd()) {
        return fail(&"create", error, log(&context));
    }
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
        .or_else(|error| fail(&"fsmount", error, log(&context)))
}

fn hint(error: rustix::io::Errno) -> String {
    match error {
        rustix::io::Errno::NOSYS => "; it takes Linux 5.12 or later".into(),
        rustix::io::Errno::NODEV => "; this kernel has no such file system".into(),
        _ => String::new(),
    }
}

/// What the kernel said about a failed mount, one message a read.
fn log(context: &OwnedFd) -> String {
    let mut words = String::new();
    let mut buffer = [0_u8; 256];
    while let Ok(length) = rustix::io::read(context, &mut buffer[..]) {
        let Some(message) = buffer.get(..length).filter(|message| !message.is_empty()) else { break };
        words.push_str("; ");
        words.push_str(String::from_utf8_lossy(message).trim());
    }
    words
}

/// Looks a path up below `root`, as if `root` were `/`, across mounts but through no link.
pub fn find(root: BorrowedFd<'_>, path: &Path) -> io::Result<OwnedFd> {
    let flags = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    Ok(rustix::fs::openat2(root, path, LOOKUP, Mode::empty(), flags)?)
}

/// Looks a path up below `root` within its own mount only.
pub fn find_same_mount(root: BorrowedFd<'_>, path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    rustix::fs::openat2(root, path, LOOKUP, Mode::empty(), flags)
}

/// A detached copy of the mount that `at` is in, from `at` down, without what is mounted below.
pub fn copy(at: BorrowedFd<'_>, attributes: MountAttrFlags) -> io::Result<OwnedFd> {
    let empty = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    let tree = open_tree(at, "", empty)?;
    restrict(tree.as_fd(), attributes)?;
    Ok(tree)
}

/// Puts a detached mount over `target`.
pub fn attach(tree: BorrowedFd<'_>, target: BorrowedFd<'_>) -> io::Result<()> {
    let empty = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(tree, "", target, "", empty)?)
}

/// Makes an empty file. Not by opening it: the folder is in no mount that a sensor knows, which would take the file for one
/// below `/` that is written to.
pub fn empty_file(folder: BorrowedFd<'_>, name: &str, mode: Mode) -> rustix::io::Result<()> {
    rustix::fs::mknodat(folder, name, FileType::RegularFile, mode, 0)
}

/// Attributes for what nobody is to change: read-only, without devices, set-id bits and execution.
pub fn sealed() -> MountAttrFlags {
    MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NOEXEC
}

/// The kernel's `struct mount_attr` (mount_setattr(2)).
#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns: u64,
}

/// Adds attributes to a mount. Access-time rules are left alone: they are a set of their own, not flags to add.
pub fn restrict(mount: BorrowedFd<'_>, attributes: MountAttrFlags) -> io::Result<()> {
    let times = MountAttrFlags::MOUNT_ATTR_NOATIME | MountAttrFlags::MOUNT_ATTR_STRICTATIME;
    let set = u64::from(attributes.difference(times).bits());
    let attr = MountAttr { set, clear: 0, propagation: 0, userns: 0 };
    // SAFETY: the path is a NUL-terminated literal, `attr` outlives the call and its size is passed with it.
    let status = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
