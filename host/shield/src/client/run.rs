//! A run's handle: orders to its init, and what comes back.

use super::births::Births;
use super::environment;
use super::output::Capture;
use crate::api::{BirthLog, Bound, Ending, ExecOutcome, ExecRequest, RunSpec, ShieldError, Tree};
use crate::file_op::{FileFailure, FileOp};
use crate::init::birth;
use crate::protocol::{Ended, ExecOrder, Order, Reply};
use crate::scene::Scene;
use crate::wire;
use foil_manifest::{Network, ShieldLevel};
use foil_safe_path::Fingerprint;
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Mutex;

/// Init kills at a time-out. Where it does not answer this much later, it is lost (in `open` a child can stop it).
const GRACE: Duration = Duration::from_secs(10);
/// Namespaces and mounts take milliseconds; a file system that does not answer may take for ever.
const SET_UP: Duration = Duration::from_secs(60);
/// A look ends itself; a child may stop the process that does it.
const LOOK: Duration = Duration::from_secs(30);
/// After the direct child's end, others that hold its output get this long to finish (the tail of a pipeline).
const TAIL: Duration = Duration::from_millis(100);

/// A run's shield. Dropping it kills all that is in it.
#[derive(Debug)]
pub struct ShieldedRun {
    level: ShieldLevel,
    network: Network,
    output: u64,
    owner: Option<(u32, u32)>,
    scratch: String,
    environment: Vec<(String, String)>,
    gaps: Vec<String>,
    /// What write grants are bound to, by path.
    writes: HashMap<String, Bound>,
    init: u32,
    socket: AsyncFd<OwnedFd>,
    births: Arc<Births>,
    /// Held while a call waits for its answer: init serves one at a time.
    turn: Mutex<()>,
    calls: AtomicU64,
}

impl ShieldedRun {
    /// Waits until init says that the shield stands.
    pub(super) async fn greet(spec: RunSpec, socket: OwnedFd, births: OwnedFd) -> Result<Self, ShieldError> {
        let level = spec.level;
        let socket = watched(socket)?;
        let first = tokio::time::timeout(SET_UP, receive(&socket)).await;
        let first = first.map_err(|_| ShieldError::Lost(format!("it was not set up within {SET_UP:?}")))??;
        let (gaps, writes, init) = match first.message {
            Reply::Ready { gaps, writes } => (gaps, writes, first.pid.unwrap_or(0)),
            Reply::Unavailable(reason) => return Err(ShieldError::Unavailable { level, reason }),
            other => return Err(ShieldError::Lost(format!("init began with {other:?}"))),
        };
        Ok(Self {
            level,
            network: spec.network,
            output: spec.limits.output,
            owner: spec.identity.as_ref().map(|identity| (identity.uid, identity.gid)),
            scratch: spec.scratch.to_string_lossy().into_owned(),
            environment: environment::base(&spec),
            gaps,
            writes: writes.into_iter().collect(),
            init,
            socket,
            births: Arc::new(Births::new(births, init)),
            turn: Mutex::new(()),
            calls: AtomicU64::new(1),
        })
    }

