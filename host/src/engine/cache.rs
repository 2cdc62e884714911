//! Native code of compiled modules, by module digest and engine configuration, in a folder that only we can write:
//! native code is run as it stands, so that nobody else's may ever be loaded.

use anyhow::Context;
use foil_manifest::Digest;
use std::hash::{Hash, Hasher};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use wasmtime::component::Component;

#[derive(Clone)]
pub(super) struct Cache {
    folder: PathBuf,
}

impl Cache {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub(super) fn component(
        &self,
        engine: &wasmtime::Engine,
        bytes: &[u8],
        digest: &Digest,
    ) -> anyhow::Result<Component> {
        let file = self.folder.join(format!("{}-{:016x}.cwasm", digest.hex(), compatibility(engine)));
        if let Some(component) = load(engine, &file) {
            return Ok(component);
        }
        let component =
            Component::from_binary(engine, bytes).map_err(super::plain).context("the module does not compile")?;
        // A cache that cannot be written costs time, nothing else.
        if let Err(error) = self.store(&component, &file) {
            tracing::debug!("compiled code is not cached: {error:#}");
        }
        Ok(component)
    }

    fn store(&self, component: &Component, file: &Path) -> anyhow::Result<()> {
        crate::state::open(&self.folder)?;
        let code = component.serialize().map_err(super::plain)?;
        // Written aside and renamed, so that a reader never sees half of it.
        let aside = file.with_extension(format!("{}.tmp", std::process::id()));
        let written = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&aside)
            .and_then(|mut out| out.write_all(&code))
            .and_then(|()| std::fs::rename(&aside, file));
        if written.is_err() {
            let _ = std::fs::remove_file(&aside);
        }
        Ok(written?)
    }
}

/// Only a regular file of our own, that nobody else may write, in a folder that passed the same test, is native code of ours.
fn load(engine: &wasmtime::Engine, file: &Path) -> Option<Component> {
    let ours = |path: &Path, directory: bool| {
        std::fs::symlink_metadata(path).is_ok_and(|m| {
            m.is_dir() == directory
                && !m.is_symlink()
                && m.uid() == rustix::process::geteuid().as_raw()
                && m.mode() & 0o022 == 0
        })
    };
    if !ours(file.parent()?, true) || !ours(file, false) {
        return None;
    }
    // SAFETY: the file was written by `store` from a component that this engine's configuration compiled (its name holds
    // the configuration's hash, and wasmtime checks it again); folder and file belong to us and nobody else may write them.
    unsafe { Component::deserialize_file(engine, file) }.ok()
}

/// A number that differs where native code of one engine does not run on another.
fn compatibility(engine: &wasmtime::Engine) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}
