//! What is at a path, exactly enough to know it again.

use crate::Fingerprint;
use crate::open::kind_in_words;
use crate::{CONTENT_LIMIT, PathError, entry, open_parent_in, open_root, reopen};
use rustix::fs::OFlags;
use sha2::Digest as _;
use std::fs::{File, FileType, Metadata};
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What was found: the fingerprint, the content it is of, and what else is needed to make it again.
#[derive(Debug, Clone)]
pub struct Look {
    /// The fingerprint.
    pub fingerprint: Fingerprint,
    /// A file's content, a link's target, nothing for a directory.
    pub content: Vec<u8>,
    /// Last access, nanoseconds since 1970.
    pub atime_ns: i128,
    /// Names that the file has.
    pub hard_links: u64,
}

/// The fingerprint of what is at an absolute path, following no link. `None`: nothing there. FIFOs, sockets and devices
/// are refused; a file above [`CONTENT_LIMIT`] is a limit.
pub fn fingerprint(path: &Path) -> Result<Option<Fingerprint>, PathError> {
    fingerprint_in(open_root(Path::new("/"))?.as_fd(), path)
}

/// The same below a root that was opened with [`open_root`], such as `/proc/PID/root`.
pub fn fingerprint_in(root: BorrowedFd<'_>, path: &Path) -> Result<Option<Fingerprint>, PathError> {
    let (folder, name) = match open_parent_in(root, path) {
        Err(PathError::NotFound(_)) => return Ok(None),
        other => other?,
    };
    let Some(held) = entry(folder.as_fd(), name, path)? else { return Ok(None) };
    fingerprint_of(&held, path).map(Some)
}

/// The fingerprint of what an [`entry`] holds.
pub fn fingerprint_of(held: &File, path: &Path) -> Result<Fingerprint, PathError> {
    look(held, path).map(|l| l.fingerprint)
}

/// Device, inode and kind of what is at an absolute path, whatever it is, following no link. `None`: nothing is there.
pub fn identity(path: &Path) -> Result<Option<(u64, u64, FileType)>, PathError> {
    let (folder, name) = match open_parent_in(open_root(Path::new("/"))?.as_fd(), path) {
        Err(PathError::NotFound(_)) => return Ok(None),
        other => other?,
    };
    let Some(held) = entry(folder.as_fd(), name, path)? else { return Ok(None) };
    let meta = held.metadata().map_err(|e| PathError::from_io(path, "looking at it", &e))?;
    Ok(Some((meta.dev(), meta.ino(), meta.file_type())))
}

/// Reads all there is to know of what an [`entry`] holds.
pub fn look(held: &File, path: &Path) -> Result<Look, PathError> {
    let meta = held.metadata().map_err(|e| PathError::from_io(path, "looking at it", &e))?;
    let kind = meta.file_type();
    let (kind, content) = if kind.is_file() {
        ("file", read_bounded(held, &meta, CONTENT_LIMIT, path)?)
    } else if kind.is_symlink() {
        let target = rustix::fs::readlinkat(held, "", Vec::new())
            .map_err(|e| PathError::from_errno(path, "reading the link", e))?;
        ("symlink", target.into_bytes())
    } else if kind.is_dir() {
        ("directory", Vec::new())
    } else {
        return Err(PathError::Refused {
            path: path.into(),
            why: format!("it is {}, neither file, link nor directory", kind_in_words(&meta)),
        });
    };
    let sha256 = if kind == "directory" { String::new() } else { hex::encode(sha2::Sha256::digest(&content)) };
    // The size of what was read, not what the system says: they differ where the file grew meanwhile, and in /proc.
    let size = if kind == "directory" { meta.size() } else { content.len() as u64 };
    let fingerprint = Fingerprint {
        dev: meta.dev(),
        ino: meta.ino(),
        kind: kind.into(),
        mode: meta.mode() & 0o7777,
        uid: meta.uid(),
        gid: meta.gid(),
        size,
        sha256,
        mtime_ns: nanoseconds(meta.mtime(), meta.mtime_nsec()),
    };
    let atime_ns = nanoseconds(meta.atime(), meta.atime_nsec());
    Ok(Look { fingerprint, content, atime_ns, hard_links: meta.nlink() })
}

