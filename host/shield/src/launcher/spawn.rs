//! Forking an init for a run, into the namespaces of its level.

use super::cgroup::Cgroup;
use crate::init::{self, Birth, Namespaces, Reach};
use crate::protocol::{Admitted, Go, NamespacesReady};
use crate::steps::{capabilities, landlock};
use crate::{RunSpec, wire};
use foil_manifest::{Network, ShieldLevel};
use rustix::thread::CapabilitySet;
use std::os::fd::{AsFd, OwnedFd};

/// A pipe of which only the launcher holds the write end: inits see it end when the launcher is gone.
#[derive(Debug)]
pub struct Lifeline {
    read: OwnedFd,
    _write: OwnedFd,
}

impl Lifeline {
    /// A new one.
    pub fn new() -> std::io::Result<Self> {
        let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        Ok(Self { read, _write: write })
    }
}

/// An init that stands.
#[derive(Debug)]
pub struct Started {
    /// Its process.
    pub pid: i32,
    /// What holds its processes to their number.
    pub cgroup: Option<Cgroup>,
    /// How it reaches them.
    pub reach: Reach,
}

/// Starts a run's init and returns once its namespaces stand.
pub fn start(spec: &RunSpec, run: &OwnedFd, births: &OwnedFd, lifeline: &Lifeline) -> Result<Started, String> {
    if spec.level == ShieldLevel::Open {
        return attempt(spec, None, Vec::new(), run, births, lifeline);
    }
    let privileged = capabilities::has(CapabilitySet::SYS_ADMIN);
    if spec.level == ShieldLevel::Overlay && !(privileged && rustix::process::geteuid().is_root()) {
        return Err("it needs root with CAP_SYS_ADMIN".into());
    }
    let namespaces = Namespaces { user: !privileged, network: spec.network == Network::Loopback };
    let reason = match attempt(spec, Some(namespaces), Vec::new(), run, births, lifeline) {
        Ok(started) => return Ok(started),
        Err(reason) => reason,
    };
    if spec.level == ShieldLevel::Overlay {
        return Err(reason);
    }
    if spec.network == Network::Loopback {
        return Err(format!(
            "{reason}. Without namespaces the network cannot be cut; allow user namespaces \
             (kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns, \
             user.max_user_namespaces), run as root, or grant the host's network"
        ));
    }
    if landlock::version()? < landlock::SCOPES_FROM {
        return Err(format!(
            "{reason}. Without a pid namespace signals are kept in by Landlock from Linux 6.12 on only"
        ));
    }
    let gaps = vec![format!(
        "no namespaces ({reason}): children see all processes in /proc, may change modes, owners, times \
         and attributes of the user's own files, and whoever kills the run's init and the launcher escapes"
    )];
    attempt(spec, None, gaps, run, births, lifeline)
}

fn attempt(
    spec: &RunSpec,
    namespaces: Option<Namespaces>,
    gaps: Vec<String>,
    run: &OwnedFd,
    births: &OwnedFd,
    lifeline: &Lifeline,
) -> Result<Started, String> {
    let failed = |what: &str, error: &dyn std::fmt::Display| format!("{what}: {error}");
    let (ours, theirs) = wire::pair().map_err(|error| failed("no socket for a new init", &error))?;
    let mut flags = 0;
    if let Some(namespaces) = namespaces {
        flags |= libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
        flags |= if namespaces.user { libc::CLONE_NEWUSER } else { 0 };
        // That of an overlay belongs to the user namespace that it makes.
        let network = namespaces.network && spec.level != ShieldLevel::Overlay;
        flags |= if network { libc::CLONE_NEWNET } else { 0 };
    }
    let ids = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let pid = match fork(flags) {
        Ok(0) => {
            let birth = Birth {
                spec: spec.clone(),
                namespaces,
                ids,
                run: run.as_fd(),
                births: births.as_fd(),
                lifeline: lifeline.read.as_fd(),
                setup: theirs.as_fd(),
            };
            let status = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| init::live(birth))).unwrap_or(70);
            // SAFETY: ends this copy of the launcher without running what belongs to the original.
            unsafe { libc::_exit(status) }
        }
        Ok(pid) => pid,
        Err(error) => return Err(failed("the namespaces cannot be made", &error)),
    };
    drop(theirs);
    let hold = || {
        let cgroup = match spec.level {
            ShieldLevel::Open => None,
            // Beside init, an overlay has a stem.
            ShieldLevel::Overlay => Cgroup::create(spec.run.as_str(), spec.limits.processes.saturating_add(1)),
            ShieldLevel::Confined => Cgroup::create(spec.run.as_str(), spec.limits.processes),
        };
        let held = cgroup.as_ref().is_some_and(|cgroup| cgroup.admit(pid));
        (cgroup, held)
    };
    // The stem is forked while init sets up, and would stay outside. Others are held while init sets up: it starts nobody
    // before it knows how this went.
    let early = (spec.level == ShieldLevel::Overlay).then(hold);
    let begun = wire::send(&ours, &Go { gaps }, &[]);
    let (cgroup, processes_held) = early.unwrap_or_else(hold);
    let answer = begun
        .and_then(|()| wire::receive::<NamespacesReady>(&ours))
        .map_err(|error| failed("init does not answer", &error));
    let problem = match answer {
        Ok(Some(parcel)) => match parcel.message {
            Ok(()) => {
                // Where init is dead meanwhile, the host learns it from init's own socket.
                let _ = wire::send(&ours, &Admitted { processes_held }, &[]);
                let reach = if namespaces.is_some() { Reach::Namespace } else { Reach::Descendants };
                return Ok(Started { pid, cgroup, reach });
            }
            Err(reason) => reason,
        },
        Ok(None) => "init died while it set the namespaces up".to_owned(),
        Err(reason) => reason,
    };
    // SAFETY: kills and reaps the child that we just made.
    unsafe {
        libc::kill(pid, libc::SIGKILL);
        libc::waitpid(pid, std::ptr::null_mut(), libc::__WALL);
    }
    if let Some(cgroup) = cgroup {
        cgroup.remove();
    }
    Err(problem)
}

/// `fork`, into new namespaces. 0 in the child.
fn fork(flags: libc::c_int) -> std::io::Result<i32> {
    // SAFETY: no new stack and no shared memory, so this is `fork`; the launcher has one thread, so no lock is held by
    // another. Every argument but the flags is zero, which makes their order (it differs by architecture) irrelevant.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags | libc::SIGCHLD, 0, 0, 0, 0) };
    if pid < 0 { Err(std::io::Error::last_os_error()) } else { Ok(i32::try_from(pid).unwrap_or(-1)) }
}
