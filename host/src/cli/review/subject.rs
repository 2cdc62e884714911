//! What is reviewed: a module, or the source of one that was not built.

use crate::module::{Catalog, Module, NotFound};
use foil_manifest::build::{self, Source};
use foil_manifest::{Digest, Manifest};
use foil_text::Shown as _;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A module, or a module's folder.
pub(super) enum Subject {
    /// Built in, or in a file.
    Module(Box<Module>),
    /// A folder with a `technique.toml` or `check.toml`.
    Source(Box<Source>),
}

impl Subject {
    /// Finds a module by id, alias or file, or reads the manifest of a folder. A name without `/` is that of a module first.
    pub fn find(catalog: &Catalog, name: &str) -> anyhow::Result<Self> {
        let path = Path::new(name);
        let source = || build::read_source(path).map(|source| Self::Source(Box::new(source)));
        if path.is_dir() && (name.contains('/') || matches!(name, "." | "..")) {
            return source();
        }
        match catalog.find(name) {
            Ok(module) => Ok(Self::Module(Box::new(module))),
            Err(NotFound::Unknown { .. }) if path.is_dir() => source(),
            // The manifest itself was named, as an editor or a diff names it.
            Err(_) if path.file_name().is_some_and(|name| name == "technique.toml" || name == "check.toml") => {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
                Ok(Self::Source(Box::new(build::read_source(folder.unwrap_or(Path::new(".")))?)))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What it says of itself.
    pub fn manifest(&self) -> &Manifest {
        match self {
            Self::Module(module) => &module.manifest,
            Self::Source(source) => &source.manifest,
        }
    }

    /// The digest of what was built.
    pub fn digest(&self) -> Option<Digest> {
        match self {
            Self::Module(module) => Some(module.digest),
            Self::Source(_) => None,
        }
    }

    /// The functions that it imports, by interface.
    pub fn imports(&self) -> Option<&BTreeMap<String, BTreeSet<String>>> {
        match self {
            Self::Module(module) => Some(&module.imports.interfaces),
            Self::Source(_) => None,
        }
    }

    /// Whether it is an imported test, whose code is a script.
    pub fn is_script(&self) -> bool {
        matches!(self, Self::Module(module) if module.imported.is_some())
    }

    /// Where it is, for people.
    pub fn place(&self) -> String {
        match self {
            Self::Module(module) => module.source.to_string(),
            Self::Source(source) => source.path.shown(),
        }
    }

    /// Where it is, for programs.
    pub fn raw_place(&self) -> String {
        match self {
            Self::Module(module) => module.source.raw(),
            Self::Source(source) => source.path.to_string_lossy().into_owned(),
        }
    }
}
