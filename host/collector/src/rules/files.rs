//! The files of rules: what operators name, and what is in folders below.

use anyhow::Context as _;
use foil_text::Shown as _;
use std::path::{Path, PathBuf};

/// Most files, deepest folder, largest file in bytes.
const MAX_FILES: usize = 20_000;
const MAX_DEPTH: usize = 16;
const MAX_SIZE: u64 = 1 << 20;

/// The rule files that these paths stand for, in order, each once.
///
/// # Errors
/// A path that is not there, a folder that cannot be listed, more than 20,000 files or 16 levels.
pub(super) fn list(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        let meta = std::fs::metadata(path).with_context(|| format!("rules: cannot look at {}", path.shown()))?;
        if meta.is_dir() { walk(path, 0, &mut files)? } else { files.push(path.clone()) }
    }
    files.sort();
    files.dedup();
    Ok(files)
}

fn walk(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let shown = folder.shown();
    anyhow::ensure!(
        depth < MAX_DEPTH,
        "rules: {shown} is deeper than {MAX_DEPTH} levels; name the folders that matter"
    );
    for entry in std::fs::read_dir(folder).with_context(|| format!("rules: cannot list {shown}"))? {
        let entry = entry.with_context(|| format!("rules: cannot list {shown}"))?;
        // A symbolic link is not followed, so that no folder is its own descendant.
        let (kind, path) = (entry.file_type().with_context(|| format!("rules: cannot list {shown}"))?, entry.path());
        if kind.is_dir() {
            walk(&path, depth.saturating_add(1), files)?;
        } else if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("yml") || e.eq_ignore_ascii_case("yaml"))
            && path.is_file()
        {
            anyhow::ensure!(files.len() < MAX_FILES, "rules: there are more than {MAX_FILES} files below {shown}");
            files.push(path);
        }
    }
    Ok(())
}

/// A rule's text.
pub(super) fn read(path: &Path) -> Result<String, String> {
    use std::io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_SIZE.saturating_add(1)).read_to_end(&mut bytes))
        .map_err(|error| format!("it cannot be read: {error}"))?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(format!("it is larger than {MAX_SIZE} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}
