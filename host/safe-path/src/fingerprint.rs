//! What a file was when somebody looked.

use serde::{Deserialize, Serialize};

/// What a file was, exactly enough to know whether it is still that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Device and inode.
    pub dev: u64,
    /// Inode.
    pub ino: u64,
    /// `file`, `directory` or `symlink`.
    pub kind: String,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the content, in hexadecimal; of the target for a symlink; empty for a directory.
    pub sha256: String,
    /// Last change of content, nanoseconds since 1970.
    pub mtime_ns: i128,
}
