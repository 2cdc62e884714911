//! The host's side: the launcher's handle, and a run's.

mod births;
mod environment;
mod output;
mod run;

pub use run::ShieldedRun;

use super::api::{RunSpec, ShieldError};
use super::protocol::OpenRun;
use super::{launcher, wire};
use anyhow::Context as _;
use foil_manifest::ShieldLevel;
use foil_text::Shown as _;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long the last handle waits for the launcher to have killed everything.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long an order to open a run may wait for the launcher to take earlier ones.
const QUEUE: Duration = Duration::from_secs(30);

/// The handle to the launcher: one small process, started before any engine exists. Dropping the last clone, or dying,
/// kills every run.
#[derive(Debug, Clone)]
pub struct Launcher {
    process: Arc<Process>,
}

#[derive(Debug)]
struct Process {
    /// `None` once it is closed, which tells the launcher to end.
    socket: Option<OwnedFd>,
    child: Mutex<Child>,
}

impl Launcher {
    /// Starts the launcher: this program again, as `foil __launcher`. Call it first in `main`, before any thread exists.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with(Path::new("/proc/self/exe"))
    }

    /// As [`start`](Self::start), with another `foil` than the running program: for tests, whose program is another.
    pub fn start_with(exe: &Path) -> anyhow::Result<Self> {
        let (ours, theirs) = wire::pair().context("no socket for the launcher")?;
        rustix::io::ioctl_fionbio(&ours, true).context("the launcher's socket cannot be made non-blocking")?;
        let child = Command::new(exe)
            .arg(launcher::ARGUMENT)
            .env_clear()
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("the launcher cannot be started from {}", exe.shown()))?;
        Ok(Self { process: Arc::new(Process { socket: Some(ours), child: Mutex::new(child) }) })
    }

    /// What `foil __launcher` does; never returns to the command line.
    pub fn serve(socket: OwnedFd) -> ExitCode {
        launcher::serve(socket)
    }

    /// Sets up a run's shield and its init.
    ///
    /// `Unavailable` where this machine or user cannot have the level; never another level instead. What a level lacks
    /// on this machine without being another one is in [`ShieldedRun::gaps`].
    pub async fn open(&self, spec: RunSpec) -> Result<ShieldedRun, ShieldError> {
        check(&spec)?;
        let sockets = Sockets::new().map_err(|error| ShieldError::Lost(format!("no sockets for the run: {error}")))?;
        let order = OpenRun { spec: spec.clone() };
        let began = Instant::now();
        loop {
            let socket =
                self.process.socket.as_ref().ok_or_else(|| ShieldError::Lost("the launcher was ended".into()))?;
            match wire::send(socket, &order, &[sockets.run.1.as_fd(), sockets.births.1.as_fd()]) {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && began.elapsed() < QUEUE => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(error) => return Err(ShieldError::Lost(format!("the launcher does not answer: {error}"))),
            }
        }
        // Our copies of init's ends go, so that we see the end of init.
        drop((sockets.run.1, sockets.births.1));
        ShieldedRun::greet(spec, sockets.run.0, sockets.births.0).await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.socket.take());
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        let began = Instant::now();
        while began.elapsed() < FAREWELL && matches!(child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The two socket pairs of a run, our ends first: non-blocking, and asking the kernel for the sender's pid.
struct Sockets {
    run: (OwnedFd, OwnedFd),
    births: (OwnedFd, OwnedFd),
}

impl Sockets {
    fn new() -> io::Result<Self> {
        let sockets = Self { run: wire::pair()?, births: wire::pair()? };
        for ours in [&sockets.run.0, &sockets.births.0] {
            rustix::net::sockopt::set_socket_passcred(ours, true)?;
            rustix::io::ioctl_fionbio(ours, true)?;
        }
        Ok(sockets)
    }
}

/// What can be told without asking the launcher.
fn check(spec: &RunSpec) -> Result<(), ShieldError> {
    let unavailable = |reason: &str| Err(ShieldError::Unavailable { level: spec.level, reason: reason.into() });
    let user = rustix::process::geteuid();
    if spec.level == ShieldLevel::Overlay && !user.is_root() {
        return unavailable("an overlay needs root; run foil as root, or choose `confined`");
    }
    if let Some(identity) = &spec.identity
        && !user.is_root()
        && identity.uid != user.as_raw()
    {
        return unavailable("only root can run children as somebody else; run foil as root, or without `run-as`");
    }
    let paths = spec.reads.iter().chain(&spec.writes);
    if let Some(path) = paths.clone().find(|path| !path.starts_with('/') || path.contains('\0')) {
        return Err(ShieldError::Invalid(format!("{path:?} is no absolute path")));
    }
    Ok(())
}
