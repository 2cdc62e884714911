//! The stem: a process in the namespaces of an `overlay`, from which its children are forked.
//!
//! Init stays outside, so that no child can trace it or lift a mount. A child that init forks has to join the namespaces one by one,
//! which sensors take for an escape. The stem is the process that made them, and so is in them from the beginning. A child that it
//! forks is init's (`CLONE_PARENT`): init waits for it, and orphans fall to init, as before.
//!
//! As root in there the children are its equals: they cannot trace it or read its memory (it is not dumpable, and its memory
//! belongs to the user namespace outside), but they can kill or stop it. Then init goes on without it, and its children join
//! one by one.

use super::birth;
use super::child::{self, Failure, Program, Stage, Template};
use super::look::listening;
use super::{file_effect, helper, tree};
use crate::overlay::Inside;
use crate::protocol::{ExecOrder, Reply};
use crate::steps::filter::Filter;
use crate::steps::limits::Limits;
use crate::steps::{descriptors, identity};
use crate::{BirthStage, FileFailure, FileOp, RunSpec, wire};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::DumpableBehavior;
use serde::{Deserialize, Serialize};
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// How long the stem may take for an answer. A program on a file system that hangs is the slowest.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often is looked whether a child has stopped it meanwhile.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// Init to stem. Beside a start: standard input, output and error. Beside a file effect of a call: its content, if any.
#[derive(Debug, Serialize, Deserialize)]
enum Task<O, F> {
    Start(O),
    Effect(u64, F),
    KillAll,
    Sockets,
}

/// Stem to init. Beside `Sockets`: what was asked for, where it is to be had.
#[derive(Debug, Serialize, Deserialize)]
enum Done {
    Started(Result<i32, Refused>),
    Killed,
    Sockets,
}

/// Why a program did not start, as [`Failure`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// At what.
    pub at: Step,
    /// With which error.
    pub errno: i32,
}

/// What a child was doing when it failed, as [`Stage`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Becoming the program.
    Execute,
    /// Entering the working directory.
    Directory,
    /// Making a process for it.
    Fork,
    /// A part of its own shield.
    Shield(String),
}

impl From<Failure> for Refused {
    fn from(Failure { stage, errno }: Failure) -> Self {
        let at = match stage {
            Stage::Execute => Step::Execute,
            Stage::Directory => Step::Directory,
            Stage::Fork => Step::Fork,
            Stage::Shield(what) => Step::Shield(what.to_owned()),
        };
        Self { at, errno }
    }
}

/// The stem as init knows it.
#[derive(Debug)]
pub struct Stem {
    /// Its process.
    pub pid: i32,
    socket: OwnedFd,
}

/// It did not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// It did not take the order: nothing happened.
    Before,
    /// It took it, and did not answer.
    After,
}

impl Stem {
    /// The stem behind this socket.
    pub fn new(pid: i32, socket: OwnedFd) -> Self {
        Self { pid, socket }
    }

