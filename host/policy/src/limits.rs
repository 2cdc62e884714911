//! How much of everything: the least of what the layers say.

use super::Refusal;
use foil_manifest::Limits;
use std::time::Duration;

/// The host's defaults, which an environment may raise up to [`HARD_MAXIMA`] or lower. A manifest and a grant can only
/// lower what the environment (or this) says.
mod default {
    /// A phase that hangs: no real technique waits for a minute without a child of its own to wait for.
    pub const WALL_MS: u64 = 60_000;
    /// A guest that computes: a loop without end, a miner. Techniques call the host; they don't calculate.
    pub const CPU_MS: u64 = 5_000;
    /// A guest that grows until the target swaps or its OOM killer takes something that matters.
    pub const MEMORY: u64 = 64 << 20;
    /// A guest that floods the host: each call is checked, audited and may be a system call.
    pub const HOST_CALLS: u64 = 10_000;
    /// A child that prints for ever: bytes kept in the host's memory, for each stream.
    pub const OUTPUT: u64 = 1 << 20;
    /// A guest that logs for ever: lines …
    pub const LOG_LINES: u64 = 1_000;
    /// A fork bomb, and a guest that starts programs in a loop.
    pub const CHILDREN: u64 = 64;
    /// A table grown by `table.grow`: an element costs the host eight bytes or more, outside any memory.
    pub const TABLE_ENTRIES: u64 = 10_000;
    /// A child's runaway allocation: ends before the target's OOM killer looks for a victim. Address space, of which many
    /// runtimes reserve gigabytes.
    pub const CHILD_MEMORY: u64 = 4 << 30;
    /// A child that fills the target's disk with one file.
    pub const CHILD_FILE: u64 = 1 << 30;
    /// A child that fills the target's memory by way of the overlay, which is a tmpfs.
    pub const OVERLAY: u64 = 1 << 30;
}

/// Bytes of log that a phase may write, together: lines are at most 4 KiB, so that a thousand of them could be four
/// megabytes. No layer changes it.
const LOG_BYTES: u64 = 256 << 10;

/// The largest file that can be put back, in bytes: what a pre-image takes.
pub const UNDOABLE_FILE: u64 = 64 << 20;

/// What no environment may go beyond; `foil.yaml` with more is refused. They bound what one run can cost a target even
/// where an operator's file is careless.
pub const HARD_MAXIMA: Limits = Limits {
    wall_ms: Some(3_600_000),
    cpu_ms: Some(300_000),
    memory: Some(1 << 30),
    host_calls: Some(1_000_000),
    output: Some(64 << 20),
    log_lines: Some(100_000),
    children: Some(4_096),
    table_entries: Some(1_000_000),
    child_memory: Some(1 << 40),
    child_file: Some(64 << 30),
    overlay: Some(64 << 30),
};

/// The limits of each phase of one run: concrete numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EffectiveLimits {
    /// Wall time of a phase.
    pub wall: Duration,
    /// Time that the guest itself computes.
    pub cpu: Duration,
    /// All memories and tables of all instances together, in bytes.
    pub memory: u64,
    /// Host calls.
    pub host_calls: u64,
    /// Output of children that is kept, in bytes a stream.
    pub output: u64,
    /// Log lines.
    pub log_lines: u64,
    /// Bytes of log, together.
    pub log_bytes: u64,
    /// Programs started by `exec` in a phase, and processes alive at once below them.
    pub children: u64,
    /// Elements of all tables together.
    pub table_entries: u64,
    /// Address space of each child, in bytes.
    pub child_memory: u64,
    /// The largest file that a child may write, in bytes.
    pub child_file: u64,
    /// What a run may write in its overlay, in bytes.
    pub overlay: u64,
}

