//! A module's folder -> a `.wasm` with its manifest in it: the same bytes on every machine.
//!
//! The digest must depend on nothing but the sources, the lock file and the compiler. So the build brings its own
//! profile, ignores flags and wrappers of the environment, and hides every path from the compiler's output (see
//! [`cargo`]).

mod cargo;
mod source;

pub use source::{Source, read as read_source};

use crate::inspect::Inspection;
use crate::manifest::{Kind, Manifest};
use anyhow::{Context as _, bail};
use foil_text::Shown as _;
use std::path::{Path, PathBuf};

/// The one target that modules are built for. `wasm32-wasip2` drags in WASI imports that mean nothing to a reviewer.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// The compiler has no standard library for [`TARGET`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the {TARGET} target is missing: run `rustup target add {TARGET}`, or build with `cargo xtask build`, which does"
)]
pub struct MissingTarget;

/// A built module.
#[derive(Debug, Clone)]
pub struct Built {
    /// The component with its manifest section.
    pub bytes: Vec<u8>,
    /// What it says and imports; every rule that needs no grant was held against it.
    pub inspection: Inspection,
}

/// How to build.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where cargo puts what it makes [default: `foil-modules` in the target folder of the module's workspace].
    pub target_dir: Option<PathBuf>,
    /// No progress on standard error, only warnings and errors.
    pub quiet: bool,
}

/// Builds one module's folder. Cargo's own output goes to standard error.
///
/// Errors: [`MissingTarget`]; a manifest that is missing, doubled or wrong (with line and column); what cargo says;
/// [`crate::Refusal`] where the result breaks a rule, such as an import that the manifest does not request.
pub fn folder(folder: &Path, options: &Options) -> anyhow::Result<Built> {
    let manifest = read_manifest(folder)?;
    module(folder, &manifest, &cargo::build(folder, options)?)
}

/// The same for members of one workspace, at once. The crate type of each is `cdylib` alone.
pub fn folders(folders: &[PathBuf], options: &Options) -> anyhow::Result<Vec<Built>> {
    let manifests = folders.iter().map(|folder| read_manifest(folder)).collect::<anyhow::Result<Vec<_>>>()?;
    let built = cargo::build_all(folders, options)?;
    let each = folders.iter().zip(&manifests).zip(&built);
    each.map(|((folder, manifest), core)| module(folder, manifest, core)).collect()
}

/// A core module as a component with its manifest.
fn module(folder: &Path, manifest: &Manifest, core: &[u8]) -> anyhow::Result<Built> {
    let component = crate::component::encode(core).with_context(|| folder.shown().to_string())?;
    let bytes = crate::section::append(component, manifest)?;
    let inspection = crate::inspect::inspect(&bytes).with_context(|| folder.shown().to_string())?;
    Ok(Built { bytes, inspection })
}

/// The kind of module whose manifest is in `folder`; `None` where there is no manifest.
pub fn kind(folder: &Path) -> anyhow::Result<Option<Kind>> {
    let there = |kind: Kind| folder.join(kind.file_name()).is_file();
    match (there(Kind::Technique), there(Kind::Check)) {
        (true, true) => {
            bail!("{} has both a technique.toml and a check.toml: a module is one or the other", folder.shown())
        }
        (true, false) => Ok(Some(Kind::Technique)),
        (false, true) => Ok(Some(Kind::Check)),
        (false, false) => Ok(None),
    }
}

/// Reads `technique.toml` or `check.toml` in `folder`; errors name file, line and column.
pub fn read_manifest(folder: &Path) -> anyhow::Result<Manifest> {
    source::read(folder).map(|source| source.manifest)
}
