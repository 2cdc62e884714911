//! What a file was before an effect: enough to make it again.

use super::error::{JournalError, Result};
use foil_safe_path::{self as safe_path, Fingerprint, PathError, flags, open_parent_in, open_root, xattr};
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// File systems whose files are not content but the kernel speaking: linux/magic.h. Writing a pre-image back there would
/// be another effect, not its reversal.
const KERNEL_FILE_SYSTEMS: [i64; 10] = [
    0x9fa0,      // proc
    0x6265_6572, // sysfs
    0x0027_e0eb, // cgroup
    0x6367_7270, // cgroup2
    0x6462_6720, // debugfs
    0x7472_6163, // tracefs
    0x7363_6673, // securityfs
    0xde5e_81e4, // efivarfs
    0x6265_6570, // configfs
    0xcafe_4a11, // bpf
];

/// A file or symbolic link as it was: content, permission bits, owner, times, attributes, inode flags.
///
/// Not kept, because Linux lets nobody set it: the change time and the birth time. Of the folder around it nothing is
/// kept: its modification time shows that something was removed and came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preimage {
    /// What it was.
    pub before: Fingerprint,
    /// Content of the file, target of the link. At most 64 MiB ([`safe_path::CONTENT_LIMIT`]).
    pub content: Vec<u8>,
    pub(super) rest: Rest,
    /// Names that the file has; above one it is refused unless it was named exactly.
    pub hard_links: u64,
}

/// What is stored of a pre-image beside its content and fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub(super) struct Rest {
    pub(super) atime_ns: i128,
    /// Name and value in hexadecimal.
    pub(super) xattrs: Vec<(String, String)>,
    /// Inode flags; `None` where the file system has none, and in pre-images of earlier versions.
    #[serde(default)]
    pub(super) flags: Option<u32>,
}

impl Rest {
    pub(super) fn attributes(&self) -> Option<xattr::Attributes> {
        let decode = |(name, value): &(String, String)| Some((hex::decode(name).ok()?, hex::decode(value).ok()?));
        self.xattrs.iter().map(decode).collect()
    }
}

impl Preimage {
    /// Takes it, following no link. Refuses what is no regular file or symbolic link, a file with other hard links (the
    /// same file would change under names that nobody granted), and the kernel's own file systems.
    pub fn take(path: &Path) -> Result<(Self, Fingerprint), PathError> {
        let (taken, fingerprint) = Self::take_in(open_root(Path::new("/"))?.as_fd(), path)?;
        if taken.hard_links > 1 {
            let why = format!("it has {} hard links, so it is also another file", taken.hard_links);
            return Err(PathError::Refused { path: path.into(), why });
        }
        Ok((taken, fingerprint))
    }

    /// The same below a root, and with other hard links allowed: for a path that every layer names exactly, and only to be
    /// written in place.
    pub fn take_in(root: BorrowedFd<'_>, path: &Path) -> Result<(Self, Fingerprint), PathError> {
        let (folder, name) = open_parent_in(root, path)?;
        let held = safe_path::entry(folder.as_fd(), name, path)?.ok_or_else(|| PathError::NotFound(path.into()))?;
        let refused = |why: &str| Err(PathError::Refused { path: path.into(), why: why.into() });
        if held.metadata().is_ok_and(|m| m.is_dir()) {
            return refused("it is a directory, which has no content to bring back");
        }
        let system =
            rustix::fs::fstatfs(&held).map_err(|e| PathError::from_errno(path, "asking for its file system", e))?;
        #[allow(clippy::unnecessary_cast, reason = "the field's type differs between architectures")]
        if KERNEL_FILE_SYSTEMS.contains(&((system.f_type as i64) & 0xffff_ffff)) {
            return refused("it is on one of the kernel's own file systems, where writing is no file change");
        }
        let look = safe_path::look(&held, path)?;
        let xattrs = xattr::read(&held, path)?.into_iter().map(|(n, v)| (hex::encode(n), hex::encode(v))).collect();
        let taken = Self {
            before: look.fingerprint.clone(),
            content: look.content,
            rest: Rest { atime_ns: look.atime_ns, xattrs, flags: flags::read(&held, path)? },
            hard_links: look.hard_links,
        };
        Ok((taken, look.fingerprint))
    }

    /// Refuses a removal that could not be undone exactly.
    pub(super) fn removable(&self, path: &Path) -> Result<()> {
        if self.hard_links > 1 {
            let why = format!(
                "it has {} hard links, and one that is removed cannot be joined to them again",
                self.hard_links
            );
            return Err(JournalError::NotUndoable { path: path.into(), why });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_that_can_be_brought_back_are_taken() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        std::fs::write(base.join("file"), "abc").unwrap();
        let (taken, fingerprint) = Preimage::take(&base.join("file")).unwrap();
        assert_eq!((taken.content.as_slice(), taken.before), (&b"abc"[..], fingerprint));
        std::fs::hard_link(base.join("file"), base.join("twin")).unwrap();
        let error = Preimage::take(&base.join("file")).unwrap_err().to_string();
        assert!(error.contains("2 hard links"), "{error}");
        let root = open_root(Path::new("/")).unwrap();
        let (linked, _) = Preimage::take_in(root.as_fd(), &base.join("file")).unwrap();
        assert!(linked.removable(&base.join("file")).is_err());
        for (path, word) in
            [("/proc/sys/kernel/hostname", "kernel's own"), ("/dev/null", "a device"), ("/etc", "a directory")]
        {
            let error = Preimage::take(Path::new(path)).unwrap_err().to_string();
            assert!(error.contains(word), "{path}: {error}");
        }
        assert!(matches!(Preimage::take(&base.join("none")), Err(PathError::NotFound(_))));
    }
}
