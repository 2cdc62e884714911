//! Which processes are the run's. Three sources, put together:
//!
//! - the launcher says which are the run's init and its direct children ([`ProcessTree::feed`]);
//! - the kernel's process connector says who forked whom, of every process of the machine, while it happens;
//! - where that is not to be had, audit records say who their parent is, and `/proc` who the parent's parent is.
//!
//! A process id alone says little, since the kernel reuses it: each life of one has its time.

mod connector;
mod containers;
mod lives;
mod procfs;
mod programs;

pub use containers::Containers;
pub use programs::Image;

use super::foreign::Likeness;
use super::observed::Observed;
use super::{Attribution, Process, lock};
use crate::shield::Tree;
use connector::{Connector, Happened};
use lives::{Lives, Member};
use programs::Programs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};

/// A run's process tree. Shared by the run's collectors.
#[derive(Debug, Default)]
pub struct ProcessTree {
    lives: Mutex<Lives>,
    connector: Mutex<Option<Connector>>,
    /// The connector heard every fork since it was attached.
    exact: AtomicBool,
    programs: Mutex<Programs>,
    observed: Mutex<Weak<Observed>>,
    /// The containers of the run's pods.
    pub containers: Arc<Containers>,
}

impl ProcessTree {
    /// An empty tree that learns from the process connector where the kernel allows, as [`ProcessTree::without_connector`]
    /// does not. Make it before the run's init is started, so that no fork is missed.
    pub fn new() -> Arc<Self> {
        let tree = Self::without_connector();
        match Connector::open() {
            Ok(connector) => {
                *lock(&tree.connector) = Some(connector);
                tree.exact.store(true, Ordering::Release);
                connector::spawn(Arc::downgrade(&tree));
            }
            Err(reason) => tracing::debug!("no process connector: {reason}"),
        }
        tree
    }

    /// An empty tree that learns from [`feed`](Self::feed) and [`link`](Self::link) only.
    pub fn without_connector() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// The tree of a run that starts no process: whomever an event names is a stranger.
    pub fn of_nobody() -> Arc<Self> {
        let tree = Self::without_connector();
        tree.exact.store(true, Ordering::Release);
        tree
    }

    /// Every fork since the tree was made is known, so that a process that is not in it is a stranger for certain.
    pub fn is_exact(&self) -> bool {
        self.exact.load(Ordering::Acquire)
    }

    /// Takes in what the launcher knows. May be called again with more.
    pub fn feed(&self, tree: &Tree) {
        if tree.init != 0 {
            self.insert_init(tree.init);
        }
        for (pid, start) in &tree.children {
            self.insert_root(*pid, *start);
        }
    }

    /// The run's init, to which orphans fall. It must be alive: its start is read from `/proc`.
    pub fn insert_init(&self, pid: u32) {
        self.catch_up();
        // Where `/proc` does not say, it is taken for the run's since ever.
        let start = procfs::stat(pid).map_or(0, |stat| stat.start);
        lock(&self.lives).root(pid, start, true);
        let launcher = procfs::stat(pid).map_or(0, |stat| stat.ppid);
        let foils = [pid, launcher, std::process::id()].map(procfs::image);
        lock(&self.programs).above(foils.iter().flat_map(Image::names).map(ToOwned::to_owned).collect());
    }

    /// A direct child of the run's init, and when it was started (nanoseconds since 1970).
    pub fn insert_root(&self, pid: u32, start_ns: u64) {
        self.catch_up();
        lock(&self.lives).root(pid, start_ns, false);
    }

    /// An event says that `pid` was a child of `ppid` at a moment. Called as the event comes in, while the parent may still be
    /// looked up. Needless where the connector hears everything.
    pub fn link(&self, pid: u32, ppid: u32, at_ns: u64) {
        if !self.is_exact() {
            let ancestors = procfs::ancestors(ppid, at_ns);
            let mut lives = lock(&self.lives);
            lives.link(pid, ppid, at_ns);
            for (child, parent, start) in ancestors {
                lives.ancestor(child, parent, start);
            }
        }
    }

