//! Counting, killing and reaping the processes of a run.

use crate::steps::mounts;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// Rounds of the walk before what still lives is given up as out of reach.
const ROUNDS: u32 = 200;

/// How init reaches the processes of its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Init is pid 1 of a pid namespace: one `kill` reaches all at once, and the kernel kills all if init dies.
    Namespace,
    /// Init is a subreaper: its descendants are found by walking /proc, again and again, since more may appear
    /// meanwhile. What this lacks: it takes time; a process that became another user's (a set-uid program) cannot be
    /// killed by an ordinary user; and if both init and the launcher are killed, the tree lives on.
    Descendants,
}

/// What [`Reach::kill_all`] did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Killed {
    /// How many were alive.
    pub count: u32,
    /// Who still is.
    pub left: Vec<i32>,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// Exit status.
    Exited(u8),
    /// Signal.
    Signalled(u8),
}

impl Reach {
    /// Kills every process of the run but the caller, and reaps all.
    pub fn kill_all(self, mut died: impl FnMut(i32, Death)) -> Killed {
        match self {
            Self::Namespace => kill_namespace(&mut died),
            Self::Descendants => kill_walking(own_pid(), &[], &mut died),
        }
    }

    /// How many processes the run has, init aside. Zombies do not count.
    pub fn count(self) -> usize {
        match self {
            Self::Namespace if mounts::proc_is_own() => living().filter(|process| process.pid != own_pid()).count(),
            _ => below(&living().collect::<Vec<_>>(), own_pid(), &[]).len(),
        }
    }
}

/// Kills every process of the caller's pid namespace but `spared`, which does it: `kill` asks it to. `None` where it does not, or
/// somebody outlives it; some may have died of it all the same.
pub fn kill_others(spared: i32, kill: impl FnOnce() -> bool, mut died: impl FnMut(i32, Death)) -> Option<Killed> {
    if !mounts::proc_is_own() {
        return None;
    }
    reap(&mut died);
    let others = || living().filter(|process| process.pid != own_pid() && process.pid != spared).count();
    let seen = others();
    if !kill() {
        return None;
    }
    for _ in 0..ROUNDS {
        let left = others();
        // Who died since is an orphan by now, and the caller's.
        reap(&mut died);
        if left == 0 {
            return Some(Killed { count: u32::try_from(seen).unwrap_or(u32::MAX), left: Vec::new() });
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    None
}

/// Reaps whoever has died, without waiting.
pub fn reap(mut died: impl FnMut(i32, Death)) {
    while let Some((pid, death)) = wait_any(libc::WNOHANG) {
        died(pid, death);
    }
}

/// The first of the caller's children that was made at this moment or later, if any: clock ticks after boot, as [`ticks`] counts.
pub fn first_child_since(ticks: u64, known: &[i32]) -> Option<i32> {
    let own = own_pid();
    // The dead as well: it may have ended, and waits to be reaped.
    let new = all().filter(|process| process.parent == own && process.start >= ticks && !known.contains(&process.pid));
    new.min_by_key(|process| (process.start, process.pid)).map(|process| process.pid)
}

/// Clock ticks after boot, as `/proc` counts a process's start.
pub fn ticks() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let per_second = rustix::param::clock_ticks_per_second();
    let (seconds, rest) = (u64::try_from(now.tv_sec).unwrap_or(0), u64::try_from(now.tv_nsec).unwrap_or(0));
    let part = rest.saturating_mul(per_second).checked_div(1_000_000_000).unwrap_or(0);
    seconds.saturating_mul(per_second).saturating_add(part)
}

/// Was the process stopped by a signal?
pub fn is_stopped(pid: i32) -> bool {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    let end = stat.iter().rposition(|&byte| byte == b')');
    end.and_then(|end| stat.get(end.saturating_add(2))).is_some_and(|state| matches!(state, b'T' | b't'))
}

/// Does the caller have any child, dead or alive?
pub fn any_child() -> bool {
    // SAFETY: an all-zero structure is valid; the call writes it and, with WNOWAIT, changes nothing.
    unsafe {
        let mut info = std::mem::zeroed();
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL;
        libc::waitid(libc::P_ALL, 0, &raw mut info, flags) == 0
    }
}

/// Kills children that are inits of pid namespaces, and waits until everybody in those is gone: the kernel ends a namespace with its
/// init, which can be reaped after all others.
pub fn end_inits(pids: &[i32]) {
    // SAFETY: children that nobody else reaps, so that the numbers are still theirs. `__WALL`: as in `wait_any`.
    unsafe {
        for pid in pids {
            libc::kill(*pid, libc::SIGKILL);
        }
        for pid in pids {
            while libc::waitpid(*pid, std::ptr::null_mut(), libc::__WALL) < 0
                && std::io::Error::last_os_error().raw_os_error() == Some(libc::EINTR)
            {}
        }
    }
}

/// Kills descendants of the caller that are below none of `inits`.
pub fn kill_orphans(inits: &[i32], mut died: impl FnMut(i32, Death)) {
    kill_walking(own_pid(), inits, &mut died);
}

fn kill_namespace(died: &mut dyn FnMut(i32, Death)) -> Killed {
    reap(&mut *died);
    let seen = mounts::proc_is_own().then(|| Reach::Namespace.count());
    let mut killed = 0_usize;
    // SAFETY: from pid 1, -1 is every other process of the namespace, and only those.
    unsafe { libc::kill(-1, libc::SIGKILL) };
    while let Some((pid, death)) = wait_any(0) {
        if death == Death::Signalled(libc::SIGKILL as u8) {
            killed = killed.saturating_add(1);
        }
        died(pid, death);
    }
    Killed { count: u32::try_from(seen.unwrap_or(killed)).unwrap_or(u32::MAX), left: Vec::new() }
}

fn kill_walking(root: i32, spare: &[i32], died: &mut dyn FnMut(i32, Death)) -> Killed {
    reap(&mut *died);
    let mut seen = HashSet::new();
    let mut left = Vec::new();
    for round in 0..ROUNDS {
        let found = below(&living().collect::<Vec<_>>(), root, spare);
        left.clear();
        if found.is_empty() {
            break;
        }
        // Stopped first, so that a parent does not make new children between two looks.
        let signal = if round == 0 { Signal::STOP } else { Signal::KILL };
        for process in found {
            seen.insert(process.pid);
            if !send(&process, signal) {
                left.push(process.pid);
            }
        }
        if round > 1 {
            std::thread::sleep(Duration::from_millis(1));
        }
        reap(&mut *died);
    }
    reap(died);
    Killed { count: u32::try_from(seen.len()).unwrap_or(u32::MAX), left }
}

/// Signals exactly this process, not whoever got its number since. False where that is not allowed.
fn send(process: &Process, signal: Signal) -> bool {
    let Some(pid) = Pid::from_raw(process.pid) else { return true };
    let sent = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(fd) => {
            if read(process.pid).is_none_or(|now| now.start != process.start) {
                return true;
            }
            pidfd_send_signal(fd, signal)
        }
        Err(rustix::io::Errno::SRCH) => return true,
        Err(_) => kill_process(pid, signal),
    };
    !matches!(sent, Err(rustix::io::Errno::PERM))
}

