//! Subscriptions to the process connector: one listener reads it for all runs of this `foil`.
//!
//! The kernel reports every fork, exec and exit on the machine. The listener reads each event once and forwards it to the runs that it
//! concerns: a child belongs to the runs that its parent belongs to. Other processes only take an entry in the table.

use super::super::listener::{LONGEST_WAIT, Listener, Number, Shared, Stream};
use super::connector::Connector;
use super::table::{ProcessTable, Started};
use super::{ProcessTree, lock};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, Weak};

static LISTENER: Shared<Processes> = Mutex::new(Weak::new());

/// The connector, and what it said.
#[derive(Debug)]
pub struct Processes {
    connector: Connector,
    table: ProcessTable,
}

/// The subscription of one run.
pub type Subscription = super::super::listener::Subscription<Processes>;

/// Whose a process is, as far as the process connector knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owners {
    /// These runs'.
    Runs(Vec<Number>),
    /// This `foil`'s own: its host or its launcher.
    Foil,
    /// No run's of this `foil`, or nobody knows.
    Nobody,
}

/// Whose a process is, by its id and its parent's.
pub fn owners(pid: u32, ppid: Option<u32>) -> Owners {
    let numbers = lock(&LISTENER).upgrade().map(|listener| {
        listener.catch_up();
        listener.with(|processes| processes.table.ever(&[Some(pid), ppid].into_iter().flatten().collect::<Vec<_>>()))
    });
    let own = std::process::id();
    match numbers {
        Some(numbers) if !numbers.is_empty() => Owners::Runs(numbers),
        _ if pid == own || ppid == Some(own) => Owners::Foil,
        _ => Owners::Nobody,
    }
}

/// Subscribes a run.
///
/// # Errors
/// Why there is no process connector here.
pub fn subscribe(tree: &Arc<ProcessTree>) -> Result<Subscription, String> {
    let open = || Ok(Processes { connector: Connector::open()?, table: ProcessTable::default() });
    let listener = Listener::get(&LISTENER, open, |error| format!("the process connector: {error}"))?;
    Ok(Subscription::new(listener, |processes, number| processes.table.join(number, tree)))
}

/// Adds a process and its descendants, now and later, to the run.
pub fn claim(run: &Subscription, pid: u32) {
    run.with(|processes| processes.table.claim(run.number(), pid));
}

impl Stream for Processes {
    const THREAD: &'static str = "foil-processes";
    /// Readers of logs lock in the opposite order.
    type Afterwards = Vec<Started>;

    fn handle(&self) -> io::Result<OwnedFd> {
        self.connector.handle()
    }

    fn catch_up(&mut self) -> Vec<Started> {
        let mut started = Vec::new();
        loop {
            match self.connector.next() {
                Ok(Some(happened)) => self.table.take_in(happened, &mut started),
                Ok(None) => return started,
                Err(reason) => {
                    // Links and `/proc` have to do from here on.
                    tracing::debug!("the process connector lost messages: {reason}");
                    self.table.trees().for_each(|tree| tree.set_inexact());
                }
            }
        }
    }

    fn afterwards(started: Vec<Started>) {
        for (tree, pid, at, image) in started {
            tree.saw_exec(pid, at, &image);
        }
    }

    fn patience(&self) -> Option<u32> {
        Some(LONGEST_WAIT)
    }

    fn forget(&mut self, run: Number) {
        self.table.forget(run);
    }
}
