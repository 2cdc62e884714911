//! On the host's network, abstract Unix sockets (D-Bus, containerd's shims) are one name space with the machine's. Landlock's
//! scopes (ABI 6, Linux 6.12) part them; older kernels leave only the refusal of Unix sockets altogether ([`super::deny`]).

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// `struct landlock_ruleset_attr` of ABI 6. It handles no file access: then mounting stays possible and every path open.
#[repr(C)]
struct Ruleset {
    files: u64,
    network: u64,
    scoped: u64,
}

const ABSTRACT_SOCKETS: u64 = 1;
const SIGNALS: u64 = 1 << 1;

/// Cuts this process and all that it starts off from abstract sockets (and signals) of processes outside. `false`: this kernel
/// cannot. Needs CAP_SYS_ADMIN, so that `no_new_privs` may stay off.
pub fn enter() -> bool {
    let ruleset = Ruleset { files: 0, network: 0, scoped: ABSTRACT_SOCKETS | SIGNALS };
    // SAFETY: the structure outlives the call and its size is passed with it.
    let status =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, &raw const ruleset, size_of::<Ruleset>(), 0) };
    let Ok(number) = i32::try_from(status) else { return false };
    if number < 0 {
        return false;
    }
    // SAFETY: the kernel has just made this descriptor for us; nobody else owns it.
    let ruleset = unsafe { OwnedFd::from_raw_fd(number) };
    // SAFETY: a call with numbers only.
    unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0) == 0 }
}
