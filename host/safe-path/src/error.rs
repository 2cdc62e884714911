//! Why a path could not be opened, as a sentence.

use rustix::io::Errno;
use std::path::{Path, PathBuf};

/// Why a path could not be opened or read. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The path itself is no good.
    #[error("{path}: {why}")]
    Invalid {
        /// As it was given.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Nothing there, or a folder on the way is missing.
    #[error("{0}: there is no such file")]
    NotFound(PathBuf),
    /// There is something, but not what may be touched: a link on the way, a FIFO, a device, other hard links.
    #[error("{path}: {why}")]
    Refused {
        /// Which.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The system says that this user may not.
    #[error("{path}: not permitted: {errno}")]
    Forbidden {
        /// Which.
        path: PathBuf,
        /// EACCES, EPERM or EROFS.
        errno: Errno,
    },
    /// Larger than what is read.
    #[error("{path} has {size} bytes; at most {limit} are read")]
    Limit {
        /// Which.
        path: PathBuf,
        /// Its size in bytes, as far as known.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// Anything else.
    #[error("{path}: {doing}: {errno}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the system answered.
        errno: Errno,
    },
}

impl PathError {
    /// Sorts what the system answered for `path` into the variants.
    pub fn from_errno(path: &Path, doing: &'static str, errno: Errno) -> Self {
        let path = path.to_path_buf();
        match errno {
            Errno::NOENT | Errno::NOTDIR => Self::NotFound(path),
            Errno::LOOP => {
                Self::Refused { path, why: "it is reached through a symbolic link; name the real path".into() }
            }
            Errno::XDEV => Self::Refused { path, why: "another file system is mounted there".into() },
            Errno::ACCESS | Errno::PERM | Errno::ROFS => Self::Forbidden { path, errno },
            Errno::NAMETOOLONG => Self::Invalid { path, why: "the path is too long" },
            Errno::INVAL => Self::Invalid { path, why: "the system does not take this path" },
            _ => Self::Io { path, doing, errno },
        }
    }

    /// The same, of the standard library's error.
    pub fn from_io(path: &Path, doing: &'static str, error: &std::io::Error) -> Self {
        Self::from_errno(path, doing, Errno::from_io_error(error).unwrap_or(Errno::IO))
    }

    /// It may go away by waiting: somebody holds the file, or the system is short of something.
    pub fn is_transient(&self) -> bool {
        const PASSING: [Errno; 8] = [
            Errno::BUSY,
            Errno::INTR,
            Errno::AGAIN,
            Errno::TXTBSY,
            Errno::NFILE,
            Errno::MFILE,
            Errno::NOMEM,
            Errno::DEADLK,
        ];
        matches!(self, Self::Io { errno, .. } if PASSING.contains(errno))
    }
}
