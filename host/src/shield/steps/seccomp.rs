//! The system calls that no child may make, whoever it is: defence behind the dropped capabilities, and the only one
//! where a call needs none.
//!
//! A deny-list, since children are arbitrary programs. Refused calls fail with EPERM, as they would for an ordinary
//! user, rather than kill: a technique must be able to go on and say so.

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    sock_filter,
};
use std::collections::BTreeMap;

/// Which list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// Everything below.
    Confined,
    /// Only what reaches the machine from inside an overlay. Mounts, `chroot` and namespaces act inside it.
    Overlay,
}

/// Calls that act on the machine as a whole, from inside an overlay too.
#[rustfmt::skip]
const MACHINE: &[libc::c_long] = &[
    // Another kernel, or code in this one.
    libc::SYS_kexec_load, libc::SYS_kexec_file_load, libc::SYS_init_module, libc::SYS_finit_module,
    libc::SYS_delete_module, libc::SYS_bpf,
    // The machine's state: power, swap, accounting, quotas.
    libc::SYS_reboot, libc::SYS_swapon, libc::SYS_swapoff, libc::SYS_acct, libc::SYS_quotactl, libc::SYS_quotactl_fd,
    // The clock, which no namespace separates, and by which links are timed.
    libc::SYS_settimeofday, libc::SYS_clock_settime, libc::SYS_adjtimex, libc::SYS_clock_adjtime,
    // Files past every mount and path rule.
    libc::SYS_open_by_handle_at,
    // Watching the kernel and other processes.
    libc::SYS_perf_event_open,
];

/// Calls that x86 has besides.
#[cfg(target_arch = "x86_64")]
const MACHINE_X86: &[libc::c_long] = &[
    // Ports of the hardware.
    libc::SYS_iopl,
    libc::SYS_ioperm,
];
#[cfg(not(target_arch = "x86_64"))]
const MACHINE_X86: &[libc::c_long] = &[];

/// Calls that `confined` refuses besides.
#[rustfmt::skip]
const CONFINED: &[libc::c_long] = &[
    // The shape of the file system: Landlock rules hang on it.
    libc::SYS_mount, libc::SYS_umount2, libc::SYS_pivot_root, libc::SYS_move_mount, libc::SYS_open_tree,
    libc::SYS_fsopen, libc::SYS_fsconfig, libc::SYS_fsmount, libc::SYS_fspick, libc::SYS_mount_setattr,
    // Leaving the run's namespaces, or being root in new ones (much kernel surface for no technique here).
    libc::SYS_setns, libc::SYS_unshare,
    // Keys are shared beyond namespaces.
    libc::SYS_add_key, libc::SYS_request_key, libc::SYS_keyctl,
    // System calls that this filter would not see, and a favourite of kernel exploits.
    libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register, libc::SYS_userfaultfd,
];

/// `clone` flags for namespaces: what `unshare` is refused for.
const NAMESPACES: &[libc::c_int] = &[
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
];

/// Typing into, or pasting to, a terminal that somebody else reads.
const TERMINAL_INJECTION: &[u64] = &[libc::TIOCSTI, 0x541C /* TIOCLINUX */];

/// Builds the list for this machine.
pub fn program(list: List) -> Result<BpfProgram, String> {
    let failed = |error: &dyn std::fmt::Display| format!("cannot build the system call filter: {error}");
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for &call in MACHINE.iter().chain(MACHINE_X86) {
        rules.insert(call, Vec::new());
    }
    if list == List::Confined {
        for &call in CONFINED {
            rules.insert(call, Vec::new());
        }
        let mut clone = Vec::new();
        for &flag in NAMESPACES {
            let flag = flag as u32 as u64;
            clone.push(rule(0, SeccompCmpOp::MaskedEq(flag), flag).map_err(|error| failed(&error))?);
        }
        rules.insert(libc::SYS_clone, clone);
    }
    let mut ioctl = Vec::new();
    for &request in TERMINAL_INJECTION {
        ioctl.push(rule(1, SeccompCmpOp::Eq, request).map_err(|error| failed(&error))?);
    }
    rules.insert(libc::SYS_ioctl, ioctl);

    let architecture = std::env::consts::ARCH.try_into().map_err(|error| failed(&error))?;
    let refuse = SeccompAction::Errno(libc::EPERM as u32);
    // The filter begins by killing calls of another architecture (i386 on x86_64): they have other numbers, so that the
    // list would not mean anything.
    let filter =
        SeccompFilter::new(rules, SeccompAction::Allow, refuse, architecture).map_err(|error| failed(&error))?;
    let body: BpfProgram = filter.try_into().map_err(|error| failed(&error))?;
    let mut program = preamble(list);
    program.extend(body);
    Ok(program)
}

fn rule(argument: u8, operation: SeccompCmpOp, value: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    SeccompRule::new(vec![SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operation, value)?])
}

/// What the list cannot say: it knows neither ranges of numbers nor a second answer.
fn preamble(list: List) -> BpfProgram {
    const LOAD_NUMBER: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS, of seccomp_data.nr at offset 0
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    #[cfg(target_arch = "x86_64")]
    const JUMP_AT_LEAST: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
    const JUMP_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    let step = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    let mut program = vec![step(LOAD_NUMBER, 0, 0, 0)];
    // x32 calls come under x86_64's architecture, with this bit set: other numbers again, so kill.
    #[cfg(target_arch = "x86_64")]
    program.extend([step(JUMP_AT_LEAST, 0, 1, 0x4000_0000), step(RETURN, 0, 0, libc::SECCOMP_RET_KILL_PROCESS)]);
    if list == List::Confined {
        // clone3 has its flags in memory, where a filter cannot look. ENOSYS makes libc use clone.
        let no_such_call = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
        program.extend([step(JUMP_EQUAL, 0, 1, libc::SYS_clone3 as u32), step(RETURN, 0, 0, no_such_call)]);
    }
    program
}

/// Installs the list on the calling process and all that it starts. Needs `no_new_privs` or `SYS_ADMIN`; unlike
/// seccompiler's own function it does not set the former.
pub fn install(program: &BpfProgram) -> Result<(), String> {
    let header = libc::sock_fprog {
        len: u16::try_from(program.len()).map_err(|_| "the system call filter is too long".to_owned())?,
        filter: program.as_ptr().cast_mut().cast(),
    };
    // SAFETY: the kernel copies the program, whose entries have the kernel's layout.
    let rc = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const header) };
    if rc == 0 {
        return Ok(());
    }
    Err(format!("cannot install the system call filter: {}", std::io::Error::last_os_error()))
}
