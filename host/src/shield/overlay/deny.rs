//! System calls that children of an overlay are refused, each with its reason. It backs the user namespace up, and closes what
//! no namespace does: keys, `io_uring` (whose operations no filter sees), cgroup namespaces, and sockets of families that
//! reach past a network namespace.

use std::io;

use libc::c_long;

/// A call's number, its name, and why.
pub type Entry = (c_long, &'static str, &'static str);

/// Refused with EPERM.
pub const DENIED: &[Entry] = &[
    (libc::SYS_open_by_handle_at, "open_by_handle_at", "reaches files that no path of the view leads to"),
    (libc::SYS_keyctl, "keyctl", "root's keys are one set for the whole machine, and their owner may change them"),
    (libc::SYS_add_key, "add_key", "as keyctl"),
    (libc::SYS_request_key, "request_key", "as keyctl; and it starts a program outside"),
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
    (libc::SYS_settimeofday, "settimeofday", "the machine's clock"),
    (libc::SYS_clock_settime, "clock_settime", "the machine's clock"),
    (libc::SYS_adjtimex, "adjtimex", "the machine's clock"),
    (libc::SYS_clock_adjtime, "clock_adjtime", "the machine's clock"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_ioperm, "ioperm", "ports"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_iopl, "iopl", "ports"),
];

/// Refused with ENOSYS, so that programs fall back to what the filter can see into.
pub const ABSENT: &[Entry] = &[
    (libc::SYS_clone3, "clone3", "its flags are in memory, where no filter reads them; libraries fall back to clone"),
    (libc::SYS_io_uring_setup, "io_uring_setup", "its operations pass no filter"),
    (libc::SYS_io_uring_enter, "io_uring_enter", "as io_uring_setup"),
    (libc::SYS_io_uring_register, "io_uring_register", "as io_uring_setup"),
];

/// Families of sockets that stay; any other is EAFNOSUPPORT. Those left out either ignore network namespaces (vsock reaches the
/// hypervisor) or are kernel surface that no technique needs.
pub const FAMILIES: &[libc::c_int] = &[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK, libc::AF_PACKET];

/// `linux/audit.h`: the machine that a call's number is of.
#[cfg(target_arch = "x86_64")]
const ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCH: u32 = 0xc000_00b7;
#[cfg(target_arch = "riscv64")]
const ARCH: u32 = 0xc000_00f3;

// Offsets in `struct seccomp_data`; the low half of an argument comes first on these (little-endian) machines.
const AT_NUMBER: u32 = 0;
const AT_ARCH: u32 = 4;
const AT_ARGUMENT_0: u32 = 16;
const AT_ARGUMENT_1: u32 = 24;

/// A filter, ready to install.
#[derive(Debug)]
pub struct Filter(Vec<libc::sock_filter>);

impl Filter {
    /// Builds it. With `sockets` false, Unix sockets are refused too, but for connected pairs: on the host's network, abstract
    /// names would reach the host's services, and a kernel without Landlock's scopes cannot tell the names apart.
    pub fn new(sockets: bool) -> Self {
        let mut code = vec![load(AT_ARCH), jump(libc::BPF_JEQ, ARCH, 1, 0), give(libc::SECCOMP_RET_KILL_PROCESS)];
        code.push(load(AT_NUMBER));
        #[cfg(target_arch = "x86_64")] // the x32 calls: other numbers for the same calls
        code.extend([jump(libc::BPF_JGE, 0x4000_0000, 0, 1), give(errno(libc::ENOSYS))]);
        for (list, error) in [(DENIED, libc::EPERM), (ABSENT, libc::ENOSYS)] {
            for (number, _, _) in list {
                code.extend([jump(libc::BPF_JEQ, low(*number), 0, 1), give(errno(error))]);
            }
        }
        // A cgroup namespace of one's own is what makes cgroup file systems mountable, and with them the machine's cgroups
        // writable (`cgroup.kill` among them).
        for number in [libc::SYS_clone, libc::SYS_unshare] {
            let cgroup = [
                load(AT_ARGUMENT_0),
                jump(libc::BPF_JSET, libc::CLONE_NEWCGROUP.cast_unsigned(), 0, 1),
                give(errno(libc::EPERM)),
                give(libc::SECCOMP_RET_ALLOW),
            ];
            on(&mut code, number, &cgroup);
        }
        let mut families = vec![load(AT_ARGUMENT_0)];
        for family in FAMILIES.iter().filter(|family| sockets || **family != libc::AF_UNIX) {
            let allow = [jump(libc::BPF_JEQ, family.cast_unsigned(), 0, 1), give(libc::SECCOMP_RET_ALLOW)];
            families.extend(allow);
        }
        families.push(give(errno(libc::EAFNOSUPPORT)));
        on(&mut code, libc::SYS_socket, &families);
        if !sockets {
            // A pair of datagram sockets can be connected anew, to any name.
            let pairs = [
                load(AT_ARGUMENT_1),
                and(0xf),
                jump(libc::BPF_JEQ, libc::SOCK_DGRAM.cast_unsigned(), 0, 1),
                give(errno(libc::EAFNOSUPPORT)),
                give(libc::SECCOMP_RET_ALLOW),
            ];
            on(&mut code, libc::SYS_socketpair, &pairs);
        }
        code.push(give(libc::SECCOMP_RET_ALLOW));
        Self(code)
    }

    /// Installs it in this thread, for good. Allocates nothing: fit for a process just forked.
    ///
    /// # Errors
    /// EACCES without `no_new_privs` and without CAP_SYS_ADMIN; EINVAL where the kernel has no seccomp filters.
    pub fn install(&self) -> io::Result<()> {
        let program = libc::sock_fprog {
            len: u16::try_from(self.0.len()).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))?,
            filter: self.0.as_ptr().cast_mut(),
        };
        // SAFETY: `program` and the code it points to outlive the call, which only reads them.
        let status = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) };
        if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

/// Appends `then`, which must end in a verdict, for one call only. The accumulator holds the number before and after.
fn on(code: &mut Vec<libc::sock_filter>, number: c_long, then: &[libc::sock_filter]) {
    let over = u8::try_from(then.len()).unwrap_or(u8::MAX);
    code.push(jump(libc::BPF_JEQ, low(number), 0, over));
    code.extend_from_slice(then);
}

/// Call numbers fit 32 bits.
fn low(number: c_long) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn errno(error: libc::c_int) -> u32 {
    libc::SECCOMP_RET_ERRNO | error.cast_unsigned()
}

fn statement(code: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: u16::try_from(code).unwrap_or(u16::MAX), jt: 0, jf: 0, k }
}

fn load(offset: u32) -> libc::sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset)
}

fn and(bits: u32) -> libc::sock_filter {
    statement(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, bits)
}

fn give(verdict: u32) -> libc::sock_filter {
    statement(libc::BPF_RET | libc::BPF_K, verdict)
}

fn jump(test: u32, k: u32, yes: u8, no: u8) -> libc::sock_filter {
    libc::sock_filter { jt: yes, jf: no, ..statement(libc::BPF_JMP | test | libc::BPF_K, k) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_is_within_the_kernels_bounds_and_every_jump_inside() {
        for sockets in [true, false] {
            let Filter(code) = Filter::new(sockets);
            assert!(code.len() < 4096);
            for (at, one) in code.iter().enumerate() {
                assert!(at + usize::from(one.jt.max(one.jf)) < code.len());
            }
            assert_eq!(code.last().unwrap().k, libc::SECCOMP_RET_ALLOW);
        }
    }
}
