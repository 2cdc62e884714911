//! Becoming a program: what happens between init and the child's first instruction.
//!
//! The child shares init's memory until it executes (`CLONE_VM | CLONE_VFORK`, as `posix_spawn` does), so that a start
//! costs the same whatever init's size, and why it could not start is simply written into a variable. Between the two no
//! memory is allocated and no library function is called that might take a lock.

use super::birth;
use crate::BirthStage;
use crate::overlay::{Inside, View};
use crate::steps::filter::Filter;
use crate::steps::{identity, landlock, limits::Limits};
use std::cell::Cell;
use std::ffi::{CString, c_char, c_int, c_void};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::ptr;

/// Enough for the few frames between the two.
const STACK: usize = 64 * 1024;
/// The first signal number past the real-time ones, on every Linux.
const SIGNALS: c_int = 65;

/// What every child of a run has in common.
#[derive(Debug)]
pub struct Template {
    /// Landlock rules and flags; none in `open` and `overlay`.
    pub landlock: Option<(OwnedFd, libc::c_uint)>,
    /// The private view of `overlay`, which init holds and its children join.
    pub view: Option<View>,
    /// What a child of the stem takes on instead, which is in the view already.
    pub inside: Option<Inside>,
    /// A new child is the parent's, and not this process's.
    pub for_parent: bool,
    /// The system call filter of `confined`; an overlay's view has its own.
    pub filter: Option<Filter>,
    /// Resource limits; none in `open`.
    pub limits: Option<Limits>,
    /// Who to become, where init itself did not: user, group, groups.
    pub identity: Option<(u32, u32, Vec<u32>)>,
    /// Where the child tells its birth.
    pub births: RawFd,
    /// Standard input of a program that was given none.
    pub null: OwnedFd,
    /// Where the child runs until it executes.
    stack: Vec<u128>,
}

impl Template {
    /// A new one.
    pub fn new(births: RawFd, null: OwnedFd) -> Self {
        let stack = vec![0; STACK / size_of::<u128>()];
        Self {
            landlock: None,
            view: None,
            inside: None,
            for_parent: false,
            filter: None,
            limits: None,
            identity: None,
            births,
            null,
            stack,
        }
    }
}

/// A program to become.
#[derive(Debug)]
pub struct Program<'a> {
    /// Absolute path.
    pub path: &'a CString,
    /// Its name and arguments.
    pub argv: &'a [CString],
    /// `NAME=value`.
    pub env: &'a [CString],
    /// Working directory.
    pub cwd: &'a CString,
    /// Standard input, output and error.
    pub streams: [RawFd; 3],
    /// For which call, as the child says on the births socket.
    pub call: u64,
}

/// What a child was doing when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Becoming the program.
    Execute,
    /// Entering the working directory.
    Directory,
    /// It was not made.
    Fork,
    /// Its own shield: streams, view, limits, Landlock, identity.
    Shield(&'static str),
}

/// Why a program did not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// At what.
    pub stage: Stage,
    /// With which error.
    pub errno: i32,
}

struct Shared<'a> {
    template: &'a Template,
    program: &'a Program<'a>,
    argv: Vec<*const c_char>,
    env: Vec<*const c_char>,
    failure: Cell<Option<Failure>>,
}

/// Starts a program. Its pid, or why not; a child that failed has been reaped.
pub fn start(template: &mut Template, program: &Program<'_>) -> Result<i32, Failure> {
    let top = template.stack.as_mut_ptr_range().end;
    let pointers = |strings: &[CString]| strings.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect();
    let shared = Shared {
        template,
        program,
        argv: pointers(program.argv),
        env: pointers(program.env),
        failure: Cell::new(None),
    };
    let parent = if template.for_parent { libc::CLONE_PARENT } else { 0 };
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD | parent;
    // SAFETY: the child runs `enter` on its own stack, of which `top` is the aligned end, and this thread (the only one)
    // waits until the child has executed or ended, so that `shared` outlives its use and is not used by two at once.
    let pid = unsafe { libc::clone(enter, top.cast(), flags, (&raw const shared).cast_mut().cast::<c_void>()) };
    if pid < 0 {
        return Err(Failure { stage: Stage::Fork, errno: identity::errno() });
    }
    let Some(failure) = shared.failure.get() else { return Ok(pid) };
    if !template.for_parent {
        // SAFETY: reaps the child that has just ended. A parent reaps its own.
        unsafe { libc::waitpid(pid, ptr::null_mut(), libc::__WALL) };
    }
    Err(failure)
}

