//! `foil abort`: stops every live run on this machine that uses this state folder, then cleans up.

use super::{Exit, Format, Global, cleanup};
use crate::console::{err, out};
use crate::journal::{Journal, LiveRun};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::collections::BTreeSet;
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
    let asked = signal(&journal.live()?, Signal::TERM, &say);
    if !wait(&journal, &asked, Duration::from_secs(args.wait))? {
        let killed = signal(&journal.live()?, Signal::KILL, &say);
        wait(&journal, &killed, AFTER_KILL)?;
    }
    let exit = cleanup::clean(&journal, global.format)?;
    let left = journal.live()?;
    for live in &left {
        let who = live.pid.map_or("a process that has not said its id".into(), |pid| format!("process {pid}"));
        err!("foil: run {} is still alive ({who}): it could not be stopped from here", live.run);
    }
    Ok(if left.is_empty() { exit } else { Exit::Residue })
}

/// Signals each process that holds one of these runs' locks, once. Returns those that were signalled.
fn signal(live: &[LiveRun], signal: Signal, say: &dyn Fn(String)) -> BTreeSet<u32> {
    let mut done = BTreeSet::new();
    for run in live {
        let Some(pid) = run.pid else { continue };
        if done.contains(&pid) || pid == std::process::id() {
            continue;
        }
        let Some(process) = open(pid) else { continue };
        // After the process is held by its descriptor: the id cannot pass to another one between the look and the signal.
        if !run.holds(pid) {
            say(format!("{}: process {pid} of its lock does not hold it (another namespace?); not signalled", run.run));
            continue;
        }
        match pidfd_send_signal(&process, signal) {
            Ok(()) => {
                let how = if signal == Signal::KILL { "killed" } else { "asked to stop" };
                say(format!("{}: process {pid} {how}", run.run));
                done.insert(pid);
            }
            Err(e) => say(format!("{}: process {pid} cannot be signalled: {e}", run.run)),
        }
    }
    done
}

fn open(pid: u32) -> Option<OwnedFd> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

/// Waits until none of these processes holds a lock. False: the time is up.
fn wait(journal: &Journal, pids: &BTreeSet<u32>, longest: Duration) -> anyhow::Result<bool> {
    let until = Instant::now() + longest;
    loop {
        // The lock tells, not the process: one that is dying has closed its descriptors before the kernel lets go of it.
        if !journal.live()?.iter().any(|l| l.pid.is_some_and(|pid| pids.contains(&pid))) {
            return Ok(true);
        }
        if Instant::now() >= until {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
