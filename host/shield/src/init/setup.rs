//! Building a level out of its steps, in the order that works.

use super::child::Template;
use super::stem::{Kit, Stem};
use super::{Birth, Reach};
use crate::steps::filter::{Filter, Unix};
use crate::steps::holds::Holds;
use crate::steps::limits::{self, Limits};
use crate::steps::mounts::Backstage;
use crate::steps::{capabilities, identity, landlock, mounts, network, scratch, services, terminals};
use crate::{overlay, wire};
use foil_manifest::{Network, ShieldLevel};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::process::{self, DumpableBehavior};
use rustix::thread::CapabilitySet;
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd};

/// What the set-up leaves for init's service.
#[derive(Debug)]
pub struct Shielded {
    /// What each child takes on.
    pub template: Template,
    /// How to kill.
    pub reach: Reach,
    /// Tells of dead children.
    pub signals: SignalFd,
    /// Init must count processes: nothing else holds the run to its number.
    pub count_processes: bool,
    /// From which children of an overlay are forked, as long as it lives.
    pub stem: Option<Stem>,
    /// Where file effects are performed, if not in what children see.
    pub backstage: Option<Backstage>,
    /// What the grants are bound to.
    pub holds: Holds,
    /// Init is still whoever the launcher was; children and helpers become the run's identity each by itself.
    pub late_identity: bool,
}

/// What the namespaces' set-up leaves for the rest of it.
#[derive(Debug, Default)]
pub struct Ground {
    backstage: Option<Backstage>,
    holds: Holds,
    own_terminals: bool,
}

/// The namespaces that init was forked into, made usable.
pub fn namespaces(birth: &Birth<'_>, gaps: &mut Vec<String>) -> Result<Ground, String> {
    let confined = birth.spec.level == ShieldLevel::Confined;
    let Some(spaces) = birth.namespaces else {
        process::set_child_subreaper(Some(process::getpid()))
            .map_err(|error| format!("cannot be a subreaper: {error}"))?;
        if !confined {
            return Ok(Ground::default());
        }
        if scratch::is_out_of_reach(&birth.spec)? {
            return Err("without a mount namespace the run's user has no way to its scratch folder".into());
        }
        let holds = Holds::take(&birth.spec, landlock::is_base, gaps)?;
        return Ok(Ground { holds, ..Ground::default() });
    };
    if spaces.user {
        map_ids(birth.ids.0, birth.ids.1)?;
        if birth.spec.identity.as_ref().is_some_and(|identity| identity.uid != birth.ids.0) {
            return Err("nobody else can be become in a user namespace that holds one user".into());
        }
    }
    // The launcher's death is init's, and with it the namespace's.
    death_signal()?;
    mounts::detach()?;
    if spaces.network && birth.spec.level != ShieldLevel::Overlay {
        network::loopback_up()?;
    }
    if confined {
        match mounts::fresh_proc() {
            Ok(()) => mounts::seal_proc()?,
            Err(error) if spaces.user => gaps.push(format!(
                "no fresh /proc ({error}; a container's /proc is partly covered): children see which processes exist outside"
            )),
            Err(error) => return Err(format!("cannot mount a fresh /proc: {error}")),
        }
        let own_terminals = terminals::private().unwrap_or_else(|why| {
            gaps.push(why);
            false
        });
        // Where file effects are performed, too: by the same user.
        if scratch::is_out_of_reach(&birth.spec)? {
            scratch::open_way(&birth.spec)?;
        }
        let backstage = Backstage::leave()?;
        let holds = Holds::take(&birth.spec, landlock::is_base, gaps)?;
        // The machine's network brings `/proc/PID/net` along, whose files belong to the machine.
        let own_proc = mounts::proc_is_own() && birth.spec.network != Network::Host;
        let own = [(c"/proc", own_proc), (terminals::FOLDER, own_terminals)];
        let own: Vec<&CStr> = own.into_iter().filter_map(|(path, is_own)| is_own.then_some(path)).collect();
        mounts::write_protect(&birth.spec, &holds, &own)?;
        if services::are_granted(&holds) {
            services::cover(&birth.spec)?;
        }
        return Ok(Ground { backstage: Some(backstage), holds, own_terminals });
    }
    Ok(Ground::default())
}

