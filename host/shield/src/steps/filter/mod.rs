//! The system calls that no child may make, whoever it is: defence behind namespaces, mounts and dropped capabilities, and
//! the only one where a call needs none.
//!
//! One filter for both levels, with what `confined` refuses besides. A deny-list, since children are arbitrary programs.
//! Refused calls fail, as they would for an ordinary user or an older kernel, rather than kill: a technique must be able
//! to go on and say so.
//!
//! Two things that look harmless are refused because an accomplice outside of the shield could make use of them:
//! set-id modes (a file with one can be run by whoever reaches it), and Unix sockets that lead out (a descriptor that
//! comes in by one is of the machine's mounts, which no read-only mount of the run protects).

mod code;
mod lists;

use code::{Code, Half, allow, and, argument, fail, if_any, if_equal, if_none, unless_equal};
use lists::*;
use std::io;

/// Which Unix sockets children may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unix {
    /// Any: nobody outside can be reached by one, or a grant names one.
    All,
    /// Connected pairs only.
    Pairs,
}

/// A filter, ready to install.
#[derive(Debug)]
pub struct Filter(Vec<libc::sock_filter>);

impl Filter {
    /// For init and its helpers, which run Foil's own code and need more.
    pub fn machine() -> Self {
        let mut code = Code::new();
        refuse(&mut code, MACHINE, libc::EPERM);
        Self(code.finish())
    }

    /// For children of an overlay. With `sockets` false, Unix sockets are refused, but for connected pairs.
    pub fn new(sockets: bool) -> Self {
        let mut code = Code::new();
        refuse(&mut code, IO_URING, libc::ENOSYS);
        // A cgroup namespace of one's own is what makes cgroup file systems mountable, and with them the machine's cgroups
        // writable (`cgroup.kill` among them).
        for number in [libc::SYS_clone, libc::SYS_unshare] {
            flags(&mut code, number, libc::CLONE_NEWCGROUP);
        }
        common(&mut code, if sockets { Unix::All } else { Unix::Pairs });
        Self(code.finish())
    }

    /// For children of `confined`.
    pub fn confined(unix: Unix) -> Self {
        let mut code = Code::new();
        refuse(&mut code, CONFINED, libc::EPERM);
        refuse(&mut code, IO_URING, libc::EPERM);
        refuse(&mut code, CONFINED_ABSENT, libc::ENOSYS);
        flags(&mut code, libc::SYS_clone, NAMESPACES);
        for (number, mode, creating) in MODES {
            let mut then = Vec::new();
            if let Some(flags) = creating {
                then.extend([argument(*flags, Half::Low), if_none(CREATING), allow()]);
            }
            then.extend([argument(*mode, Half::Low), if_any(SET_ID), fail(libc::EPERM), allow()]);
            code.on(*number, &then);
        }
        let mut modes = vec![argument(1, Half::Low)];
        ALLOCATIONS.iter().for_each(|mode| modes.extend([if_equal(mode.cast_unsigned()), allow()]));
        modes.push(fail(libc::EOPNOTSUPP));
        code.on(libc::SYS_fallocate, &modes);
        common(&mut code, unix);
        Self(code.finish())
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

/// What children of both levels are refused.
fn common(code: &mut Code, unix: Unix) {
    refuse(code, MACHINE, libc::EPERM);
    refuse(code, CHILDREN, libc::EPERM);
    refuse(code, ABSENT, libc::ENOSYS);
    let mut pasting = vec![argument(1, Half::Low)];
    TERMINAL_INJECTION.iter().for_each(|request| pasting.extend([if_equal(*request), fail(libc::EPERM)]));
    pasting.push(allow());
    code.on(libc::SYS_ioctl, &pasting);
    cores(code);
    sockets(code, unix);
}

/// A limit of 1 byte keeps the kernel from giving a core to the machine's handler, which runs outside of any shield; 0
/// does not (core(5)). So it must stay as it is.
fn cores(code: &mut Code) {
    #[cfg(not(target_arch = "riscv64"))] // which has prlimit64 only
    code.on(
        libc::SYS_setrlimit,
        &[argument(0, Half::Low), if_equal(libc::RLIMIT_CORE as libc::c_uint), fail(libc::EPERM), allow()],
    );
    // Reading it, with no new limit, is harmless.
    code.on(
        libc::SYS_prlimit64,
        &[
            argument(1, Half::Low),
            unless_equal(libc::RLIMIT_CORE as libc::c_uint),
            allow(),
            argument(2, Half::Low),
            unless_equal(0),
            fail(libc::EPERM),
            argument(2, Half::High),
            unless_equal(0),
            fail(libc::EPERM),
            allow(),
        ],
    );
}

fn sockets(code: &mut Code, unix: Unix) {
    let mut families = vec![argument(0, Half::Low)];
    for family in FAMILIES.iter().chain((unix == Unix::All).then_some(&libc::AF_UNIX)) {
        families.extend([if_equal(family.cast_unsigned()), allow()]);
    }
    families.push(fail(libc::EAFNOSUPPORT));
    code.on(libc::SYS_socket, &families);
    let mut pairs = vec![argument(0, Half::Low), unless_equal(libc::AF_UNIX.cast_unsigned()), fail(libc::EAFNOSUPPORT)];
    if unix == Unix::Pairs {
        // Of the kinds of pairs, only these stay connected to each other: one of datagram sockets (which a raw Unix socket
        // is, too) can be given a name, and be connected anew.
        pairs.extend([argument(1, Half::Low), and(0xf)]);
        for kind in [libc::SOCK_STREAM, libc::SOCK_SEQPACKET] {
            pairs.extend([if_equal(kind.cast_unsigned()), allow()]);
        }
        pairs.push(fail(libc::EAFNOSUPPORT));
    } else {
        pairs.push(allow());
    }
    code.on(libc::SYS_socketpair, &pairs);
}

fn refuse(code: &mut Code, list: &[Entry], error: libc::c_int) {
    list.iter().for_each(|(number, _, _)| code.refuse(*number, error));
}

/// Refuses a call with any of these flags in its first argument.
fn flags(code: &mut Code, number: libc::c_long, flags: libc::c_int) {
    code.on(number, &[argument(0, Half::Low), if_any(flags.cast_unsigned()), fail(libc::EPERM), allow()]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_are_within_the_kernels_bounds_and_every_jump_inside() {
        let filters = [
            Filter::machine(),
            Filter::new(true),
            Filter::new(false),
            Filter::confined(Unix::All),
            Filter::confined(Unix::Pairs),
        ];
        for Filter(code) in filters {
            assert!(code.len() < 4096);
            for (at, one) in code.iter().enumerate() {
                assert!(at + usize::from(one.jt.max(one.jf)) + 1 < code.len() || one.jt.max(one.jf) == 0);
            }
            assert_eq!(code.last().unwrap().k, libc::SECCOMP_RET_ALLOW);
        }
    }

    /// A call that is listed twice would be judged by its first entry alone.
    #[test]
    fn no_call_is_listed_twice() {
        let lists = [MACHINE, CHILDREN, ABSENT, IO_URING, CONFINED, CONFINED_ABSENT];
        let mut all: Vec<_> =
            lists.into_iter().flatten().map(|entry| entry.0).chain(MODES.iter().map(|m| m.0)).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
