//! Lives of process ids: pure, no system calls, so that reuse and races can be tested with made-up times.

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

/// Whether a process is the run's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member {
    Yes,
    No,
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
}

#[derive(Debug, Default)]
pub struct Lives {
    by_pid: HashMap<u32, Vec<Life>>,
    count: usize,
}

impl Lives {
    /// The launcher claims a process.
    pub fn root(&mut self, pid: u32, start: u64, init: bool) {
        let role = if init { Role::Init } else { Role::Root };
        let lives = self.by_pid.entry(pid).or_default();
        let nearest = lives.iter_mut().min_by_key(|l| l.start.abs_diff(start));
        match nearest {
            Some(life) if life.start.abs_diff(start) <= SAME_START || start == 0 => life.role = role,
            _ => self.insert(pid, Life { start, end: None, parent: None, role, seen: false }),
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
            None => {
                self.insert(child, Life { start: at, end: None, parent: Some(parent), role: Role::Other, seen: true })
            }
        }
        true
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
            _ => self
                .insert_bounded(pid, Life { start: at, end: None, parent: Some(ppid), role: Role::Other, seen: false }),
        }
    }

    /// `/proc` says who the parent of a living process is, and since when it lives.
    pub fn ancestor(&mut self, pid: u32, parent: u32, start: u64) {
        let lives = self.by_pid.entry(pid).or_default();
        let known = lives.iter_mut().any(|life| {
            life.role != Role::Other || (life.parent == Some(parent) && life.start.saturating_add(SLACK) >= start)
        });
        if !known {
            self.insert_bounded(pid, Life { start, end: None, parent: Some(parent), role: Role::Other, seen: false });
        }
    }

    /// A process that the launcher claimed, at any time.
    pub fn knows_root(&self, pid: u32) -> bool {
        self.by_pid.get(&pid).is_some_and(|lives| lives.iter().any(|l| l.role != Role::Other))
    }

    /// Whether a process that began at `start` may be the one that led this id at `at`. Where the life is not known it may.
    pub fn began(&self, pid: u32, start: u64, at: u64) -> bool {
        // The launcher's idea of a start is rougher than the kernel's.
        self.find(pid, at).is_none_or(|life| {
            life.start == 0 || life.start.abs_diff(start) <= if life.seen { 2 * SLACK } else { SAME_START }
        })
    }

    /// By the chain of known parents alone.
    pub fn member(&self, pid: u32, at: u64) -> Member {
        let (mut pid, mut at) = (pid, at);
        for _ in 0..MAX_DEPTH {
            let Some(life) = self.find(pid, at) else {
                // The machine's init and the kernel are nobody's children.
                return if pid <= 1 { Member::No } else { Member::Unknown };
            };
            if life.role != Role::Other {
                return Member::Yes;
            }
            let Some(parent) = life.parent else { return Member::Unknown };
            // The parent's life at the fork: it cannot have started later.
            at = at.min(life.start);
            if parent == pid {
                return Member::Unknown;
            }
            pid = parent;
        }
        Member::Unknown
    }

    /// The verdict on an event. `exact`: every fork is known.
    pub fn contains(&self, pid: u32, ppid: Option<u32>, at: u64, exact: bool) -> Member {
        let known = self.find(pid, at);
        let by_parent = || ppid.map_or(Member::Unknown, |ppid| self.member(ppid, at));
        match known {
            Some(life) if exact && life.seen => self.member(pid, at),
            Some(life) if life.role == Role::Init => Member::Yes,
            // Its id may have been reused since: then its parent is known to be somebody else.
            Some(life) if life.role == Role::Root => {
                if by_parent() == Member::No {
                    Member::No
                } else {
                    Member::Yes
                }
            }
            _ => match by_parent() {
                Member::Unknown if ppid.is_none() => self.member(pid, at),
                verdict => verdict,
            },
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
                let kept = lives.iter().filter(|l| l.start > old || self.member(*pid, l.start) == Member::Yes);
                (*pid, kept.copied().collect::<Vec<_>>())
            })
            .filter(|(_, lives)| !lives.is_empty())
            .collect();
        self.count = keep.values().map(Vec::len).sum();
        self.by_pid = keep;
    }
}