    /// Starts a program and waits for it. Calls of one run are served one after the other.
    ///
    /// At the time-out every process of the run is killed, not only the program's descendants: a daemon that another
    /// call left and one that this call made cannot be told apart once they are orphans. The same where the future is
    /// dropped before its end.
    pub async fn exec(&self, request: ExecRequest) -> Result<ExecOutcome, ShieldError> {
        check(&request)?;
        let env = environment::with(&self.environment, &request.env).map_err(ShieldError::Invalid)?;
        let _turn = self.turn.lock().await;
        let id = self.calls.fetch_add(1, Ordering::Relaxed);
        let no_pipe =
            |error: io::Error| ShieldError::Lost(format!("no pipe for the output of {}: {error}", request.program));
        let (mut stdout, out) = Capture::new(self.output).map_err(no_pipe)?;
        let (mut stderr, err) = Capture::new(self.output).map_err(no_pipe)?;
        if let Some((uid, gid)) = self.owner {
            // Else a program that opens /dev/stdout by name is refused by its mode.
            for end in [&out, &err] {
                let ids = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
                let _ = rustix::fs::fchown(end, Some(ids.0), Some(ids.1));
            }
        }
        let stdin = (!request.stdin.is_empty()).then(|| wire::memory(&request.stdin)).transpose().map_err(no_pipe)?;
        let order = Order::Exec(ExecOrder {
            id,
            program: request.program.clone(),
            args: request.args,
            env,
            cwd: request.cwd.unwrap_or_else(|| self.scratch.clone()),
            timeout_ms: request.timeout.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            stdin: stdin.is_some(),
        });
        let fds: Vec<BorrowedFd<'_>> =
            [Some(&out), Some(&err), stdin.as_ref()].into_iter().flatten().map(|fd| fd.as_fd()).collect();
        self.send(&order, &fds).await?;
        let mut guard = KillUnlessDone { socket: &self.socket, armed: true };
        drop((out, err, stdin));
        let reply = {
            let answer = self.answer(id);
            tokio::pin!(answer);
            let end = request.timeout.map(|time| tokio::time::Instant::now() + time + GRACE);
            loop {
                tokio::select! {
                    reply = &mut answer => break reply?,
                    () = stdout.more(), if !stdout.ended => {}
                    () = stderr.more(), if !stderr.ended => {}
                    () = until(end) => return Err(ShieldError::Lost("init does not answer".into())),
                }
            }
        };
        guard.armed = false;
        let (how, started, took) = match reply {
            Reply::Ended { how, started, took, .. } => (how, started, took),
            Reply::NotStarted { reason, missing, shield, .. } => {
                self.births.forget(id);
                return Err(ShieldError::NotStarted { program: request.program, reason, missing, shield });
            }
            Reply::GrantChanged { path, why, .. } => {
                self.births.forget(id);
                return Err(ShieldError::GrantChanged { path, why });
            }
            other => return Err(ShieldError::Lost(format!("init answered a start with {other:?}"))),
        };
        let birth = self.births.of(id);
        finish(&mut stdout, &mut stderr).await;
        let ending = match how {
            Ended::Exited(status) => Ending::Exited(status),
            Ended::Signalled(signal) => Ending::Signalled(signal),
            Ended::TimedOut => Ending::TimedOut,
            Ended::TooMany(limit) => {
                return Err(ShieldError::Limit(format!(
                    "{} and its descendants were killed: the run had more than {limit} processes",
                    request.program
                )));
            }
        };
        let outcome = ExecOutcome {
            ending,
            stdout: std::mem::take(&mut stdout.kept),
            stderr: std::mem::take(&mut stderr.kept),
            stdout_dropped: stdout.dropped,
            stderr_dropped: stderr.dropped,
            pid: birth.map_or(0, |birth| birth.pid),
            // Init knows when it began to set the child up; the child, when it became its program.
            started: birth.map_or(started, |birth| birth.at),
            duration: Duration::from_nanos(took),
        };
        for stream in [stdout, stderr] {
            // A daemon holds it: a closed pipe would kill it at its next word.
            if !stream.ended {
                tokio::spawn(stream.discard());
            }
        }
        Ok(outcome)
    }

    /// Performs a file effect with the run's identity; the answer says what is there now (`None`: nothing).
    pub async fn file(&self, op: FileOp) -> Result<Result<Option<Fingerprint>, FileFailure>, ShieldError> {
        let (op, content) = split(op);
        let content = content
            .map(|bytes| wire::memory(&bytes))
            .transpose()
            .map_err(|error| ShieldError::Lost(format!("no memory for the content: {error}")))?;
        let fds: Vec<_> = content.iter().map(AsFd::as_fd).collect();
        match self.call(|id| Order::File { id, op }, &fds).await? {
            Reply::File { result, .. } => Ok(result),
            other => Err(ShieldError::Lost(format!("init answered a file effect with {other:?}"))),
        }
    }

    /// Serves bytes on the run's own loopback until the phase ends; returns the URL.
    pub async fn publish(&self, path: String, body: Vec<u8>) -> Result<String, ShieldError> {
        if self.network != Network::Loopback || self.level == ShieldLevel::Open {
            return Err(ShieldError::Unavailable {
                level: self.level,
                reason: "a web server of the run needs a network of its own; this run uses the machine's".into(),
            });
        }
        let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#');
        if !path.starts_with('/') || !path.bytes().all(plain) {
            return Err(ShieldError::Invalid(format!(
                "{path:?} is no path of a URL: it begins with `/` and has no spaces"
            )));
        }
        let body =
            wire::memory(&body).map_err(|error| ShieldError::Lost(format!("no memory for the content: {error}")))?;
        let served = path.clone();
        match self.call(|id| Order::Publish { id, path: served }, &[body.as_fd()]).await? {
            Reply::Published { result: Ok(port), .. } => Ok(format!("http://127.0.0.1:{port}{path}")),
            Reply::Published { result: Err(reason), .. } => Err(ShieldError::Unavailable { level: self.level, reason }),
            other => Err(ShieldError::Lost(format!("init answered a publication with {other:?}"))),
        }
    }

