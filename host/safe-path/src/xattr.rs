//! Extended attributes of what a descriptor holds: POSIX ACLs, file capabilities, security labels, `user.*`.
//!
//! Through the descriptor's magic link in `/proc`, since `O_PATH` descriptors (and links) have no other way.

use crate::{PathError, fd_path};
use rustix::fs::XattrFlags;
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Name and value, sorted by name.
pub type Attributes = Vec<(Vec<u8>, Vec<u8>)>;

/// The kernel's own bounds: `XATTR_LIST_MAX` and `XATTR_SIZE_MAX` of linux/limits.h.
const MOST: usize = 65_536;

/// All attributes that this user may see (`trusted.*` and some of `security.*`: root only). Empty where the file system
/// has none.
pub fn read(held: &File, path: &Path) -> Result<Attributes, PathError> {
    let link = fd_path(held);
    let failed = |e| PathError::from_errno(path, "reading its attributes", e);
    let mut names = vec![0u8; MOST];
    let length = match rustix::fs::listxattr(&link, names.as_mut_slice()) {
        Ok(length) => length,
        Err(Errno::NOTSUP | Errno::NOSYS) => return Ok(Vec::new()),
        // A link of which even the owner may not list attributes: there are none that we could restore.
        Err(Errno::ACCESS | Errno::PERM) => return Ok(Vec::new()),
        Err(e) => return Err(failed(e)),
    };
    let mut attributes = Vec::new();
    for name in names.get(..length).unwrap_or_default().split(|b| *b == 0).filter(|n| !n.is_empty()) {
        let mut value = vec![0u8; MOST];
        match rustix::fs::getxattr(&link, OsStr::from_bytes(name), value.as_mut_slice()) {
            Ok(length) => {
                value.truncate(length);
                attributes.push((name.to_vec(), value));
            }
            // Gone since it was listed, or not for us to read.
            Err(Errno::NODATA | Errno::NOTSUP | Errno::ACCESS | Errno::PERM) => {}
            Err(e) => return Err(failed(e)),
        }
    }
    attributes.sort();
    Ok(attributes)
}

/// Makes the attributes what they were; touches only those that differ, so that a file without any needs no rights.
pub fn restore(held: &File, wanted: &Attributes, path: &Path) -> Result<(), PathError> {
    let link = fd_path(held);
    let failed = |e| PathError::from_errno(path, "restoring its attributes", e);
    let present = read(held, path)?;
    for (name, _) in present.iter().filter(|(name, _)| !wanted.iter().any(|(w, _)| w == name)) {
        match rustix::fs::removexattr(&link, OsStr::from_bytes(name)) {
            Ok(()) | Err(Errno::NODATA) => {}
            Err(e) => return Err(failed(e)),
        }
    }
    for (name, value) in wanted.iter().filter(|pair| !present.contains(pair)) {
        rustix::fs::setxattr(&link, OsStr::from_bytes(name), value, XattrFlags::empty()).map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{entry, open_parent};
    use std::os::fd::AsFd;

    #[test]
    fn attributes_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().join("file");
        std::fs::write(&path, "").unwrap();
        let (folder, name) = open_parent(&path).unwrap();
        let held = entry(folder.as_fd(), name, &path).unwrap().unwrap();
        let wanted: Attributes = vec![(b"user.foil".to_vec(), b"1".to_vec()), (b"user.two".to_vec(), vec![0, 255])];
        if matches!(rustix::fs::setxattr(&path, "user.other", b"x", XattrFlags::empty()), Err(Errno::NOTSUP)) {
            return; // a file system without user attributes has nothing to test
        }
        restore(&held, &wanted, &path).unwrap();
        let ours: Attributes =
            read(&held, &path).unwrap().into_iter().filter(|(n, _)| n.starts_with(b"user.")).collect();
        assert_eq!(ours, wanted);
    }
}
