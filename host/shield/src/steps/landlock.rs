//! Landlock: which files children of `confined` may touch.
//!
//! Init stays outside of the domain (it performs file effects that are granted to the module but not to its children)
//! and builds the rules once; each child restricts itself just before it becomes the program. Children of separate
//! calls are therefore in separate domains: they can signal each other (inside a pid namespace of the run), but not
//! trace each other.

use super::holds::{Holds, Purpose};
use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, Ruleset, RulesetAttr, RulesetCreatedAttr,
    Scope,
};
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use std::os::fd::OwnedFd;
use std::path::Path;

/// Built and tested against this version of Landlock; older kernels give what they have.
const NEWEST: ABI = ABI::V9;

/// Where programs and their libraries live: read and execute. Nothing secret is there by convention, and without them
/// nothing starts. (The last two: systems that keep everything elsewhere.)
const PROGRAMS: &[&str] = &["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store"];

/// What libraries and shells read at their start: read only. Listed one by one, since /etc also holds secrets (shadow,
/// private keys, sudoers) and Landlock can only allow.
#[rustfmt::skip]
const SETTINGS: &[&str] = &[
    // The dynamic linker.
    "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/ld.so.preload", "/etc/alternatives",
    // Users and names.
    "/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/hosts", "/etc/host.conf", "/etc/hostname",
    "/etc/resolv.conf", "/etc/gai.conf", "/etc/services", "/etc/protocols", "/etc/networks", "/etc/rpc",
    // Which system this is.
    "/etc/os-release", "/etc/lsb-release", "/etc/debian_version", "/etc/redhat-release", "/etc/alpine-release",
    "/etc/issue", "/etc/issue.net", "/etc/motd", "/etc/machine-id",
    // Time, language, terminals.
    "/etc/localtime", "/etc/timezone", "/etc/locale.alias", "/etc/locale.conf", "/etc/default/locale", "/etc/terminfo",
    // Shells.
    "/etc/profile", "/etc/profile.d", "/etc/bash.bashrc", "/etc/bashrc", "/etc/inputrc", "/etc/shells",
    "/etc/environment", "/etc/login.defs",
    // Certificates, not keys.
    "/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/pki/ca-trust", "/etc/pki/tls/certs", "/etc/pki/tls/openssl.cnf",
    "/etc/ca-certificates", "/etc/ca-certificates.conf", "/etc/crypto-policies",
    // Interpreters and small tools.
    "/etc/python3", "/etc/perl", "/etc/magic", "/etc/mime.types",
    // The kernel's own accounts. Their writable parts act on the machine; see `mounts::seal_proc`.
    "/proc", "/sys",
];

/// Devices without state of the machine's: read, write and ioctl.
const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"];

/// Terminals, where they are the run's own.
const TERMINALS: &[&str] = &["/dev/ptmx", "/dev/pts"];

/// What the rules depend on besides the run's specification.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings {
    /// /proc shows the run's processes only and is sealed: its files may be written.
    pub own_proc: bool,
    /// /dev/pts has the run's terminals only.
    pub own_terminals: bool,
    /// No pid namespace: Landlock must keep signals in.
    pub scope_signals: bool,
    /// No network namespace: Landlock must keep abstract sockets in.
    pub scope_abstract_sockets: bool,
}

/// The version of Landlock that the kernel offers, or why there is none.
pub fn version() -> Result<u32, String> {
    const VERSION: libc::c_uint = 1; // LANDLOCK_CREATE_RULESET_VERSION
    // SAFETY: with this flag the call takes no structure and only answers a number.
    let rc = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, VERSION) };
    u32::try_from(rc).map_err(|_| {
        let error = std::io::Error::last_os_error();
        format!("this kernel has no Landlock ({error}): it needs Linux 5.13 or later with `landlock` among its `lsm=`")
    })
}

/// The first version that keeps signals and abstract sockets in.
pub const SCOPES_FROM: u32 = 6;

