//! Which file descriptors a process of the shield has.

use std::os::fd::{AsRawFd, RawFd};

/// Closes every descriptor from 3 on but these.
pub fn close_others(keep: &[RawFd]) -> std::io::Result<()> {
    let mut keep: Vec<u32> = keep.iter().filter_map(|&fd| u32::try_from(fd).ok()).filter(|&fd| fd > 2).collect();
    keep.sort_unstable();
    let mut from = 3_u32;
    for fd in keep {
        if fd > from {
            close_range(from, fd.saturating_sub(1))?;
        }
        from = from.max(fd.saturating_add(1));
    }
    close_range(from, u32::MAX)
}

fn close_range(first: u32, last: u32) -> std::io::Result<()> {
    // SAFETY: closes descriptors that this process inherited and that no value in it owns any more.
    let rc = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    if rc == 0 {
        return Ok(());
    }
    let error = std::io::Error::last_os_error();
    if error.raw_os_error() != Some(libc::ENOSYS) {
        return Err(error);
    }
    // Before Linux 5.9: one by one, up to what may be open.
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(65_536);
    for fd in first..=last.min(u32::try_from(limit).unwrap_or(65_536)) {
        // SAFETY: as above.
        unsafe { libc::close(RawFd::try_from(fd).unwrap_or(-1)) };
    }
    Ok(())
}

/// Points standard input, output and error at /dev/null, so that no later descriptor gets their numbers.
pub fn null_streams() -> std::io::Result<()> {
    point_at_null(&[0, 1, 2])
}

/// As [`null_streams`], but leaves standard error, where the launcher reports that it cannot start.
pub fn null_input_output() -> std::io::Result<()> {
    point_at_null(&[0, 1])
}

fn point_at_null(streams: &[RawFd]) -> std::io::Result<()> {
    let null = std::fs::File::options().read(true).write(true).open("/dev/null")?;
    for &stream in streams {
        // SAFETY: replaces a standard stream, which no value in this process owns.
        if unsafe { libc::dup2(null.as_raw_fd(), stream) } < 0 {
            return Err(std::io::Error::last_os_error());
        }
    }
    Ok(())
}
