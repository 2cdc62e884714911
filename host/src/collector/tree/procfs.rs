//! Parents by `/proc`, for as long as they live.

use super::super::clock;

/// Highest chain that is climbed.
const MAX_CLIMB: usize = 128;

/// What `/proc/PID/stat` says of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    pub ppid: u32,
    /// Nanoseconds since 1970, up to a hundredth of a second early.
    pub start: u64,
}

/// `None` where there is no such process.
pub fn stat(pid: u32) -> Option<Stat> {
    let text = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let (ppid, ticks) = parse(&text)?;
    let per_tick = 1_000_000_000u64.checked_div(rustix::param::clock_ticks_per_second())?;
    Some(Stat { ppid, start: clock::from_boottime(ticks.checked_mul(per_tick)?) })
}

/// The parent and the start in clock ticks since boot. The name before them is in parentheses, and may have some of its own.
fn parse(text: &[u8]) -> Option<(u32, u64)> {
    let end = text.iter().rposition(|b| *b == b')')?;
    let rest = std::str::from_utf8(text.get(end..)?.strip_prefix(b")")?).ok()?;
    let mut words = rest.split_ascii_whitespace();
    let ppid = words.nth(1)?.parse().ok()?;
    Some((ppid, words.nth(17)?.parse().ok()?))
}

/// `(process, parent, start)` of a process and its ancestors, as far as they live and are old enough to have been there at a moment.
pub fn ancestors(pid: u32, at: u64) -> Vec<(u32, u32, u64)> {
    let mut found = Vec::new();
    let mut pid = pid;
    while pid > 1 && found.len() < MAX_CLIMB {
        let Some(stat) = stat(pid).filter(|s| s.start <= at) else { break };
        found.push((pid, stat.ppid, stat.start));
        pid = stat.ppid;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_lie() {
        let text = b"7 (a) S 1 1 1) R 42 7 7 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 9001 1000 1";
        assert_eq!(parse(text), Some((42, 9001)));
        assert_eq!(parse(b"7 (a"), None);
        assert_eq!(parse(b"7 (a) R"), None);
    }

    #[test]
    fn this_process_has_a_parent_and_a_past() {
        let own = stat(std::process::id()).unwrap();
        assert_eq!(own.ppid, std::os::unix::process::parent_id());
        assert!(own.start <= clock::realtime() && clock::realtime() - own.start < 3_600_000_000_000);
        assert!(stat(u32::MAX).is_none());
    }
}
