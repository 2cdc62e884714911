//! What can hold a run's children. Everything here is tried.

use super::{Area, Finding};
use foil_manifest::{Network, ShieldLevel};
use foil_shield::{Cgroup, ChildLimits, Launcher, RunSpec, landlock};
use foil_text::{RunId, Shown as _};
use std::io::Error;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

/// A namespace, and why a child could not enter it.
pub(super) type Tried = (&'static str, Option<Error>);

/// Enters each kind of namespace in a child of its own, as an ordinary user inside a user namespace. Call it while there is
/// one thread.
pub(super) fn namespaces() -> Vec<Tried> {
    let user = if rustix::process::geteuid().is_root() { 0 } else { libc::CLONE_NEWUSER };
    [
        ("user", libc::CLONE_NEWUSER),
        ("pid", libc::CLONE_NEWPID),
        ("network", libc::CLONE_NEWNET),
        ("mount", libc::CLONE_NEWNS),
        ("ipc", libc::CLONE_NEWIPC),
        ("uts", libc::CLONE_NEWUTS),
    ]
    .into_iter()
    .map(|(name, flag)| (name, enter(flag | user).err()))
    .collect()
}

fn enter(flags: libc::c_int) -> std::io::Result<()> {
    // SAFETY: there is one thread, so that no lock is held in the child, which makes one system call and ends.
    let child = unsafe { libc::fork() };
    if child < 0 {
        return Err(Error::last_os_error());
    }
    if child == 0 {
        // SAFETY: both are plain system calls; what the original would run at its end is not run.
        unsafe {
            let code = if libc::unshare(flags) == 0 { 0 } else { *libc::__errno_location() };
            libc::_exit(code & 0x7f);
        }
    }
    let mut status = 0;
    // SAFETY: our own child, and a place for its status.
    while unsafe { libc::waitpid(child, &raw mut status, 0) } < 0 {
        let error = Error::last_os_error();
        if error.kind() != std::io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    if !libc::WIFEXITED(status) {
        return Err(Error::other("the child was killed"));
    }
    match libc::WEXITSTATUS(status) {
        0 => Ok(()),
        code => Err(Error::from_raw_os_error(code)),
    }
}

pub(super) fn look(launcher: anyhow::Result<Launcher>, namespaces: Vec<Tried>) -> Vec<Finding> {
    let mut area = Area::new("shield");
    let refused: Vec<String> =
        namespaces.iter().filter_map(|(name, error)| Some(format!("{name} ({})", error.as_ref()?))).collect();
    if refused.is_empty() {
        let names: Vec<&str> = namespaces.iter().map(|(name, _)| *name).collect();
        area.ok("namespaces", format!("{}: each was entered", names.join(", ")));
    } else {
        area.warning(
            "namespaces",
            format!("refused: {}", refused.join(", ")),
            "allow user namespaces (user.max_user_namespaces, kernel.unprivileged_userns_clone, \
             kernel.apparmor_restrict_unprivileged_userns), or run as root outside of a container",
        );
    }
    match landlock::version() {
        Ok(version) if version >= landlock::SCOPES_FROM => area.ok("Landlock", format!("version {version}")),
        Ok(version) => area.warning(
            "Landlock",
            format!("version {version}: it does not keep signals and abstract sockets in"),
            "use Linux 6.12 or later; namespaces keep them in where those can be had",
        ),
        Err(why) => area.missing("Landlock", why, "boot with `lsm=landlock,…` or use a kernel that has it"),
    }
    seccomp(&mut area);
    if rustix::process::geteuid().is_root() {
        let known = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
        // A module is loaded when it is first mounted; the level below tells.
        let says = if known.contains("\toverlay\n") { "the kernel knows it" } else { "not loaded yet" };
        area.ok("overlayfs", says);
    }
    match Cgroup::create("doctor", 8) {
        Some(cgroup) => {
            cgroup.remove();
            area.ok("cgroup", "the controller `pids` holds a run to its number of processes");
        }
        None => area.warning(
            "cgroup",
            "no cgroup with the controller `pids` could be made below our own: processes are counted less strictly",
            "run as root, or where systemd delegates it: `systemd-run --user --scope -p Delegate=pids foil …`",
        ),
    }
    match launcher {
        Ok(launcher) => levels(&mut area, &launcher),
        Err(error) => {
            area.missing("launcher", format!("it does not start: {error:#}"), "see the reason; nothing runs without it")
        }
    }
    area.found
}

fn seccomp(area: &mut Area) {
    let actions = std::fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail").unwrap_or_default();
    if actions.split_whitespace().any(|action| action == "errno") {
        area.ok("seccomp", "filters can refuse system calls");
    } else {
        area.missing("seccomp", "this kernel has no seccomp filters", "use a kernel with CONFIG_SECCOMP_FILTER");
    }
}

/// Opens each level, and closes it again.
fn levels(area: &mut Area, launcher: &Launcher) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return area.missing("levels", format!("no runtime: {error}"), "see the reason"),
    };
    for (name, level) in [("confined", ShieldLevel::Confined), ("overlay", ShieldLevel::Overlay)] {
        if level == ShieldLevel::Overlay && !rustix::process::geteuid().is_root() {
            area.warning(name, "for root only", "run as root where a technique needs it");
            continue;
        }
        match runtime.block_on(open(launcher, level)) {
            Ok(gaps) if gaps.is_empty() => area.ok(name, "it was opened, and nothing of it is lacking"),
            Ok(gaps) => area.warning(
                name,
                format!("it was opened, with gaps: {}", gaps.join("; ")),
                "each gap is said in every report; what is above under namespaces and Landlock closes most of them",
            ),
            Err(why) if level == ShieldLevel::Confined => {
                area.missing(name, why, "mend what is said above: no technique runs without a shield")
            }
            Err(why) => area.warning(name, why, "mend what is said above, or use techniques that work in `confined`"),
        }
    }
}

async fn open(launcher: &Launcher, level: ShieldLevel) -> Result<Vec<String>, String> {
    let scratch = Scratch::new()?;
    let spec = RunSpec {
        run: RunId::new(),
        level,
        network: Network::Loopback,
        identity: None,
        reads: Vec::new(),
        writes: Vec::new(),
        privileges: false,
        scratch: scratch.0.clone(),
        limits: ChildLimits { processes: 8, memory: 1 << 30, file_size: 1 << 20, output: 1 << 16, overlay: 16 << 20 },
    };
    let run = launcher.open(spec).await.map_err(|error| error.to_string())?;
    let gaps = run.gaps().to_vec();
    run.close().await.map_err(|error| error.to_string())?;
    Ok(gaps)
}

/// A folder for one trial, gone afterwards.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, String> {
        let folder = foil_safe_path::temporary::folder()?;
        let path = folder.join(format!("foil-doctor-{}", RunId::new()));
        let made = std::fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| format!("no scratch folder in {}: {error}", folder.shown()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
