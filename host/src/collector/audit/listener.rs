//! The thread that listens to the audit stream.

use super::super::netlink::{self, Netlink};
use super::super::registry::ArmOptions;
use super::super::tree::ProcessTree;
use super::super::{Blindness, EventLog, Process, Recorded, clock};
use super::own_rules::KEY_PREFIX;
use super::parse::{Assembled, Assembler, parse_message};
use crate::engine::cut;
use rustix::event::EventfdFlags;
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;

/// A running thread. Dropping it ends it.
#[derive(Debug)]
pub struct Listener {
    stop: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    pub fn start(socket: Netlink, log: Arc<EventLog>, options: &ArmOptions) -> std::io::Result<Self> {
        let stop = Arc::new(rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let ear = Ear {
            socket,
            log,
            tree: Arc::clone(&options.tree),
            key: format!("{KEY_PREFIX}{}", options.run),
            assembler: Assembler::default(),
        };
        let told = Arc::clone(&stop);
        // A thread of its own: a busy runtime must not make the socket's buffer overflow.
        let thread = std::thread::Builder::new().name("foil-audit".into()).spawn(move || ear.listen(&told))?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Takes in what the socket still holds and ends.
    pub fn end(&mut self) {
        if let Some(thread) = self.thread.take() {
            // An eventfd takes eight bytes; writing one more to it cannot fail.
            let _ = rustix::io::write(&*self.stop, &1u64.to_ne_bytes());
            if thread.join().is_err() {
                tracing::error!("the audit listener panicked");
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.end();
    }
}

struct Ear {
    socket: Netlink,
    log: Arc<EventLog>,
    tree: Arc<ProcessTree>,
    key: String,
    assembler: Assembler,
}

impl Ear {
    fn listen(mut self, stop: &OwnedFd) {
        let mut word = [0u8; 8];
        loop {
            netlink::wait(&[self.socket.as_fd(), stop.as_fd()], if self.assembler.is_waiting() { 10 } else { 1000 });
            // Looked at before the socket, so that all that was sent before the end is taken in.
            let stopping = rustix::io::read(stop, &mut word).is_ok();
            self.take_in();
            let late = self.assembler.flush(clock::monotonic(), stopping);
            late.into_iter().for_each(|event| self.record(event));
            if stopping {
                return;
            }
        }
    }

    fn take_in(&mut self) {
        loop {
            match self.socket.receive() {
                Ok(Some(message)) => {
                    if let Some(record) = parse_message(message.kind, &message.payload) {
                        let events = self.assembler.push(record, clock::monotonic());
                        events.into_iter().for_each(|event| self.record(event));
                    }
                }
                Ok(None) => return,
                Err(Errno::NOBUFS) => self.log.set_blind(Blindness::Lost(
                    "the kernel sent audit records faster than they were read (ENOBUFS)".into(),
                )),
                Err(errno) => {
                    self.log.set_blind(Blindness::Dead(format!("the audit stream broke off: {errno}")));
                    return;
                }
            }
        }
    }

    fn record(&mut self, mut event: Assembled) {
        if let Some(why) = self.blinding(&event) {
            self.log.set_blind(why);
        }
        if let (Some(pid), Some(ppid)) = (event.pid, event.ppid) {
            self.tree.link(pid, ppid, event.stamp.at);
        }
        let key = event.fields.get("key").map(String::as_str).unwrap_or_default();
        if key.starts_with(KEY_PREFIX) {
            // Any run's: whichever Foil's rule it was, it is no proof that the operator's record this.
            event.fields.insert("rules".into(), "own".into());
        }
        self.log.push(Recorded {
            at: event.stamp.at,
            kind: event.kind,
            own_observation: false,
            process: event.pid.map(|pid| Process { pid, ppid: event.ppid, start: None }),
            likeness: None,
            fields: event.fields,
        });
    }

    /// Somebody else took rules away, or switched auditing off.
    fn blinding(&self, event: &Assembled) -> Option<Blindness> {
        let field = |name: &str| event.fields.get(name).map(String::as_str);
        if event.kind != "config_change" || field("res") == Some("0") {
            return None;
        }
        let key = field("key").unwrap_or_default();
        let shown = cut(key, 200);
        let anothers = key.starts_with(KEY_PREFIX) && !key.starts_with(&self.key);
        if field("op") == Some("remove_rule") && !anothers {
            return Some(Blindness::Lost(format!("rules were removed while it listened (key {shown})")));
        }
        if field("audit_enabled") == Some("0") {
            return Some(Blindness::Lost("somebody switched auditing off meanwhile".into()));
        }
        None
    }
}
