//! The one listener to the process connector, for all runs of this process.
//!
//! The kernel tells of every fork, program and end on the machine. Each is read once, and goes to the runs that it is about: a process
//! whose parent is a run's is that run's, for as long as its id means it. What is everybody else's costs a place in a table.

use super::super::netlink;
use super::connector::{Connector, Happened};
use super::procfs::image;
use super::{Image, ProcessTree, lock};
use std::collections::HashMap;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

/// The listener of this process, as long as a run needs it.
static EAR: Mutex<Weak<Ear>> = Mutex::new(Weak::new());

/// How long the thread sleeps at most, in milliseconds, before it looks whether anybody needs it.
const NAP: u32 = 500;

/// A run, to the listener.
type Number = u64;

/// The listener.
#[derive(Debug)]
pub struct Ear {
    hearing: Mutex<Hearing>,
    /// Runs that are over; told apart, since their end may come while the machine is locked.
    over: Mutex<Vec<Number>>,
    next: AtomicU64,
}

#[derive(Debug)]
struct Hearing {
    connector: Connector,
    machine: Machine,
}

/// What is known of the machine's processes.
#[derive(Debug, Default)]
struct Machine {
    /// Who forked whom, and when, of those that live.
    forks: HashMap<u32, Fork>,
    children: HashMap<u32, Vec<u32>>,
    /// Whose a process id is: of one run, mostly.
    owners: HashMap<u32, Vec<Number>>,
    runs: HashMap<Number, Run>,
}

#[derive(Debug, Clone, Copy)]
struct Fork {
    parent: u32,
    at: u64,
}

#[derive(Debug)]
struct Run {
    tree: Weak<ProcessTree>,
    /// The ids of which it is an owner.
    pids: Vec<u32>,
}

/// A program that a run's process became, to be noted once nothing is locked.
type Started = (Arc<ProcessTree>, u32, u64, Image);

/// A run's place at the listener. Dropping it ends it.
#[derive(Debug)]
pub struct Seat {
    ear: Arc<Ear>,
    number: Number,
}

impl Ear {
    /// The listener that there is, or a new one.
    ///
    /// # Errors
    /// Why there is no process connector here.
    fn get() -> Result<Arc<Self>, String> {
        let mut known = lock(&EAR);
        if let Some(ear) = known.upgrade() {
            return Ok(ear);
        }
        let connector = Connector::open()?;
        let handle = connector.handle().map_err(|error| format!("the process connector: {error}"))?;
        let hearing = Mutex::new(Hearing { connector, machine: Machine::default() });
        let ear = Arc::new(Self { hearing, over: Mutex::default(), next: AtomicU64::default() });
        let told = Arc::downgrade(&ear);
        let listen = move || {
            loop {
                netlink::wait(&[handle.as_fd()], NAP);
                let Some(ear) = told.upgrade() else { return };
                ear.catch_up();
            }
        };
        // Without the thread the socket fills up to its bound and is emptied by readers alone.
        if let Err(error) = std::thread::Builder::new().name("foil-processes".into()).spawn(listen) {
            tracing::warn!("no thread for the process connector: {error}");
        }
        *known = Arc::downgrade(&ear);
        Ok(ear)
    }

    /// Takes in all that the kernel has told. Whoever calls finds its run's processes up to now.
    fn catch_up(&self) {
        let mut started = Vec::new();
        {
            let mut hearing = lock(&self.hearing);
            let Hearing { connector, machine } = &mut *hearing;
            std::mem::take(&mut *lock(&self.over)).into_iter().for_each(|number| machine.forget(number));
            loop {
                match connector.next() {
                    Ok(Some(happened)) => machine.take_in(happened, &mut started),
                    Ok(None) => break,
                    Err(reason) => {
                        // Links and `/proc` have to do from here on.
                        tracing::debug!("the process connector lost messages: {reason}");
                        machine.trees().for_each(|tree| tree.is_inexact());
                    }
                }
            }
        }
        // Outside of the lock: it writes into a log, whose readers take them the other way round.
        for (tree, pid, at, image) in started {
            tree.saw_exec(pid, at, &image);
        }
    }
}

impl Machine {
    fn join(&mut self, number: Number, tree: &Arc<ProcessTree>) {
        self.runs.insert(number, Run { tree: Arc::downgrade(tree), pids: Vec::new() });
    }

    fn trees(&self) -> impl Iterator<Item = Arc<ProcessTree>> {
        self.runs.values().filter_map(|run| run.tree.upgrade())
    }

