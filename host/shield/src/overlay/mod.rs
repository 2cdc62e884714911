//! The shield's level `overlay`: root among the machine's files and programs, in a private view that vanishes with the run.
//!
//! # How
//! - Every mount is shown through an overlay whose upper layer is one size-limited tmpfs ([`layers`]); `/proc`, `/sys` and `/dev` are
//!   made anew ([`pseudo`]); the old root is exchanged for the view and detached. No handle to it is left but
//!   the init's, read-only, by which it looks at what was changed ([`Layer`]).
//! - The run's init stays in the user namespace that it was started in. Its children are in another one, in which every id is
//!   mapped to itself and to which the view's mounts are locked ([`userns`]): a process in it forks them ([`Stem`]), or each
//!   [joins](View::join). So root in there may `chown`, `mount -t tmpfs`, `sudo`,
//!   but no capability of it counts for the machine, and it can neither trace the init nor read its handles.
//! - Where user namespaces are switched off, capabilities are cut down to files instead ([`caps`], [`Hold::Capabilities`]): then `mount`,
//!   `unshare` and `nsenter` fail with EPERM inside.
//! - A filter refuses system calls that no namespace holds ([`deny`]); a fresh session keyring; no core dumps piped to the
//!   machine's handler, which would write them outside.
//!
//! # What it does not hold
//! - Reading: the view shows all of the machine's files, to root.
//! - Memory and CPU: a child may mount a tmpfs of its own, which `limits.overlay` does not count. That takes a memory cgroup.
//! - [`Network::Host`]: services on the machine's addresses are reachable; abstract Unix sockets are parted by Landlock's scopes
//!   ([`scope`]), or Unix sockets are refused where the kernel has none; `/proc/PID/net` is the machine's, so all of `/proc` is
//!   read-only, and capabilities over that network are not to be had (`ping` by a raw socket fails).
//! - Modules: as any user can, a child makes the kernel load a file system's or a protocol's module by naming it.
//! - Core dumps where `core_pattern` names a socket (`@…`, Linux 6.16): the machine's handler is given them.
//! - The run's own init: as the same user, a child may lower its limits or priority, and so end its own run.
//! - Kernel bugs.
//!
//! Sockets and FIFOs that lie in the view are the overlay's own: nobody listens there. Entering costs about 6 ms a
//! run; a join, where a child has to, about 0.3 ms (`host/tests/overlay_cost.rs` prints both).

pub mod caps;
pub mod deny;
mod layers;
mod loopback;
pub(crate) mod mountinfo;
mod pseudo;
mod scope;
mod stage;
pub(crate) mod tree;
mod userns;

use foil_text::Shown as _;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use foil_manifest::Network;
use nix::mount::{MntFlags, MsFlags};
use nix::sched::{CloneFlags, setns, unshare};
use rustix::mount::MountAttrFlags;

pub use layers::{Layer, Masked};

use super::api::RunSpec;
use deny::Filter;
use stage::Stage;
use userns::{Holder, Refusal};

/// What keeps root inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// A user namespace of its own: capabilities count only in it, mounts are locked.
    UserNamespace,
    /// Capabilities cut down to files: no `mount`, no `unshare`.
    Capabilities,
}

/// A run's view, held by its init. Children [`join`](Self::join) it.
#[derive(Debug)]
pub struct View {
    /// User first: what follows belongs to it. Empty without a user namespace.
    namespaces: Vec<(OwnedFd, CloneFlags)>,
    inside: Inside,
    /// The process that holds the namespaces, and has become the run's stem.
    stem: Option<i32>,
    hold: Hold,
    masked: Vec<Masked>,
    layers: Vec<Layer>,
}

/// What a child takes on besides the namespaces: of somebody who is in them already, all that is left of a [`View::join`].
#[derive(Debug)]
pub struct Inside {
    gone: u64,
    filter: Filter,
    /// The machine pipes core dumps to a program of its own.
    cores_piped: bool,
}

