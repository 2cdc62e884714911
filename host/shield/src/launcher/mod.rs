//! The launcher: one small process per `foil`, started before any engine exists, that forks an init per run.
//!
//! It is single-threaded and has few pages, so that a fork is cheap and safe. It exists for cost and certainty, not as a
//! privilege boundary: it runs as whoever runs Foil. It ends when its socket does, that is, when `foil` is gone by
//! whatever means, and takes every run with it.

pub(crate) mod cgroup;
mod spawn;

use super::init::{Reach, tree};
use super::protocol::{OpenRun, Reply};
use super::wire;
use cgroup::Cgroup;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, poll};
use spawn::Lifeline;
use std::collections::HashMap;
use std::io::Write as _;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The argument that makes `foil` a launcher.
pub const ARGUMENT: &str = "__launcher";
/// The launcher's short name.
pub const NAME: &str = "foil-launcher";

/// Serves as the launcher where the command line says so; to be called before anything else looks at it.
///
/// The socket to the host is standard input. Whoever starts this by hand gets no more than what they could do anyway.
pub fn maybe_serve() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    if args.next()? != ARGUMENT || args.next().is_some() {
        return None;
    }
    let socket = std::io::stdin().as_fd().try_clone_to_owned();
    let socket = socket.and_then(|fd| rustix::net::sockopt::socket_type(&fd).map(|_| fd).map_err(Into::into));
    Some(match socket {
        Ok(socket) => serve(socket),
        Err(_) => {
            say(format_args!("foil: `{ARGUMENT}` is not for use by hand: it is how foil starts its launcher"));
            ExitCode::from(2)
        }
    })
}

/// How long after a run began or ended the next one is likely to begin: experiments one after another. So long the launcher keeps the
/// kernel prepared to hold it.
const NEXT_RUN: Duration = Duration::from_millis(100);

/// A run as the launcher knows it.
#[derive(Debug)]
struct Run {
    /// The socket end on which births are told: the host sees it end when the launcher lets go of it, and knows then that
    /// init has been reaped and all is gone.
    births: OwnedFd,
    cgroup: Option<Cgroup>,
    reach: Reach,
}

/// The launcher's life.
pub fn serve(socket: OwnedFd) -> ExitCode {
    match Launcher::prepare(socket) {
        Ok(mut launcher) => {
            launcher.until_host_is_gone();
            launcher.kill_everything();
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(format_args!("foil: the launcher cannot start: {error}"));
            ExitCode::FAILURE
        }
    }
}

struct Launcher {
    socket: OwnedFd,
    signals: SignalFd,
    lifeline: Lifeline,
    runs: HashMap<i32, Run>,
    /// The process of [`cgroup::prepare`], which makes no others.
    preparing: Option<i32>,
    /// When a run that a cgroup holds last began or ended, or the launcher did begin, which the first run follows.
    held_last: Option<Instant>,
}

impl Launcher {
    fn prepare(socket: OwnedFd) -> std::io::Result<Self> {
        use std::os::fd::AsRawFd;
        // Whatever foil's own parent left open is not for children.
        super::steps::descriptors::close_others(&[socket.as_raw_fd()])?;
        super::steps::descriptors::null_input_output()?;
        // A session of its own: a Ctrl-C at the terminal is foil's to handle, and children get no terminal.
        rustix::process::setsid()?;
        // Nor does it keep a file system busy.
        rustix::process::chdir("/")?;
        super::init::name_thread(NAME)?;
        // The inits' orphans, should an init be killed, come here to be killed too.
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGCHLD);
        mask.thread_block()?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let preparing = cgroup::prepare();
        let held_last = preparing.map(|_| Instant::now());
        cgroup::sweep();
        Ok(Self { socket, signals, lifeline: Lifeline::new()?, runs: HashMap::new(), preparing, held_last })
    }

    fn until_host_is_gone(&mut self) {
        loop {
            let mut fds = [PollFd::new(&self.socket, PollFlags::IN), PollFd::new(&self.signals, PollFlags::IN)];
            let more = self.held_last.is_some_and(|at| at.elapsed() < NEXT_RUN);
            match poll(&mut fds, more.then_some(&cgroup::STAYS_READY)) {
                Ok(0) => cgroup::stay_ready(),
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(_) => return,
            }
            let (asked, died) = (!fds[0].revents().is_empty(), !fds[1].revents().is_empty());
            if died {
                while let Ok(Some(_)) = self.signals.read_signal() {}
                self.reap();
            }
            if asked {
                match wire::receive::<OpenRun>(&self.socket) {
                    Ok(Some(parcel)) => self.open(parcel),
                    // A message that cannot be read is the host's fault; its run's sockets close, which tells it.
                    Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {}
                    Ok(None) | Err(_) => return,
                }
            }
        }
    }

    fn open(&mut self, parcel: wire::Parcel<OpenRun>) {
        let mut fds = parcel.fds.into_iter();
        let (Some(run), Some(births)) = (fds.next(), fds.next()) else { return };
        match spawn::start(&parcel.message.spec, &run, &births, &self.lifeline) {
            Ok(spawn::Started { pid, cgroup, reach }) => {
                self.held_last = cgroup.as_ref().map(|_| Instant::now()).or(self.held_last);
                self.runs.insert(pid, Run { births, cgroup, reach });
            }
            Err(reason) => {
                // The host waits on this socket; where it is gone meanwhile, there is nobody to tell.
                let _ = wire::send(&run, &Reply::Unavailable(reason), &[]);
            }
        }
    }

    /// Collects dead inits, and orphans of inits: where an init without a pid namespace was killed, its children are
    /// ours now, and are killed. Until there is nobody left to collect, since other inits end meanwhile.
    fn reap(&mut self) {
        let mut dead = Vec::new();
        tree::reap(|pid, _| dead.push(pid));
        while self.bury(&dead) {
            dead.clear();
            let inits: Vec<i32> = self.runs.keys().copied().collect();
            tree::kill_orphans(&inits, |pid, _| dead.push(pid));
        }
    }

    /// Lets go of the runs of these inits. Whether there may be orphans.
    fn bury(&mut self, dead: &[i32]) -> bool {
        let mut orphans = false;
        for pid in dead {
            match self.runs.remove(pid) {
                Some(run) => {
                    orphans |= run.reach == Reach::Descendants;
                    self.held_last = run.cgroup.as_ref().map(|_| Instant::now()).or(self.held_last);
                    forget(run);
                }
                None if self.preparing == Some(*pid) => self.preparing = None,
                None => orphans = true,
            }
        }
        orphans
    }

    fn kill_everything(&mut self) {
        let namespaces = self.runs.iter().filter(|(_, run)| run.reach == Reach::Namespace);
        tree::end_inits(&namespaces.map(|(pid, _)| *pid).collect::<Vec<_>>());
        // Who has no child has no descendants: orphans come to the launcher, the nearest subreaper.
        if tree::any_child() {
            Reach::Descendants.kill_all(|_, _| {});
        }
        for (_, run) in self.runs.drain() {
            forget(run);
        }
    }
}

/// Lets go of a run whose init has been reaped.
fn forget(run: Run) {
    if let Some(cgroup) = run.cgroup {
        cgroup.remove();
    }
    drop(run.births);
}

/// A line on standard error, where there is anybody to read it.
fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
