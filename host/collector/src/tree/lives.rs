//! Lives of process ids: pure, no system calls, so that reuse and races can be tested with made-up times.

use super::super::ClockGrain;
use foil_shield::{Birth, BirthStage};
use std::collections::HashMap;

/// The audit system's clock is coarse: an event's time lies up to a tick (10 ms at 100 Hz) and a millisecond before the
/// moment; `/proc` counts starts in hundredths of a second. Nanoseconds.
const SLACK: u64 = 25_000_000;
/// The launcher's idea of a start and the connector's are of the same life when they are this close.
const SAME_START: u64 = 2_000_000_000;
/// Most lives remembered: some 16 MiB. Those of long-known strangers make room.
const MAX_LIVES: usize = 200_000;
/// Strangers are forgotten no sooner than this, since the launcher may yet claim them.
const FORGET_AFTER: u64 = 10_000_000_000;
/// Deepest chain of ancestors that is followed.
const MAX_DEPTH: usize = 4096;

/// Whose a process is at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member {
    /// The technique's: a program of the run, or a descendant of one.
    Yes,
    /// The technique's: one of init's processes, which performs a file effect.
    Effect,
    /// The run's, and the moment is too coarse to tell Foil's own code from what came after it. `effect`: a file effect came.
    Unclear { effect: bool },
    /// Foil's own: the run's init, or a process of its that does nothing of the technique's yet.
    Foil,
    /// Somebody else's.
    No,
    /// It cannot be told.
    Unknown,
}

impl Member {
    /// It is one of the run's processes, whoever's code runs in it.
    fn is_of_the_run(self) -> bool {
        !matches!(self, Self::No | Self::Unknown)
    }
}

/// Where a process stands.
#[derive(Debug, Clone, Copy)]
enum Place {
    Init,
    /// Init's own child.
    Child(Life),
    /// Below one of them that acted for the technique.
    Below,
    /// Below one of them that did not.
    BelowSetUp,
    Elsewhere,
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// The run's init.
    Init,
    /// Started by the launcher for the run.
    Root,
    /// Neither.
    Other,
}

#[derive(Debug, Clone, Copy)]
struct Life {
    start: u64,
    end: Option<u64>,
    /// The parent at the start.
    parent: Option<u32>,
    role: Role,
    /// The start is exact: the connector saw the fork.
    seen: bool,
    /// When it first executed a program, as the connector saw.
    exec: Option<u64>,
    /// From when it acts for the technique, as it said itself.
    acts: Option<u64>,
    /// It performs a file effect and executes nothing.
    effect: bool,
}

impl Life {
    fn new(start: u64, parent: Option<u32>, role: Role, seen: bool) -> Self {
        Self { start, end: None, parent, role, seen, exec: None, acts: None, effect: false }
    }
}

#[derive(Debug, Default)]
pub struct Lives {
    by_pid: HashMap<u32, Vec<Life>>,
    count: usize,
    /// When the first of init's children acted for the technique.
    first_act: Option<u64>,
}

impl Lives {
    /// The launcher claims the run's init.
    pub fn init(&mut self, pid: u32, start: u64) {
        self.claim(pid, start, Role::Init);
    }

    /// The launcher claims a child of init's, which acts for the technique from then on.
    pub fn root(&mut self, pid: u32, acts: u64) {
        self.born(&Birth { pid, at: acts, stage: BirthStage::Program });
    }

    /// A child of init's says what it is about to do.
    pub fn born(&mut self, birth: &Birth) {
        let Birth { pid, at, stage } = *birth;
        // What it says of its acts may come long after what it said of its start.
        let silent = |life: &Life| life.role == Role::Root && life.acts.is_none() && life.start <= at;
        let lives = self.by_pid.entry(pid).or_default();
        if stage != BirthStage::SetUp && lives.iter().any(|life| life.role == Role::Root && life.acts == Some(at)) {
            // It is known already.
            return;
        }
        if stage == BirthStage::SetUp || !lives.iter().any(silent) {
            self.claim(pid, at, Role::Root);
        }
        if stage == BirthStage::SetUp {
            return;
        }
        self.first_act = Some(self.first_act.map_or(at, |first| first.min(at)));
        let lives = self.by_pid.entry(pid).or_default();
        let own = lives.iter().rposition(silent);
        let own = own.or_else(|| {
            let claimed = lives.iter().enumerate().filter(|(_, life)| life.role == Role::Root);
            claimed.min_by_key(|(_, life)| life.start.abs_diff(at)).map(|(place, _)| place)
        });
        if let Some(life) = own.and_then(|place| lives.get_mut(place)) {
            (life.acts, life.effect) = (Some(at), stage == BirthStage::Effect);
        }
    }

    fn claim(&mut self, pid: u32, start: u64, role: Role) {
        let lives = self.by_pid.entry(pid).or_default();
        let nearest = lives.iter_mut().min_by_key(|l| l.start.abs_diff(start));
        match nearest {
            Some(life) if life.start.abs_diff(start) <= SAME_START || start == 0 => life.role = role,
            _ => self.insert(pid, Life::new(start, None, role, false)),
        }
    }

