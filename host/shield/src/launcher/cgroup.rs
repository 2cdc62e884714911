//! Holding a run to its number of processes with a `pids` cgroup, where one may be had without changing how the machine
//! is set up: below the launcher's own, version 1 or, where the controller is already delegated, version 2.

use rustix::event::Timespec;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A cgroup that we made. Removed when its last process is gone.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// Makes one for a run, holding `processes` and init; `None` where this machine or user cannot.
    pub fn create(run: &str, processes: u64) -> Option<Self> {
        let path = parent()?.join(format!("foil-{}-{run}", std::process::id()));
        fs::create_dir(&path).ok()?;
        let cgroup = Self { path };
        match fs::write(cgroup.path.join("pids.max"), processes.saturating_add(1).to_string()) {
            Ok(()) => Some(cgroup),
            Err(_) => {
                cgroup.remove();
                None
            }
        }
    }

    /// Moves a process into it.
    pub fn admit(&self, pid: i32) -> bool {
        fs::write(self.path.join("cgroup.procs"), pid.to_string()).is_ok()
    }

    /// Removes it. A cgroup whose last process has just been reaped may be busy for a moment.
    pub fn remove(self) {
        for _ in 0..50 {
            match fs::remove_dir(&self.path) {
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                _ => return,
            }
        }
    }
}

/// Has the kernel prepare for a process to be moved, in a process of its own, by moving that to where it is. The first move in a
/// while waits for an RCU grace period, 7 to 80 ms; those that follow within [`STAYS_READY`] do not. The caller reaps. Returns that
/// process, where there is one.
pub fn prepare() -> Option<i32> {
    let procs = parent()?.join("cgroup.procs");
    // SAFETY: the launcher has one thread, so that no lock is held in the copy, which ends without running what belongs to
    // the original.
    unsafe {
        let pid = libc::fork();
        if pid == 0 {
            let _ = fs::write(procs, "0");
            libc::_exit(0);
        }
        (pid > 0).then_some(pid)
    }
}

/// How long after a move the next one surely needs not wait. Measured on Linux 6.18: 15 ms never, 20 ms always.
pub const STAYS_READY: Timespec = Timespec { tv_sec: 0, tv_nsec: 8_000_000 };

/// Keeps the kernel prepared, by a move of the caller to where it is: some 100 µs, if the last one is not older than [`STAYS_READY`].
pub fn stay_ready() {
    if let Some(parent) = parent() {
        let _ = fs::write(parent.join("cgroup.procs"), "0");
    }
}

/// Removes the empty cgroups of launchers that were killed themselves: below this process's own, where runs have theirs.
pub fn sweep() {
    let Some(entries) = parent().and_then(|parent| fs::read_dir(parent).ok()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix("foil-")).and_then(|name| name.split('-').next());
        let Some(owner) = owner.and_then(|pid| pid.parse::<u32>().ok()) else { continue };
        if !Path::new(&format!("/proc/{owner}")).exists() {
            // Fails where something still lives in it, and rightly.
            let _ = fs::remove_dir(entry.path());
        }
    }
}

/// The folder of the launcher's own cgroup in the hierarchy that counts processes.
fn parent() -> Option<PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    for line in own.lines() {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let relative = path.trim_start_matches('/');
        if controllers.split(',').any(|name| name == "pids") {
            let folder = Path::new("/sys/fs/cgroup/pids").join(relative);
            return folder.join("cgroup.procs").exists().then_some(folder);
        }
        if controllers.is_empty() {
            let folder = Path::new("/sys/fs/cgroup").join(relative);
            let delegated = fs::read_to_string(folder.join("cgroup.subtree_control")).unwrap_or_default();
            if delegated.split_whitespace().any(|name| name == "pids") {
                return Some(folder);
            }
        }
    }
    None
}
