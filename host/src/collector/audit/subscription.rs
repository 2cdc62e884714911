//! Subscriptions to the audit stream: one listener reads it for all runs of this `foil`.
//!
//! Each record is received, parsed and assembled once. An event of another run's process goes only to that run; one of the machine's other
//! processes goes to every run, since it may explain why a link saw nothing.

use super::super::foreign::run_ids;
use super::super::netlink::{self, Netlink};
use super::super::registry::ArmOptions;
use super::super::tree::{Owners, ProcessTree, owners};
use super::super::{Blindness, EventLog, Process, Recorded, clock, lock};
use super::own_rules::KEY_PREFIX;
use super::parse::{Assembled, Assembler, parse_message};
use super::{READLOG, dead};
use crate::engine::cut;
use rustix::io::Errno;
use std::collections::{BTreeMap, HashSet};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

/// The listener of this `foil`. It lives as long as a run is subscribed.
static LISTENER: Mutex<Weak<Listener>> = Mutex::new(Weak::new());

/// The longest wait of the thread for a record, in milliseconds. Then it checks whether a run is still subscribed.
const LONGEST_WAIT: u32 = 500;
/// The same while an event lacks its end.
const SHORT_WAIT: u32 = 10;

/// Identifies a subscribed run.
type Number = u64;

#[derive(Debug)]
struct Listener {
    stream: Mutex<Stream>,
    next: AtomicU64,
}

#[derive(Debug)]
struct Stream {
    socket: Netlink,
    assembler: Assembler,
    runs: BTreeMap<Number, Run>,
    /// The stream broke off: the next run that subscribes needs another.
    broken: bool,
}

#[derive(Debug)]
struct Run {
    log: Arc<EventLog>,
    tree: Arc<ProcessTree>,
    /// The key of the run's own rules, or the beginning of it.
    key: String,
}

/// The subscription of one run. Dropping it unsubscribes.
#[derive(Debug)]
pub struct Subscription {
    listener: Arc<Listener>,
    number: Number,
}

impl Listener {
    /// Returns the existing listener, or starts one.
    fn get(receive_buffer: usize) -> Result<Arc<Self>, Blindness> {
        let mut known = lock(&LISTENER);
        if let Some(listener) = known.upgrade().filter(|listener| !lock(&listener.stream).broken) {
            return Ok(listener);
        }
        let socket = Netlink::open(rustix::net::netlink::AUDIT, READLOG).map_err(|errno| {
            let hint = if errno == Errno::PERM { "; it takes CAP_AUDIT_READ" } else { "" };
            dead(format!("the audit stream cannot be listened to: {errno}{hint}"))
        })?;
        socket.set_buffer(receive_buffer);
        let failed = |error| dead(format!("no thread to listen to the audit stream with: {error}"));
        let handle = socket.as_fd().try_clone_to_owned().map_err(failed)?;
        let stream = Stream { socket, assembler: Assembler::default(), runs: BTreeMap::new(), broken: false };
        let listener = Arc::new(Self { stream: Mutex::new(stream), next: AtomicU64::default() });
        let told = Arc::downgrade(&listener);
        let listen = move || {
            let mut wait = LONGEST_WAIT;
            loop {
                netlink::wait(&[handle.as_fd()], wait);
                let Some(listener) = told.upgrade() else { return };
                let mut stream = lock(&listener.stream);
                stream.catch_up();
                if stream.broken {
                    return;
                }
                wait = if stream.assembler.is_waiting() { SHORT_WAIT } else { LONGEST_WAIT };
            }
        };
        // A thread of its own: a busy runtime must not make the socket's buffer overflow.
        std::thread::Builder::new().name("foil-audit".into()).spawn(listen).map_err(failed)?;
        *known = Arc::downgrade(&listener);
        Ok(listener)
    }
}

