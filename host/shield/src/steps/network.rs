//! The network namespace of a run.

use rustix::net::{AddressFamily, SocketType, socket};
use std::os::fd::AsRawFd;

/// Brings `lo` up in a new network namespace: 127.0.0.1 and ::1 come with it.
pub fn loopback_up() -> Result<(), String> {
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None)
        .map_err(|error| format!("cannot open a socket to bring the loopback interface up: {error}"))?;
    // SAFETY: an all-zero ifreq is valid; the name is copied with its NUL.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo\0") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads one ifreq.
    let rc = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request) };
    if rc == 0 {
        Ok(())
    } else {
        Err(format!("cannot bring the loopback interface up: {}", std::io::Error::last_os_error()))
    }
}
