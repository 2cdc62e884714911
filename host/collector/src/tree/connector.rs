//! The kernel's process connector: who forked, who became another program, who ended (`linux/cn_proc.h`). Needs `CONFIG_PROC_EVENTS`,
//! CAP_NET_ADMIN on older kernels, and the machine's first pid, user and network namespaces.

use super::super::clock;
use super::super::netlink::{self, Netlink, u32_at, u64_at};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// `CN_IDX_PROC` and `CN_VAL_PROC`; the multicast group has the same number.
const PROC: u32 = 1;
const LISTEN: u32 = 1;
const IGNORE: u32 = 2;
/// Bytes the kernel may hold back: some 50,000 events.
const BUFFER: usize = 16 << 20;
/// How long the kernel may take to confirm that it sends.
const CONFIRM: Duration = Duration::from_millis(500);

/// `struct cn_msg` is 20 bytes; `struct proc_event` follows it.
const EVENT: usize = 20;

/// What the kernel said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happened {
    Fork { parent: u32, child: u32, at: u64 },
    Exec { pid: u32, at: u64 },
    Exit { pid: u32, at: u64 },
}

/// A socket that hears it.
#[derive(Debug)]
pub struct Connector {
    socket: Netlink,
}

impl Connector {
    /// Subscribes; returns when the kernel has confirmed that it sends.
    pub fn open() -> Result<Self, String> {
        let socket = Netlink::open(rustix::net::netlink::CONNECTOR, PROC)
            .map_err(|e| format!("no netlink socket for the process connector: {e}"))?;
        socket.set_buffer(BUFFER);
        let mark = tell(&socket, LISTEN).map_err(|e| format!("the process connector refuses: {e}"))?;
        let connector = Self { socket };
        let deadline = Instant::now() + CONFIRM;
        while Instant::now() < deadline {
            netlink::wait(&[connector.socket.as_fd()], 50);
            while let Some(message) = connector.socket.receive().map_err(|e| e.to_string())? {
                // PROC_EVENT_NONE carries the answer: an error number, or 0. Everybody hears everybody's answers.
                let confirms = u32_at(&message.payload, EVENT) == Some(0)
                    && u32_at(&message.payload, 12) == Some(mark.wrapping_add(1));
                match (confirms, u32_at(&message.payload, EVENT.saturating_add(16))) {
                    (true, Some(0)) => return Ok(connector),
                    (true, Some(error)) => {
                        return Err(format!("the process connector refuses with error {error}; root is needed"));
                    }
                    _ => {}
                }
            }
        }
        Err("the process connector does not answer: not in the machine's first namespaces, or not in this kernel"
            .into())
    }

    /// Another descriptor of the socket, to wait on.
    pub fn handle(&self) -> std::io::Result<OwnedFd> {
        self.socket.as_fd().try_clone_to_owned()
    }

    /// The next event; `None` where there is none yet.
    pub fn next(&self) -> Result<Option<Happened>, Errno> {
        while let Some(message) = self.socket.receive()? {
            if let Some(happened) = parse(&message.payload) {
                return Ok(Some(happened));
            }
        }
        Ok(None)
    }
}

impl Drop for Connector {
    fn drop(&mut self) {
        // Older kernels count listeners and do not notice when one goes.
        let _ = tell(&self.socket, IGNORE);
    }
}

fn tell(socket: &Netlink, what: u32) -> Result<u32, Errno> {
    // The answer carries our `ack` plus one; `seq` the kernel overwrites.
    let mark = std::process::id() ^ u32::try_from(clock::monotonic() & 0xffff_ffff).unwrap_or(0);
    let mut message = Vec::with_capacity(24);
    for word in [PROC, PROC, 0, mark] {
        message.extend(word.to_ne_bytes());
    }
    message.extend(4u16.to_ne_bytes());
    message.extend(0u16.to_ne_bytes());
    message.extend(what.to_ne_bytes());
    socket.send(netlink::DONE, 0, &message)?;
    Ok(mark)
}

fn parse(payload: &[u8]) -> Option<Happened> {
    if u32_at(payload, 0)? != PROC || u32_at(payload, 4)? != PROC {
        return None;
    }
    let event = payload.get(EVENT..)?;
    let at = clock::from_monotonic(u64_at(event, 8)?);
    let word = |index: usize| u32_at(event, index.checked_mul(4)?.checked_add(16)?);
    match u32_at(event, 0)? {
        // parent_pid, parent_tgid, child_pid, child_tgid. A new thread is no new process.
        0x1 => (word(2)? == word(3)?).then_some(Happened::Fork { parent: word(1)?, child: word(3)?, at }),
        0x2 => Some(Happened::Exec { pid: word(1)?, at }),
        0x8000_0000 => (word(0)? == word(1)?).then_some(Happened::Exit { pid: word(1)?, at }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(what: u32, words: &[u32]) -> Vec<u8> {
        let mut m: Vec<u8> = [PROC, PROC, 0, 0, 40].iter().flat_map(|w| w.to_ne_bytes()).collect();
        m.extend([what, 0].iter().flat_map(|w| w.to_ne_bytes()));
        m.extend(clock::monotonic().to_ne_bytes());
        m.extend(words.iter().flat_map(|w| w.to_ne_bytes()));
        m
    }

    #[test]
    fn messages_are_read_and_threads_passed_over() {
        assert!(matches!(parse(&message(1, &[4, 3, 9, 9])), Some(Happened::Fork { parent: 3, child: 9, .. })));
        assert_eq!(parse(&message(1, &[4, 3, 10, 9])), None);
        assert!(matches!(parse(&message(2, &[9, 9])), Some(Happened::Exec { pid: 9, .. })));
        assert!(matches!(parse(&message(0x8000_0000, &[9, 9, 0, 17])), Some(Happened::Exit { pid: 9, .. })));
        assert_eq!(parse(&message(0x8000_0000, &[10, 9, 0, 17])), None);
        let whole = message(1, &[4, 3, 9, 9]);
        for cut in 0..whole.len() - 1 {
            assert_eq!(parse(&whole[..cut]), None);
        }
    }
}
