//! How the host, the launcher and the inits talk: one packet is one message in JSON, with file descriptors beside it.
//!
//! Packets (SOCK_SEQPACKET) keep a message and its descriptors together and tell a closed peer from an empty message.
//! A message too long for a packet travels in a memory file, the first descriptor of its packet.

use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixCredentials, recvmsg,
    sendmsg, socketpair,
};
use serde::{Serialize, de::DeserializeOwned};
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A longer message goes into a memory file: the default send buffer (208 KiB) must hold several packets.
const INLINE_LIMIT: usize = 32 * 1024;
/// A message in a memory file is not read beyond this: more than the longest request (8 MiB of content) takes.
const MEMORY_LIMIT: u64 = 64 << 20;
/// Descriptors in one packet: a memory file, three streams, two sockets.
const MAX_FDS: usize = 6;

/// The first byte of a packet.
const INLINE: u8 = b'i';
/// The message is in the first descriptor.
const IN_MEMORY: u8 = b'm';

/// A message as it came.
#[derive(Debug)]
pub struct Parcel<T> {
    /// The message.
    pub message: T,
    /// Its descriptors, close-on-exec.
    pub fds: Vec<OwnedFd>,
    /// The sender's process id in the reader's namespace, where the socket asks for credentials.
    pub pid: Option<u32>,
}

/// A packet of plain bytes as it came: its length, its descriptors, the sender's process id in the reader's namespace.
pub type Raw = (usize, Vec<OwnedFd>, Option<u32>);

/// A pair of connected packet sockets, close-on-exec.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?)
}

/// A memory file with these bytes, read from its start.
pub fn memory(bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(rustix::fs::memfd_create("foil", rustix::fs::MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file.into())
}

/// Reads a memory file that [`memory`] made.
pub fn read_memory(fd: OwnedFd) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::from(fd).take(MEMORY_LIMIT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Sends a message. On a non-blocking socket a full buffer is `WouldBlock`.
pub fn send<T: Serialize>(socket: impl AsFd, message: &T, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let body = serde_json::to_vec(message)?;
    let in_memory = if body.len() > INLINE_LIMIT { Some(memory(&body)?) } else { None };
    let mut raw: Vec<_> = in_memory.iter().map(|fd| fd.as_raw_fd()).collect();
    raw.extend(fds.iter().map(|fd| fd.as_raw_fd()));
    let (tag, inline): (&[u8], &[u8]) = if in_memory.is_some() { (&[IN_MEMORY], &[]) } else { (&[INLINE], &body) };
    let rights = [ControlMessage::ScmRights(&raw)];
    let control: &[_] = if raw.is_empty() { &[] } else { &rights };
    let slices = [IoSlice::new(tag), IoSlice::new(inline)];
    loop {
        match sendmsg::<()>(socket.as_fd().as_raw_fd(), &slices, control, MsgFlags::MSG_NOSIGNAL, None) {
            Err(nix::Error::EINTR) => {}
            other => return Ok(other.map(drop)?),
        }
    }
}

/// Receives a message with whatever descriptors come with it; `None` where the peer is gone.
pub fn receive<T: DeserializeOwned>(socket: impl AsFd) -> io::Result<Option<Parcel<T>>> {
    let mut buffer = vec![0_u8; INLINE_LIMIT + 1];
    let Some((length, mut fds, pid)) = receive_raw(socket.as_fd(), &mut buffer, MsgFlags::empty())? else {
        return Ok(None);
    };
    let message = match buffer.get(..length).and_then(|packet| packet.split_first()) {
        Some((&INLINE, body)) => serde_json::from_slice(body)?,
        Some((&IN_MEMORY, _)) if !fds.is_empty() => serde_json::from_slice(&read_memory(fds.remove(0))?)?,
        _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "a packet without a message")),
    };
    Ok(Some(Parcel { message, fds, pid }))
}

/// Receives one packet of plain bytes; `None` where the peer is gone.
pub fn receive_raw(socket: BorrowedFd<'_>, buffer: &mut [u8], flags: MsgFlags) -> io::Result<Option<Raw>> {
    let mut space = nix::cmsg_space!([std::os::fd::RawFd; MAX_FDS], UnixCredentials);
    let mut slices = [IoSliceMut::new(buffer)];
    let flags = flags | MsgFlags::MSG_CMSG_CLOEXEC;
    let packet = loop {
        match recvmsg::<()>(socket.as_raw_fd(), &mut slices, Some(&mut space), flags) {
            Err(nix::Error::EINTR) => {}
            other => break other?,
        }
    };
    let (mut fds, mut pid) = (Vec::new(), None);
    for control in packet.cmsgs()? {
        match control {
            ControlMessageOwned::ScmRights(raw) => {
                // SAFETY: the kernel has just made these descriptors for us; nobody else knows them.
                fds.extend(raw.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
            }
            // A process that this namespace cannot see has pid 0.
            ControlMessageOwned::ScmCredentials(sender) => pid = u32::try_from(sender.pid()).ok().filter(|&p| p != 0),
            _ => {}
        }
    }
    if packet.bytes == 0 {
        return Ok(None);
    }
    if packet.flags.intersects(MsgFlags::MSG_TRUNC) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a packet longer than any message"));
    }
    Ok(Some((packet.bytes, fds, pid)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_messages_arrive_with_their_descriptors() {
        let (a, b) = pair().unwrap();
        for length in [3, INLINE_LIMIT * 4] {
            let text = "x".repeat(length);
            let extra = memory(b"beside").unwrap();
            send(&a, &text, &[extra.as_fd()]).unwrap();
            let mut parcel = receive::<String>(&b).unwrap().unwrap();
            assert_eq!(parcel.message, text);
            assert_eq!(read_memory(parcel.fds.remove(0)).unwrap(), b"beside");
            assert!(parcel.fds.is_empty());
        }
        drop(a);
        assert!(receive::<String>(&b).unwrap().is_none());
    }

    #[test]
    fn a_packet_that_is_no_message_is_an_error() {
        let (a, b) = pair().unwrap();
        for packet in [&b"x"[..], b"i{", b"m"] {
            rustix::io::write(&a, packet).unwrap();
            assert!(receive::<String>(&b).is_err());
        }
    }
}
