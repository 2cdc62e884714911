//! Who was born in a run, in the process ids of whoever runs Foil.

use crate::shield::api::Tree;
use crate::shield::wire;
use nix::sys::socket::MsgFlags;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

/// The socket on which each child says, just before it becomes its program, for which call it was started and when. The
/// kernel adds its pid, translated to our namespace.
#[derive(Debug)]
pub struct Births {
    socket: OwnedFd,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    tree: Tree,
    last: Option<(u64, u32)>,
}

impl Births {
    /// The births in the run of this init.
    pub fn new(socket: OwnedFd, init: u32) -> Self {
        let known = Known { tree: Tree { init, children: Vec::new() }, last: None };
        Self { socket, known: Mutex::new(known) }
    }

    /// The tree so far.
    pub fn tree(&self) -> Tree {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        self.drain(&mut known);
        known.tree.clone()
    }

    /// The pid of the child of this call; 0 where it did not say.
    pub fn of(&self, call: u64) -> u32 {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        self.drain(&mut known);
        known.last.filter(|(id, _)| *id == call).map_or(0, |(_, pid)| pid)
    }

    /// Forgets the child of this call, which never became its program.
    pub fn forget(&self, call: u64) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        self.drain(&mut known);
        if known.last.take_if(|(id, _)| *id == call).is_some() {
            known.tree.children.pop();
        }
    }

    /// The socket, to wait for its end: then the launcher has buried init and all is gone.
    pub fn into_socket(self) -> OwnedFd {
        self.socket
    }

    fn drain(&self, known: &mut Known) {
        let mut words = [0_u8; 16];
        while let Ok(Some((16, _, Some(pid)))) =
            wire::receive_raw(self.socket.as_fd(), &mut words, MsgFlags::MSG_DONTWAIT)
        {
            let (call, started) = words.split_at(8);
            let number = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
            known.tree.children.push((pid, number(started)));
            known.last = Some((number(call), pid));
        }
    }
}
