//! Which processes are the run's. Three sources, put together:
//!
//! - the launcher says which are the run's init and its direct children ([`ProcessTree::feed`]);
//! - the kernel's process connector says who forked whom, of every process of the machine, while it happens;
//! - where that is not to be had, audit records say who their parent is, and `/proc` who the parent's parent is.
//!
//! A process id alone says little, since the kernel reuses it: each life of one has its time. And a process of the run is the
//! technique's only from the moment at which Foil's own code in it ends ([`Whose`]).

mod connector;
mod containers;
mod lives;
mod own;
mod procfs;
mod programs;
mod subscription;
mod table;

pub use super::listener::Number;
pub use containers::Containers;
pub use programs::Image;
pub use subscription::{Owners, owners};

use super::foreign::Likeness;
use super::observed::Observed;
use super::{ClockGrain, Process, Recorded, lock};
use foil_record::Attribution;
use foil_shield::{Birth, BirthLog, Tree};
use lives::{Lives, Member};
use own::{Actor, Own, Title};
use programs::Programs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use subscription::Subscription;

/// Whose doing an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The technique's: of a process of the run, after Foil's own code in it has ended.
    Technique,
    /// Foil's: its host, its launcher, an init, or what an init forked and that has not begun to act.
    Foil,
    /// Somebody else's.
    Stranger,
    /// It cannot be told.
    Unknown,
}

/// A run's process tree. Shared by the run's collectors.
#[derive(Debug, Default)]
pub struct ProcessTree {
    lives: Mutex<Lives>,
    /// `None`: no process connector is available.
    subscription: OnceLock<Subscription>,
    /// The connector heard every fork since it was attached.
    exact: AtomicBool,
    programs: Mutex<Programs>,
    observed: Mutex<Weak<Observed>>,
    own: Mutex<Own>,
    /// Where births are read, and how many were.
    births: Mutex<Option<(Weak<dyn BirthLog>, usize)>>,
    /// The containers of the run's pods.
    pub containers: Arc<Containers>,
}

