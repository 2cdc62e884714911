//! The namespaces that children join: a user namespace in which every id is itself, and mount, network and host name namespaces
//! that it owns.
//!
//! Root in there is root towards files (every id is mapped), and nobody towards the machine: the kernel asks for capabilities in the
//! *initial* user namespace before it mounts a device, changes a clock or loads a module. A mount namespace that is copied
//! into a lesser user namespace has all its mounts *locked*: none can be taken away, made writable or uncovered
//! (mount_namespaces(7)).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{ForkResult, Pid, fork};
use rustix::fs::{Mode, OFlags};

/// A process that sits in the new namespaces until they are held by handles. Killed and reaped when dropped.
#[derive(Debug)]
pub struct Holder {
    /// `None` once it goes on as the run's stem.
    pid: Option<Pid>,
    /// `None` once it is to end.
    orders: Option<OwnedFd>,
    answers: OwnedFd,
}

/// Why the namespaces are not there.
#[derive(Debug)]
pub enum Refusal {
    /// The machine allows no user namespaces (switched off, or none left). Another hold will do.
    NoUserNamespaces(io::Error),
    /// Anything else.
    Other(String),
}

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Self::Other(reason)
    }
}

impl Holder {
    /// Forks it into a new user namespace with a host name of its own, and a network where `network`. The caller must
    /// have one thread. `stem` is what it goes on as once it is [released](Self::release).
    pub fn start(network: bool, stem: &dyn Fn()) -> Result<Self, Refusal> {
        let pipe = || rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(|e| format!("no pipe: {e}"));
        let (order_end, orders) = pipe()?;
        let (answers, answer_end) = pipe()?;
        let mut flags = CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWUTS;
        flags.set(CloneFlags::CLONE_NEWNET, network);
        // SAFETY: the caller has one thread, so the child may call anything.
        match unsafe { fork() }.map_err(|error| format!("the namespaces' holder cannot be forked: {error}"))? {
            ForkResult::Child => {
                drop((orders, answers));
                hold(flags, &order_end, &answer_end, stem)
            }
            ForkResult::Parent { child } => {
                drop((order_end, answer_end));
                let holder = Self { pid: Some(child), orders: Some(orders), answers };
                match holder.answer()? {
                    0 => Ok(holder),
                    error => Err(Refusal::NoUserNamespaces(io::Error::from_raw_os_error(error))),
                }
            }
        }
    }

    /// Maps every id that exists here to itself. `proc` is a `/proc` of our pid namespace.
    pub fn map(&self, proc: BorrowedFd<'_>) -> Result<(), String> {
        for kind in ["uid_map", "gid_map"] {
            let fail = |error: io::Error| format!("the user namespace's {kind} cannot be written: {error}");
            let own = io::read_to_string(std::fs::File::from(self.open(proc, "self", kind, OFlags::RDONLY)?))
                .map_err(fail)?;
            let ranges = identity(&own).ok_or_else(|| format!("/proc/self/{kind} is not understood: {own}"))?;
            let map = self.open(proc, &self.number(), kind, OFlags::WRONLY)?;
            // In one write, as the kernel demands.
            let written = rustix::io::write(&map, ranges.as_bytes()).map_err(|error| fail(error.into()))?;
            if written != ranges.len() {
                return Err(format!("the user namespace's {kind} was written in part only"));
            }
        }
        Ok(())
    }

    /// Gives it a copy of this process's mounts, locked.
    pub fn copy_mounts(&self) -> Result<(), String> {
        let orders = self.orders.as_ref().ok_or("the namespaces' holder has ended")?;
        rustix::io::write(orders, b"m").map_err(|error| format!("the namespaces' holder is gone: {error}"))?;
        match self.answer()? {
            0 => Ok(()),
            error => {
                let error = io::Error::from_raw_os_error(error);
                Err(format!("the view's mounts cannot be locked in a namespace: {error}"))
            }
        }
    }