impl Stream {
    /// Processes all pending records.
    fn catch_up(&mut self) {
        loop {
            match self.socket.receive() {
                Ok(Some(message)) => {
                    if let Some(record) = parse_message(message.kind, &message.payload) {
                        let events = self.assembler.push(record, clock::monotonic());
                        events.into_iter().for_each(|event| self.record(event));
                    }
                }
                Ok(None) => break,
                Err(Errno::NOBUFS) => self.blind(&Blindness::Lost(
                    "the kernel sent audit records faster than they were read (ENOBUFS)".into(),
                )),
                Err(errno) => {
                    self.blind(&dead(format!("the audit stream broke off: {errno}")));
                    self.broken = true;
                    break;
                }
            }
        }
        let late = self.assembler.flush(clock::monotonic(), self.broken);
        late.into_iter().for_each(|event| self.record(event));
    }

    fn blind(&self, why: &Blindness) {
        self.runs.values().for_each(|run| run.log.set_blind(why.clone()));
    }

    /// Adds an event to the logs of the runs that it concerns.
    fn record(&self, mut event: Assembled) {
        if event.kind == "config_change" {
            for run in self.runs.values() {
                run.blinding(&event).into_iter().for_each(|why| run.log.set_blind(why));
            }
        }
        let key = event.fields.get("key").map(String::as_str).unwrap_or_default();
        if key.starts_with(KEY_PREFIX) {
            // Any run's: whichever Foil's rule it was, it is no proof that the operator's record this.
            event.fields.insert("rules".into(), "own".into());
        }
        let owners = event.pid.map_or(Owners::Nobody, |pid| owners(pid, event.ppid));
        let recorded = Arc::new(Recorded {
            at: event.stamp.at,
            kind: event.kind,
            own_observation: false,
            process: event.pid.map(|pid| Process { pid, ppid: event.ppid, start: None }),
            likeness: None,
            fields: event.fields,
        });
        for run in self.concerned(&owners, &recorded) {
            if let Some(Process { pid, ppid: Some(ppid), .. }) = recorded.process {
                run.tree.link(pid, ppid, recorded.at);
            }
            run.log.push(Arc::clone(&recorded));
        }
    }

    /// The runs that an event of a process with these owners is for: also every run that it names, whatever process it is of.
    fn concerned(&self, owners: &Owners, event: &Recorded) -> impl Iterator<Item = &Run> {
        let text = event.fields.iter().filter(|(name, _)| *name != "key").map(|(_, value)| value.as_bytes());
        let named: HashSet<String> = match owners {
            // To all of them anyway.
            Owners::Nobody => HashSet::new(),
            Owners::Runs(_) | Owners::Foil => text.flat_map(run_ids).map(|(_, id)| id).collect(),
        };
        let of = |run: &Run| match owners {
            Owners::Nobody => true,
            Owners::Runs(numbers) => run.tree.is_among(numbers),
            Owners::Foil => !run.tree.is_exact(),
        };
        self.runs.values().filter(move |run| of(run) || named.contains(run.log.run().as_str()))
    }
}

impl Run {
    /// Somebody else took rules away, or switched auditing off.
    fn blinding(&self, event: &Assembled) -> Option<Blindness> {
        let field = |name: &str| event.fields.get(name).map(String::as_str);
        if field("res") == Some("0") {
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

impl Subscription {
    /// Subscribes a run: what the kernel records from now on comes into its log.
    ///
    /// # Errors
    /// Why the stream cannot be listened to here.
    pub fn subscribe(log: &Arc<EventLog>, options: &ArmOptions) -> Result<Self, Blindness> {
        let listener = Listener::get(options.receive_buffer)?;
        let number = listener.next.fetch_add(1, Ordering::Relaxed);
        let run =
            Run { log: Arc::clone(log), tree: Arc::clone(&options.tree), key: format!("{KEY_PREFIX}{}", options.run) };
        {
            let mut stream = lock(&listener.stream);
            // What came before it is not the run's: auditing may have been off then.
            stream.catch_up();
            stream.runs.insert(number, run);
        }
        Ok(Self { listener, number })
    }

    /// Processes all pending records, and waits up to `patience` for the ends of events that have begun.
    pub fn settle(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        loop {
            let waiting = {
                let mut stream = lock(&self.listener.stream);
                stream.catch_up();
                stream.assembler.is_waiting()
            };
            if !waiting || Instant::now() >= deadline {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        lock(&self.listener.stream).runs.remove(&self.number);
    }
}
