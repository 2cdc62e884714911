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
        if let Some(component) = self.load(engine, digest) {
            return Ok(component);
        }
        let component =
            Component::from_binary(engine, bytes).map_err(super::plain).context("the module does not compile")?;
        let stored = component.serialize().map_err(super::plain);
        keep(stored.and_then(|code| self.store(&code, &self.file(engine, digest))));
        Ok(component)
    }

    /// The native code of an earlier compilation, where there is any that can be trusted.
    pub(super) fn load(&self, engine: &wasmtime::Engine, digest: &Digest) -> Option<Component> {
        load(engine, &self.file(engine, digest))
    }

    /// Takes native code that the helper made, and keeps it.
    pub(super) fn adopt(&self, engine: &wasmtime::Engine, code: &[u8], digest: &Digest) -> anyhow::Result<Component> {
        // SAFETY: the bytes come through a pipe from a process of this very program, which made them with the same
        // configuration; nobody else can write to the pipe.
        let component = unsafe { Component::deserialize(engine, code) }.map_err(super::plain)?;
        keep(self.store(code, &self.file(engine, digest)));
        Ok(component)
    }

    fn file(&self, engine: &wasmtime::Engine, digest: &Digest) -> PathBuf {
        self.folder.join(format!("{}-{:016x}.cwasm", digest.hex(), compatibility(engine)))
    }

    fn store(&self, code: &[u8], file: &Path) -> anyhow::Result<()> {
        foil_safe_path::state::open(&self.folder)?;
        // Written aside and renamed, so that a reader never sees half of it.
        let aside = file.with_extension(format!("{}.tmp", std::process::id()));
        let written = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&aside)
            .and_then(|mut out| out.write_all(code))
            .and_then(|()| std::fs::rename(&aside, file));
        if written.is_err() {
            let _ = std::fs::remove_file(&aside);
        }
        Ok(written?)
    }
}

/// A cache that cannot be written costs time, nothing else.
fn keep(stored: anyhow::Result<()>) {
    if let Err(error) = stored {
        tracing::debug!("compiled code is not cached: {error:#}");
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
