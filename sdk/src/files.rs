//! Files on the target: looking needs the capability `files-read`, changing `files-write`.
//!
//! Paths are absolute and must be among those that the manifest asks for. Links are not followed out of them; FIFOs, sockets
//! and devices are refused. Every change is journaled with what was there before and undone when the run ends.

use crate::__bindings::host::files_write::Disposition;
use crate::{Error, Result, seam};

pub use crate::__bindings::host::files_read::{Kind, Metadata};

/// The most that [`read`] returns at once, in bytes.
const CHUNK: u32 = 1 << 20;

/// Reads at most `limit` (1 to 1 MiB) bytes from `offset` on; fewer where the file ends.
pub fn read(path: &str, offset: u64, limit: u32) -> Result<Vec<u8>> {
    Ok(seam::read(path, offset, limit)?)
}

/// Reads a whole file of at most `most` bytes.
///
/// # Errors
/// Those of [`read`]; `limit` where the file is longer.
pub fn read_all(path: &str, most: usize) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let part = read(path, content.len() as u64, CHUNK)?;
        if part.is_empty() {
            return Ok(content);
        }
        content.extend_from_slice(&part);
        if content.len() > most {
            return Err(Error::Limit(format!("{path} is longer than the {most} bytes that were expected")));
        }
    }
}

/// What can be known of a file without reading it. Symbolic links are not followed.
///
/// # Errors
/// `not-found` where there is nothing.
pub fn stat(path: &str) -> Result<Metadata> {
    Ok(seam::stat(path)?)
}

/// Whether there is anything at `path`.
///
/// # Errors
/// Those of [`stat`] but `not-found`.
pub fn exists(path: &str) -> Result<bool> {
    match stat(path) {
        Ok(_) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

/// The names in a directory, sorted; at most 10,000, else `limit`.
pub fn entries(path: &str) -> Result<Vec<String>> {
    Ok(seam::entries(path)?)
}

/// Creates a file that must not exist, with these permission bits, such as `0o600`. Set-id bits are refused.
pub fn create(path: &str, content: impl AsRef<[u8]>, mode: u32) -> Result<()> {
    Ok(seam::write(path, content.as_ref(), Disposition::Create, Some(mode))?)
}

/// Writes a whole file (at most 8 MiB), whether it exists (then it keeps its mode) or not (then with mode 0o644).
pub fn write(path: &str, content: impl AsRef<[u8]>) -> Result<()> {
    Ok(seam::write(path, content.as_ref(), Disposition::Put, None)?)
}

/// Replaces the content of a file that must exist.
pub fn replace(path: &str, content: impl AsRef<[u8]>) -> Result<()> {
    Ok(seam::write(path, content.as_ref(), Disposition::Replace, None)?)
}

/// Adds bytes at the end of a file that must exist.
pub fn append(path: &str, content: impl AsRef<[u8]>) -> Result<()> {
    Ok(seam::write(path, content.as_ref(), Disposition::Append, None)?)
}

/// Deletes one regular file or symbolic link.
pub fn remove(path: &str) -> Result<()> {
    Ok(seam::remove(path)?)
}

/// Makes one directory, mode 0o755; its parent must exist.
pub fn create_directory(path: &str) -> Result<()> {
    Ok(seam::create_directory(path)?)
}
