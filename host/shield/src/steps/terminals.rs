//! Terminals of the run's own, in place of the machine's.

use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};
use std::ffi::CStr;

/// Where they are.
pub const FOLDER: &CStr = c"/dev/pts";

/// Mounts an instance of devpts that has nobody else's terminals. The machine's `/dev/ptmx` makes its terminals in the
/// instance that it finds beside it, so it goes with it. `false`: there is no such folder.
pub fn private() -> Result<bool, String> {
    // The group is not set: in a user namespace it need not exist. Whoever makes a terminal owns it.
    let options = c"newinstance,ptmxmode=0666,mode=0620";
    match mount("devpts", FOLDER, "devpts", MountFlags::NOSUID | MountFlags::NOEXEC, options) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
        Err(error) => Err(format!("no terminals of the run's own ({error}): children get none")),
    }
}