/// What the namespaces' holder goes on as, instead of being killed: it is given what its children take on. Only where a user
/// namespace holds.
pub type Stem<'a> = &'a dyn Fn(Inside);

/// Makes this process's root the run's private view.
///
/// To be called once, as root, by the run's init: pid 1 of a pid namespace of its own with an ipc namespace of its own, one
/// thread. Mount and network namespaces are made here, whatever the caller has (so a [`Network::Loopback`] caller need
/// not make one; its sockets made before stay in the old one). Afterwards the init is undumpable, in `/`, in the run's
/// network namespace with `lo` up; it keeps its capabilities, so whatever follows paths of the view for a
/// guest must do so in a forked child that joined.
///
/// # Errors
/// A clause that says what could not be had. The process is then in no defined state and must exit; the machine's mounts are as before.
pub fn enter(spec: &RunSpec) -> Result<View, String> {
    enter_with(spec, None)
}

/// As [`enter`], and the process that made the namespaces goes on as `stem` in them: who is forked by it need not join.
///
/// # Errors
/// As [`enter`].
pub fn enter_with(spec: &RunSpec, stem: Option<Stem<'_>>) -> Result<View, String> {
    match enter_held(spec, Hold::UserNamespace, stem) {
        Err(Refusal::NoUserNamespaces(_)) => enter_held(spec, Hold::Capabilities, None),
        other => other,
    }
    .map_err(|refusal| match refusal {
        Refusal::NoUserNamespaces(error) => format!("no user namespace can be had: {error}"),
        Refusal::Other(reason) => reason,
    })
}

fn enter_held(spec: &RunSpec, hold: Hold, stem: Option<Stem<'_>>) -> Result<View, Refusal> {
    // Before anything is changed: made private, the mounts of the machine itself would no longer spread.
    if std::process::id() != 1 {
        return Err("it is not the init of a pid namespace of its own that asks".to_string().into());
    }
    if !nix::unistd::geteuid().is_root() {
        return Err("it takes root".to_string().into());
    }
    let own_network = spec.network == Network::Loopback;
    let mut flags = CloneFlags::CLONE_NEWNS;
    // Not the children's where a user namespace holds: that belongs to it. An empty one all the same, of which `/sys` is.
    flags.set(CloneFlags::CLONE_NEWNET, own_network);
    unshare(flags).map_err(|error| format!("no mount namespace can be had: {error}"))?;
    nix::mount::mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .map_err(|error| format!("the mounts cannot be made private: {error}"))?;

    // Before any handle to the machine is opened, or it would inherit that; in our mount namespace, which it is to copy.
    // Before the holder is forked: nobody may signal who is in a scope apart from its own.
    // Without a user namespace, root in the view is root of the machine, and whoever has the run's user (`run-as`) may enter
    // the view through `/proc` and hand it a descriptor.
    let scoped = hold == Hold::UserNamespace && (own_network || scope::enter());
    let cores_piped = std::fs::read("/proc/sys/kernel/core_pattern").is_ok_and(|pattern| pattern.starts_with(b"|"));
    let inside = || Inside { gone: gone(hold, own_network), filter: Filter::new(scoped), cores_piped };
    let become_stem = || {
        if let Some(stem) = stem {
            stem(inside());
        }
    };
    let holder = match hold {
        Hold::UserNamespace => Some(Holder::start(own_network, &become_stem)?),
        Hold::Capabilities => None,
    };

    let initial = userns::initial();
    let text = std::fs::read("/proc/self/mountinfo").map_err(|error| format!("/proc/self/mountinfo: {error}"))?;
    let seen = mountinfo::visible(mountinfo::parse(&text)?)?;
    let stage = Stage::new(spec.limits.overlay)?;
    let (top, masked, mut layers) = layers::build(&seen, &stage, !initial, &spec.scratch)?;
    let proc = pseudo::proc(top.as_fd(), &stage)?;
    pseudo::dev(top.as_fd(), &stage, &seen)?;
    layers.push(Layer::own("/dev", top.as_fd())?);
    layers.push(Layer::own("/dev/shm", top.as_fd())?);

    let mut namespaces = Vec::new();
    if let Some(holder) = &holder {
        holder.map(proc.as_fd())?;
        namespaces.push((holder.namespace(proc.as_fd(), "user")?, CloneFlags::CLONE_NEWUSER));
        namespaces.push((holder.namespace(proc.as_fd(), "uts")?, CloneFlags::CLONE_NEWUTS));
        if own_network {
            namespaces.push((holder.namespace(proc.as_fd(), "net")?, CloneFlags::CLONE_NEWNET));
        }
    }
    if own_network {
        loopback::up().map_err(|error| format!("lo cannot be brought up: {error}"))?;
    }
    if !own_network {
        // `/proc/PID/net` is the machine's, and root may change modes and owners there. Only now: the holder's ids are written there.
        tree::restrict(proc.as_fd(), MountAttrFlags::MOUNT_ATTR_RDONLY)
            .map_err(|error| format!("/proc cannot be made read-only: {error}"))?;
    }
    // After the network: its `/sys/class/net` is of the namespace that mounts it.
    pseudo::sys(top.as_fd(), &stage)?;

    exchange_roots(&top)?;
    if let Some(holder) = &holder {
        holder.copy_mounts()?;
        namespaces.push((holder.namespace(proc.as_fd(), "mnt")?, CloneFlags::CLONE_NEWNS));
    }
    if !spec.scratch.is_dir() {
        return Err(format!("the scratch folder {} is not in the view", spec.scratch.shown()).into());
    }
    let stem = match holder {
        Some(holder) if stem.is_some() => Some(holder.release()?),
        _ => None,
    };
    nix::sys::prctl::set_dumpable(false).map_err(|error| format!("the init cannot be made untraceable: {error}"))?;
    Ok(View { namespaces, inside: inside(), stem, hold, masked, layers })
}

