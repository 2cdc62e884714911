//! Init's service: one loop over orders, deaths, deadlines and the ends of those it lives for.

use super::setup::Shielded;
use super::stem::{Lost, Refused, Step, Strings};
use super::tree::{self, Death};
use super::web::Web;
use super::{Birth, birth, file_effect, helper, look};
use crate::protocol::{Ended, ExecOrder, Order, Reply};
use crate::scene::Scene;
use crate::steps::holds::Changed;
use crate::steps::identity;
use crate::{BirthStage, FileFailure, wire};
use foil_manifest::Network;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// How often init counts processes, where nothing else holds the run to its number. A fork bomb gets that far beyond it.
const COUNT_EVERY: Duration = Duration::from_millis(50);

/// The program that a call waits for.
#[derive(Debug)]
struct Running {
    id: u64,
    pid: i32,
    started: u64,
    since: Instant,
    deadline: Option<Instant>,
}

/// Init at work.
pub struct Init<'a> {
    birth: Birth<'a>,
    shielded: Shielded,
    running: Option<Running>,
    /// Processes that answer a call, and what is answered where they die of it.
    helpers: HashMap<i32, Reply>,
    web: Option<Web>,
    counted: Instant,
    /// Killed for the end of the phase that is about to be ordered.
    ending: u32,
}

/// Whether to go on.
type Alive = Result<(), Gone>;
/// Host or launcher are gone, or want us to go.
struct Gone;

impl<'a> Init<'a> {
    /// Init, its shield set up.
    pub fn new(birth: Birth<'a>, shielded: Shielded) -> Self {
        Self { birth, shielded, running: None, helpers: HashMap::new(), web: None, counted: Instant::now(), ending: 0 }
    }

    /// Serves until there is nobody to serve, then kills everything. The answer is the exit status.
    pub fn serve(mut self) -> i32 {
        while self.turn().is_ok() {}
        self.shielded.reach.kill_all(|_, _| {});
        0
    }

    fn turn(&mut self) -> Alive {
        let mut fds = [
            PollFd::new(&self.birth.run, PollFlags::IN),
            PollFd::new(&self.birth.lifeline, PollFlags::IN),
            PollFd::new(&self.shielded.signals, PollFlags::IN),
        ];
        match poll(&mut fds, self.patience().as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return Err(Gone),
        }
        let [ordered, abandoned, died] = fds.map(|fd| !fd.revents().is_empty());
        if abandoned {
            return Err(Gone);
        }
        if died {
            while let Ok(Some(_)) = self.shielded.signals.read_signal() {}
            let mut deaths = Vec::new();
            tree::reap(|pid, death| deaths.push((pid, death)));
            self.bury(&deaths, None);
        }
        if ordered {
            match wire::receive::<Order>(self.birth.run) {
                Ok(Some(parcel)) => self.obey(parcel.message, parcel.fds)?,
                Ok(None) | Err(_) => return Err(Gone),
            }
        }
        self.watch();
        Ok(())
    }

    /// How long to wait for something to happen.
    fn patience(&self) -> Option<Timespec> {
        let deadline = self.running.as_ref().and_then(|running| running.deadline);
        let count = (self.shielded.count_processes && tree::any_child()).then(|| self.counted + COUNT_EVERY);
        let next = deadline.into_iter().chain(count).min()?;
        Timespec::try_from(next.saturating_duration_since(Instant::now())).ok()
    }

    /// Time-outs and the number of processes.
    fn watch(&mut self) {
        let now = Instant::now();
        if self.running.as_ref().and_then(|running| running.deadline).is_some_and(|deadline| now >= deadline) {
            self.kill_all(Some(Ended::TimedOut));
        }
        if self.shielded.count_processes && now >= self.counted + COUNT_EVERY {
            let limit = self.birth.spec.limits.processes;
            // The stem is ours, not the technique's.
            let ours = usize::from(self.shielded.stem.is_some());
            if self.shielded.reach.count().saturating_sub(ours) as u64 > limit {
                self.kill_all(Some(Ended::TooMany(limit)));
            }
            self.counted = Instant::now();
        }
    }