    /// Looks at what children have made of the overlay and what of theirs lives in it; two such looks are compared by
    /// [`Scene::left`]. Reads files that changed, `/etc/passwd` and `group`, and `shadow` where it changed, which a
    /// sensor may see.
    pub async fn look(&self) -> Result<Scene, ShieldError> {
        if self.level != ShieldLevel::Overlay {
            return Err(ShieldError::Unseen(format!(
                "in `{}` children share the machine's files with everybody; only an overlay can tell. Use the shield `overlay`",
                self.level
            )));
        }
        let looked = tokio::time::timeout(LOOK, self.call(|id| Order::Look { id }, &[])).await;
        match looked.map_err(|_| ShieldError::Unseen(format!("the look did not end within {LOOK:?}")))?? {
            Reply::Looked { result, .. } => result.map_err(ShieldError::Unseen),
            other => Err(ShieldError::Lost(format!("init answered a look with {other:?}"))),
        }
    }

    /// Kills every process of the run but its init, daemons too, and waits until they are gone. Returns how many were alive.
    ///
    /// A call that still waits for a program ends at once: its program was killed.
    pub async fn end_phase(&self) -> Result<u32, ShieldError> {
        // Not in turn: it must end the turn of a program that runs.
        let _ = wire::send(self.socket.get_ref(), &Order::KillAll { ending: true }, &[]);
        match self.call(|id| Order::EndPhase { id }, &[]).await? {
            Reply::PhaseEnded { killed, left, .. } if left.is_empty() => Ok(killed),
            Reply::PhaseEnded { left, .. } => Err(ShieldError::Lost(format!(
                "these processes became another user's and cannot be killed by this one: {left:?}"
            ))),
            other => Err(ShieldError::Lost(format!("init answered the end of a phase with {other:?}"))),
        }
    }

    /// The run's process tree so far. The processes that perform file effects are among its children.
    pub fn tree(&self) -> Tree {
        self.births.tree()
    }

    /// Where births are read from now on. Does not keep the shield alive.
    pub fn births(&self) -> Weak<dyn BirthLog> {
        let births: Weak<Births> = Arc::downgrade(&self.births);
        births
    }

    /// The folder under which the run's own view of the file system is found: `/`, or `/proc/PID/root` for an overlay.
    pub fn view(&self) -> PathBuf {
        match self.level {
            ShieldLevel::Overlay => PathBuf::from(format!("/proc/{}/root", self.init)),
            ShieldLevel::Confined | ShieldLevel::Open => PathBuf::from("/"),
        }
    }

    /// What this machine or user could not give of the level, in sentences: it is the level still, but says less.
    pub fn gaps(&self) -> &[String] {
        &self.gaps
    }

    /// What a write grant was bound to when the run began. `None`: the level binds no grants, or there is no such grant.
    pub fn bound(&self, path: &str) -> Option<&Bound> {
        self.writes.get(path)
    }

    /// Kills everything and waits until the namespace is gone.
    pub async fn close(self) -> Result<(), ShieldError> {
        let told = self.send(&Order::Close, &[]).await;
        drop(self.socket);
        let ended = async {
            let gone = |error: io::Error| ShieldError::Lost(format!("its births cannot be heard: {error}"));
            let births = watched(self.births.socket().map_err(gone)?)?;
            let mut rest = [0; birth::LENGTH];
            let flags = nix::sys::socket::MsgFlags::MSG_DONTWAIT;
            while let Ok(Some(_)) =
                births.async_io(Interest::READABLE, |fd| wire::receive_raw(fd.as_fd(), &mut rest, flags)).await
            {
            }
            Ok(())
        };
        match tokio::time::timeout(GRACE, ended).await {
            Ok(ended) => ended,
            Err(_) => told.and(Err(ShieldError::Lost("its processes do not end".into()))),
        }
    }