/// The capabilities that children lose.
fn gone(hold: Hold, own_network: bool) -> u64 {
    match hold {
        Hold::UserNamespace => caps::mask(caps::DROPPED),
        Hold::Capabilities => {
            let network = if own_network { caps::mask(caps::KEPT_WITH_OWN_NETWORK) } else { 0 };
            !(caps::mask(caps::KEPT_WITHOUT_USER_NAMESPACE) | network)
        }
    }
}

/// Makes `top` the root of this mount namespace and lets go of the old one with all that is mounted in it.
fn exchange_roots(top: &OwnedFd) -> Result<(), String> {
    let steps = || -> nix::Result<()> {
        nix::unistd::fchdir(top.as_fd())?;
        nix::unistd::pivot_root(".", ".")?;
        // The old root now lies over the new one, and the working directory is in it.
        nix::mount::umount2(".", MntFlags::MNT_DETACH)?;
        nix::unistd::chdir("/")
    };
    steps().map_err(|error| format!("the root cannot be exchanged (on an initial ramdisk it never can): {error}"))
}

impl View {
    /// Moves this process, just forked by the init (sharing its memory or not), into the view for good. To be called with the standard
    /// streams in place, before anything of the guest's is looked up and before another identity is taken on; then
    /// `exec`. The process is then in `/`, with all capabilities of its user namespace but the dropped ones. Streams
    /// that are the machine's `/dev/null` become the view's.
    ///
    /// `RLIMIT_CORE` becomes 1 and must stay so: 1 keeps the kernel from piping a core to the machine's handler, 0 does
    /// not (core(5)).
    ///
    /// Until `exec` the process is untraceable, because the init is undumpable and its memory belongs to the user namespace outside:
    /// nothing may make it dumpable. Descriptors without CLOEXEC go along: none may be a file of the machine's.
    ///
    /// Allocates nothing and takes no lock.
    ///
    /// # Errors
    /// What the kernel says; ENOTTY where a standard stream is a terminal or another device. The process must end, by
    /// `_exit`.
    pub fn join(&self) -> io::Result<()> {
        self.inside.limit_cores()?; // first: raising it from 0 takes a capability outside
        for (namespace, kind) in &self.namespaces {
            setns(namespace.as_fd(), *kind)?;
        }
        let layers = self.layers.iter().flat_map(Layer::handles);
        for handle in self.namespaces.iter().map(|(namespace, _)| namespace).chain(layers) {
            // SAFETY: closes the number in this process's own table only; the init's, whose memory may be shared, stays.
            // Nothing in this process uses or closes it again before it executes or ends.
            unsafe { libc::close(handle.as_raw_fd()) };
        }
        self.inside.shed()
    }

