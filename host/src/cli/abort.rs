//! `foil abort`: stops every live run on this machine that uses this state folder, then cleans up.

use super::{Exit, Format, Global, cleanup};
use crate::console::{err, out};
use foil_journal::Journal;
use foil_text::RunId;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Seconds that each foil has to clean up after itself before it is killed
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=3600))]
    wait: u64,
}

/// Seconds after SIGKILL in which a lock must have come free; a process in uninterruptible sleep may hold on longer.
const AFTER_KILL: Duration = Duration::from_secs(5);

pub(super) fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let journal = cleanup::open(global)?;
    let say = |words: String| match global.format {
        Format::Text => out!("{words}"),
        // Standard output is the report's alone.
        Format::Json => err!("{words}"),
    };
    let asked = signal(&journal, Signal::TERM, &say)?;
    if !wait(&journal, &asked, Duration::from_secs(args.wait))? {
        let killed = signal(&journal, Signal::KILL, &say)?;
        wait(&journal, &killed, AFTER_KILL)?;
    }
    let exit = cleanup::clean(&journal, global.format)?;
    let left = journal.live()?;
    let holders = journal.holders(&left);
    for run in &left {
        let who =
            holders.get(run).map_or("a process that cannot be seen from here".into(), |pid| format!("process {pid}"));
        err!("foil: run {run} is still alive ({who}): it could not be stopped from here");
    }
    Ok(if left.is_empty() { exit } else { Exit::Residue })
}

/// Signals each process that holds a live run's lock, once. Returns the runs whose processes were signalled.
fn signal(journal: &Journal, signal: Signal, say: &dyn Fn(String)) -> anyhow::Result<BTreeSet<RunId>> {
    let live = journal.live()?;
    let holders = journal.holders(&live);
    for run in live.iter().filter(|run| !holders.contains_key(run)) {
        say(format!(
            "{run}: the process that holds its lock cannot be seen from here (another namespace?); not signalled"
        ));
    }
    let mut runs: BTreeMap<u32, Vec<RunId>> = BTreeMap::new();
    for (run, pid) in holders.into_iter().filter(|(_, pid)| *pid != std::process::id()) {
        runs.entry(pid).or_default().push(run);
    }
    let mut signalled = BTreeSet::new();
    for (pid, runs) in runs {
        let Some(process) = open(pid) else { continue };
        // After the process is held by its descriptor: the id cannot pass to another one between the look and the signal.
        if !journal.holds(pid, &runs) {
            continue;
        }
        let which = runs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match pidfd_send_signal(&process, signal) {
            Ok(()) => {
                let how = if signal == Signal::KILL { "killed" } else { "asked to stop" };
                say(format!("{which}: process {pid} {how}"));
                signalled.extend(runs);
            }
            Err(e) => say(format!("{which}: process {pid} cannot be signalled: {e}")),
        }
    }
    Ok(signalled)
}

fn open(pid: u32) -> Option<OwnedFd> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

/// Waits until nobody holds these runs' locks. False: the time is up.
fn wait(journal: &Journal, runs: &BTreeSet<RunId>, longest: Duration) -> anyhow::Result<bool> {
    let until = Instant::now() + longest;
    loop {
        // The lock tells, not the process: one that is dying has closed its descriptors before the kernel lets go of it.
        if !journal.live()?.iter().any(|run| runs.contains(run)) {
            return Ok(true);
        }
        if Instant::now() >= until {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
