//! Experiment files and folders of them, read and not yet prepared.

use super::discover;
use super::mistakes::Mistakes;
use crate::campaign::beside::Beside;
use crate::campaign::document::{self, Document, Part};
use crate::campaign::experiment;
use anyhow::{Context as _, anyhow, bail};
use foil_text::Shown as _;
use std::path::{Path, PathBuf};

/// The most files of one folder.
const MAX_FILES: usize = 10_000;

/// The files that were named, those of folders with them, in order.
pub(super) fn files(named: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in named {
        if path.is_dir() {
            let before = files.len();
            below(path, &mut files)?;
            if files.len() == before {
                bail!("there is no experiment in the folder {}: its files end in .yaml or .yml", path.shown());
            }
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

fn below(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.shown()))?;
    let mut entries = entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    entries.sort();
    for path in entries {
        let is_yaml = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("yaml") || e.eq_ignore_ascii_case("yml"));
        if path.is_dir() && !path.is_symlink() {
            below(&path, files)?;
        } else if is_yaml && path.file_name().is_some_and(|name| name != discover::ENVIRONMENT) {
            files.push(path);
        }
        if files.len() > MAX_FILES {
            bail!("there are more than {MAX_FILES} files below {}: name a smaller folder", folder.shown());
        }
    }
    Ok(())
}

/// The documents of a file, before anything of them is settled.
pub(super) struct Source<'a> {
    pub file: &'a Path,
    pub documents: Vec<Part>,
}

impl<'a> Source<'a> {
    /// Reads a file.
    ///
    /// # Errors
    /// Every mistake in any of its documents, with file, line and column.
    pub fn read(file: &'a Path) -> Result<Self, Mistakes> {
        let text = discover::read_trusted(file, experiment::MAX_EXPERIMENT)?;
        let at = |error: String| anyhow!("{}:{error}", file.shown());
        let documents = document::parse_file(&text);
        let documents = documents.map_err(|errors| Mistakes(errors.into_iter().map(at).collect()))?;
        Ok(Self { file, documents })
    }

    /// What the file is, where it runs nothing.
    pub fn beside(&self) -> Option<Beside> {
        match self.documents.as_slice() {
            [Part { document: Document::Beside(beside), .. }] => Some(*beside),
            _ => None,
        }
    }
}