    /// The runs that a process is of.
    fn of(&self, pid: u32) -> Vec<Number> {
        self.owners.get(&pid).cloned().unwrap_or_default()
    }

    fn tree(&self, number: Number) -> Option<Arc<ProcessTree>> {
        self.runs.get(&number)?.tree.upgrade()
    }

    fn take_in(&mut self, happened: Happened, started: &mut Vec<Started>) {
        match happened {
            Happened::Fork { parent, child, at } => self.fork(parent, child, at),
            Happened::Exit { pid, at } => {
                if let Some(fork) = self.forks.remove(&pid)
                    && let Some(siblings) = self.children.get_mut(&fork.parent)
                {
                    siblings.retain(|sibling| *sibling != pid);
                    if siblings.is_empty() {
                        self.children.remove(&fork.parent);
                    }
                }
                // Its own children fall to somebody else, and are whose they were.
                self.children.remove(&pid);
                self.of(pid).into_iter().filter_map(|number| self.tree(number)).for_each(|tree| tree.exited(pid, at));
            }
            Happened::Exec { pid, at } => {
                for tree in self.of(pid).into_iter().filter_map(|number| self.tree(number)) {
                    if tree.became(pid, at) {
                        // At once: most programs are gone within a millisecond.
                        let image = image(pid);
                        tree.is(pid, at, image.clone());
                        started.push((tree, pid, at, image));
                    }
                }
            }
        }
    }

    fn fork(&mut self, parent: u32, child: u32, at: u64) {
        self.forks.insert(child, Fork { parent, at });
        self.children.entry(parent).or_default().push(child);
        // Whose the id was before must hear that it means another process now.
        let before = self.owners.remove(&child).unwrap_or_default();
        let owners = self.of(parent);
        for number in before.iter().filter(|number| !owners.contains(number)).chain(&owners) {
            if let Some(tree) = self.tree(*number) {
                tree.forked(parent, child, at);
            }
        }
        if owners.is_empty() {
            return;
        }
        for number in &owners {
            if let Some(run) = self.runs.get_mut(number) {
                run.pids.push(child);
            }
        }
        self.owners.insert(child, owners);
    }

    /// A process is a run's from now on, with all that it has forked and that lives. The run hears of those forks.
    fn claim(&mut self, number: Number, pid: u32) {
        let Some(tree) = self.tree(number) else { return };
        let mut next = vec![pid];
        while let Some(pid) = next.pop() {
            let owners = self.owners.entry(pid).or_default();
            if owners.contains(&number) {
                continue;
            }
            owners.push(number);
            if let Some(run) = self.runs.get_mut(&number) {
                run.pids.push(pid);
            }
            if let Some(Fork { parent, at }) = self.forks.get(&pid) {
                tree.forked(*parent, pid, *at);
            }
            next.extend(self.children.get(&pid).into_iter().flatten());
        }
    }

    fn forget(&mut self, number: Number) {
        let Some(run) = self.runs.remove(&number) else { return };
        for pid in run.pids {
            if let Some(owners) = self.owners.get_mut(&pid) {
                owners.retain(|owner| *owner != number);
                if owners.is_empty() {
                    self.owners.remove(&pid);
                }
            }
        }
    }
}

impl Seat {
    /// A place for a run, which hears of its processes from now on.
    ///
    /// # Errors
    /// Why there is no process connector here.
    pub fn take(tree: &Arc<ProcessTree>) -> Result<Self, String> {
        let ear = Ear::get()?;
        let number = ear.next.fetch_add(1, Ordering::Relaxed);
        lock(&ear.hearing).machine.join(number, tree);
        Ok(Self { ear, number })
    }

    /// Takes in all that the kernel has told.
    pub fn catch_up(&self) {
        self.ear.catch_up();
    }

