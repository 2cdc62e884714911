//! File effects, as data: the host asks, the run's helper does it with the run's identity, inside the run's namespaces.

use serde::{Deserialize, Serialize};

/// One file effect.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum FileOp {
    /// Creates a file that must not exist (`O_CREAT | O_EXCL`).
    Create {
        /// Absolute.
        path: String,
        /// The whole content.
        content: Vec<u8>,
        /// Permission bits.
        mode: u32,
    },
    /// Replaces or extends the content of a file that exists, in place.
    Write {
        /// Absolute.
        path: String,
        /// New content, or what is added.
        content: Vec<u8>,
        /// Add instead of replace.
        append: bool,
        /// Device and inode that the pre-image was taken of; another one there is a conflict.
        expect: (u64, u64),
    },
    /// Deletes a regular file or symlink.
    Remove {
        /// Absolute.
        path: String,
        /// Device and inode that the pre-image was taken of.
        expect: (u64, u64),
    },
    /// Makes a directory, mode 0755.
    CreateDirectory {
        /// Absolute.
        path: String,
    },
}

/// Why a file effect did not happen. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileFailure {
    /// It exists, or does not, or is another file than expected.
    Conflict(String),
    /// Nothing there.
    NotFound,
    /// Not a regular file, or reached through a link, or with other hard links.
    Refused(String),
    /// The run's identity may not (errno EACCES, EPERM, EROFS).
    Forbidden(String),
    /// Anything else.
    Io(String),
}