/// Waits for any child, of whatever kind.
fn wait_any(flags: libc::c_int) -> Option<(i32, Death)> {
    loop {
        let mut status = 0;
        // SAFETY: writes one integer. __WALL: a program may have made children that report their end otherwise.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, flags | libc::__WALL) };
        if pid > 0 {
            let death = if libc::WIFSIGNALED(status) {
                Death::Signalled(u8::try_from(libc::WTERMSIG(status)).unwrap_or(0))
            } else {
                Death::Exited(u8::try_from(libc::WEXITSTATUS(status)).unwrap_or(u8::MAX))
            };
            return Some((pid, death));
        }
        if pid == 0 || std::io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
            return None;
        }
    }
}

/// A line of the process table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) parent: i32,
    /// Ticks after boot; with the pid it names a process for good.
    pub(super) start: u64,
    dead: bool,
}

pub(super) fn own_pid() -> i32 {
    // SAFETY: cannot fail. Not std's: that of the forked launcher is a plain call too, but this says what is meant.
    unsafe { libc::getpid() }
}

/// All processes that /proc shows and that are no zombies.
pub(super) fn living() -> impl Iterator<Item = Process> {
    all().filter(|process| !process.dead)
}

fn all() -> impl Iterator<Item = Process> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(read)
}

fn read(pid: i32) -> Option<Process> {
    parse(pid, &std::fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads `pid (name) state ppid … start …`. The name is the process's own choice and may hold spaces, parentheses and
/// bytes that are no text; the fields begin after the last parenthesis.
fn parse(pid: i32, stat: &[u8]) -> Option<Process> {
    let end = stat.iter().rposition(|&byte| byte == b')')?;
    let fields = std::str::from_utf8(stat.get(end.checked_add(1)?..)?).ok()?;
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let start = fields.nth(17)?.parse().ok()?;
    Some(Process { pid, parent, start, dead: matches!(state, "Z" | "X" | "x") })
}

/// The descendants of `root`, without the trees below `spare`.
fn below(all: &[Process], root: i32, spare: &[i32]) -> Vec<Process> {
    let mut children: HashMap<i32, Vec<Process>> = HashMap::new();
    for process in all {
        children.entry(process.parent).or_default().push(*process);
    }
    let (mut found, mut next) = (Vec::new(), vec![root]);
    while let Some(pid) = next.pop() {
        // `remove`: a table read while it changes might hold a circle.
        for process in children.remove(&pid).unwrap_or_default() {
            if !spare.contains(&process.pid) && process.pid != root {
                next.push(process.pid);
                found.push(process);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_does_not_hide_a_process() {
        let line = b"7 (a) Z 1 (b\xff) S 3 7 7 0 -1 4194304 0 0 0 0 1 2 3 4 20 0 1 0 4242 1 1";
        assert_eq!(parse(7, line), Some(Process { pid: 7, parent: 3, start: 4242, dead: false }));
        assert_eq!(parse(7, b"7 nothing"), None);
    }

    #[test]
    fn a_walk_finds_grandchildren_and_spares_what_it_is_told_to() {
        let process = |pid, parent| Process { pid, parent, start: 0, dead: false };
        let all = [process(2, 1), process(3, 2), process(4, 3), process(5, 2), process(6, 5), process(9, 1)];
        let pids = |spare: &[i32]| {
            let mut pids: Vec<_> = below(&all, 2, spare).iter().map(|p| p.pid).collect();
            pids.sort_unstable();
            pids
        };
        assert_eq!(pids(&[]), [3, 4, 5, 6]);
        assert_eq!(pids(&[5]), [3, 4]);
    }
}