    /// Has it start a program, with these streams.
    pub fn start(&self, order: &ExecOrder, streams: &[BorrowedFd<'_>]) -> Result<Result<i32, Refused>, Lost> {
        self.started(&Task::Start(order), streams)
    }

    /// Has it fork a process that performs a file effect and answers the host itself.
    pub fn effect(&self, id: u64, op: &FileOp, content: Option<BorrowedFd<'_>>) -> Result<Result<i32, Refused>, Lost> {
        self.started(&Task::Effect(id, op), content.as_slice())
    }

    fn started(&self, task: &Task<&ExecOrder, &FileOp>, fds: &[BorrowedFd<'_>]) -> Result<Result<i32, Refused>, Lost> {
        match self.ask(task, fds)?.message {
            Done::Started(outcome) => Ok(outcome),
            Done::Killed | Done::Sockets => Err(Lost::After),
        }
    }

    /// Has it open a socket on which the kernel lists the sockets of the run's network (sock_diag(7)). `None`: the kernel has no such list.
    pub fn sockets(&self) -> Result<Option<OwnedFd>, Lost> {
        Ok(self.ask(&Task::Sockets, &[])?.fds.into_iter().next())
    }

    /// Has it kill everybody but itself and init. False where it does not answer.
    pub fn kill_all(&self) -> bool {
        self.ask(&Task::KillAll, &[]).is_ok_and(|done| matches!(done.message, Done::Killed))
    }

    fn ask(&self, task: &Task<&ExecOrder, &FileOp>, fds: &[BorrowedFd<'_>]) -> Result<wire::Parcel<Done>, Lost> {
        wire::send(&self.socket, task, fds).map_err(|_| Lost::Before)?;
        let until = Instant::now() + PATIENCE;
        loop {
            let mut waits = [PollFd::new(&self.socket, PollFlags::IN)];
            match poll(&mut waits, Some(&LOOK)) {
                Ok(0) | Err(rustix::io::Errno::INTR) if Instant::now() < until => {}
                Ok(ready) if ready > 0 => break,
                _ => return Err(Lost::After),
            }
            if tree::is_stopped(self.pid) {
                // A child stopped it.
                // SAFETY: our own child, which nobody else reaps.
                unsafe { libc::kill(self.pid, libc::SIGCONT) };
            }
        }
        match wire::receive::<Done>(&self.socket) {
            Ok(Some(parcel)) => Ok(parcel),
            _ => Err(Lost::After),
        }
    }
}

/// What the stem is born with. It keeps nothing else of what init has open.
#[derive(Debug, Clone, Copy)]
pub struct Kit<'a> {
    /// The run.
    pub spec: &'a RunSpec,
    /// The launcher's user.
    pub launcher_uid: u32,
    /// Children tell their births here.
    pub births: RawFd,
    /// Those that perform a file effect answer here.
    pub run: BorrowedFd<'a>,
    /// Tasks come and answers go here.
    pub socket: BorrowedFd<'a>,
}

/// The stem's life, in the process that made the namespaces.
pub fn live(kit: Kit<'_>, inside: Inside) {
    let Ok(mut template) = prepare(kit, inside) else { return };
    let socket = kit.socket;
    while let Ok(Some(parcel)) = wire::receive::<Task<ExecOrder, FileOp>>(socket) {
        let mut opened = None;
        let done = match parcel.message {
            Task::Start(order) => Done::Started(start(&mut template, &order, &parcel.fds)),
            Task::Effect(id, op) => {
                let content = parcel.fds.into_iter().next();
                let forked = helper::fork_for_parent(|| effect(kit, &template, id, op, content));
                let errno = |error: std::io::Error| error.raw_os_error().unwrap_or(libc::EAGAIN);
                Done::Started(forked.map_err(|error| Refused { at: Step::Fork, errno: errno(error) }))
            }
            Task::KillAll => {
                // SAFETY: from here, -1 is every process of the run's pid namespace but init and this one.
                unsafe { libc::kill(-1, libc::SIGKILL) };
                Done::Killed
            }
            Task::Sockets => {
                opened = listening::open();
                Done::Sockets
            }
        };
        let beside: Vec<_> = opened.iter().map(AsFd::as_fd).collect();
        if wire::send(socket, &done, &beside).is_err() {
            return;
        }
    }
}

/// In a process of its own.
fn effect(kit: Kit<'_>, template: &Template, id: u64, op: FileOp, content: Option<OwnedFd>) {
    birth::tell(kit.births, id, BirthStage::SetUp);
    let taken_on = template.inside.as_ref().map_or(Ok(()), Inside::take_on).map_err(|error| error.to_string());
    let become_user = || match &template.identity {
        Some((uid, gid, groups)) => {
            identity::raw(*uid, *gid, groups).map_err(|(what, errno)| format!("{what}: errno {errno}"))
        }
        None => Ok(()),
    };
    let result = match taken_on.and_then(|()| become_user()) {
        Ok(()) => file_effect::perform(op, content, None, &|| file_effect::begin(kit.births, id)),
        Err(reason) => Err(FileFailure::Io(reason)),
    };
    let _ = wire::send(kit.run, &Reply::File { id, result }, &[]);
}

fn prepare(kit: Kit<'_>, inside: Inside) -> Result<Template, String> {
    let Kit { spec, launcher_uid, births, run, socket } = kit;
    let failed = |error: &dyn std::fmt::Display| error.to_string();
    // Foil's own, and it never acts: said before anything that a sensor may see.
    birth::tell(births, 0, BirthStage::SetUp);
    descriptors::close_others(&[births, run.as_raw_fd(), socket.as_raw_fd()]).map_err(|error| failed(&error))?;
    rustix::process::chdir("/").map_err(|error| failed(&error))?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|error| failed(&error))?;
    Filter::machine().install().map_err(|error| failed(&error))?;
    let null = std::fs::File::open("/dev/null").map_err(|error| failed(&error))?;
    let mut template = Template::new(births, null.into());
    template.inside = Some(inside);
    template.for_parent = true;
    template.limits = Some(Limits::new(&spec.limits, false));
    let identity = spec.identity.as_ref().filter(|identity| identity.uid != launcher_uid);
    template.identity = identity.map(|identity| (identity.uid, identity.gid, identity.groups.clone()));
    Ok(template)
}

fn start(template: &mut Template, order: &ExecOrder, streams: &[OwnedFd]) -> Result<i32, Refused> {
    let unsent = || Refused { at: Step::Shield("streams".to_owned()), errno: libc::EBADF };
    let [stdin, stdout, stderr] = streams else { return Err(unsent()) };
    Strings::of(order).ok_or_else(unsent)?.start(template, order.id, [stdin, stdout, stderr].map(|fd| fd.as_fd()))
}

/// An order's texts as the kernel takes them.
pub struct Strings {
    path: CString,
    argv: Vec<CString>,
    env: Vec<CString>,
    cwd: CString,
}

impl Strings {
    /// `None` where one has a NUL byte in it.
    pub fn of(order: &ExecOrder) -> Option<Self> {
        let text = |text: &String| CString::new(text.as_str()).ok();
        Some(Self {
            path: text(&order.program)?,
            argv: std::iter::once(&order.program).chain(&order.args).map(text).collect::<Option<_>>()?,
            env: order.env.iter().map(text).collect::<Option<_>>()?,
            cwd: text(&order.cwd)?,
        })
    }

    /// Starts the program from the calling process.
    pub fn start(&self, template: &mut Template, call: u64, streams: [BorrowedFd<'_>; 3]) -> Result<i32, Refused> {
        let program = Program {
            path: &self.path,
            argv: &self.argv,
            env: &self.env,
            cwd: &self.cwd,
            streams: streams.map(|stream| stream.as_raw_fd()),
            call,
        };
        Ok(child::start(template, &program)?)
    }
}