    /// The connector saw a fork. `false` where there is no room to remember it.
    pub fn fork(&mut self, parent: u32, child: u32, at: u64) -> bool {
        if self.count >= MAX_LIVES {
            self.forget_strangers(at);
            if self.count >= MAX_LIVES {
                return false;
            }
        }
        let claimed = self.by_pid.get_mut(&child).and_then(|lives| {
            lives.iter_mut().find(|l| l.role != Role::Other && !l.seen && l.start.abs_diff(at) <= SAME_START)
        });
        match claimed {
            Some(life) => *life = Life { start: at, parent: Some(parent), seen: true, ..*life },
            None => self.insert(child, Life::new(at, Some(parent), Role::Other, true)),
        }
        true
    }

    /// The connector saw a process execute a program.
    pub fn exec(&mut self, pid: u32, at: u64) {
        if let Some(life) = self.by_pid.get_mut(&pid).and_then(|lives| lives.iter_mut().rev().find(|l| l.start <= at)) {
            life.exec.get_or_insert(at);
        }
    }

    /// The connector saw the end of a process's first thread. Others may go on under its id, so this does not end the life;
    /// the next fork of that id does.
    pub fn exit(&mut self, pid: u32, at: u64) {
        if let Some(life) = self.by_pid.get_mut(&pid).and_then(|lives| lives.iter_mut().rev().find(|l| l.start <= at)) {
            life.end = Some(at);
        }
    }

    /// An event of `pid` names its parent.
    pub fn link(&mut self, pid: u32, ppid: u32, at: u64) {
        match self.find(pid, at) {
            Some(life) if life.role != Role::Other || life.parent == Some(ppid) => {}
            // Another parent: it is another process, or an orphan that fell to the run's init or to the machine's. Either way
            // what the event says of itself is newer.
            _ => self.insert_bounded(pid, Life::new(at, Some(ppid), Role::Other, false)),
        }
    }

    /// `/proc` says who the parent of a living process is, and since when it lives.
    pub fn ancestor(&mut self, pid: u32, parent: u32, start: u64) {
        let lives = self.by_pid.entry(pid).or_default();
        let known = lives.iter_mut().any(|life| {
            life.role != Role::Other || (life.parent == Some(parent) && life.start.saturating_add(SLACK) >= start)
        });
        if !known {
            self.insert_bounded(pid, Life::new(start, Some(parent), Role::Other, false));
        }
    }

    /// A process that the launcher claimed, at any time.
    pub fn knows_root(&self, pid: u32) -> bool {
        self.by_pid.get(&pid).is_some_and(|lives| lives.iter().any(|l| l.role != Role::Other))
    }

    /// Whether one of the lives that a process id led was the technique's at some time.
    pub fn had(&self, pid: u32) -> bool {
        let lives = self.by_pid.get(&pid).map(Vec::as_slice).unwrap_or_default();
        lives.iter().any(|life| match self.place(pid, life.start) {
            Place::Child(life) => life.acts.or(life.exec).is_some(),
            Place::Below => true,
            Place::Init | Place::BelowSetUp | Place::Elsewhere | Place::Unknown => false,
        })
    }

    /// Whether a process that began at `start` may be the one that led this id at `at`. Where the life is not known it may.
    pub fn began(&self, pid: u32, start: u64, at: u64) -> bool {
        // The launcher's idea of a start is rougher than the kernel's.
        self.find(pid, at).is_none_or(|life| {
            life.start == 0 || life.start.abs_diff(start) <= if life.seen { 2 * SLACK } else { SAME_START }
        })
    }

    /// By the chain of known parents alone.
    pub fn member(&self, pid: u32, at: u64, grain: ClockGrain) -> Member {
        match self.place(pid, at) {
            Place::Init | Place::BelowSetUp => Member::Foil,
            Place::Child(life) => self.acting(&life, at, grain),
            Place::Below => Member::Yes,
            Place::Elsewhere => Member::No,
            Place::Unknown => Member::Unknown,
        }
    }

    fn place(&self, pid: u32, at: u64) -> Place {
        let (mut pid, mut at) = (pid, at);
        // The moment of the process at hand that matters: of an ancestor, when it forked the next one. An event's own time may be
        // too coarse for that; a fork that the connector saw is not.
        let (mut moment, mut known) = (at, true);
        let mut below: Option<(Life, u64, bool)> = None;
        for depth in 0..MAX_DEPTH {
            let Some(life) = self.find(pid, at) else {
                // The machine's init and the kernel are nobody's children.
                return if pid <= 1 { Place::Elsewhere } else { Place::Unknown };
            };
            let child = match (life.role, below) {
                (Role::Init, None) => return Place::Init,
                (Role::Init, Some(child)) => Some((child, depth == 1)),
                (Role::Root, _) => Some(((life, moment, known), depth == 0)),
                (Role::Other, _) => None,
            };
            match child {
                Some(((child, ..), true)) => return Place::Child(child),
                Some(((child, moment, known), false)) => {
                    // A fork whose moment is a guess is not held against what it forked.
                    let grain = if known { ClockGrain::EXACT } else { ClockGrain::COARSE };
                    let set_up = self.acting(&child, moment, grain) == Member::Foil;
                    return if set_up { Place::BelowSetUp } else { Place::Below };
                }
                None => {}
            }
            let Some(parent) = life.parent else { return Place::Unknown };
            below = Some((life, moment, known));
            // The parent's life at the fork: it cannot have started later.
            at = at.min(life.start);
            (moment, known) = if life.seen { (life.start, true) } else { (at, false) };
            if parent == pid {
                return Place::Unknown;
            }
            pid = parent;
        }
        Place::Unknown
    }