    fn obey(&mut self, order: Order, fds: Vec<OwnedFd>) -> Alive {
        match order {
            Order::Exec(order) => self.exec(&order, &fds),
            Order::File { id, op } => {
                let content = fds.into_iter().next();
                let killed = "the process that did it was killed; look at what is there";
                let fail = |why: String| Reply::File { id, result: Err(FileFailure::Io(why)) };
                let by_stem =
                    self.shielded.stem.as_ref().map(|stem| stem.effect(id, &op, content.as_ref().map(AsFd::as_fd)));
                match by_stem {
                    Some(Ok(forked)) => {
                        let forked = forked.map_err(|refused| std::io::Error::from_raw_os_error(refused.errno));
                        self.helped(forked, fail, killed);
                        return Ok(());
                    }
                    Some(Err(Lost::After)) => {
                        self.shielded.stem = None;
                        self.reply(&fail(killed.to_owned()));
                        return Ok(());
                    }
                    Some(Err(Lost::Before)) | None => self.shielded.stem = None,
                }
                let (run, births) = (self.birth.run, self.birth.births.as_raw_fd());
                let root = self.shielded.backstage.as_ref().map(|backstage| backstage.root.as_fd());
                let forked = helper::fork(|| {
                    birth::tell(births, id, BirthStage::SetUp);
                    let result = match self.become_child() {
                        Ok(()) => file_effect::perform(op, content, root, &|| file_effect::begin(births, id)),
                        Err(reason) => Err(FileFailure::Io(reason)),
                    };
                    let _ = wire::send(run, &Reply::File { id, result }, &[]);
                });
                self.helped(forked, fail, killed);
            }
            Order::Look { id } => {
                let kernel = self.kernel();
                let (run, births) = (self.birth.run, self.birth.births.as_raw_fd());
                let forked = helper::fork(|| {
                    birth::tell(births, id, BirthStage::SetUp);
                    let _ = wire::send(run, &Reply::Looked { id, result: self.look(kernel.as_ref()) }, &[]);
                });
                let fail = |why| Reply::Looked { id, result: Err(why) };
                self.helped(forked, fail, "the process that looked was killed, by the run's children or at its limit");
            }
            Order::Publish { id, path } => {
                let result = self.publish(id, &path, fds.first());
                self.reply(&Reply::Published { id, result });
            }
            Order::KillAll { ending } => {
                let killed = self.kill_all(None);
                self.ending = if ending { self.ending.saturating_add(killed.count) } else { self.ending };
            }
            Order::EndPhase { id } => {
                let killed = self.kill_all(None);
                let count = std::mem::take(&mut self.ending).saturating_add(killed.count);
                self.reply(&Reply::PhaseEnded { id, killed: count, left: killed.left });
            }
            Order::Close => return Err(Gone),
        }
        Ok(())
    }

    /// Remembers a helper that was forked, or answers for one that was not.
    fn helped(&mut self, forked: std::io::Result<i32>, fail: impl Fn(String) -> Reply, killed: &str) {
        match forked {
            Ok(pid) => drop(self.helpers.insert(pid, fail(killed.into()))),
            Err(error) => self.reply(&fail(format!("no new process can be made: {error}"))),
        }
    }

    /// Where the kernel lists the sockets of the run's network. Asked of the stem: joining that network is what sensors take for an escape.
    fn kernel(&mut self) -> Option<OwnedFd> {
        match self.shielded.stem.as_ref()?.sockets() {
            Ok(kernel) => kernel,
            Err(_) => {
                self.shielded.stem = None;
                None
            }
        }
    }

