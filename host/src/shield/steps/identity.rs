//! Becoming the user that children run as.

use crate::shield::Identity;

/// Drops to this identity, entirely and for good: groups, then real, effective and saved ids.
///
/// Called by a single-threaded init. Losing the user id 0 clears all capabilities and, where a death signal was asked
/// for, that too: the caller asks again.
pub fn become_user(identity: &Identity) -> Result<(), String> {
    raw(identity.uid, identity.gid, &identity.groups).map_err(|(what, errno)| {
        format!("cannot become {}: {what}: {}", identity.name, rustix::io::Errno::from_raw_os_error(errno))
    })
}

/// As [`become_user`], by system calls alone: for a child that shares its parent's memory, where libc's wrappers
/// would act on the parent's threads too. No allocation.
pub fn raw(uid: u32, gid: u32, groups: &[u32]) -> Result<(), (&'static str, i32)> {
    // SAFETY: plain system calls; the array lives across its call.
    unsafe {
        check("setgroups", libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()))?;
        check("setresgid", libc::syscall(libc::SYS_setresgid, gid, gid, gid))?;
        check("setresuid", libc::syscall(libc::SYS_setresuid, uid, uid, uid))
    }
}

fn check(what: &'static str, rc: libc::c_long) -> Result<(), (&'static str, i32)> {
    if rc == 0 { Ok(()) } else { Err((what, errno())) }
}

/// The calling thread's errno.
pub fn errno() -> i32 {
    // SAFETY: always a valid pointer to this thread's errno.
    unsafe { *libc::__errno_location() }
}
