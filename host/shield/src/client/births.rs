//! Who was born in a run, in the process ids of whoever runs Foil.

use crate::api::{Birth, BirthLog, BirthStage, Tree};
use crate::init::birth;
use crate::wire;
use nix::sys::socket::MsgFlags;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The socket on which init's processes say what they are about to do. The kernel adds their pids, translated to our namespace.
#[derive(Debug)]
pub struct Births {
    socket: OwnedFd,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    tree: Tree,
    births: Vec<Birth>,
    /// The call and the process that began to act last.
    last: Option<(u64, Birth)>,
}

impl Births {
    /// The births in the run of this init.
    pub fn new(socket: OwnedFd, init: u32) -> Self {
        let tree = Tree { init, children: Vec::new() };
        Self { socket, known: Mutex::new(Known { tree, ..Known::default() }) }
    }

    /// The tree so far.
    pub fn tree(&self) -> Tree {
        self.drained().tree.clone()
    }

    /// The process of this call, and when it began to act. `None` where it did not say.
    pub fn of(&self, call: u64) -> Option<Birth> {
        self.drained().last.filter(|(id, _)| *id == call).map(|(_, birth)| birth)
    }

    /// Takes the child of this call out of the tree, which never became its program.
    pub fn forget(&self, call: u64) {
        let mut known = self.drained();
        if known.last.take_if(|(id, _)| *id == call).is_some() {
            known.tree.children.pop();
        }
    }

    /// Another handle to the socket, to wait for its end: then the launcher has buried init and all is gone.
    pub fn socket(&self) -> std::io::Result<OwnedFd> {
        self.socket.try_clone()
    }

    fn drained(&self) -> MutexGuard<'_, Known> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut words = [0_u8; birth::LENGTH];
        while let Ok(Some((birth::LENGTH, _, Some(pid)))) =
            wire::receive_raw(self.socket.as_fd(), &mut words, MsgFlags::MSG_DONTWAIT)
        {
            let Some((call, at, stage)) = birth::read(&words) else { continue };
            let told = Birth { pid, at, stage };
            known.births.push(told);
            if stage != BirthStage::SetUp {
                known.tree.children.push((pid, at));
                known.last = Some((call, told));
            }
        }
        known
    }
}

impl BirthLog for Births {
    fn since(&self, known: usize) -> Vec<Birth> {
        self.drained().births.get(known..).unwrap_or_default().to_vec()
    }
}