    /// A process is the run's, with all that it forks and has forked.
    pub fn claim(&self, pid: u32) {
        lock(&self.ear.hearing).machine.claim(self.number, pid);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        lock(&self.ear.over).push(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{Attribution, ClockGrain};
    use super::super::lives::Member;
    use super::*;

    const S: u64 = 1_000_000_000;
    const T: u64 = 1_700_000_000 * S;

    fn machine(runs: u64) -> (Machine, Vec<Arc<ProcessTree>>) {
        let mut machine = Machine::default();
        let trees: Vec<_> = (0..runs).map(|_| ProcessTree::of_nobody()).collect();
        for (number, tree) in (0..).zip(&trees) {
            machine.join(number, tree);
        }
        (machine, trees)
    }

    fn fork(machine: &mut Machine, parent: u32, child: u32, at: u64) {
        machine.take_in(Happened::Fork { parent, child, at }, &mut Vec::new());
    }

    #[test]
    fn a_process_is_the_run_s_that_forked_it_and_nobody_elses() {
        let (mut machine, trees) = machine(2);
        for (number, init) in [(0, 100), (1, 200)] {
            fork(&mut machine, 50, init, T);
            machine.claim(number, init);
            lock(&trees[usize::try_from(number).unwrap()].lives).init(init, T);
        }
        fork(&mut machine, 100, 101, T + S);
        fork(&mut machine, 101, 102, T + 2 * S);
        fork(&mut machine, 200, 201, T + S);
        fork(&mut machine, 1, 300, T + S);
        for tree in &trees {
            [101, 201].into_iter().for_each(|pid| lock(&tree.lives).exec(pid, T + S));
        }
        let of = |tree: usize, pid: u32, ppid: u32| trees[tree].contains(pid, Some(ppid), T + 3 * S);
        assert_eq!([of(0, 102, 101), of(1, 102, 101)], [Attribution::Tree, Attribution::Stranger]);
        assert_eq!([of(0, 201, 200), of(1, 201, 200)], [Attribution::Stranger, Attribution::Tree]);
        assert_eq!([of(0, 300, 1), of(1, 300, 1)], [Attribution::Stranger; 2]);
        // Strangers cost the runs nothing.
        assert!(trees.iter().all(|tree| lock(&tree.lives).member(300, T + S, ClockGrain::EXACT) == Member::Unknown));
    }

    #[test]
    fn what_was_forked_before_the_claim_is_claimed_too() {
        let (mut machine, trees) = machine(1);
        fork(&mut machine, 50, 100, T);
        fork(&mut machine, 100, 101, T + S);
        fork(&mut machine, 101, 102, T + 2 * S);
        fork(&mut machine, 101, 103, T + 2 * S);
        machine.take_in(Happened::Exit { pid: 103, at: T + 3 * S }, &mut Vec::new());
        machine.claim(0, 100);
        assert_eq!(machine.owners.len(), 3, "{:?}", machine.owners);
        lock(&trees[0].lives).init(100, T);
        lock(&trees[0].lives).exec(101, T + S);
        assert_eq!(trees[0].contains(102, Some(101), T + 3 * S), Attribution::Tree);
    }

    #[test]
    fn an_id_that_is_used_again_is_whose_process_it_is_now() {
        let (mut machine, trees) = machine(2);
        for (number, init) in [(0, 100), (1, 200)] {
            machine.claim(number, init);
            lock(&trees[usize::try_from(number).unwrap()].lives).init(init, T);
        }
        fork(&mut machine, 100, 101, T + S);
        machine.take_in(Happened::Exec { pid: 101, at: T + S }, &mut Vec::new());
        machine.take_in(Happened::Exit { pid: 101, at: T + 2 * S }, &mut Vec::new());
        fork(&mut machine, 200, 101, T + 3 * S);
        machine.take_in(Happened::Exec { pid: 101, at: T + 3 * S }, &mut Vec::new());
        let of = |tree: usize, ppid: u32, at: u64| trees[tree].contains(101, Some(ppid), at);
        assert_eq!([of(0, 100, T + S + 1), of(1, 100, T + S + 1)], [Attribution::Tree, Attribution::Stranger]);
        assert_eq!([of(0, 200, T + 4 * S), of(1, 200, T + 4 * S)], [Attribution::Stranger, Attribution::Tree]);
        fork(&mut machine, 1, 101, T + 9 * S);
        assert_eq!([of(0, 1, T + 10 * S), of(1, 1, T + 10 * S)], [Attribution::Stranger; 2]);
        assert!(!machine.owners.contains_key(&101));
    }

    #[test]
    fn a_run_that_is_over_leaves_nothing() {
        let (mut machine, trees) = machine(2);
        machine.claim(0, 100);
        machine.claim(1, 200);
        (101..150).for_each(|child| fork(&mut machine, child - 1, child, T + S));
        machine.forget(0);
        assert_eq!(machine.owners.keys().collect::<Vec<_>>(), [&200]);
        (101..150).for_each(|pid| machine.take_in(Happened::Exit { pid, at: T + S }, &mut Vec::new()));
        assert!(machine.forks.is_empty() && machine.children.is_empty());
        drop(trees);
        machine.forget(1);
        assert!(machine.owners.is_empty() && machine.runs.is_empty());
    }
}