/// Reads a regular file that an [`entry`] holds, at most `limit` bytes; more is an error, not a cut.
pub fn read_bounded(held: &File, meta: &Metadata, limit: u64, path: &Path) -> Result<Vec<u8>, PathError> {
    let too_large = |size| PathError::Limit { path: path.into(), size, limit };
    if meta.size() > limit {
        return Err(too_large(meta.size()));
    }
    // Without a trace in the access time where we may (the owner, or root).
    let file = match reopen(held, OFlags::RDONLY | OFlags::NOATIME, path) {
        Err(PathError::Forbidden { .. }) => reopen(held, OFlags::RDONLY, path)?,
        other => other?,
    };
    let mut content = Vec::new();
    let read = file.take(limit.saturating_add(1)).read_to_end(&mut content);
    read.map_err(|e| PathError::from_io(path, "reading", &e))?;
    if content.len() as u64 > limit { Err(too_large(content.len() as u64)) } else { Ok(content) }
}

/// Whether two fingerprints have the same kind, permission bits, owner and content, wherever they are stored.
pub fn metadata_matches(a: &Fingerprint, b: &Fingerprint) -> bool {
    let of = |f: &Fingerprint| (f.kind.clone(), f.mode, f.uid, f.gid, f.sha256.clone());
    of(a) == of(b) && (a.kind == "directory" || a.size == b.size)
}

fn nanoseconds(seconds: i64, rest: i64) -> i128 {
    i128::from(seconds).saturating_mul(1_000_000_000).saturating_add(i128::from(rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileTypeExt as _;

    #[test]
    fn looks_at_files_links_and_folders() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        std::fs::write(base.join("file"), "abc").unwrap();
        std::os::unix::fs::symlink("abc", base.join("link")).unwrap();
        let of = |name: &str| fingerprint(&base.join(name)).unwrap();
        let (file, link) = (of("file").unwrap(), of("link").unwrap());
        assert_eq!((file.kind.as_str(), file.size), ("file", 3));
        assert_eq!(file.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!((link.kind.as_str(), &link.sha256), ("symlink", &file.sha256));
        assert_eq!(fingerprint(&base).unwrap().unwrap().kind, "directory");
        assert_eq!((of("none"), of("none/below")), (None, None));
        assert!(matches!(fingerprint(Path::new("/dev/zero")), Err(PathError::Refused { .. })));
        let _listener = std::os::unix::net::UnixListener::bind(base.join("socket")).unwrap();
        let inode = std::fs::metadata(base.join("socket")).unwrap().ino();
        let sockets = ["socket", "file", "link", "none", "none/below"].map(|name| identity(&base.join(name)).unwrap());
        let sockets = sockets.map(|found| found.filter(|(.., kind)| kind.is_socket()).map(|(_, ino, _)| ino));
        assert_eq!(sockets, [Some(inode), None, None, None, None]);
        let mut other = file.clone();
        assert!(metadata_matches(&file, &other));
        other.mode = 0o777;
        assert!(!metadata_matches(&file, &other));
    }

    #[test]
    fn a_root_other_than_the_machines_holds_the_walk() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("etc")).unwrap();
        std::fs::write(dir.path().join("etc/passwd"), "mine").unwrap();
        let root = open_root(dir.path()).unwrap();
        assert_eq!(fingerprint_in(root.as_fd(), Path::new("/etc/passwd")).unwrap().unwrap().size, 4);
        assert_eq!(fingerprint_in(root.as_fd(), Path::new("/etc/group")).unwrap(), None);
    }

    #[test]
    fn more_than_the_limit_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().join("big");
        std::fs::File::create(&path).unwrap().set_len(CONTENT_LIMIT + 1).unwrap();
        assert!(matches!(fingerprint(&path), Err(PathError::Limit { .. })));
    }
}
