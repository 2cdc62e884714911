//! A module in a file: read once, hashed, inspected.

use super::{Bytes, Module, Source};
use foil_manifest::{Refusal, inspect, section};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file could not be loaded as a module.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read.
    #[error("cannot read the module {}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It breaks a rule.
    #[error("{} is refused: {refusal}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// The rule.
        refusal: Refusal,
    },
}

impl LoadError {
    /// The rule's stable name, or `unreadable`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "unreadable",
            Self::Refused { refusal, .. } => refusal.code(),
        }
    }
}

/// Loads a module from a file. The bytes are read once and bounded; what is hashed is what is inspected and later compiled.
pub fn load_file(path: &Path) -> Result<Module, LoadError> {
    let io = |error| LoadError::Io { path: path.to_owned(), error };
    // A FIFO in a folder of modules must not hang the listing.
    let file = std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(io)?;
    let meta = file.metadata().map_err(io)?;
    if !meta.is_file() {
        return Err(io(std::io::Error::other("it is no regular file")));
    }
    let refused = |refusal| LoadError::Refused { path: path.to_owned(), refusal };
    let bytes = section::read_bounded(file).map_err(io)?.map_err(refused)?;
    let inspection = inspect(&bytes).map_err(refused)?;
    let source = Source::File(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
    Ok(Module {
        manifest: Arc::new(inspection.manifest),
        digest: inspection.digest,
        bytes: Bytes::Shared(bytes.into()),
        imports: Arc::new(inspection.imports),
        source,
    })
}