impl ProcessTree {
    /// An empty tree that learns from the process connector where the kernel allows, as [`ProcessTree::without_connector`]
    /// does not. Make it before the run's init is started, so that no fork is missed.
    pub fn new() -> Arc<Self> {
        let tree = Self::without_connector();
        match subscription::subscribe(&tree) {
            Ok(subscription) => {
                tree.exact.store(true, Ordering::Release);
                _ = tree.subscription.set(subscription);
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

    /// Whether an event of a process of these runs may be this run's. True where not every fork is known.
    pub fn is_among(&self, runs: &[Number]) -> bool {
        !self.is_exact() || self.number().is_some_and(|number| runs.contains(&number))
    }

    /// The number by which [`owners`] calls the run; `None` without a process connector.
    pub fn number(&self) -> Option<Number> {
        self.subscription.get().map(Subscription::number)
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

    /// Takes in the births of the run's processes from now on, each time that somebody reads.
    pub fn follow(&self, births: Weak<dyn BirthLog>) {
        *lock(&self.births) = Some((births, 0));
    }

    /// The run's init, to which orphans fall. It must be alive: its start is read from `/proc`.
    pub fn insert_init(&self, pid: u32) {
        self.catch_up();
        self.claim(pid);
        // Where `/proc` does not say, it is taken for the run's since ever.
        let start = procfs::stat(pid).map_or(0, |stat| stat.start);
        lock(&self.lives).init(pid, start);
        let launcher = procfs::stat(pid).map_or(0, |stat| stat.ppid);
        let foils = [pid, launcher, std::process::id()].map(procfs::image);
        lock(&self.programs).above(foils.iter().flat_map(Image::names).map(ToOwned::to_owned).collect());
        lock(&self.own).know(launcher, foils.into());
    }

    /// A direct child of the run's init, and from when it acts for the technique (nanoseconds since 1970).
    pub fn insert_root(&self, pid: u32, acts_ns: u64) {
        self.catch_up();
        self.claim(pid);
        lock(&self.lives).root(pid, acts_ns);
    }

    /// Subscribes to what the process and its descendants do.
    fn claim(&self, pid: u32) {
        if let Some(subscription) = self.subscription.get() {
            subscription::claim(subscription, pid);
        }
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

    /// Is the process (and its parent, where that is known) the technique's at that very moment? [`Attribution::Tree`] or
    /// [`Attribution::Stranger`]; [`Attribution::Window`] where its ancestors cannot be told, which only happens without the connector.
    pub fn contains(&self, pid: u32, ppid: Option<u32>, at_ns: u64) -> Attribution {
        self.by_lives(pid, ppid, at_ns, ClockGrain::EXACT, Actor::default()).into()
    }

    /// Whose doing an event is, by the process that it is about and by what it says of that process's program.
    pub fn whose(&self, event: &Recorded) -> Whose {
        let actor = Actor::of(event);
        let Some(Process { pid, ppid, start }) = event.process else {
            let foils = actor.title() == Some(Title::SetUp) || lock(&self.own).looks_like(&actor);
            return if foils { Whose::Foil } else { Whose::Unknown };
        };
        // One that has only the id in common is a stranger, and may be Foil all the same.
        if start.is_some_and(|start| !lock(&self.lives).began(pid, start, event.at)) {
            return self.or_foil(Whose::Stranger, actor);
        }
        match self.by_lives(pid, ppid, event.at, event.grain(), actor) {
            Whose::Foil if actor.title().is_none() && self.executed(event, &actor) => Whose::Technique,
            whose => whose,
        }
    }

    /// Whether the kernel says that a process of the run, and not of the host's or the launcher's, executed a program that is not Foil's.
    /// It stamps that with the moment of the call, at which the process was Foil's still: on a busy machine long before the program began.
    fn executed(&self, event: &Recorded, actor: &Actor<'_>) -> bool {
        let Some(Process { pid, ppid, .. }) = event.process else { return false };
        event.likeness.is_none()
            && matches!(event.kind.as_str(), "execve" | "execveat")
            && event.fields.get("success").is_some_and(|success| success == "yes")
            && actor.exe.is_some()
            && !lock(&self.own).looks_like(actor)
            && !self.is_foil(pid, ppid)
            && lock(&self.lives).had(pid)
    }

    fn by_lives(&self, pid: u32, ppid: Option<u32>, at: u64, grain: ClockGrain, actor: Actor<'_>) -> Whose {
        if self.is_foil(pid, ppid) {
            return Whose::Foil;
        }
        let exact = self.is_exact();
        let member = lock(&self.lives).contains(pid, ppid, at, grain, exact);
        match (member, actor.title()) {
            (Member::Effect, _) | (Member::Foil | Member::Unclear { effect: true }, Some(Title::Effect)) => {
                Whose::Technique
            }
            // Sensors that write coarse stamps read names at each event; one that reads them at the start has others.
            (Member::Unclear { effect: true }, _) if !grain.is_coarse() => Whose::Technique,
            // Clocks may differ by a moment. The title goes with the program.
            (Member::Foil, _) | (Member::Yes | Member::Unclear { .. }, Some(Title::SetUp)) => Whose::Foil,
            (Member::Unclear { .. }, None) if lock(&self.own).looks_like(&actor) => Whose::Foil,
            (Member::Yes | Member::Unclear { .. }, _) => Whose::Technique,
            (Member::No, _) => self.or_foil(Whose::Stranger, actor),
            (Member::Unknown, _) => self.or_foil(if exact { Whose::Stranger } else { Whose::Unknown }, actor),
        }
    }

    /// What is not the run's is Foil's where it says so itself.
    fn or_foil(&self, otherwise: Whose, actor: Actor<'_>) -> Whose {
        let foils = actor.title().is_some() || lock(&self.own).looks_like(&actor);
        if foils { Whose::Foil } else { otherwise }
    }

    /// Whether what an event says of a process, without an id that could be looked up, is like one that this run was seen to
    /// start at about that time: [`Attribution::Likeness`]; [`Attribution::Window`] where one was seen to start at that very moment
    /// of which no more is known, or where not all starts were seen; else [`Attribution::Stranger`].
    pub fn resembles(&self, likeness: &Likeness, at_ns: u64) -> Attribution {
        lock(&self.programs).judge(likeness, at_ns, self.is_exact())
    }

    /// Whether an event is about Foil by all that it says itself, whatever its time: a process id of Foil's, its name or its program.
    pub fn says_foil(&self, event: &Recorded) -> bool {
        let actor = Actor::of(event);
        let by_id = event.process.is_some_and(|process| self.is_foil(process.pid, process.ppid));
        by_id || self.or_foil(Whose::Unknown, actor) == Whose::Foil
    }

    /// Whether a process id, or the parent's that an event names, was ever the technique's, whatever the time and whoever else had it.
    pub fn had(&self, process: Process) -> bool {
        let lives = lock(&self.lives);
        lives.had(process.pid) || process.ppid.is_some_and(|ppid| lives.had(ppid))
    }

    /// Whether what an event says of a process is like one that this run was seen to start, whatever the time.
    pub fn resembles_at_some_time(&self, likeness: &Likeness) -> bool {
        lock(&self.programs).has_one_like(likeness)
    }

    /// A program that the launcher started, and that ended: from, until.
    pub fn started(&self, pid: u32, ran: std::ops::Range<u64>, image: Image) {
        self.catch_up();
        lock(&self.programs).ended(pid, ran.start, ran.end, image);
    }

    /// Foil itself, its launcher, or a child of either that is not in the tree.
    pub fn is_foil(&self, pid: u32, ppid: Option<u32>) -> bool {
        let is = |pid: u32| lock(&self.own).is(pid);
        is(pid) || (ppid.is_some_and(is) && !lock(&self.lives).knows_root(pid))
    }

    /// One of the run's processes says what it is about to do.
    pub fn told(&self, birth: &Birth) {
        lock(&self.lives).born(birth);
    }

    /// Takes in what the run's processes have said of themselves.
    fn hear_births(&self) {
        let mut births = lock(&self.births);
        let Some((log, known)) = births.as_mut() else { return };
        let Some(log) = log.upgrade() else { return };
        let told = log.since(*known);
        *known = known.saturating_add(told.len());
        let mut lives = lock(&self.lives);
        told.iter().for_each(|birth| lives.born(birth));
    }

    /// Takes in all that the run's processes have said, and that the connector has heard. Readers call it before they judge.
    pub fn catch_up(&self) {
        self.hear_births();
        if let Some(subscription) = self.subscription.get() {
            subscription.catch_up();
        }
    }

    /// Records a fork: by a process of the run, or one that reuses the id of such a process.
    fn forked(&self, parent: u32, child: u32, at: u64) {
        let mut lives = lock(&self.lives);
        lock(&self.programs).fork(parent, child);
        if !lives.fork(parent, child, at) {
            self.set_inexact();
        }
    }

    /// Records the exit of a process of the run.
    fn exited(&self, pid: u32, at: u64) {
        lock(&self.lives).exit(pid, at);
        lock(&self.programs).exit(pid, at);
    }

    /// Records the exec of a process of the run. Returns whether the process acts for the technique.
    fn became(&self, pid: u32, at: u64) -> bool {
        self.hear_births();
        let mut lives = lock(&self.lives);
        lives.exec(pid, at);
        lives.member(pid, at, ClockGrain::EXACT) == Member::Yes
    }

    /// Records the program of an exec.
    fn set_image(&self, pid: u32, at: u64, image: Image) {
        lock(&self.programs).exec(pid, at, image);
    }

    fn saw_exec(&self, pid: u32, at: u64, image: &Image) {
        if let Some(observed) = lock(&self.observed).upgrade() {
            observed.saw_exec(pid, at, image);
        }
    }

    /// Records that events were lost, so that not every fork is known.
    fn set_inexact(&self) {
        self.exact.store(false, Ordering::Release);
    }

    /// Where programs that the tree's processes become are noted.
    pub(super) fn report_to(&self, observed: &Arc<Observed>) {
        *lock(&self.observed) = Arc::downgrade(observed);
    }
}

impl From<Whose> for Attribution {
    fn from(whose: Whose) -> Self {
        match whose {
            Whose::Technique => Self::Tree,
            Whose::Foil | Whose::Stranger => Self::Stranger,
            Whose::Unknown => Self::Window,
        }
    }
}

#[cfg(test)]
mod tests;
