//! Which runs the machine's processes belong to.

use super::super::listener::Number;
use super::connector::Happened;
use super::procfs::image;
use super::{Image, ProcessTree};
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// The machine's processes, and which runs they belong to.
#[derive(Debug, Default)]
pub struct ProcessTable {
    /// The fork of each living process.
    forks: HashMap<u32, Fork>,
    children: HashMap<u32, Vec<u32>>,
    /// The runs that a process id belongs to, in most cases one.
    owners: HashMap<u32, Vec<Number>>,
    /// The runs that it belonged to before it was reused: an event of that time may still be on its way.
    former: HashMap<u32, Vec<Number>>,
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
    /// The process ids that belong to it.
    pids: Vec<u32>,
}

/// An exec of a run's process, which is recorded after all locks are released.
pub type Started = (Arc<ProcessTree>, u32, u64, Image);

impl ProcessTable {
    pub fn join(&mut self, number: Number, tree: &Arc<ProcessTree>) {
        self.runs.insert(number, Run { tree: Arc::downgrade(tree), pids: Vec::new() });
    }

    pub fn trees(&self) -> impl Iterator<Item = Arc<ProcessTree>> {
        self.runs.values().filter_map(|run| run.tree.upgrade())
    }

    /// Returns the runs that a process belongs to.
    fn of(&self, pid: u32) -> Vec<Number> {
        self.owners.get(&pid).cloned().unwrap_or_default()
    }

    fn tree(&self, number: Number) -> Option<Arc<ProcessTree>> {
        self.runs.get(&number)?.tree.upgrade()
    }

    pub fn take_in(&mut self, happened: Happened, started: &mut Vec<Started>) {
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
                // Its children get another parent and stay in the runs that they belong to.
                self.children.remove(&pid);
                self.of(pid).into_iter().filter_map(|number| self.tree(number)).for_each(|tree| tree.exited(pid, at));
            }
            Happened::Exec { pid, at } => {
                for tree in self.of(pid).into_iter().filter_map(|number| self.tree(number)) {
                    if tree.became(pid, at) {
                        // At once: most programs are gone within a millisecond.
                        let image = image(pid);
                        tree.set_image(pid, at, image.clone());
                        started.push((tree, pid, at, image));
                    }
                }
            }
        }
    }

    fn fork(&mut self, parent: u32, child: u32, at: u64) {
        self.forks.insert(child, Fork { parent, at });
        self.children.entry(parent).or_default().push(child);
        // Runs that the id belonged to must learn that it now means another process.
        let before = self.owners.remove(&child).unwrap_or_default();
        let owners = self.of(parent);
        for number in before.iter().filter(|number| !owners.contains(number)).chain(&owners) {
            if let Some(tree) = self.tree(*number) {
                tree.forked(parent, child, at);
            }
        }
        if !before.is_empty() {
            self.former.entry(child).or_default().extend(before);
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

    /// Adds a process and its living descendants to a run, and forwards their forks to it.
    pub fn claim(&mut self, number: Number, pid: u32) {
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

    pub fn forget(&mut self, number: Number) {
        let Some(run) = self.runs.remove(&number) else { return };
        for pid in run.pids {
            for owners in [&mut self.owners, &mut self.former] {
                if let Some(of_pid) = owners.get_mut(&pid) {
                    of_pid.retain(|owner| *owner != number);
                    if of_pid.is_empty() {
                        owners.remove(&pid);
                    }
                }
            }
        }
    }

    /// Returns the runs that one of these processes belongs to, or belonged to while they were subscribed.
    pub fn ever(&self, pids: &[u32]) -> Vec<Number> {
        let of = |pid: &u32| [self.owners.get(pid), self.former.get(pid)].into_iter().flatten().flatten();
        pids.iter().flat_map(of).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{ClockGrain, lock};
    use super::super::lives::Member;
    use super::*;
    use foil_record::Attribution;

    const S: u64 = 1_000_000_000;
    const T: u64 = 1_700_000_000 * S;

    fn machine(runs: u64) -> (ProcessTable, Vec<Arc<ProcessTree>>) {
        let mut machine = ProcessTable::default();
        let trees: Vec<_> = (0..runs).map(|_| ProcessTree::of_nobody()).collect();
        for (number, tree) in (0..).zip(&trees) {
            machine.join(number, tree);
        }
        (machine, trees)
    }

    fn fork(machine: &mut ProcessTable, parent: u32, child: u32, at: u64) {
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
        // An event of an earlier time may still be on its way, to each of them, and to nobody after its run is over.
        assert_eq!(machine.ever(&[101]), [0, 1]);
        assert_eq!(machine.ever(&[7, 200]), [1]);
        machine.forget(0);
        assert_eq!(machine.ever(&[101]), [1]);
        machine.forget(1);
        assert!(machine.former.is_empty() && machine.ever(&[101]).is_empty());
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
