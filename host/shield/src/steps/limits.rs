//! Resource limits of a child.
//!
//! The number of processes is not among them for root: `RLIMIT_NPROC` counts a *user's* processes on the whole machine
//! and does not hold root at all. It is set only where init lives in a user namespace of its own, in which the count
//! starts at zero (Linux 5.14 and later). Elsewhere a `pids` cgroup holds the run, or init counts; see `init::watch`.

use crate::ChildLimits;

/// Files that one child may hold open: far more than a technique needs, far fewer than exhaust the machine's table.
const OPEN_FILES: u64 = 4096;

/// No core dumps: they are files that nobody journaled. One byte and not none: 1 also keeps the kernel from piping a core
/// to the machine's handler, which runs outside of any shield; 0 does not (core(5)).
const CORE: u64 = 1;

/// Gives the calling process the limit on core dumps that its children are to have, while it may still raise one of 0.
/// Returns what is wrong where it may not and the machine has a handler.
pub fn hold_cores() -> Result<(), String> {
    let one = libc::rlimit { rlim_cur: CORE as libc::rlim_t, rlim_max: CORE as libc::rlim_t };
    // SAFETY: the structure outlives the call, which only reads it.
    if unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const one) } == 0 {
        return Ok(());
    }
    let error = std::io::Error::last_os_error();
    let pattern = std::fs::read("/proc/sys/kernel/core_pattern").unwrap_or_default();
    if !matches!(pattern.first(), Some(b'|' | b'@')) {
        return Ok(()); // a limit of 0 does as well where cores are files
    }
    Err(format!(
        "the limit on core dumps cannot be raised from 0 to 1 ({error}), and only 1 keeps the core of a child that crashes \
         from the machine's handler"
    ))
}

/// Limits in the form that a child sets without allocating: soft and hard alike.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    rows: [(libc::c_uint, u64); 5],
    used: usize,
}

impl Limits {
    /// For a child of a run with these limits. `own_user_namespace`: process counts start at zero.
    pub fn new(limits: &ChildLimits, own_user_namespace: bool) -> Self {
        let rows = [
            // See `hold_cores`. The filter keeps children from changing it.
            (libc::RLIMIT_CORE as libc::c_uint, CORE),
            (libc::RLIMIT_AS as libc::c_uint, limits.memory),
            (libc::RLIMIT_FSIZE as libc::c_uint, limits.file_size),
            (libc::RLIMIT_NOFILE as libc::c_uint, OPEN_FILES),
            // Init itself is counted.
            (libc::RLIMIT_NPROC as libc::c_uint, limits.processes.saturating_add(1)),
        ];
        Self { rows, used: if own_user_namespace && counts_per_namespace() { 5 } else { 4 } }
    }

    /// Does `RLIMIT_NPROC` hold the run to its number of processes?
    pub fn holds_processes(&self) -> bool {
        self.used == self.rows.len()
    }

    /// Sets them on the calling process. A limit is only ever lowered. No allocation; the error is an errno.
    pub fn apply(&self) -> Result<(), i32> {
        for &(resource, value) in self.rows.iter().take(self.used) {
            let mut old = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            // SAFETY: plain system calls on a local structure. prlimit64 on every architecture, 64 bits wide.
            let rc = unsafe {
                libc::syscall(libc::SYS_prlimit64, 0, resource, std::ptr::null::<libc::rlimit>(), &raw mut old);
                let value = (value as libc::rlim_t).min(old.rlim_max);
                let new = libc::rlimit { rlim_cur: value, rlim_max: value };
                libc::syscall(libc::SYS_prlimit64, 0, resource, &raw const new, std::ptr::null_mut::<libc::rlimit>())
            };
            if rc != 0 {
                return Err(super::identity::errno());
            }
        }
        Ok(())
    }
}

/// Since Linux 5.14 `RLIMIT_NPROC` is counted per user namespace.
fn counts_per_namespace() -> bool {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (5, 14)
}