/// Whether children may read this path without a grant.
pub fn is_base(path: &str) -> bool {
    let path = Path::new(path);
    let plain = path.components().all(|part| !matches!(part, std::path::Component::ParentDir));
    plain && PROGRAMS.iter().chain(SETTINGS).any(|base| path.starts_with(base))
}

/// Builds the rules.
pub fn rules(holds: &Holds, around: Surroundings) -> Result<OwnedFd, String> {
    let failed = |error: &dyn std::fmt::Display| format!("cannot build the Landlock rules: {error}");
    let all = AccessFs::from_all(NEWEST);
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)
        .map_err(|error| failed(&error))?;
    for (wanted, scope) in
        [(around.scope_signals, Scope::Signal), (around.scope_abstract_sockets, Scope::AbstractUnixSocket)]
    {
        if wanted {
            ruleset = ruleset.scope(scope).map_err(|error| failed(&error))?;
        }
    }
    let mut rules = ruleset.create().map_err(|error| failed(&error))?;
    let look = AccessFs::ReadFile | AccessFs::ReadDir;
    let run = look | AccessFs::Execute;
    let device = look | AccessFs::WriteFile | AccessFs::IoctlDev | AccessFs::Truncate;
    // Everything but execution: a file that a child wrote outside of its scratch folder is not to be started from there
    // unless a read grant says so.
    let change = all & !BitFlags::from(AccessFs::Execute);
    let base = PROGRAMS.iter().map(|path| (*path, run)).chain(SETTINGS.iter().map(|path| (*path, look)));
    let terminals = TERMINALS.iter().filter(|_| around.own_terminals);
    for (path, access) in base.chain(DEVICES.iter().chain(terminals).map(|path| (*path, device))) {
        // What a system does not have needs no rule.
        if let Ok(fd) = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
            rules = allow(rules, &fd, access).map_err(|error| failed(&error))?;
        }
    }
    if around.own_proc {
        let fd = open("/proc", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(|error| failed(&error))?;
        rules = allow(rules, &fd, look | AccessFs::WriteFile | AccessFs::Truncate).map_err(|error| failed(&error))?;
    }
    for (purpose, access) in [(Purpose::Read, run), (Purpose::Write, change)] {
        for hold in holds.of(purpose) {
            rules = allow(rules, &hold.place, access).map_err(|error| failed(&error))?;
        }
    }
    let scratch = holds.scratch().ok_or_else(|| failed(&"the scratch folder is not held"))?;
    rules = allow(rules, scratch, all).map_err(|error| failed(&error))?;
    Option::<OwnedFd>::from(rules).ok_or_else(|| failed(&"the kernel gave no ruleset"))
}

fn allow(
    rules: landlock::RulesetCreated,
    fd: &OwnedFd,
    access: BitFlags<AccessFs>,
) -> Result<landlock::RulesetCreated, landlock::RulesetError> {
    let access = if is(fd, FileType::Directory) { access } else { access & AccessFs::from_file(NEWEST) };
    rules.add_rule(PathBeneath::new(fd, access))
}

fn is(fd: &OwnedFd, kind: FileType) -> bool {
    fstat(fd).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == kind)
}

/// Flags for [`restrict`]. Since version 7 a domain's refusals before its first `execve` are audited; those would be our
/// own telemetry, not the technique's.
pub fn restrict_flags(version: u32) -> libc::c_uint {
    if version >= 7 { 1 } else { 0 } // LANDLOCK_RESTRICT_SELF_LOG_SAME_EXEC_OFF
}

/// Puts the calling process into a new domain with these rules. No allocation; the error is an errno.
pub fn restrict(rules: std::os::fd::RawFd, flags: libc::c_uint) -> Result<(), i32> {
    // SAFETY: a plain system call on a descriptor.
    let rc = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, rules, flags) };
    if rc == 0 { Ok(()) } else { Err(super::identity::errno()) }
}