    /// Is the process (and its parent, where that is known) the run's at that moment? [`Attribution::Tree`] or
    /// [`Attribution::Stranger`]; [`Attribution::Window`] where its ancestors cannot be told, which only happens without the connector.
    pub fn contains(&self, pid: u32, ppid: Option<u32>, at_ns: u64) -> Attribution {
        let exact = self.is_exact();
        match lock(&self.lives).contains(pid, ppid, at_ns, exact) {
            Member::Yes => Attribution::Tree,
            Member::No => Attribution::Stranger,
            Member::Unknown if exact => Attribution::Stranger,
            Member::Unknown => Attribution::Window,
        }
    }

    /// The same of a process whose start an event may say: one that has only the id in common is a stranger.
    pub fn contains_process(&self, process: Process, at_ns: u64) -> Attribution {
        let Process { pid, ppid, start } = process;
        if start.is_some_and(|start| !lock(&self.lives).began(pid, start, at_ns)) {
            return Attribution::Stranger;
        }
        self.contains(pid, ppid, at_ns)
    }

    /// Whether what an event says of a process, without an id that could be looked up, is like one that this run was seen to
    /// start at about that time: [`Attribution::Likeness`]; [`Attribution::Window`] where one was seen to start at that very moment
    /// of which no more is known, or where not all starts were seen; else [`Attribution::Stranger`].
    pub fn resembles(&self, likeness: &Likeness, at_ns: u64) -> Attribution {
        lock(&self.programs).judge(likeness, at_ns, self.is_exact())
    }

    /// A program that the launcher started, and that ended: from, until.
    pub fn started(&self, pid: u32, ran: std::ops::Range<u64>, image: Image) {
        self.catch_up();
        lock(&self.programs).ended(pid, ran.start, ran.end, image);
    }

    /// Foil itself, or its launcher: a child of Foil that is not in the tree.
    pub fn is_foil(&self, pid: u32, ppid: Option<u32>) -> bool {
        let own = std::process::id();
        pid == own || (ppid == Some(own) && !lock(&self.lives).knows_root(pid))
    }

    /// Takes in all that the connector has heard. Readers call it before they judge.
    pub fn catch_up(&self) {
        let mut started = Vec::new();
        {
            let connector = lock(&self.connector);
            let Some(connector) = connector.as_ref() else { return };
            loop {
                match connector.next() {
                    Ok(Some(happened)) => {
                        let mut lives = lock(&self.lives);
                        match happened {
                            Happened::Fork { parent, child, at } => {
                                lock(&self.programs).fork(parent, child);
                                if !lives.fork(parent, child, at) {
                                    self.exact.store(false, Ordering::Release);
                                }
                            }
                            Happened::Exit { pid, at } => {
                                lives.exit(pid, at);
                                lock(&self.programs).exit(pid, at);
                            }
                            Happened::Exec { pid, at } => {
                                if lives.member(pid, at) == Member::Yes {
                                    // At once: most programs are gone within a millisecond.
                                    let image = procfs::image(pid);
                                    lock(&self.programs).exec(pid, at, image.clone());
                                    started.push((pid, at, image));
                                }
                            }
                        }
                    }
                    Ok(None) => break,
                    Err(reason) => {
                        // Links and `/proc` have to do from here on.
                        tracing::debug!("the process connector lost messages: {reason}");
                        self.exact.store(false, Ordering::Release);
                    }
                }
            }
        }
        // Outside the locks: it writes into a log, whose readers take them the other way round.
        if let Some(observed) = lock(&self.observed).upgrade() {
            for (pid, at, image) in started {
                observed.saw_exec(pid, at, &image);
            }
        }
    }

    /// Where programs that the tree's processes become are noted.
    pub(super) fn report_to(&self, observed: &Arc<Observed>) {
        *lock(&self.observed) = Arc::downgrade(observed);
    }
}

#[cfg(test)]
mod tests;