    /// Lets it go on as the run's stem, in all of its namespaces. Its pid.
    pub fn release(mut self) -> Result<i32, String> {
        let orders = self.orders.as_ref().ok_or("the namespaces' holder has ended")?;
        rustix::io::write(orders, b"s").map_err(|error| format!("the namespaces' holder is gone: {error}"))?;
        self.pid.take().map(Pid::as_raw).ok_or_else(|| "the namespaces' holder has ended".to_owned())
    }

    fn number(&self) -> String {
        self.pid.map_or_else(String::new, |pid| pid.to_string())
    }

    /// A handle to one of its namespaces: `user`, `mnt`, `net`, `uts`.
    pub fn namespace(&self, proc: BorrowedFd<'_>, kind: &str) -> Result<OwnedFd, String> {
        self.open(proc, &self.number(), &format!("ns/{kind}"), OFlags::RDONLY)
    }

    fn open(&self, proc: BorrowedFd<'_>, who: &str, name: &str, flags: OFlags) -> Result<OwnedFd, String> {
        rustix::fs::openat(proc, format!("{who}/{name}"), flags | OFlags::CLOEXEC, Mode::empty())
            .map_err(|error| format!("/proc/{who}/{name} cannot be opened: {error}"))
    }

    fn answer(&self) -> Result<i32, String> {
        let mut word = [0_u8; 4];
        match rustix::io::read(&self.answers, &mut word) {
            Ok(4) => Ok(i32::from_ne_bytes(word)),
            Ok(_) => Err("the namespaces' holder died".into()),
            Err(error) => Err(format!("the namespaces' holder cannot be heard: {error}")),
        }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.orders.take()); // which ends it by itself, should a signal not be allowed
        if let Some(pid) = self.pid {
            let _ = kill(pid, Signal::SIGKILL);
            let _ = nix::sys::wait::waitpid(pid, None);
        }
    }
}

/// The holder's whole life: it answers with an errno, 0 for success, and waits to be killed, orphaned, or released.
fn hold(flags: CloneFlags, orders: &OwnedFd, answers: &OwnedFd, stem: &dyn Fn()) -> ! {
    let tell = |outcome: nix::Result<()>| {
        let word = outcome.err().map_or(0, |error| error as i32);
        rustix::io::write(answers.as_fd(), &word.to_ne_bytes()).is_ok()
    };
    let mut order = [0_u8; 1];
    let mut ordered = || matches!(rustix::io::read(orders, &mut order), Ok(1));
    let up = || match flags.contains(CloneFlags::CLONE_NEWNET) {
        true => super::loopback::up().map_err(|error| nix::Error::from_raw(error.raw_os_error().unwrap_or(libc::EIO))),
        false => Ok(()),
    };
    if tell(unshare(flags).and_then(|()| up())) && ordered() && tell(unshare(CloneFlags::CLONE_NEWNS)) && ordered() {
        stem();
    }
    // SAFETY: ends this process without running its parent's exit handlers.
    unsafe { libc::_exit(0) }
}

/// The map that maps the ids of `own` (lines of `inside outside count`) to themselves.
fn identity(own: &str) -> Option<String> {
    let mut map = String::new();
    for line in own.lines() {
        let mut numbers = line.split_ascii_whitespace().map(str::parse::<u32>);
        let (Some(Ok(inside)), Some(Ok(_)), Some(Ok(count))) = (numbers.next(), numbers.next(), numbers.next()) else {
            return None;
        };
        map.push_str(&format!("{inside} {inside} {count}\n"));
    }
    (!map.is_empty()).then_some(map)
}

/// Whether this is the machine's first user namespace, where every id is mapped.
pub fn initial() -> bool {
    std::fs::read_to_string("/proc/self/uid_map")
        .is_ok_and(|map| map.split_ascii_whitespace().eq(["0", "0", "4294967295"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_identities_of_what_exists() {
        assert_eq!(identity("         0          0 4294967295\n").as_deref(), Some("0 0 4294967295\n"));
        assert_eq!(identity("0 100000 65536\n65536 1 1\n").as_deref(), Some("0 0 65536\n65536 65536 1\n"));
        assert_eq!(identity(""), None);
        assert_eq!(identity("0 x 1\n"), None);
    }
}
