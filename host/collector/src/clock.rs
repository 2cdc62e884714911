//! The kernel's clocks, in nanoseconds.

use rustix::time::{ClockId, clock_gettime};

fn read(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0).saturating_mul(1_000_000_000);
    seconds.saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

/// Since 1970.
pub fn realtime() -> u64 {
    read(ClockId::Realtime)
}

/// Since boot, without time spent suspended. What the process connector stamps with.
pub fn monotonic() -> u64 {
    read(ClockId::Monotonic)
}

/// Since boot, with time spent suspended. What `/proc/PID/stat` counts a process's start in.
pub fn boottime() -> u64 {
    read(ClockId::Boottime)
}

/// A moment of the monotonic clock, in nanoseconds since 1970 as the clock stands now.
pub fn from_monotonic(moment: u64) -> u64 {
    since_1970(moment, monotonic)
}

/// A moment of the boot-time clock, likewise.
pub fn from_boottime(moment: u64) -> u64 {
    since_1970(moment, boottime)
}

/// Two clocks cannot be read at once: where this thread is made to wait between them, a fork would seem to come after what the
/// child did. So they are read again until they were read close enough together.
fn since_1970(moment: u64, clock: fn() -> u64) -> u64 {
    const CLOSE: u64 = 5_000;
    let reading = || {
        let (before, now, after) = (clock(), realtime(), clock());
        let apart = after.saturating_sub(before);
        (apart, now.saturating_sub(before.saturating_add(apart / 2).saturating_sub(moment)))
    };
    let mut best = reading();
    for _ in 0..20 {
        if best.0 <= CLOSE {
            break;
        }
        best = best.min(reading());
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_the_same_whenever_it_is_asked_for() {
        let moment = monotonic();
        let first = from_monotonic(moment);
        for _ in 0..10_000 {
            assert!(from_monotonic(moment).abs_diff(first) < 1_000_000);
        }
        assert!(from_monotonic(moment).abs_diff(realtime()) < 60_000_000_000);
    }
}
