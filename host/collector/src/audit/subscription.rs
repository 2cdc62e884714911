//! Subscriptions to the audit stream: one listener reads it for all runs of this `foil`.
//!
//! Each record is received, parsed and assembled once. An event of another run's process goes only to that run; one of the machine's other
//! processes goes to every run, since it may explain why a link saw nothing.

use super::super::foreign::run_ids;
use super::super::listener::{LONGEST_WAIT, Listener, Number, Shared, Stream};
use super::super::netlink::Netlink;
use super::super::registry::ArmOptions;
use super::super::tree::{Owners, ProcessTree, owners};
use super::super::{Blindness, EventLog, Process, Recorded, clock};
use super::own_rules::KEY_PREFIX;
use super::parse::{Assembled, Assembler, parse_message};
use super::{READLOG, dead};
use foil_text::cut;
use rustix::io::Errno;
use std::collections::{BTreeMap, HashSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

static LISTENER: Shared<Records> = Mutex::new(Weak::new());

/// The longest wait for a record while an event lacks its end, in milliseconds.
const SHORT_WAIT: u32 = 10;

/// The audit stream.
#[derive(Debug)]
pub struct Records {
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

/// The subscription of one run.
pub type Subscription = super::super::listener::Subscription<Records>;

/// Subscribes a run: what the kernel records from now on comes into its log.
///
/// # Errors
/// Why the stream cannot be listened to here.
pub fn subscribe(log: &Arc<EventLog>, options: &ArmOptions) -> Result<Subscription, Blindness> {
    let failed = |error| dead(format!("no thread to listen to the audit stream with: {error}"));
    let listener = Listener::get(&LISTENER, || Records::open(options.receive_buffer), failed)?;
    let run =
        Run { log: Arc::clone(log), tree: Arc::clone(&options.tree), key: format!("{KEY_PREFIX}{}", options.run) };
    Ok(Subscription::new(listener, |records, number| {
        records.runs.insert(number, run);
    }))
}

/// Processes all pending records, and waits up to `patience` for the ends of events that have begun.
pub fn settle(run: &Subscription, patience: Duration) {
    let deadline = Instant::now() + patience;
    loop {
        run.catch_up();
        if !run.with(|records| records.assembler.is_waiting()) || Instant::now() >= deadline {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

impl Stream for Records {
    const THREAD: &'static str = "foil-audit";
    type Afterwards = ();

    fn handle(&self) -> io::Result<OwnedFd> {
        self.socket.as_fd().try_clone_to_owned()
    }

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

    fn afterwards((): ()) {}

    fn patience(&self) -> Option<u32> {
        (!self.broken).then(|| if self.assembler.is_waiting() { SHORT_WAIT } else { LONGEST_WAIT })
    }

    fn forget(&mut self, run: Number) {
        self.runs.remove(&run);
    }
}

impl Records {
    fn open(receive_buffer: usize) -> Result<Self, Blindness> {
        let socket = Netlink::open(rustix::net::netlink::AUDIT, READLOG).map_err(|errno| {
            let hint = if errno == Errno::PERM { "; it takes CAP_AUDIT_READ" } else { "" };
            dead(format!("the audit stream cannot be listened to: {errno}{hint}"))
        })?;
        socket.set_buffer(receive_buffer);
        Ok(Self { socket, assembler: Assembler::default(), runs: BTreeMap::new(), broken: false })
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
        for run in concerned(self.runs.values(), &owners, &recorded) {
            if let Some(Process { pid, ppid: Some(ppid), .. }) = recorded.process {
                run.tree.link(pid, ppid, recorded.at);
            }
            run.log.push(Arc::clone(&recorded));
        }
    }
}

/// The runs that an event of a process with these owners is for: also every run that it names, whatever process it is of.
fn concerned<'a>(
    runs: impl Iterator<Item = &'a Run>,
    owners: &Owners,
    event: &Recorded,
) -> impl Iterator<Item = &'a Run> {
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
    runs.filter(move |run| of(run) || named.contains(run.log.run().as_str()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LogLimits;
    use foil_text::RunId;

    fn run(tree: Arc<ProcessTree>) -> Run {
        let log = EventLog::new(RunId::new(), Some(Arc::clone(&tree)), LogLimits::default());
        Run { log: Arc::new(log), tree, key: KEY_PREFIX.into() }
    }

    fn event(fields: &[(&str, &str)]) -> Recorded {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Recorded { at: 1, kind: "execve".into(), own_observation: false, process: None, likeness: None, fields }
    }

    #[test]
    fn an_event_is_for_the_runs_of_its_process_and_for_those_that_it_names() {
        // One knows all its processes, and has none; the other cannot tell.
        let runs = [run(ProcessTree::of_nobody()), run(ProcessTree::without_connector())];
        let both = runs.each_ref().map(|run| run.log.run().clone());
        let (exact, inexact) = (&both[0], &both[1..]);
        let concerned = |owners: &Owners, fields: &[(&str, &str)]| -> Vec<RunId> {
            super::concerned(runs.iter(), owners, &event(fields)).map(|run| run.log.run().clone()).collect()
        };
        assert_eq!(concerned(&Owners::Nobody, &[]), both);
        for owners in [Owners::Runs(vec![7]), Owners::Foil] {
            assert_eq!(concerned(&owners, &[]), inexact);
            let named = format!("/tmp/foil-{exact}/f");
            assert_eq!(concerned(&owners, &[("name", &named)]), both, "{owners:?}");
            assert_eq!(concerned(&owners, &[("key", &named)]), inexact, "keys name whose rule it was");
        }
    }

    #[test]
    fn an_event_of_a_run_s_process_is_for_that_run() {
        let runs = [run(ProcessTree::new()), run(ProcessTree::new())];
        let Some(number) = runs[1].tree.number() else { return println!("skipped: no process connector here") };
        let of = |numbers: Vec<Number>| -> Vec<RunId> {
            super::concerned(runs.iter(), &Owners::Runs(numbers), &event(&[]))
                .map(|run| run.log.run().clone())
                .collect()
        };
        assert_eq!(of(vec![number]), [runs[1].log.run().clone()]);
        assert!(of(vec![u64::MAX]).is_empty());
    }
}