extern "C" fn enter(shared: *mut c_void) -> c_int {
    // SAFETY: `start` passes a pointer to a `Shared` that lives until this function is done with it.
    let shared = unsafe { &*shared.cast::<Shared<'_>>() };
    if let Err(failure) = become_program(shared) {
        shared.failure.set(Some(failure));
    }
    // SAFETY: ends the child without running what belongs to init.
    unsafe { libc::_exit(127) }
}

fn become_program(shared: &Shared<'_>) -> Result<(), Failure> {
    let (template, program) = (shared.template, shared.program);
    let last = |stage| Failure { stage, errno: identity::errno() };
    // Before anything that a sensor may see: until the second word below, what happens is Foil's doing.
    birth::tell(template.births, program.call, BirthStage::SetUp);
    // A session of its own: no terminal, and signals to a group stay in it.
    // SAFETY: system calls on descriptors and numbers that are valid here; every string outlives the call.
    unsafe {
        libc::setsid();
        for (from, to) in program.streams.iter().zip(0..) {
            if libc::dup2(*from, to) < 0 {
                return Err(last(Stage::Shield("streams")));
            }
        }
    }
    // Before the view, whose filter keeps the limit on core dumps as it is.
    if let Some(limits) = &template.limits {
        limits.apply().map_err(|errno| Failure { stage: Stage::Shield("limits"), errno })?;
    }
    let errno = |error: std::io::Error| error.raw_os_error().unwrap_or(libc::EIO);
    if let Some(view) = &template.view {
        view.join().map_err(|error| Failure { stage: Stage::Shield("overlay"), errno: errno(error) })?;
    }
    if let Some(inside) = &template.inside {
        inside.take_on().map_err(|error| Failure { stage: Stage::Shield("overlay"), errno: errno(error) })?;
    }
    if let Some((rules, flags)) = &template.landlock {
        landlock::restrict(rules.as_raw_fd(), *flags)
            .map_err(|errno| Failure { stage: Stage::Shield("Landlock"), errno })?;
    }
    // Before the identity, with which goes the capability that takes the place of `no_new_privs`.
    if let Some(filter) = &template.filter {
        filter
            .install()
            .map_err(|error| Failure { stage: Stage::Shield("system call filter"), errno: errno(error) })?;
    }
    if let Some((uid, gid, groups)) = &template.identity {
        identity::raw(*uid, *gid, groups).map_err(|(what, errno)| Failure { stage: Stage::Shield(what), errno })?;
    }
    // SAFETY: as above; the set of signals is initialised by `sigemptyset`; both lists end with a null pointer.
    unsafe {
        libc::umask(0o022);
        if libc::chdir(program.cwd.as_ptr()) != 0 {
            return Err(last(Stage::Directory));
        }
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
        birth::tell(template.births, program.call, BirthStage::Program);
        libc::execve(program.path.as_ptr(), shared.argv.as_ptr(), shared.env.as_ptr());
    }
    Err(last(Stage::Execute))
}

/// Gives every signal its default action: Rust's start-up ignores SIGPIPE, and programs inherit what is ignored.
pub fn default_signals() {
    // The kernel's own structure: all zero is the default action without flags. Larger than on any architecture. libc's
    // function would refuse the two signals that it keeps for itself, which may be ignored by inheritance, too.
    let action = [0_u64; 8];
    for signal in 1..SIGNALS {
        let previous = ptr::null_mut::<c_void>();
        // SAFETY: reads `action`, installs no handler; numbers that cannot be changed are refused.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, action.as_ptr(), previous, 8_usize) };
    }
}
