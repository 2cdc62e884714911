//! Fault injection: dies at a named point, as by `kill -9`, to prove that recovery works from there.
//!
//! Without the cargo feature `faults` nothing of it is compiled. With it, `FOIL_FAULT=name:N` makes the process kill itself
//! when it passes the point `name` for the N-th time; with `FOIL_FAULT=name:N:panic` it panics there, as a library may. The state of the disk is then what a crash of Foil (not of the
//! machine) leaves.

/// Every point, in the order in which a run passes them. `effect.*` and `exec.*` belong to the capabilities.
pub const POINTS: &[&str] = &[
    "begin.before",
    "begin.locked",
    "begin.after",
    "intend.before",
    "intend.before-commit",
    "intend.after-commit",
    "effect.before",
    "effect.after",
    "applied.before",
    "applied.after",
    "refused.before",
    "refused.after",
    "undo.start",
    "undo.started",
    "undo.step.before",
    "undo.restore.marked",
    "undo.restore.half",
    "undo.restore.written",
    "undo.restore.before-times",
    "undo.recreate.staged",
    "undo.recreate.linked",
    "undo.remove.before",
    "undo.remove.after",
    "undo.scratch.half",
    "undo.kube.before",
    "undo.kube.after",
    "undo.verify.before",
    "undo.step.after",
    "undo.marks.before",
    "undo.marks.before-commit",
    "undo.marks.after-commit",
    "purge.before",
    "purge.after",
    "finish.before",
    "finish.after",
];

/// Here the process may die, where the feature is on and `FOIL_FAULT` says so.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub fn point(_name: &'static str) {}

/// Here the process may die, where the feature is on and `FOIL_FAULT` says so.
#[cfg(feature = "faults")]
pub fn point(name: &'static str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    static WANTED: OnceLock<Option<(String, u64, bool)>> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);
    debug_assert!(POINTS.contains(&name), "fault point {name} is not in POINTS");
    let wanted = WANTED.get_or_init(|| {
        let text = std::env::var("FOIL_FAULT").ok()?;
        let (name, count) = text.split_once(':').unwrap_or((&text, "1"));
        let (count, how) = count.split_once(':').unwrap_or((count, ""));
        Some((name.to_string(), count.parse().unwrap_or(1), how == "panic"))
    });
    if let Some((wanted, count, panic)) = wanted
        && wanted == name
        && PASSED.fetch_add(1, Ordering::SeqCst).saturating_add(1) == *count
    {
        if *panic {
            #[allow(clippy::panic, reason = "a test asked for it")]
            std::panic::panic_any("a secret of a library");
        }
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        loop {
            std::thread::park();
        }
    }
}
