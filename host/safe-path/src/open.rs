//! From a folder's descriptor to what is in it.

use crate::{PathError, open_parent_in, open_root};
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};

/// Holds what `name` in `folder` is, whatever it is, with an `O_PATH` descriptor: nothing is read, no FIFO waits, no
/// device notices. `None`: nothing there. `path` is for the error's words.
pub fn entry(folder: BorrowedFd<'_>, name: &OsStr, path: &Path) -> Result<Option<File>, PathError> {
    match openat(folder, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
        Ok(fd) => Ok(Some(File::from(fd))),
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(PathError::from_errno(path, "opening", e)),
    }
}

/// The descriptor's magic link in `/proc`: a path that names exactly what the descriptor holds.
pub fn fd_path(fd: impl AsFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd()))
}

/// Opens for real what an [`entry`] holds. The caller has looked at its type. Never blocks in the opening.
pub fn reopen(held: &File, flags: OFlags, path: &Path) -> Result<File, PathError> {
    let flags = (flags | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC) - OFlags::NOFOLLOW;
    match openat(rustix::fs::CWD, fd_path(held), flags, Mode::empty()) {
        Ok(fd) => Ok(File::from(fd)),
        // What is held exists, so what is missing is the way to it.
        Err(Errno::NOENT) if !Path::new("/proc/self/fd").exists() => Err(PathError::Io {
            path: path.into(),
            doing: "opening it through /proc, which is not mounted",
            errno: Errno::NOENT,
        }),
        Err(e) => Err(PathError::from_errno(path, "opening", e)),
    }
}

/// Opens a regular file at an absolute path, following no link. `flags`: the access mode, `O_APPEND`, `O_NOATIME`; not
/// `O_CREAT`. Directories, FIFOs, sockets and devices are refused without being opened.
pub fn open_regular(path: &Path, flags: OFlags) -> Result<File, PathError> {
    open_regular_in(open_root(Path::new("/"))?.as_fd(), path, flags)
}

/// The same below a root that was opened with [`open_root`].
pub fn open_regular_in(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> Result<File, PathError> {
    let (folder, name) = open_parent_in(root, path)?;
    let Some(held) = entry(folder.as_fd(), name, path)? else { return Err(PathError::NotFound(path.into())) };
    let meta = held.metadata().map_err(|e| PathError::from_io(path, "looking at it", &e))?;
    if !meta.is_file() {
        return Err(PathError::Refused {
            path: path.into(),
            why: format!("it is {}, no regular file", kind_in_words(&meta)),
        });
    }
    reopen(&held, flags - OFlags::CREATE, path)
}

/// `a directory`, `a FIFO`, …
pub(super) fn kind_in_words(meta: &std::fs::Metadata) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    let kind = meta.file_type();
    match () {
        () if kind.is_file() => "a regular file",
        () if kind.is_dir() => "a directory",
        () if kind.is_symlink() => "a symbolic link",
        () if kind.is_fifo() => "a FIFO",
        () if kind.is_socket() => "a socket",
        () if kind.is_block_device() || kind.is_char_device() => "a device",
        () => "something unknown",
    }
}

/// Where what a descriptor holds is now, by the kernel's word: for showing that an opened file is still at the path that
/// was granted. ` (deleted)` at its end where it has no name any more.
pub fn real_path(fd: impl AsFd) -> Result<PathBuf, PathError> {
    let link = fd_path(fd);
    std::fs::read_link(&link).map_err(|e| PathError::from_io(&link, "reading where it is", &e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn special_files_are_refused_without_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        let fifo = base.join("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, Mode::RUSR | Mode::WUSR).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(base.join("socket")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", base.join("link")).unwrap();
        for (path, word) in [
            (fifo.as_path(), "a FIFO"),
            (&base.join("socket"), "a socket"),
            (&base.join("link"), "a symbolic link"),
            (&base, "a directory"),
            (Path::new("/dev/null"), "a device"),
        ] {
            for flags in [OFlags::RDONLY, OFlags::WRONLY, OFlags::RDWR] {
                let error = open_regular(path, flags).unwrap_err();
                assert!(matches!(&error, PathError::Refused { why, .. } if why.contains(word)), "{error}");
            }
        }
        assert!(matches!(open_regular(&base.join("none"), OFlags::RDONLY), Err(PathError::NotFound(_))));
    }

    #[test]
    fn a_regular_file_is_read_and_located() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().join("file");
        std::fs::write(&path, "hello").unwrap();
        let mut file = open_regular(&path, OFlags::RDONLY).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), real_path(&file).unwrap()), ("hello", path));
    }
}