    /// One order and its answer.
    async fn call(&self, order: impl FnOnce(u64) -> Order, fds: &[BorrowedFd<'_>]) -> Result<Reply, ShieldError> {
        let _turn = self.turn.lock().await;
        let id = self.calls.fetch_add(1, Ordering::Relaxed);
        self.send(&order(id), fds).await?;
        self.answer(id).await
    }

    async fn send(&self, order: &Order, fds: &[BorrowedFd<'_>]) -> Result<(), ShieldError> {
        let sent = self.socket.async_io(Interest::WRITABLE, |fd| wire::send(fd, order, fds)).await;
        sent.map_err(|error| ShieldError::Lost(format!("init does not listen: {error}")))
    }

    /// The answer to this call. Those to calls that nobody waits for any more are thrown away.
    async fn answer(&self, id: u64) -> Result<Reply, ShieldError> {
        loop {
            let reply = receive(&self.socket).await?.message;
            if reply.id() == Some(id) {
                return Ok(reply);
            }
        }
    }
}

/// Has the runtime watch a socket.
fn watched(socket: OwnedFd) -> Result<AsyncFd<OwnedFd>, ShieldError> {
    // SAFETY: the descriptor is owned, and so closed only with the value that watches it.
    unsafe { AsyncFd::register(socket) }.map_err(|error| ShieldError::Lost(format!("the run's socket: {error}")))
}

async fn receive(socket: &AsyncFd<OwnedFd>) -> Result<wire::Parcel<Reply>, ShieldError> {
    match socket.async_io(Interest::READABLE, |fd| wire::receive::<Reply>(fd)).await {
        Ok(Some(parcel)) => Ok(parcel),
        Ok(None) => Err(ShieldError::Lost("its init has ended".into())),
        Err(error) => Err(ShieldError::Lost(format!("its init cannot be understood: {error}"))),
    }
}

/// Kills the run's processes when the future that waits for one of them is dropped.
struct KillUnlessDone<'a> {
    socket: &'a AsyncFd<OwnedFd>,
    armed: bool,
}

impl Drop for KillUnlessDone<'_> {
    fn drop(&mut self) {
        if self.armed && wire::send(self.socket.get_ref(), &Order::KillAll { ending: false }, &[]).is_err() {
            // Init does not listen. Its end of the socket ending is an order, too.
            let _ = rustix::net::shutdown(self.socket.get_ref(), rustix::net::Shutdown::Both);
        }
    }
}

/// Takes what is left of the output of a child that has ended: first all that it wrote itself, which is in the pipes by now,
/// however long it takes; then, for a moment, what others write who hold them as well.
async fn finish(stdout: &mut Capture, stderr: &mut Capture) {
    stdout.rest();
    stderr.rest();
    let end = tokio::time::Instant::now() + TAIL;
    while !(stdout.ended && stderr.ended) {
        tokio::select! {
            () = stdout.more(), if !stdout.ended => {}
            () = stderr.more(), if !stderr.ended => {}
            () = until(Some(end)) => break,
        }
    }
    // Both may have been due at once.
    stdout.rest();
    stderr.rest();
}

async fn until(end: Option<tokio::time::Instant>) {
    match end {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}

fn check(request: &ExecRequest) -> Result<(), ShieldError> {
    let invalid = |text: String| Err(ShieldError::Invalid(text));
    if !request.program.starts_with('/') {
        return invalid(format!("{:?} is no absolute path of a program", request.program));
    }
    if request.cwd.as_ref().is_some_and(|cwd| !cwd.starts_with('/')) {
        return invalid(format!("{:?} is no absolute path of a working directory", request.cwd));
    }
    let words = [Some(&request.program), request.cwd.as_ref()].into_iter().flatten().chain(&request.args);
    if words.chain(request.env.iter().flat_map(|(name, value)| [name, value])).any(|word| word.contains('\0')) {
        return invalid("a program's path, arguments and environment cannot hold a NUL byte".into());
    }
    Ok(())
}

/// The content travels apart: as JSON it would be four times as long.
fn split(mut op: FileOp) -> (FileOp, Option<Vec<u8>>) {
    let content = match &mut op {
        FileOp::Create { content, .. } | FileOp::Write { content, .. } => Some(std::mem::take(content)),
        FileOp::Remove { .. } | FileOp::CreateDirectory { .. } => None,
    };
    (op, content)
}
