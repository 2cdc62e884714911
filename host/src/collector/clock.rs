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
    realtime().saturating_sub(monotonic().saturating_sub(moment))
}

/// A moment of the boot-time clock, likewise.
pub fn from_boottime(moment: u64) -> u64 {
    realtime().saturating_sub(boottime().saturating_sub(moment))
}