    /// In a helper, which joins the view for good.
    fn look(&self, kernel: Option<&OwnedFd>) -> Result<Scene, String> {
        let view = self.shielded.template.view.as_ref().ok_or("the run has no overlay")?;
        let web = self.web.as_ref();
        let stem = self.shielded.stem.as_ref().map(|stem| stem.pid);
        let ours: Vec<i32> =
            self.helpers.keys().copied().chain(web.map(|web| web.pid)).chain(stem).chain([1]).collect();
        let eye = look::Eye {
            stem,
            kernel: kernel.map(AsFd::as_fd),
            layers: view.layers(),
            scratch: &self.birth.spec.scratch,
            ours: &ours,
            web: web.map(|web| web.port),
            shared_network: self.birth.spec.network == Network::Host,
        };
        look::look(&eye, || view.join().map_err(|error| format!("the overlay cannot be joined: {error}")))
    }

    fn exec(&mut self, order: &ExecOrder, fds: &[OwnedFd]) {
        let id = order.id;
        let not_started = |reason: String| Reply::NotStarted { id, reason, missing: false, shield: false };
        let [stdout, stderr, rest @ ..] = fds else {
            return self.reply(&not_started("no output streams came with the order".into()));
        };
        let Some(strings) = Strings::of(order) else {
            return self.reply(&not_started("a NUL byte in its arguments".into()));
        };
        if let Err(Changed { path, why }) = self.shielded.holds.check() {
            return self.reply(&Reply::GrantChanged { id, path, why });
        }
        let started = birth::now();
        let null = self.shielded.template.null.try_clone();
        let stdin = match (rest.first(), &null) {
            (Some(fd), _) if order.stdin => fd.as_fd(),
            (_, Ok(null)) => null.as_fd(),
            (_, Err(error)) => return self.reply(&not_started(format!("no input for it: {error}"))),
        };
        let streams = [stdin, stdout.as_fd(), stderr.as_fd()];
        let since = Instant::now();
        let ticks = tree::ticks();
        let by_stem = self.shielded.stem.as_ref().map(|stem| (stem.pid, stem.start(order, &streams)));
        let outcome = match by_stem {
            Some((_, Ok(outcome))) => outcome,
            Some((stem, Err(Lost::After))) => {
                // A program may kill it before it has said that it started the program.
                let known: Vec<i32> = self.helpers.keys().copied().chain([stem]).collect();
                self.shielded.stem = None;
                let Some(pid) = tree::first_child_since(ticks, &known) else {
                    self.kill_all(None);
                    return self.reply(&not_started(
                        "the process that was to start it was stopped or killed, by the run's children".into(),
                    ));
                };
                Ok(pid)
            }
            Some((_, Err(Lost::Before))) | None => {
                self.shielded.stem = None;
                strings.start(&mut self.shielded.template, id, streams)
            }
        };
        match outcome {
            Ok(pid) => {
                let deadline = order.timeout_ms.and_then(|ms| since.checked_add(Duration::from_millis(ms)));
                self.running = Some(Running { id, pid, started, since, deadline });
            }
            Err(refused) => {
                let reply = self.explain(id, order, refused);
                self.reply(&reply);
            }
        }
    }

    /// Why a program did not start, in words.
    fn explain(&self, id: u64, order: &ExecOrder, refused: Refused) -> Reply {
        let error = rustix::io::Errno::from_raw_os_error(refused.errno);
        let words = std::io::Error::from(error);
        let program = Path::new(&order.program);
        let (mut missing, mut shield) = (false, false);
        let reason = match refused.at {
            Step::Fork => format!("no new process can be made: {words}"),
            Step::Shield(what) => {
                shield = true;
                format!("its shield could not be set up ({what}): {words}")
            }
            Step::Directory => format!("it cannot begin in {}: {words}", order.cwd),
            Step::Execute if error == rustix::io::Errno::NOENT => {
                missing = rustix::fs::stat(program).is_err();
                if missing {
                    "there is no such program".into()
                } else {
                    "the interpreter that it names is missing".into()
                }
            }
            Step::Execute if error == rustix::io::Errno::ACCESS && self.shielded.template.landlock.is_some() => {
                // Init is outside of the children's Landlock domains: what it may execute and they may not, the shield
                // refused.
                shield = program.is_file() && rustix::fs::access(program, rustix::fs::Access::EXEC_OK).is_ok();
                if shield {
                    "it, or the interpreter that it names, is outside of what the grant lets children execute".into()
                } else {
                    words.to_string()
                }
            }
            Step::Execute => words.to_string(),
        };
        Reply::NotStarted { id, reason, missing, shield }
    }

