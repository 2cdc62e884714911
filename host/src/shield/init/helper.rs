//! Processes that init forks for itself: no program, only a function.

/// Runs `work` in a forked process and returns its pid at once. The process ends with status 0 when `work` returns and
/// with 70 where it panics.
pub fn fork(work: impl FnOnce()) -> std::io::Result<i32> {
    // SAFETY: init has one thread, so no lock is held by another.
    match unsafe { libc::fork() } {
        -1 => Err(std::io::Error::last_os_error()),
        0 => {
            let status = match std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) {
                Ok(()) => 0,
                Err(_) => 70,
            };
            // SAFETY: ends this copy of init without running what belongs to the original.
            unsafe { libc::_exit(status) }
        }
        pid => Ok(pid),
    }
}
