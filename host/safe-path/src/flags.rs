//! Inode flags of what a descriptor holds, as `chattr` sets them: append-only, immutable, and the harmless ones.
//!
//! Two of them stop even root from changing or removing a file, so an undo takes them away first. Not every file system has
//! flags; where there are none, nothing is read and nothing is restored.

use crate::{PathError, reopen};
use rustix::fs::{IFlags, OFlags, ioctl_getflags, ioctl_setflags};
use rustix::io::Errno;
use std::fs::File;
use std::path::Path;

/// What `chattr` can set and take away again (linux/fs.h): `suScidaA`, `j`, `t`, `D`, `T`, `C`, `P`. Others say how the file is stored.
const CHANGEABLE: u32 = 0x2083_c0ff;

/// Stop writing, truncating, renaming and removing.
fn protection() -> IFlags {
    IFlags::IMMUTABLE | IFlags::APPEND
}

/// The flags of a regular file or directory; `None` where there are none to be read.
pub fn read(held: &File, path: &Path) -> Result<Option<u32>, PathError> {
    let Some(file) = open(held, path)? else { return Ok(None) };
    Ok(get(&file, path)?.map(|flags| flags.bits() & CHANGEABLE))
}

/// Takes away what would stop an undo. Whether there was anything to take away.
pub fn unprotect(held: &File, path: &Path) -> Result<bool, PathError> {
    let Some(file) = open(held, path)? else { return Ok(false) };
    let Some(flags) = get(&file, path)?.filter(|flags| flags.intersects(protection())) else { return Ok(false) };
    set(&file, flags - protection(), path)?;
    Ok(true)
}

/// Makes the flags what they were. Touches nothing that is so already.
pub fn restore(held: &File, wanted: Option<u32>, path: &Path) -> Result<(), PathError> {
    let (Some(wanted), Some(file)) = (wanted, open(held, path)?) else { return Ok(()) };
    let Some(now) = get(&file, path)? else { return Ok(()) };
    let flags = IFlags::from_bits_retain((now.bits() & !CHANGEABLE) | (wanted & CHANGEABLE));
    if flags == now { Ok(()) } else { set(&file, flags, path) }
}

/// Opened for real, as the calls demand; nothing is read. `None`: it has no flags, or is not for us to open.
fn open(held: &File, path: &Path) -> Result<Option<File>, PathError> {
    let meta = held.metadata().map_err(|e| PathError::from_io(path, "looking at it", &e))?;
    if !meta.is_file() && !meta.is_dir() {
        return Ok(None);
    }
    match reopen(held, OFlags::RDONLY, path) {
        Ok(file) => Ok(Some(file)),
        Err(PathError::Forbidden { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn get(file: &File, path: &Path) -> Result<Option<IFlags>, PathError> {
    match ioctl_getflags(file) {
        Ok(flags) => Ok(Some(flags)),
        Err(Errno::NOTTY | Errno::NOTSUP | Errno::INVAL | Errno::NOSYS | Errno::PERM | Errno::ACCESS) => Ok(None),
        Err(error) => Err(PathError::from_errno(path, "reading its flags", error)),
    }
}

fn set(file: &File, flags: IFlags, path: &Path) -> Result<(), PathError> {
    ioctl_setflags(file, flags).map_err(|error| PathError::from_errno(path, "changing its flags (chattr)", error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{entry, open_parent};
    use std::os::fd::AsFd;

    #[test]
    fn flags_come_back_and_protection_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().join("file");
        std::fs::write(&path, "x").unwrap();
        let (folder, name) = open_parent(&path).unwrap();
        let held = entry(folder.as_fd(), name, &path).unwrap().unwrap();
        let Some(before) = read(&held, &path).unwrap() else { return }; // a file system without flags has nothing to test
        let marked = before | IFlags::NODUMP.bits();
        restore(&held, Some(marked), &path).unwrap();
        assert_eq!(read(&held, &path).unwrap(), Some(marked));
        restore(&held, None, &path).unwrap();
        assert_eq!(read(&held, &path).unwrap(), Some(marked), "what is not known is left alone");
        if restore(&held, Some(marked | IFlags::IMMUTABLE.bits()), &path).is_ok() {
            assert!(std::fs::remove_file(&path).is_err());
            assert!(unprotect(&held, &path).unwrap() && !unprotect(&held, &path).unwrap());
            assert_eq!(read(&held, &path).unwrap(), Some(marked));
        }
        restore(&held, Some(before), &path).unwrap();
        assert_eq!(read(&held, &path).unwrap(), Some(before));
    }
}
