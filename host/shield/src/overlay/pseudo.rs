//! `/proc`, `/sys` and `/dev` of a view: made anew, so that nothing in them leads to the machine or changes it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Dir, FileType, Mode, OFlags};
use rustix::mount::MountAttrFlags;

use super::mountinfo::Visible;
use super::stage::Stage;
use super::tree;

/// Entries of `/proc` that are covered with nothing: memory, keys and addresses of the machine, and buttons.
const PROC_MASKED: &[&str] = &[
    "acpi",
    "kcore",
    "keys",
    "kmem",
    "kpagecgroup",
    "kpagecount",
    "kpageflags",
    "latency_stats",
    "sched_debug",
    "scsi",
    "sysrq-trigger",
    "timer_list",
    "timer_stats",
    "vmallocinfo",
];

/// As above, of `/sys`: firmware tables and what measures power (a side channel).
const SYS_MASKED: &[&str] = &["firmware", "devices/virtual/powercap"];

/// Device nodes: name and minor number; the major is 1, but for `tty`.
const NODES: &[(&str, u32, u32)] =
    &[("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

const LINKS: &[(&str, &str)] = &[
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

const QUIET: MountAttrFlags =
    MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NODEV).union(MountAttrFlags::MOUNT_ATTR_NOEXEC);

/// Mounts a `/proc` of this pid namespace. Every entry that is not a process becomes read-only, whatever it is called: root needs no
/// capability to write most of them, and may even `chmod` them for the whole machine. Returns a handle to it.
pub fn proc(top: BorrowedFd<'_>, stage: &Stage) -> Result<OwnedFd, String> {
    let proc = tree::make("proc", &[("source", "proc")], QUIET)?;
    place(top, "/proc", proc.as_fd())?;
    let fail = |name: &str, error: io::Error| format!("/proc/{name} cannot be made read-only: {error}");
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let list = rustix::fs::openat(&proc, ".", flags, Mode::empty()).and_then(Dir::new);
    for entry in list.map_err(|error| fail("", error.into()))? {
        let entry = entry.map_err(|error| fail("", error.into()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let link = entry.file_type() == FileType::Symlink; // self, net, mounts: they lead to a process's own
        if link || name.starts_with('.') || name.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let Ok(target) = tree::find(proc.as_fd(), Path::new(&name)) else { continue }; // gone meanwhile
        if PROC_MASKED.contains(&name.as_str()) {
            let directory = entry.file_type() == FileType::Directory;
            stage.mask(target.as_fd(), directory).map_err(|error| fail(&name, error))?;
        } else {
            let copy = tree::copy(target.as_fd(), tree::sealed()).map_err(|error| fail(&name, error))?;
            tree::attach(copy.as_fd(), target.as_fd()).map_err(|error| fail(&name, error))?;
        }
    }
    Ok(proc)
}

/// Mounts a read-only `/sys`, without any of the file systems that the machine mounts in it. Its network devices are those of
/// the caller's network namespace.
pub fn sys(top: BorrowedFd<'_>, stage: &Stage) -> Result<(), String> {
    let sys = tree::make("sysfs", &[("source", "sysfs")], QUIET | MountAttrFlags::MOUNT_ATTR_RDONLY)?;
    place(top, "/sys", sys.as_fd())?;
    for name in SYS_MASKED {
        if let Ok(target) = tree::find(sys.as_fd(), Path::new(name)) {
            stage.mask(target.as_fd(), true).map_err(|error| format!("/sys/{name} cannot be masked: {error}"))?;
        }
    }
    Ok(())
}

/// Mounts a minimal `/dev`: the nodes that every program expects, a `devpts` of its own, `/dev/shm` on the run's tmpfs, and
/// `/dev/mqueue` where the machine has it.
pub fn dev(top: BorrowedFd<'_>, stage: &Stage, seen: &[Visible]) -> Result<(), String> {
    let options = [("source", "tmpfs"), ("size", "65536"), ("nr_inodes", "256"), ("mode", "0755")];
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let dev = tree::make("tmpfs", &options, attributes)?;
    place(top, "/dev", dev.as_fd())?;
    for (name, major, minor) in NODES {
        node(&dev, name, *major, *minor).map_err(|error| format!("/dev/{name} cannot be had: {error}"))?;
    }
    for (name, to) in LINKS {
        rustix::fs::symlinkat(*to, &dev, *name).map_err(|error| format!("/dev/{name} cannot be had: {error}"))?;
    }
    let folder = |name: &str| {
        rustix::fs::mkdirat(&dev, name, Mode::from_raw_mode(0o755))
            .map_err(|error| format!("/dev/{name} cannot be had: {error}"))
    };
    folder("pts")?;
    let quiet = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let options = [("source", "devpts"), ("ptmxmode", "0666"), ("mode", "0620"), ("gid", "5")];
    place(top, "/dev/pts", tree::make("devpts", &options, quiet)?.as_fd())?;

    folder("shm")?;
    let host = seen.iter().find(|visible| visible.mount.point == Path::new("/dev/shm"));
    let usual = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let attributes = host.map_or(usual, |host| host.mount.attributes | usual);
    let shm =
        tree::copy(stage.shm()?.as_fd(), attributes).map_err(|error| format!("/dev/shm cannot be had: {error}"))?;
    place(top, "/dev/shm", shm.as_fd())?;

    if seen.iter().any(|visible| visible.mount.kind == "mqueue") {
        folder("mqueue")?;
        place(top, "/dev/mqueue", tree::make("mqueue", &[("source", "mqueue")], QUIET)?.as_fd())?;
    }
    Ok(())
}

/// A node of our own, or where that is refused (in a container) the machine's, read-only: writing to a device needs no
/// writable mount, but changing its mode would.
fn node(dev: &OwnedFd, name: &str, major: u32, minor: u32) -> io::Result<()> {
    let mode = Mode::from_raw_mode(0o666);
    match rustix::fs::mknodat(dev, name, FileType::CharacterDevice, mode, rustix::fs::makedev(major, minor)) {
        Ok(()) => Ok(rustix::fs::chmodat(dev, name, mode, rustix::fs::AtFlags::empty())?), // whatever the umask
        Err(rustix::io::Errno::PERM) => {
            let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            let host = rustix::fs::open(Path::new("/dev").join(name), flags, Mode::empty())?;
            tree::empty_file(dev.as_fd(), name, mode)?;
            let target = tree::find(dev.as_fd(), Path::new(name))?;
            let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NOSUID;
            tree::attach(tree::copy(host.as_fd(), attributes)?.as_fd(), target.as_fd())
        }
        Err(error) => Err(error.into()),
    }
}

fn place(top: BorrowedFd<'_>, path: &str, mount: BorrowedFd<'_>) -> Result<(), String> {
    tree::find(top, Path::new(path))
        .and_then(|target| tree::attach(mount, target.as_fd()))
        .map_err(|error| format!("{path} cannot be mounted: {error}"))
}