/// Everything after the namespaces.
pub fn shield(birth: &Birth<'_>, ground: Ground, gaps: &mut Vec<String>) -> Result<Shielded, String> {
    let spec = &birth.spec;
    let own_users = birth.namespaces.is_some_and(|spaces| spaces.user);
    let reach = if birth.namespaces.is_some() { Reach::Namespace } else { Reach::Descendants };
    let null = std::fs::File::open("/dev/null").map_err(|error| format!("cannot open /dev/null: {error}"))?;
    let mut template = Template::new(birth.births.as_raw_fd(), null.into());
    // Before an overlay's stem is forked, which keeps it for the children that it forks.
    if spec.level != ShieldLevel::Open
        && let Err(why) = limits::hold_cores()
    {
        gaps.push(why);
    }
    let mut stem = None;
    if spec.level == ShieldLevel::Overlay {
        let (ours, theirs) = wire::pair().map_err(|error| format!("no socket for the run's stem: {error}"))?;
        let kit = Kit {
            spec,
            launcher_uid: birth.ids.0,
            births: birth.births.as_raw_fd(),
            run: birth.run,
            socket: theirs.as_fd(),
        };
        let live = |inside: overlay::Inside| super::stem::live(kit, inside);
        let view = overlay::enter_with(spec, Some(&live))?;
        stem = view.stem().map(|pid| Stem::new(pid, ours));
        template.view = Some(view);
    }
    let mut held = false;
    if spec.level != ShieldLevel::Open {
        let limits = Limits::new(&spec.limits, own_users);
        held = limits.holds_processes();
        template.limits = Some(limits);
    }
    if spec.level == ShieldLevel::Confined {
        let version = landlock::version()?;
        let around = landlock::Surroundings {
            own_proc: reach == Reach::Namespace && mounts::proc_is_own(),
            own_terminals: ground.own_terminals,
            scope_signals: reach == Reach::Descendants,
            scope_abstract_sockets: spec.network == Network::Host,
        };
        // A socket that is granted by name is there to be connected to.
        let granted = services::are_granted(&ground.holds);
        if granted {
            gaps.push(
                "a Unix socket is granted: whoever answers there may hand in descriptors of the machine's files".into(),
            );
        }
        template.filter = Some(Filter::confined(if granted { Unix::All } else { Unix::Pairs }));
        if granted && around.scope_abstract_sockets && version < landlock::SCOPES_FROM {
            gaps.push("this kernel's Landlock does not keep abstract sockets in (Linux 6.12 does)".into());
        }
        template.landlock = Some((landlock::rules(&ground.holds, around)?, landlock::restrict_flags(version)));
    }
    let late = drop_privileges(birth, own_users, &mut template)?;
    // After the identity: becoming somebody else resets both.
    if reach == Reach::Namespace {
        death_signal()?;
    }
    process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|error| format!("init stays dumpable: {error}"))?;
    Ok(Shielded {
        template,
        reach,
        signals: child_signals()?,
        count_processes: spec.level != ShieldLevel::Open && !held,
        stem,
        backstage: ground.backstage,
        holds: ground.holds,
        late_identity: late,
    })
}

/// Bounding set, `no_new_privs`, system call filter, identity, own capabilities. Returns whether the identity is left to
/// each child.
fn drop_privileges(birth: &Birth<'_>, own_users: bool, template: &mut Template) -> Result<bool, String> {
    let spec = &birth.spec;
    let drops = match spec.level {
        ShieldLevel::Open => CapabilitySet::empty(),
        // In a user namespace of our own capabilities are of no use to children, who are ordinary users.
        _ if own_users => CapabilitySet::all(),
        ShieldLevel::Confined => capabilities::CONFINED,
        ShieldLevel::Overlay => capabilities::MACHINE_WIDE,
    };
    let drops = if spec.level != ShieldLevel::Open && spec.network == Network::Host {
        drops.union(capabilities::NETWORK)
    } else {
        drops
    };
    let administrator = capabilities::has(CapabilitySet::SYS_ADMIN);
    // Without SETPCAP there is nothing to bound: an ordinary user outside of a user namespace.
    if capabilities::has(CapabilitySet::SETPCAP) {
        capabilities::drop_bounding(drops)?;
    }
    // Where set-id programs work, a child may become root: init must stay able to kill it. So it stays what it is, and
    // each child becomes the identity by itself.
    let late = match spec.level {
        ShieldLevel::Open | ShieldLevel::Overlay => true,
        ShieldLevel::Confined => spec.privileges,
    };
    if spec.level == ShieldLevel::Confined {
        if !spec.privileges {
            rustix::thread::set_no_new_privs(true).map_err(|error| format!("cannot set no_new_privs: {error}"))?;
        } else if !administrator || own_users {
            return Err("set-id programs cannot work in an ordinary user's shield (Landlock and seccomp need \
                        no_new_privs there): run as root, or grant without `privileges`"
                .into());
        }
    }
    if spec.level != ShieldLevel::Open {
        // Children have another one besides; this also holds init and its helpers.
        Filter::machine().install().map_err(|error| format!("cannot install the system call filter: {error}"))?;
    }
    let identity = spec.identity.as_ref().filter(|identity| identity.uid != birth.ids.0);
    match identity {
        Some(identity) if late => template.identity = Some((identity.uid, identity.gid, identity.groups.clone())),
        Some(identity) => identity::become_user(identity)?,
        None => {}
    }
    // A child restricts itself with Landlock, which without no_new_privs takes SYS_ADMIN; the bounding set takes it away
    // when the child executes.
    let kept = if spec.privileges { CapabilitySet::SYS_ADMIN } else { CapabilitySet::empty() };
    if spec.level != ShieldLevel::Open {
        capabilities::drop_own(drops.difference(kept))?;
    }
    Ok(late)
}

/// Maps one user and one group to themselves, so that sensors and files see the same ids inside and outside.
fn map_ids(uid: u32, gid: u32) -> Result<(), String> {
    let write = |file: &str, text: String| {
        std::fs::write(file, text).map_err(|error| format!("cannot write {file} of a new user namespace: {error}"))
    };
    write("/proc/self/setgroups", "deny".into())?;
    write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
    write("/proc/self/gid_map", format!("{gid} {gid} 1"))
}

fn death_signal() -> Result<(), String> {
    process::set_parent_process_death_signal(Some(process::Signal::KILL))
        .map_err(|error| format!("cannot ask for a death signal: {error}"))
}

fn child_signals() -> Result<SignalFd, String> {
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGCHLD);
    mask.thread_block()
        .and_then(|()| SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK))
        .map_err(|error| format!("cannot hear of children's deaths: {error}"))
}
