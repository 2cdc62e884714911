//! Processes that init forks for itself: no program, only a function.

/// Runs `work` in a forked process and returns its pid at once. The process ends with status 0 when `work` returns and
/// with 70 where it panics.
pub fn fork(work: impl FnOnce()) -> std::io::Result<i32> {
    // SAFETY: init has one thread, so no lock is held by another.
    run(libc::c_long::from(unsafe { libc::fork() }), work)
}

/// The same as a child of the calling process's parent, which waits for it.
pub fn fork_for_parent(work: impl FnOnce()) -> std::io::Result<i32> {
    let flags = libc::CLONE_PARENT | libc::SIGCHLD;
    // SAFETY: no new stack and no shared memory, so this is `fork`; the caller has one thread. Every argument but the flags is
    // zero, which makes their order (it differs by architecture) irrelevant.
    run(unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) }, work)
}

fn run(forked: libc::c_long, work: impl FnOnce()) -> std::io::Result<i32> {
    match forked {
        -1 => Err(std::io::Error::last_os_error()),
        0 => {
            let status = match std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) {
                Ok(()) => 0,
                Err(_) => 70,
            };
            // SAFETY: ends this copy of init without running what belongs to the original.
            unsafe { libc::_exit(status) }
        }
        pid => Ok(i32::try_from(pid).unwrap_or(-1)),
    }
}
