//! Becoming the user that children run as.

use crate::Identity;

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
/// would act on the parent's threads too. No allocation. The process is not dumpable afterwards, whatever
/// `fs.suid_dumpable` says: the user that it has become must not trace Foil's code, nor memory shared with it.
pub fn raw(uid: u32, gid: u32, groups: &[u32]) -> Result<(), (&'static str, i32)> {
    // SAFETY: plain system calls; the array lives across its call.
    unsafe {
        check("setgroups", libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()))?;
        check("setresgid", libc::syscall(libc::SYS_setresgid, gid, gid, gid))?;
        check("setresuid", libc::syscall(libc::SYS_setresuid, uid, uid, uid))?;
        check("PR_SET_DUMPABLE", libc::syscall(libc::SYS_prctl, libc::PR_SET_DUMPABLE, 0, 0, 0, 0))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_becomes_a_user_is_not_dumpable() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: it takes root");
            return;
        }
        // SAFETY: the child of this process makes system calls alone, and ends without running what belongs to the parent.
        let status = unsafe {
            match libc::fork() {
                0 => {
                    // The same user: then the kernel leaves the flag as it is.
                    let became = libc::prctl(libc::PR_SET_DUMPABLE, 1) == 0 && raw(0, 0, &[]).is_ok();
                    libc::_exit(if became { libc::prctl(libc::PR_GET_DUMPABLE) } else { 99 })
                }
                pid => {
                    let mut status = 0;
                    libc::waitpid(pid, &raw mut status, 0);
                    libc::WEXITSTATUS(status)
                }
            }
        };
        assert_eq!(status, 0);
    }
}
