//! A manifest as it stands in a module's folder, before anything is built of it.

use super::kind;
use crate::manifest::{MAX_MANIFEST, Manifest};
use anyhow::{Context as _, bail};
use foil_text::{Shown as _, place};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// A module's `technique.toml` or `check.toml`.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// What it says.
    pub manifest: Manifest,
    /// The line of each of the manifest's capabilities, in their order.
    pub lines: Vec<usize>,
}

/// Reads `technique.toml` or `check.toml` in `folder`; errors name file, line and column.
///
/// # Errors
/// There is no such file, there are both, or it is no manifest that can be used.
pub fn read(folder: &Path) -> anyhow::Result<Source> {
    let Some(kind) = kind(folder)? else {
        bail!(
            "{} has neither a technique.toml nor a check.toml: name a module's folder, or start one with foil new",
            folder.shown()
        )
    };
    let path = folder.join(kind.file_name());
    let mut text = String::new();
    let file = std::fs::File::open(&path).with_context(|| format!("cannot open {}", path.shown()))?;
    let most = MAX_MANIFEST as u64;
    let read = file.take(most.saturating_add(1)).read_to_string(&mut text);
    if read.with_context(|| format!("cannot read {}", path.shown()))? as u64 > most {
        bail!("{} has more than the {MAX_MANIFEST} bytes that a manifest may have", path.shown());
    }
    let manifest = Manifest::from_toml(&text, kind).map_err(|error| {
        // The error starts with the file's name; a path of it is what editors understand.
        let why = error.0.strip_prefix(kind.file_name()).unwrap_or(&error.0).to_owned();
        anyhow::anyhow!("{}{why}", path.shown())
    })?;
    Ok(Source { path, manifest, lines: lines(&text) })
}

/// The lines at which the tables of the list `capability` begin.
fn lines(text: &str) -> Vec<usize> {
    let line = |at: usize| place(text, at).split(':').next().and_then(|line| line.parse().ok()).unwrap_or(1);
    let Ok(table) = DeTable::parse(text) else { return Vec::new() };
    match table.get_ref().get("capability").map(|list| list.get_ref()) {
        Some(DeValue::Array(list)) => list.iter().map(|one| line(one.span().start)).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_knows_where_its_capabilities_stand() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = "id = \"linux.x\"\ntitle = \"é\"\nattack = [\"T1059\"]\nimpact = \"read-only\"\n\n[[capability]]\nname = \"exec\"\nallow = []\nreason = \"a\"\n  [[capability]]\nname = \"files-read\"\nallow = []\nreason = \"b\"\n";
        std::fs::write(folder.path().join("technique.toml"), text).expect("written");
        let source = read(folder.path()).expect("a manifest");
        assert_eq!((source.lines.as_slice(), source.manifest.capabilities.len()), (&[6, 10][..], 2));
        std::fs::write(folder.path().join("technique.toml"), text.replace("impact", "inpact")).expect("written");
        let error = read(folder.path()).expect_err("a mistake").to_string();
        assert!(error.contains("/technique.toml:4:1: "), "{error}");
        std::fs::write(folder.path().join("technique.toml"), "#".repeat(MAX_MANIFEST + 1)).expect("written");
        assert!(read(folder.path()).expect_err("too long").to_string().contains("262144 bytes"));
    }
}
