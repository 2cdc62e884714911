//! A module in a file: read once, hashed, inspected.

use super::{Bytes, Module, Source, script};
use foil_manifest::{Manifest, ModuleId, Refusal, inspect, section};
use foil_text::Shown as _;
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file could not be loaded as a module.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read.
    #[error("cannot read the module {}: {error}", path.shown())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It is no imported test that can be used.
    #[error("{} is refused: {why}", path.shown())]
    Script {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// It breaks a rule.
    #[error("{} is refused: {refusal}", path.shown())]
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
            Self::Script { .. } => "bad-script",
            Self::Refused { refusal, .. } => refusal.code(),
        }
    }
}

/// A FIFO in a folder of modules must not hang the listing.
pub(super) fn open(path: &Path) -> std::io::Result<File> {
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("it is no regular file"));
    }
    Ok(file)
}

/// Refuses a component from outside that is called as Foil's own are: in reports, in the journal and among grants nobody could tell
/// them apart.
fn reserved(manifest: &Manifest) -> Result<(), Refusal> {
    let aliases = manifest.aliases.iter().filter_map(|alias| alias.parse::<ModuleId>().ok());
    let mut names = std::iter::once(manifest.id.clone()).chain(aliases);
    names.find(ModuleId::is_reserved).map_or(Ok(()), |id| Err(Refusal::ReservedId(id.to_string())))
}

/// Loads a module from a file: a component, or an imported test. The bytes are bounded, and kept only while they are inspected;
/// [`Bytes::read`] holds what is later compiled to the digest of what was inspected.
pub fn load_file(path: &Path) -> Result<Module, LoadError> {
    if script::is_script(path) {
        return script::load(path);
    }
    let io = |error| LoadError::Io { path: path.to_owned(), error };
    let file = open(path).map_err(io)?;
    let refused = |refusal| LoadError::Refused { path: path.to_owned(), refusal };
    let bytes = section::read_bounded(file).map_err(io)?.map_err(refused)?;
    let inspection = inspect(&bytes).map_err(refused)?;
    reserved(&inspection.manifest).map_err(refused)?;
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    Ok(Module {
        manifest: Arc::new(inspection.manifest),
        digest: inspection.digest,
        code: inspection.digest,
        imported: None,
        bytes: Bytes::File(Arc::new(path.clone())),
        size: bytes.len(),
        imports: Arc::new(inspection.imports),
        source: Source::File(path),
    })
}