impl EffectiveLimits {
    /// The least of the three layers and, where the environment says nothing, the host's default.
    pub fn of(manifest: &Limits, grant: &Limits, environment: &Limits) -> Self {
        let least = |field: fn(&Limits) -> Option<u64>, default: u64| {
            let ceiling = field(environment).unwrap_or(default).min(field(&HARD_MAXIMA).unwrap_or(default));
            [field(manifest), field(grant)].into_iter().flatten().fold(ceiling, u64::min)
        };
        Self {
            wall: Duration::from_millis(least(|l| l.wall_ms, default::WALL_MS)),
            cpu: Duration::from_millis(least(|l| l.cpu_ms, default::CPU_MS)),
            memory: least(|l| l.memory, default::MEMORY),
            host_calls: least(|l| l.host_calls, default::HOST_CALLS),
            output: least(|l| l.output, default::OUTPUT),
            log_lines: least(|l| l.log_lines, default::LOG_LINES),
            log_bytes: LOG_BYTES,
            children: least(|l| l.children, default::CHILDREN),
            table_entries: least(|l| l.table_entries, default::TABLE_ENTRIES),
            child_memory: least(|l| l.child_memory, default::CHILD_MEMORY),
            child_file: least(|l| l.child_file, default::CHILD_FILE),
            overlay: least(|l| l.overlay, default::OVERLAY),
        }
    }
}

/// Refuses an environment's limits that go beyond the hard maxima, or leave nothing to run with.
pub(super) fn check_environment(limits: &Limits) -> Result<(), Refusal> {
    for (name, field) in named() {
        let (Some(value), Some(most)) = (field(limits), field(&HARD_MAXIMA)) else { continue };
        if value > most {
            return Err(Refusal(format!("`{name}` is {value}, and no environment may allow more than {most}")));
        }
        // Without children a check still works; without any of the others nothing does.
        let may_be_none = ["children", "log-lines", "output", "table-entries", "child-file"];
        if value == 0 && !may_be_none.contains(&name) {
            return Err(Refusal(format!("`{name}` is 0, with which no module can run")));
        }
    }
    Ok(())
}

type Field = fn(&Limits) -> Option<u64>;

/// Every field by its name in files.
pub(super) fn named() -> [(&'static str, Field); 11] {
    [
        ("wall-ms", |l| l.wall_ms),
        ("cpu-ms", |l| l.cpu_ms),
        ("memory", |l| l.memory),
        ("host-calls", |l| l.host_calls),
        ("output", |l| l.output),
        ("log-lines", |l| l.log_lines),
        ("children", |l| l.children),
        ("table-entries", |l| l.table_entries),
        ("child-memory", |l| l.child_memory),
        ("child-file", |l| l.child_file),
        ("overlay", |l| l.overlay),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_hold_where_nobody_says_anything() {
        let none = Limits::default();
        let limits = EffectiveLimits::of(&none, &none, &none);
        assert_eq!((limits.wall, limits.cpu), (Duration::from_secs(60), Duration::from_secs(5)));
        assert_eq!((limits.memory, limits.host_calls, limits.children), (64 << 20, 10_000, 64));
        assert_eq!(
            (limits.output, limits.log_lines, limits.log_bytes, limits.table_entries),
            (1 << 20, 1_000, 256 << 10, 10_000)
        );
    }

    #[test]
    fn only_the_environment_raises_and_only_so_far() {
        let wall = |ms| Limits { wall_ms: Some(ms), ..Limits::default() };
        let none = Limits::default();
        let of = |m: &Limits, g: &Limits, e: &Limits| EffectiveLimits::of(m, g, e).wall.as_millis();
        assert_eq!(of(&wall(600_000), &none, &none), 60_000);
        assert_eq!(of(&none, &wall(600_000), &none), 60_000);
        assert_eq!(of(&wall(600_000), &none, &wall(300_000)), 300_000);
        assert_eq!(of(&wall(100), &wall(200), &wall(300_000)), 100);
        assert_eq!(of(&none, &none, &wall(u64::MAX)), 3_600_000);
        assert!(check_environment(&wall(3_600_001)).is_err());
        assert!(check_environment(&wall(0)).is_err());
        assert!(check_environment(&wall(3_600_000)).is_ok());
    }
}
