//! Capabilities that children of an overlay do without, each with its reason. Numbers: `linux/capability.h`.
//!
//! In a user namespace of their own the kernel already refuses most of these against the machine; they go all the same,
//! so that two walls stand where one would do. Without one ([`super::Hold::Capabilities`]) the list of what is *kept* decides.

use std::io;

/// A capability's number, its name, and why it goes or stays.
pub type Entry = (u8, &'static str, &'static str);

/// Gone at both holds: each reaches past files, where no overlay holds it.
pub const DROPPED: &[Entry] = &[
    (2, "DAC_READ_SEARCH", "open_by_handle_at reaches files that no path of the view leads to"),
    (9, "LINUX_IMMUTABLE", "inode flags are passed on to file systems below"),
    (16, "SYS_MODULE", "kernel code"),
    (17, "SYS_RAWIO", "ports, physical memory, raw disk commands"),
    (20, "SYS_PACCT", "process accounting is the whole machine's"),
    (22, "SYS_BOOT", "reboot and kexec"),
    (24, "SYS_RESOURCE", "quotas, reserved blocks, and the limits that the run was given"),
    (25, "SYS_TIME", "the clock is the whole machine's"),
    (26, "SYS_TTY_CONFIG", "virtual consoles are the whole machine's"),
    (27, "MKNOD", "a device node is a way around every file system"),
    (30, "AUDIT_CONTROL", "audit rules are the whole machine's, and they are what is being tested"),
    (32, "MAC_OVERRIDE", "the machine's access control"),
    (33, "MAC_ADMIN", "the machine's access control"),
    (34, "SYSLOG", "the kernel's log and addresses"),
    (35, "WAKE_ALARM", "wakes the machine"),
    (36, "BLOCK_SUSPEND", "keeps the machine awake"),
    (37, "AUDIT_READ", "the machine's audit stream"),
    (38, "PERFMON", "observes every process of the machine"),
    (39, "BPF", "kernel programs"),
];

/// All that is kept where no user namespace can be had: root among files and processes of the run, and no more. Without
/// SYS_ADMIN there is no `mount`, `unshare` or `nsenter`; without SYS_PTRACE nobody traces the run's init.
pub const KEPT_WITHOUT_USER_NAMESPACE: &[Entry] = &[
    (0, "CHOWN", "files are in the overlay"),
    (1, "DAC_OVERRIDE", "files are in the overlay"),
    (3, "FOWNER", "files are in the overlay"),
    (4, "FSETID", "files are in the overlay"),
    (5, "KILL", "only the run's processes have numbers here"),
    (6, "SETGID", "su, sudo"),
    (7, "SETUID", "su, sudo"),
    (8, "SETPCAP", "only ever takes away"),
    (10, "NET_BIND_SERVICE", "ports below 1024"),
    (18, "SYS_CHROOT", "no handle to a folder outside exists to climb back to"),
    (29, "AUDIT_WRITE", "su and sudo tell the audit log what they did; a sensor may look for it"),
    (31, "SETFCAP", "files are in the overlay"),
];

/// Kept besides where the network is the run's own.
pub const KEPT_WITH_OWN_NETWORK: &[Entry] = &[
    (12, "NET_ADMIN", "the network namespace is the run's own"),
    (13, "NET_RAW", "the network namespace is the run's own"),
];

/// The bits of some entries.
pub fn mask(entries: &[Entry]) -> u64 {
    entries.iter().fold(0, |bits, (number, _, _)| bits | 1_u64.checked_shl(u32::from(*number)).unwrap_or(0))
}

/// `struct __user_cap_header_struct`.
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// `struct __user_cap_data_struct`, of which version 3 takes two.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const VERSION_3: u32 = 0x2008_0522;

/// Gives up every capability in `gone`, for good: from the bounding set too, so that no set-uid program brings it back.
///
/// Allocates nothing and takes no lock: fit for a process just forked.
pub fn drop_all(gone: u64) -> io::Result<()> {
    for number in 0_u8..64 {
        if gone & (1_u64 << number) == 0 {
            continue;
        }
        // SAFETY: prctl takes numbers only here.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(number), 0, 0, 0) } != 0 {
            let error = io::Error::last_os_error();
            // EINVAL: a capability that this kernel does not know, so nobody has it.
            if error.raw_os_error() != Some(libc::EINVAL) {
                return Err(error);
            }
        }
    }
    // SAFETY: prctl takes numbers only here.
    unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
    let mut header = Header { version: VERSION_3, pid: 0 };
    let mut data = [Data::default(); 2];
    // SAFETY: header and data have the layout of version 3 and outlive the call.
    if unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let [low, high] = &mut data;
    for (word, bits) in [(low, gone & 0xffff_ffff), (high, gone >> 32)] {
        let keep = !u32::try_from(bits).unwrap_or(u32::MAX);
        word.effective &= keep;
        word.permitted &= keep;
        word.inheritable = 0;
    }
    // SAFETY: as above; the kernel only reads them.
    if unsafe { libc::syscall(libc::SYS_capset, &raw mut header, data.as_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_both_dropped_and_kept() {
        assert_eq!(mask(DROPPED) & mask(KEPT_WITHOUT_USER_NAMESPACE), 0);
        assert_eq!(mask(DROPPED) & mask(KEPT_WITH_OWN_NETWORK), 0);
        // SYS_ADMIN and SYS_PTRACE reach everything where no user namespace holds them.
        let kept = mask(KEPT_WITHOUT_USER_NAMESPACE) | mask(KEPT_WITH_OWN_NETWORK);
        assert_eq!(kept & (1 << 21 | 1 << 19), 0);
    }
}