    /// Whether a child of init's acts for the technique.
    fn acting(&self, life: &Life, at: u64, grain: ClockGrain) -> Member {
        let told = if life.role == Role::Root { life.acts.or(life.exec) } else { life.exec };
        // Where nobody saw it start it may be an orphan of the technique's, as soon as there can be one.
        let guessed = (!life.seen && life.role == Role::Other).then(|| self.first_act.unwrap_or(0));
        match told.or(guessed) {
            Some(acts) if at >= acts => {
                if life.effect {
                    Member::Effect
                } else {
                    Member::Yes
                }
            }
            Some(acts) if grain.latest(at) >= acts => Member::Unclear { effect: life.effect },
            _ => Member::Foil,
        }
    }

    /// The verdict on an event whose time is as exact as `grain`. `exact`: every fork is known.
    pub fn contains(&self, pid: u32, ppid: Option<u32>, at: u64, grain: ClockGrain, exact: bool) -> Member {
        match self.find(pid, at) {
            Some(life) if exact && life.seen => self.member(pid, at, grain),
            Some(life) if life.role == Role::Init => Member::Foil,
            // Its id may have been reused since: then its parent is known to be somebody else.
            Some(life) if life.role == Role::Root => match ppid.map(|ppid| self.place(ppid, at)) {
                Some(Place::Elsewhere) => Member::No,
                _ => self.acting(&life, at, grain),
            },
            _ => match ppid {
                Some(ppid) => self.by_parent(ppid, at, grain),
                None => self.member(pid, at, grain),
            },
        }
    }

    /// The verdict on a process of which only the parent is known.
    fn by_parent(&self, ppid: u32, at: u64, grain: ClockGrain) -> Member {
        match self.place(ppid, at) {
            // Its children say that they are; others are the technique's orphans, as soon as there can be one.
            Place::Init if grain.latest(at) >= self.first_act.unwrap_or(0) => Member::Yes,
            Place::Init | Place::BelowSetUp => Member::Foil,
            Place::Child(life) if self.acting(&life, at, grain) == Member::Foil => Member::Foil,
            Place::Child(_) | Place::Below => Member::Yes,
            Place::Elsewhere => Member::No,
            Place::Unknown => Member::Unknown,
        }
    }

    /// The life that a process id led at a moment: the last that had begun, or the next where the one before had ended and the
    /// next began within the clock's slack.
    fn find(&self, pid: u32, at: u64) -> Option<Life> {
        let lives = self.by_pid.get(&pid)?;
        let begun = lives.partition_point(|l| l.start <= at);
        let next = lives.get(begun).filter(|l| l.start <= at.saturating_add(SLACK));
        let current = begun.checked_sub(1).and_then(|i| lives.get(i));
        match (current, next) {
            (Some(current), Some(next)) if current.end.is_some_and(|end| end < at) => Some(*next),
            (Some(current), _) => Some(*current),
            (None, next) => next.copied(),
        }
    }

    fn insert_bounded(&mut self, pid: u32, life: Life) {
        if self.count >= MAX_LIVES {
            self.forget_strangers(life.start);
        }
        // Where there is still no room the chain stays unknown, which is what it is.
        if self.count < MAX_LIVES {
            self.insert(pid, life);
        }
    }

    fn insert(&mut self, pid: u32, life: Life) {
        let lives = self.by_pid.entry(pid).or_default();
        let place = lives.partition_point(|l| l.start <= life.start);
        lives.insert(place, life);
        self.count = self.count.saturating_add(1);
    }

    fn forget_strangers(&mut self, now: u64) {
        let old = now.saturating_sub(FORGET_AFTER);
        let keep: HashMap<u32, Vec<Life>> = self
            .by_pid
            .iter()
            .map(|(pid, lives)| {
                let kept = lives
                    .iter()
                    .filter(|l| l.start > old || self.member(*pid, l.start, ClockGrain::EXACT).is_of_the_run());
                (*pid, kept.copied().collect::<Vec<_>>())
            })
            .filter(|(_, lives)| !lives.is_empty())
            .collect();
        self.count = keep.values().map(Vec::len).sum();
        self.by_pid = keep;
    }
}
