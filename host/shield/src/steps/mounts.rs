//! The run's own view of the file system, in a mount namespace of its own: its /proc, and what is writable at all.

use super::holds::{Holds, Purpose};
use crate::RunSpec;
use foil_text::Shown as _;
use rustix::fs::{FileType, Mode, OFlags, open};
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount, mount_bind, mount_change, mount_remount,
    move_mount, open_tree,
};
use std::ffi::{CStr, OsStr};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Stops mounts from travelling between this namespace and any other.
pub fn detach() -> Result<(), String> {
    mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)
        .map_err(|error| format!("cannot make the mounts private: {error}"))
}

/// Mounts a /proc that shows the processes of the calling pid namespace and no others.
///
/// Fails for an ordinary user where parts of the /proc that is there are covered, as containers do (EPERM): the kernel
/// would not have them uncovered that way.
pub fn fresh_proc() -> Result<(), Errno> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", "/proc", "proc", flags, None)
}

/// Makes everything in /proc that is no process read-only, while a process's own files (`mem`, `comm`, `oom_score_adj`) must stay
/// writable. Also what has no write permission: the modes and owners of those files are one for all mounts of /proc, and root may
/// change them.
pub fn seal_proc() -> Result<(), String> {
    let failed =
        |path: &Path, error: &dyn std::fmt::Display| format!("cannot make {} read-only: {error}", path.shown());
    let proc = Path::new("/proc");
    for entry in std::fs::read_dir(proc).map_err(|error| failed(proc, &error))? {
        let entry = entry.map_err(|error| failed(proc, &error))?;
        let (name, path) = (entry.file_name(), entry.path());
        // Links (self, net, mounts) lead to processes.
        if is_number(&name) || entry.file_type().map_err(|error| failed(&path, &error))?.is_symlink() {
            continue;
        }
        match read_only(&path) {
            Ok(()) | Err(Errno::NOENT) => {} // gone meanwhile
            Err(error) => return Err(failed(&path, &error)),
        }
    }
    Ok(())
}

fn read_only(path: &Path) -> Result<(), Errno> {
    mount_bind(path, path)?;
    let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount_remount(path, flags, "")
}

/// The mounts as they were before [`write_protect`]: init performs file effects there that children may not.
#[derive(Debug)]
pub struct Backstage {
    /// The root folder, from which every path is walked.
    pub root: OwnedFd,
    /// Keeps the mounts below it in place.
    _namespace: OwnedFd,
}

impl Backstage {
    /// Keeps the mounts as they are, and gives the calling process a copy of them for its children.
    pub fn leave() -> Result<Self, String> {
        let failed = |error: &dyn std::fmt::Display| format!("cannot keep the mounts for file effects: {error}");
        let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let backstage = Self {
            root: open("/", folder, Mode::empty()).map_err(|error| failed(&error))?,
            _namespace: open("/proc/self/ns/mnt", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                .map_err(|error| failed(&error))?,
        };
        // SAFETY: the calling process has one thread; only its view of the mounts changes.
        if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
            return Err(failed(&std::io::Error::last_os_error()));
        }
        Ok(backstage)
    }
}

/// Makes every mount read-only for the calling process and its children, but those of the scratch folder, of the write
/// grants and of the run's `own` file systems. `holds` were taken in this mount namespace.
///
/// Landlock says nothing of modes, owners, times, attributes and (before its third version) sizes: without this a root
/// child could make any program of the machine set-uid.
pub fn write_protect(spec: &RunSpec, holds: &Holds, own: &[&CStr]) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| format!("cannot write-protect the mounts: {error}");
    // Everything may be changed: there is nothing to protect.
    if spec.writes.iter().any(|path| Path::new(path).parent().is_none()) {
        return Ok(());
    }
    let mut writable = Vec::new();
    // A socket is there to be connected to, which a read-only mount allows; its mode and owner stay, so that there is nothing to undo.
    let granted = holds.of(Purpose::Write).filter(|hold| hold.kind != FileType::Socket);
    let granted = granted.map(|hold| (hold.path.as_str(), &hold.place));
    for (path, place) in granted.chain(holds.scratch().map(|place| ("the scratch folder", place))) {
        // A copy from before, with the flags that each mount has: what the machine mounted read-only stays so.
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
        let copy = open_tree(place, "", flags | OpenTreeFlags::AT_EMPTY_PATH);
        writable.push((copy.map_err(|error| format!("cannot keep {path} writable: {error}"))?, place));
    }
    set_read_only(c"/", true, true).map_err(|error| failed(&error))?;
    for (copy, place) in writable {
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        move_mount(&copy, "", place, "", flags).map_err(|error| failed(&error))?;
    }
    for path in own {
        // Only the mount itself: what `seal_proc` closed stays closed.
        set_read_only(path, false, false).map_err(|error| failed(&error))?;
    }
    Ok(())
}

/// Sets or clears the read-only flag of a mount, or of it and all below.
pub fn set_read_only(path: &CStr, read_only: bool, recursive: bool) -> std::io::Result<()> {
    let (set, clear) = if read_only { (libc::MOUNT_ATTR_RDONLY, 0) } else { (0, libc::MOUNT_ATTR_RDONLY) };
    let attributes = libc::mount_attr { attr_set: set, attr_clr: clear, propagation: 0, userns_fd: 0 };
    let flags = if recursive { libc::AT_RECURSIVE } else { 0 };
    let size = size_of::<libc::mount_attr>();
    // SAFETY: reads one structure of the size that is given, and a string that ends with NUL.
    let rc = unsafe {
        libc::syscall(libc::SYS_mount_setattr, libc::AT_FDCWD, path.as_ptr(), flags, &raw const attributes, size)
    };
    if rc == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// Does /proc show the calling process's own pid namespace?
pub fn proc_is_own() -> bool {
    std::fs::read_link("/proc/self").is_ok_and(|id| id.as_os_str() == OsStr::new(&std::process::id().to_string()))
}

/// Is this the name of a process's folder in /proc?
pub fn is_number(name: &OsStr) -> bool {
    name.as_bytes().iter().all(u8::is_ascii_digit)
}
