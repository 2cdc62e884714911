//! Netlink sockets: just what the audit system and the process connector need.

use super::lock;
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

/// Most bytes of a message: eight times what the audit system writes (8,970), and a rule with a long path.
const MAX_MESSAGE: usize = 72 * 1024;
const HEADER: usize = 16;

/// `NLM_F_REQUEST`.
pub const REQUEST: u16 = 1;
/// `NLM_F_ACK`.
pub const ACK: u16 = 4;
/// `NLMSG_ERROR`: an acknowledgement too, with error 0.
pub const ERROR: u16 = 2;
/// `NLMSG_DONE`.
pub const DONE: u16 = 3;

/// A message from the kernel.
#[derive(Debug)]
pub struct Message {
    /// Its type.
    pub kind: u16,
    /// Which request it answers.
    pub sequence: u32,
    /// What stands behind the header.
    pub payload: Vec<u8>,
}

/// A socket. Never blocks: wait for it with `poll`.
#[derive(Debug)]
pub struct Netlink {
    fd: OwnedFd,
    sequence: AtomicU32,
    /// Messages are read into it; one each time would have to be zeroed each time.
    buffer: Mutex<Vec<u8>>,
}

impl Netlink {
    /// Opens a socket that hears these multicast groups (a bit mask).
    pub fn open(protocol: Protocol, groups: u32) -> Result<Self, Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(protocol))?;
        rustix::net::bind(&fd, &SocketAddrNetlink::new(0, groups))?;
        Ok(Self { fd, sequence: AtomicU32::new(1), buffer: Mutex::default() })
    }

    /// Sets how many bytes the kernel may hold back for us; past the system's limit where we are allowed to.
    pub fn set_buffer(&self, bytes: usize) {
        if rustix::net::sockopt::set_socket_recv_buffer_size_force(&self.fd, bytes).is_err() {
            // As much as there is to be had: an overflow shows as ENOBUFS and is said.
            let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&self.fd, bytes);
        }
    }

    /// Sends a message to the kernel; returns the number that its answers carry.
    pub fn send(&self, kind: u16, flags: u16, payload: &[u8]) -> Result<u32, Errno> {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        let length = u32::try_from(payload.len().saturating_add(HEADER)).map_err(|_| Errno::MSGSIZE)?;
        let mut message = Vec::with_capacity(payload.len().saturating_add(HEADER));
        message.extend(length.to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend(flags.to_ne_bytes());
        message.extend(sequence.to_ne_bytes());
        message.extend(0u32.to_ne_bytes());
        message.extend(payload);
        rustix::net::sendto(&self.fd, &message, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
        Ok(sequence)
    }

    /// The next message, if there is one. `ENOBUFS` says that the kernel had to drop some.
    pub fn receive(&self) -> Result<Option<Message>, Errno> {
        let mut buffer = lock(&self.buffer);
        buffer.resize(MAX_MESSAGE, 0);
        loop {
            let (length, _, from) = match rustix::net::recvfrom(&self.fd, buffer.as_mut_slice(), RecvFlags::empty()) {
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR) => continue,
                other => other?,
            };
            // Another process may send to our port, if it is privileged enough; only the kernel's word counts.
            let kernel = from.and_then(|a| SocketAddrNetlink::try_from(a).ok()).is_some_and(|a| a.pid() == 0);
            if !kernel {
                continue;
            }
            let data = buffer.get(..length).unwrap_or_default();
            let (Some(claimed), Some(kind), Some(sequence)) = (u32_at(data, 0), u16_at(data, 4), u32_at(data, 8))
            else {
                continue;
            };
            // A datagram holds one message; what the length leaves out is padding.
            let end = usize::try_from(claimed).unwrap_or(0);
            let end = if end >= HEADER && end <= length { end } else { length };
            let payload = data.get(HEADER..end).unwrap_or_default().to_vec();
            return Ok(Some(Message { kind, sequence, payload }));
        }
    }
}

impl AsFd for Netlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A number of the machine's byte order at an offset; `None` beyond the end.
pub fn u16_at(data: &[u8], at: usize) -> Option<u16> {
    data.get(at..)?.first_chunk().map(|b| u16::from_ne_bytes(*b))
}

/// Likewise.
pub fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..)?.first_chunk().map(|b| u32::from_ne_bytes(*b))
}

/// Likewise.
pub fn u64_at(data: &[u8], at: usize) -> Option<u64> {
    data.get(at..)?.first_chunk().map(|b| u64::from_ne_bytes(*b))
}

/// Waits until one of the descriptors can be read, a signal comes, or the time (in milliseconds) is over.
pub fn wait(fds: &[BorrowedFd<'_>], milliseconds: u32) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut polled: Vec<PollFd<'_>> = fds.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
    let time = Timespec {
        tv_sec: i64::from(milliseconds / 1000),
        tv_nsec: i64::from(milliseconds % 1000).saturating_mul(1_000_000),
    };
    // An interrupted wait is a short one: every caller looks again.
    let _ = poll(&mut polled, Some(&time));
}