    /// What keeps root inside on this machine.
    pub fn hold(&self) -> Hold {
        self.hold
    }

    /// What can be looked at from outside, for as long as this process has not joined.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Mounts of the machine that the view shows empty, and why.
    pub fn masked(&self) -> &[Masked] {
        &self.masked
    }

    /// The process that goes on as the stem, if any.
    pub fn stem(&self) -> Option<i32> {
        self.stem
    }
}

impl Inside {
    /// Takes it on, in a process just forked by the stem (sharing its memory or not): as [`View::join`] does, whose errors it has.
    ///
    /// # Errors
    /// As [`View::join`].
    pub fn take_on(&self) -> io::Result<()> {
        self.limit_cores()?;
        self.shed()
    }

    fn shed(&self) -> io::Result<()> {
        streams()?;
        const JOIN_SESSION_KEYRING: libc::c_int = 1;
        // A nameless keyring of its own, or the child would possess the keys of whoever started Foil. ENOSYS: no keys at all.
        // SAFETY: a null name is what asks for a nameless one.
        if unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, std::ptr::null::<libc::c_char>()) } < 0 {
            let error = io::Error::last_os_error();
            if error.raw_os_error() != Some(libc::ENOSYS) {
                return Err(error);
            }
        }
        self.filter.install()?;
        caps::drop_all(self.gone)
    }

    fn limit_cores(&self) -> io::Result<()> {
        let one = libc::rlimit { rlim_cur: 1, rlim_max: 1 };
        // SAFETY: the structure outlives the call, which only reads it.
        if unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const one) } != 0 {
            let error = io::Error::last_os_error();
            // It is 0 and cannot be raised, which does as well where cores are files.
            if self.cores_piped || error.raw_os_error() != Some(libc::EPERM) {
                return Err(error);
            }
        }
        Ok(())
    }
}

/// What is at a path below a [`Layer`]'s root (the empty path: the root itself), through no link. For looking only.
pub fn at(root: BorrowedFd<'_>, path: &Path) -> rustix::io::Result<OwnedFd> {
    if path.as_os_str().is_empty() {
        return rustix::io::fcntl_dupfd_cloexec(root, 0);
    }
    tree::find_same_mount(root, path)
}

/// Exchanges the machine's `/dev/null` for the view's: whoever holds a descriptor of a node may change its mode through it.
fn streams() -> io::Result<()> {
    for stream in 0..3 {
        // SAFETY: an all-zero `stat` is a valid one.
        let mut stat: libc::stat = unsafe { std::mem::zeroed() };
        // SAFETY: the structure outlives the call; a closed stream is an error that leaves it zero.
        unsafe { libc::fstat(stream, &raw mut stat) };
        if stat.st_mode & libc::S_IFMT != libc::S_IFCHR {
            continue;
        }
        if stat.st_rdev != libc::makedev(1, 3) {
            return Err(io::Error::from_raw_os_error(libc::ENOTTY));
        }
        // SAFETY: the path is a NUL-terminated literal.
        let null = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) };
        if null < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `null` is open and ours; `stream` is a standard stream, which no value owns.
        let status = unsafe { libc::dup2(null, stream) };
        let outcome = if status < 0 { Err(io::Error::last_os_error()) } else { Ok(()) };
        // SAFETY: opened above, and not used again.
        unsafe { libc::close(null) };
        outcome?;
    }
    Ok(())
}
