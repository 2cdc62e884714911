//! From a path to the descriptor of its folder.

use crate::PathError;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Old kernels lack `openat2`, and old container run-times forbid it (EPERM): asked once, then walked by hand.
static NO_OPENAT2: AtomicBool = AtomicBool::new(false);

const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Cuts an absolute, plain path into its folder (relative to the root; empty for the root itself) and its last name.
pub fn split(path: &Path) -> Result<(&Path, &OsStr), PathError> {
    let invalid = |why| PathError::Invalid { path: path.to_path_buf(), why };
    let Some(rest) = path.as_os_str().as_bytes().strip_prefix(b"/") else {
        return Err(invalid("the path is not absolute"));
    };
    if rest.contains(&0) {
        return Err(invalid("the path has a NUL byte"));
    }
    if rest.split(|b| *b == b'/').any(|part| matches!(part, b"" | b"." | b"..")) {
        return Err(invalid("the path is not plain: it is the root, or has `.`, `..` or an empty part"));
    }
    let (folder, name) = match rest.iter().rposition(|b| *b == b'/') {
        Some(at) => (rest.get(..at).unwrap_or_default(), rest.get(at.saturating_add(1)..).unwrap_or_default()),
        None => (OsStr::new("").as_bytes(), rest),
    };
    Ok((Path::new(OsStr::from_bytes(folder)), OsStr::from_bytes(name)))
}

/// Opens a folder that walks begin at: `/`, or `/proc/PID/root` for a run's own view. The path is Foil's own, so links
/// in it are followed.
pub fn open_root(path: &Path) -> Result<OwnedFd, PathError> {
    openat(CWD, path, FOLDER, Mode::empty()).map_err(|e| PathError::from_errno(path, "opening the root", e))
}

/// Opens the folder of an absolute path, following no link; returns it with the path's last name, which may or may not
/// exist in it.
pub fn open_parent(path: &Path) -> Result<(OwnedFd, &OsStr), PathError> {
    open_parent_in(open_root(Path::new("/"))?.as_fd(), path)
}

/// The same below a root that was opened with [`open_root`].
pub fn open_parent_in<'p>(root: BorrowedFd<'_>, path: &'p Path) -> Result<(OwnedFd, &'p OsStr), PathError> {
    let (folder, name) = split(path)?;
    let opened = if folder.as_os_str().is_empty() {
        openat(root, ".", FOLDER, Mode::empty())
    } else if NO_OPENAT2.load(Ordering::Relaxed) {
        walk(root, folder)
    } else {
        let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | ResolveFlags::BENEATH;
        match openat2(root, folder, FOLDER, Mode::empty(), resolve) {
            Err(Errno::NOSYS) => {
                NO_OPENAT2.store(true, Ordering::Relaxed);
                walk(root, folder)
            }
            // EPERM is a container's filter; EAGAIN a rename somewhere during the walk. By hand there is neither.
            Err(Errno::PERM | Errno::AGAIN) => walk(root, folder),
            other => other,
        }
    };
    opened.map(|fd| (fd, name)).map_err(|e| PathError::from_errno(path, "opening its folder", e))
}

/// `openat2` by hand: each part opened in the one before, never through a link. ELOOP where one is a link.
fn walk(root: BorrowedFd<'_>, folder: &Path) -> Result<OwnedFd, Errno> {
    let mut at = openat(root, ".", FOLDER, Mode::empty())?;
    for part in folder.as_os_str().as_bytes().split(|b| *b == b'/') {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let next = openat(&at, OsStr::from_bytes(part), flags, Mode::empty())?;
        match rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&next)?.st_mode) {
            rustix::fs::FileType::Directory => at = next,
            rustix::fs::FileType::Symlink => return Err(Errno::LOOP),
            _ => return Err(Errno::NOTDIR),
        }
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_absolute_paths_are_split() {
        assert_eq!(split(Path::new("/a/b/c")).unwrap(), (Path::new("a/b"), OsStr::new("c")));
        assert_eq!(split(Path::new("/a")).unwrap(), (Path::new(""), OsStr::new("a")));
        for bad in ["", "a", "/", "/a/", "/a//b", "/a/./b", "/a/../b", "/a\0b", "./a"] {
            assert!(matches!(split(Path::new(bad)), Err(PathError::Invalid { .. })), "{bad:?}");
        }
    }

    #[test]
    fn a_link_on_the_way_is_refused_by_both_walks() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(base.join("real/sub")).unwrap();
        std::os::unix::fs::symlink("real", base.join("link")).unwrap();
        std::fs::write(base.join("plain"), "").unwrap();
        let root = open_root(Path::new("/")).unwrap();
        let below = |name: &str| base.join(name).strip_prefix("/").unwrap().to_path_buf();
        assert!(open_parent(&base.join("real/sub/x")).is_ok());
        assert!(walk(root.as_fd(), &below("real/sub")).is_ok());
        assert!(matches!(open_parent(&base.join("link/sub/x")), Err(PathError::Refused { .. })));
        assert_eq!(walk(root.as_fd(), &below("link/sub")).unwrap_err(), Errno::LOOP);
        assert!(matches!(open_parent(&base.join("plain/x")), Err(PathError::NotFound(_))));
        assert_eq!(walk(root.as_fd(), &below("plain")).unwrap_err(), Errno::NOTDIR);
        assert!(matches!(open_parent(Path::new("/proc/self/root/etc/x")), Err(PathError::Refused { .. })));
    }
}
