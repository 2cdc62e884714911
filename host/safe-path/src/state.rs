//! The state folder: journal, locks of live runs, compiled modules.

use anyhow::{Context, bail};
use foil_text::Shown as _;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The state folder: what `--state` or `FOIL_STATE` says, else `/var/lib/foil` for root, else
/// `$XDG_STATE_HOME/foil` or `~/.local/state/foil`.
pub fn default_folder() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("FOIL_STATE").filter(|p| !p.is_empty()) {
        return std::path::absolute(path).context("FOIL_STATE is no usable path");
    }
    if rustix::process::geteuid().is_root() {
        return Ok("/var/lib/foil".into());
    }
    let home = || std::env::var_os("HOME").filter(|h| !h.is_empty()).map(|h| PathBuf::from(h).join(".local/state"));
    match std::env::var_os("XDG_STATE_HOME").filter(|p| !p.is_empty()).map(PathBuf::from).or_else(home) {
        Some(state) => Ok(state.join("foil")),
        None => bail!("there is no place for the journal: set HOME, FOIL_STATE or --state"),
    }
}

/// Makes the folder (mode 0700) where it is missing, and refuses one that somebody else owns or may write:
/// the journal in it is a list of things to do with our rights.
pub fn open(folder: &Path) -> anyhow::Result<()> {
    // Before anything is created there.
    let existing = folder.ancestors().find(|above| std::fs::symlink_metadata(above).is_ok());
    check_way(existing.unwrap_or(Path::new("/")))?;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("cannot make the state folder {}", folder.shown()))?;
    check(folder)
}

/// Checks that a folder belongs to us, and that nobody else can write it or put another one in its place.
///
/// # Errors
/// A sentence that names the folder on the way that is in somebody else's hands, and what to do.
pub fn check(folder: &Path) -> anyhow::Result<()> {
    let meta = std::fs::symlink_metadata(folder).with_context(|| format!("cannot look at {}", folder.shown()))?;
    let me = rustix::process::geteuid().as_raw();
    if !meta.is_dir() || meta.uid() != me || meta.mode() & 0o022 != 0 {
        bail!(
            "the state folder {} must be a directory that only you (uid {me}) can write: it belongs to uid {}, mode {:o}; \
             choose another with --state, or mend it",
            folder.shown(),
            meta.uid(),
            meta.mode() & 0o7777
        );
    }
    check_way(folder)
}

/// Checks that nobody else controls the way to a folder.
///
/// # Errors
/// As of [`check`].
pub fn check_way(folder: &Path) -> anyhow::Result<()> {
    let why = || format!("the state folder's way {} can be exchanged: choose another with --state", folder.shown());
    crate::trust::follow(folder).map(drop).with_context(why)
}
