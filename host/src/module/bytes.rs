//! A module's bytes: in this binary, or in a file that is read again where they are needed.

use foil_manifest::{Digest, section};
use foil_text::Shown as _;
use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

/// Where a module's bytes are. A folder may hold hundreds of modules of 16 MiB each, of which a run needs one or two.
#[derive(Debug, Clone)]
pub enum Bytes {
    /// In this binary.
    Static(&'static [u8]),
    /// In a file, which was read once to inspect it.
    File(Arc<PathBuf>),
}

impl Bytes {
    /// Returns the bytes, whose SHA-256 must be `digest`: what is compiled is what was inspected and granted.
    ///
    /// # Errors
    /// A sentence where the file cannot be read, or is not the one that was inspected any more.
    pub fn read(&self, digest: &Digest) -> anyhow::Result<Cow<'static, [u8]>> {
        let path = match self {
            Self::Static(bytes) => return Ok(Cow::Borrowed(bytes)),
            Self::File(path) => path,
        };
        let read = super::file::open(path).and_then(section::read_bounded);
        let bytes = read.map_err(|error| anyhow::anyhow!("cannot read the module {}: {error}", path.shown()))?;
        match bytes {
            Ok(bytes) if Digest::of(&bytes) == *digest => Ok(Cow::Owned(bytes)),
            _ => {
                anyhow::bail!("the module {} was changed since Foil looked at it: run the command again", path.shown())
            }
        }
    }
}
