//! Modules: what is built in, what lies in files, how one is found and what is known of it before it runs.
//!
//! Nothing here compiles or runs a module. Built-in ones are vouched for by the binary: their digest, imports and the
//! hash of what is judged were worked out when `foil` was built, so that starting up costs no parsing.

mod bytes;
mod catalog;
mod file;
mod pack;
mod script;

pub use bytes::Bytes;
pub use catalog::{Catalog, Filter, NotFound, Problem};
pub use file::{LoadError, load_file};
pub use script::{Imported, OBTAIN};

use foil_manifest::{Digest, Imports, Manifest};
use foil_text::Shown as _;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Where a module comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Inside this binary, which vouches for its bytes.
    Builtin,
    /// A file.
    File(PathBuf),
    /// The file of an imported test of Atomic Red Team.
    Atomic(PathBuf),
}

/// The kinds of [`Source`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Inside this binary.
    Builtin,
    /// A component in a file.
    File,
    /// An imported test of Atomic Red Team.
    Atomic,
}

impl Source {
    /// Its kind.
    pub fn origin(&self) -> Origin {
        match self {
            Self::Builtin => Origin::Builtin,
            Self::File(_) => Origin::File,
            Self::Atomic(_) => Origin::Atomic,
        }
    }
}

impl Source {
    /// `builtin`, or the path, for programs: as it is, and not as it is shown.
    pub fn raw(&self) -> String {
        match self {
            Self::Builtin => self.to_string(),
            Self::File(path) | Self::Atomic(path) => path.to_string_lossy().into_owned(),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin => f.pad("builtin"),
            Self::File(path) | Self::Atomic(path) => f.pad(&path.shown()),
        }
    }
}

/// A module that passed every rule that needs no grant. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Module {
    /// What it says of itself.
    pub manifest: Arc<Manifest>,
    /// The SHA-256 of its bytes, which were read once; of an imported test's file.
    pub digest: Digest,
    /// The SHA-256 of what is compiled: its bytes, or its interpreter's.
    pub code: Digest,
    /// What it is, if it is an imported test.
    pub imported: Option<Arc<Imported>>,
    /// The component.
    pub bytes: Bytes,
    /// Its length in bytes.
    pub size: usize,
    /// What it imports and exports.
    pub imports: Arc<Imports>,
    /// Where it comes from.
    pub source: Source,
}

impl Module {
    /// The hash of all that a reviewer judges; grants of built-in modules are pinned by it. An imported test is pinned by itself,
    /// and its interpreter's beside it.
    pub fn judged(&self) -> Digest {
        match self.imported {
            Some(_) => pack::interpreter().judged(),
            None => self.manifest.judged(&self.imports.flat()),
        }
    }

    /// What a command calls it: one from outside by its file, which needs no `--modules`.
    pub fn called(&self) -> String {
        match &self.source {
            Source::Builtin => self.id().to_owned(),
            Source::File(path) | Source::Atomic(path) => path.to_string_lossy().into_owned(),
        }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        self.manifest.id.as_str()
    }
}