    fn publish(&mut self, id: u64, path: &str, body: Option<&OwnedFd>) -> Result<u16, String> {
        if self.birth.spec.network != Network::Loopback || !self.birth.namespaces.is_some_and(|spaces| spaces.network) {
            return Err("the run has no network of its own".into());
        }
        let body = body.ok_or("no content came with the order")?;
        if self.web.is_none() {
            let births = self.birth.births.as_raw_fd();
            // Before the descriptors are closed, of which `births` is one.
            self.web = Some(Web::start(|| birth::tell(births, id, BirthStage::SetUp), || self.become_child())?);
        }
        let web = self.web.as_ref().ok_or("the web server is gone")?;
        web.publish(path, body)?;
        Ok(web.port)
    }

    /// What a helper, which is a copy of init, takes on as a child would: the view, and the identity that init did not.
    fn become_child(&self) -> Result<(), String> {
        let template = &self.shielded.template;
        if let Some(view) = &template.view {
            view.join().map_err(|error| format!("the overlay cannot be joined: {error}"))?;
        }
        match &template.identity {
            Some((uid, gid, groups)) if self.shielded.late_identity => {
                identity::raw(*uid, *gid, groups).map_err(|(what, errno)| format!("{what}: errno {errno}"))
            }
            _ => Ok(()),
        }
    }

    /// Kills every process but init. A program that a call waits for ends as `how`, or as killed.
    fn kill_all(&mut self, how: Option<Ended>) -> tree::Killed {
        let mut deaths = Vec::new();
        // The web server is ours, not the technique's: it does not count.
        let served = self.web.take().is_some();
        let by_stem =
            self.shielded.stem.as_ref().and_then(|stem| {
                tree::kill_others(stem.pid, || stem.kill_all(), |pid, death| deaths.push((pid, death)))
            });
        let mut killed = by_stem.unwrap_or_else(|| {
            // The stem dies with the others, if there is one.
            let ours = u32::from(self.shielded.stem.take().is_some());
            let killed = self.shielded.reach.kill_all(|pid, death| deaths.push((pid, death)));
            tree::Killed { count: killed.count.saturating_sub(ours), ..killed }
        });
        if served {
            killed.count = killed.count.saturating_sub(1);
        }
        self.bury(&deaths, how);
        if !killed.left.is_empty()
            && let Some(running) = self.running.take()
        {
            // It became another user's and lives on; whoever waits for it should not.
            self.ended(&running, how.unwrap_or(Ended::Signalled(libc::SIGKILL as u8)));
        }
        killed
    }

    /// Tells whoever waits for the dead.
    fn bury(&mut self, deaths: &[(i32, Death)], how: Option<Ended>) {
        for &(pid, death) in deaths {
            if self.web.as_ref().is_some_and(|web| web.pid == pid) {
                self.web = None;
            }
            if self.shielded.stem.as_ref().is_some_and(|stem| stem.pid == pid) {
                self.shielded.stem = None;
            }
            if let Some(failed) = self.helpers.remove(&pid)
                && death != Death::Exited(0)
            {
                self.reply(&failed);
            }
            if let Some(running) = self.running.take_if(|running| running.pid == pid) {
                let died = match death {
                    Death::Exited(status) => Ended::Exited(status),
                    Death::Signalled(signal) => Ended::Signalled(signal),
                };
                self.ended(&running, how.unwrap_or(died));
            }
        }
    }

    fn ended(&self, running: &Running, how: Ended) {
        let took = u64::try_from(running.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.reply(&Reply::Ended { id: running.id, how, started: running.started, took });
    }

    /// Where the host is gone, the next turn notices.
    fn reply(&self, reply: &Reply) {
        let _ = wire::send(self.birth.run, reply, &[]);
    }
}
