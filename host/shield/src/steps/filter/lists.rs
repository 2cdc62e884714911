//! What the filter refuses, each with its reason.

use libc::{c_int, c_long};

/// A call's number, its name, and why.
pub type Entry = (c_long, &'static str, &'static str);

/// Refused with EPERM at both levels, and to init too: each acts on the machine as a whole.
pub const MACHINE: &[Entry] = &[
    (libc::SYS_open_by_handle_at, "open_by_handle_at", "reaches files that no path of the view leads to"),
    (libc::SYS_bpf, "bpf", "kernel programs"),
    (libc::SYS_perf_event_open, "perf_event_open", "observes every process of the machine"),
    (libc::SYS_userfaultfd, "userfaultfd", "eases kernel exploits; nothing of a technique needs it"),
    (libc::SYS_init_module, "init_module", "kernel code"),
    (libc::SYS_finit_module, "finit_module", "kernel code"),
    (libc::SYS_delete_module, "delete_module", "kernel code"),
    (libc::SYS_kexec_load, "kexec_load", "another kernel"),
    (libc::SYS_kexec_file_load, "kexec_file_load", "another kernel"),
    (libc::SYS_reboot, "reboot", "the machine"),
    (libc::SYS_swapon, "swapon", "the machine's memory"),
    (libc::SYS_swapoff, "swapoff", "the machine's memory"),
    (libc::SYS_acct, "acct", "writes a file for every process of the machine"),
    (libc::SYS_quotactl, "quotactl", "quotas of the file systems below"),
    (libc::SYS_quotactl_fd, "quotactl_fd", "quotas of the file systems below"),
    (libc::SYS_settimeofday, "settimeofday", "the machine's clock, by which links are timed"),
    (libc::SYS_clock_settime, "clock_settime", "the machine's clock"),
    (libc::SYS_adjtimex, "adjtimex", "the machine's clock"),
    (libc::SYS_clock_adjtime, "clock_adjtime", "the machine's clock"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_ioperm, "ioperm", "ports"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_iopl, "iopl", "ports"),
];

/// Refused with EPERM to children at both levels.
pub const CHILDREN: &[Entry] = &[
    (libc::SYS_keyctl, "keyctl", "root's keys are one set for the whole machine, and their owner may change them"),
    (libc::SYS_add_key, "add_key", "as keyctl"),
    (libc::SYS_request_key, "request_key", "as keyctl; and it starts a program outside"),
    (libc::SYS_pidfd_getfd, "pidfd_getfd", "takes a descriptor from another process, past every path and mount"),
];

/// Refused with ENOSYS to children at both levels, so that programs fall back to what the filter can see into.
pub const ABSENT: &[Entry] = &[(
    libc::SYS_clone3,
    "clone3",
    "its flags are in memory, where no filter reads them; libraries fall back to clone",
)];

/// Their operations pass no filter. EPERM in `confined`; ENOSYS in `overlay`, where programs of others run that fall back.
pub const IO_URING: &[Entry] = &[
    (libc::SYS_io_uring_setup, "io_uring_setup", "its operations pass no filter"),
    (libc::SYS_io_uring_enter, "io_uring_enter", "as io_uring_setup"),
    (libc::SYS_io_uring_register, "io_uring_register", "as io_uring_setup"),
];

/// Refused with EPERM to children of `confined` besides.
pub const CONFINED: &[Entry] = &[
    (libc::SYS_mount, "mount", "the shape of the file system, on which Landlock rules hang"),
    (libc::SYS_umount2, "umount2", "as mount"),
    (libc::SYS_pivot_root, "pivot_root", "as mount"),
    (libc::SYS_move_mount, "move_mount", "as mount"),
    (libc::SYS_open_tree, "open_tree", "as mount"),
    (libc::SYS_fsopen, "fsopen", "as mount"),
    (libc::SYS_fsconfig, "fsconfig", "as mount"),
    (libc::SYS_fsmount, "fsmount", "as mount"),
    (libc::SYS_fspick, "fspick", "as mount"),
    (libc::SYS_mount_setattr, "mount_setattr", "as mount"),
    (libc::SYS_setns, "setns", "leaves the run's namespaces"),
    (libc::SYS_unshare, "unshare", "root in new namespaces: much kernel surface for no technique here"),
];

/// Refused with ENOSYS to children of `confined` besides.
pub const CONFINED_ABSENT: &[Entry] =
    &[(libc::SYS_openat2, "openat2", "its mode is in memory, where no filter reads it; programs fall back to openat")];

/// `clone` flags for namespaces: what `unshare` is refused for in `confined`.
pub const NAMESPACES: c_int = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP;

/// Families of sockets that stay; any other is EAFNOSUPPORT. Those left out either ignore network namespaces (vsock
/// reaches the hypervisor) or are kernel surface that no technique needs. Unix sockets: see [`super::Unix`].
pub const FAMILIES: &[c_int] = &[libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK, libc::AF_PACKET];

/// Typing into, or pasting to, a terminal that somebody else reads.
pub const TERMINAL_INJECTION: &[u32] = &[libc::TIOCSTI as u32, 0x541C /* TIOCLINUX */];

/// What `fallocate` may be asked for in `confined`: more file, a hole, zeros. The others make a file, or the space that it takes,
/// larger than `RLIMIT_FSIZE` says.
pub const ALLOCATIONS: &[c_int] =
    &[0, libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE, libc::FALLOC_FL_ZERO_RANGE];

/// Set-user-id and set-group-id. A file with one of them outlives the shield for whoever can reach it, `no_new_privs` and
/// `nosuid` mounts or not: those hold the run's own children.
pub const SET_ID: u32 = 0o6000;

/// Calls that give a file its mode: number, the mode's argument, and the argument with the flags without which the mode
/// means nothing.
pub const MODES: &[(c_long, u32, Option<u32>)] = &[
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_chmod, 1, None),
    (libc::SYS_fchmod, 1, None),
    (libc::SYS_fchmodat, 2, None),
    (SYS_FCHMODAT2, 2, None),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_creat, 1, None),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, 2, Some(1)),
    (libc::SYS_openat, 3, Some(2)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mknod, 1, None),
    (libc::SYS_mknodat, 2, None),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mkdir, 1, None),
    (libc::SYS_mkdirat, 2, None),
];

/// The same number on every architecture, as all calls since 5.1.
const SYS_FCHMODAT2: c_long = 452;

/// `O_CREAT`, and the bit of `O_TMPFILE` that is not `O_DIRECTORY`: with one of them `open` takes a mode.
pub const CREATING: u32 = (libc::O_CREAT | (libc::O_TMPFILE & !libc::O_DIRECTORY)) as u32;
