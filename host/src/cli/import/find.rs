//! Files of tests below what was named.

use anyhow::{Context as _, bail};
use foil_text::Shown as _;
use std::path::{Path, PathBuf};

/// The deepest folder that is looked into: `atomics/T1059/` and one around it.
const MAX_DEPTH: usize = 4;
/// The most files.
const MAX_FILES: usize = 20_000;

/// Files as they were named, and `T….yaml` below folders, in order.
pub(super) fn files(named: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in named {
        let meta = std::fs::metadata(path).with_context(|| format!("cannot look at {}", path.shown()))?;
        if meta.is_dir() {
            below(path, 0, &mut files)?;
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

fn below(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let list = || std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>();
    let mut paths = list().with_context(|| format!("cannot list {}", folder.shown()))?;
    paths.sort();
    for path in paths {
        // A test's own payloads lie beside it, in `src` and `bin`; links lead elsewhere.
        let is_link = path.is_symlink();
        if !is_link && path.is_dir() && depth < MAX_DEPTH {
            below(&path, depth.saturating_add(1), files)?;
        } else if !is_link && is_tests(&path) {
            files.push(path);
        }
        if files.len() > MAX_FILES {
            bail!("there are more than {MAX_FILES} files below {}: name a smaller folder", folder.shown());
        }
    }
    Ok(())
}

/// `T1059.yaml` or `T1059.004.yaml`.
fn is_tests(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let id = name.strip_suffix(".yaml").or_else(|| name.strip_suffix(".yml"));
    let number = id.and_then(|id| id.strip_prefix('T'));
    number.is_some_and(|rest| rest.len() >= 4 && rest.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
}

/// The folder `atomics` that a file `atomics/T1059/T1059.yaml` lies in, absolute.
pub(super) fn atomics(file: &Path) -> String {
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let folder = absolute.parent().and_then(Path::parent).unwrap_or(Path::new("/"));
    folder.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_told_by_their_name() {
        for (name, is) in [
            ("T1059.yaml", true),
            ("T1059.004.yml", true),
            ("T1.yaml", false),
            ("Tabcd.yaml", false),
            ("x.yaml", false),
        ] {
            assert_eq!(is_tests(Path::new(name)), is, "{name}");
        }
        assert_eq!(atomics(Path::new("/a/atomics/T1059/T1059.yaml")), "/a/atomics");
    }
}
