//! The folder for temporary files, in which scratch folders are made.

use foil_text::Shown as _;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Others may make files in such a folder, and only move or remove their own (`/tmp`).
const STICKY: u32 = 0o1000;

/// Returns the folder that `TMPDIR` names, else `/tmp`: absolute, and without a symbolic link in it, so that it means the same
/// folder for the whole run, for children and for the undo.
///
/// # Errors
/// A sentence: there is no such folder, or somebody else could exchange what Foil makes in it.
pub fn folder() -> Result<PathBuf, String> {
    real(&std::env::temp_dir())
}

fn real(named: &Path) -> Result<PathBuf, String> {
    let unusable =
        |why: &str| format!("the folder for temporary files, {} (TMPDIR), cannot be used: {why}", named.shown());
    let folder =
        named.canonicalize().map_err(|error| unusable(&format!("{error}; name one that exists, or unset TMPDIR")))?;
    if folder.to_str().is_none() {
        return Err(unusable("its name is not UTF-8; name another, or unset TMPDIR"));
    }
    // Whoever may rename a folder above chooses what lies below.
    for part in folder.ancestors() {
        let meta = part.symlink_metadata().map_err(|error| unusable(&error.to_string()))?;
        if let Some(why) = unsafe_because(meta.uid(), meta.gid(), meta.mode()) {
            return Err(unusable(&format!(
                "{} {why}, so that others could exchange what Foil makes in it; name a folder of your own, or unset TMPDIR",
                part.shown()
            )));
        }
        if part == folder && !meta.is_dir() {
            return Err(unusable("it is not a folder; name one, or unset TMPDIR"));
        }
    }
    Ok(folder)
}

/// Why what is in a folder of this owner, group and mode is not safe from others.
fn unsafe_because(uid: u32, gid: u32, mode: u32) -> Option<String> {
    let (me, mine) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    if uid != 0 && uid != me {
        return Some(format!("belongs to uid {uid}"));
    }
    let by_all = mode & 0o002 != 0;
    let by_group = mode & 0o020 != 0 && gid != 0 && gid != mine;
    let open = (by_all || by_group) && mode & STICKY == 0;
    open.then(|| format!("can be written by others and is not sticky (mode {:o})", mode & 0o7777))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_relative_path_and_a_link_become_what_they_lead_to() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        fs::create_dir(base.join("real")).unwrap();
        symlink(base.join("real"), base.join("link")).unwrap();
        assert_eq!(real(&base.join("link")).unwrap(), base.join("real"));
        assert_eq!(real(&base.join("real/../link/.")).unwrap(), base.join("real"));
        // Relative to where Foil was started, which may be anywhere.
        if let Ok(here) = real(Path::new(".")) {
            assert_eq!(here, std::env::current_dir().unwrap().canonicalize().unwrap());
        }
        assert!(real(&base.join("none")).unwrap_err().contains("TMPDIR"));
        fs::write(base.join("file"), "").unwrap();
        assert!(real(&base.join("file")).unwrap_err().contains("not a folder"));
    }

    #[test]
    fn a_folder_that_others_control_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        let inner = base.join("inner");
        fs::create_dir(&inner).unwrap();
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        mode(&base, 0o777);
        for path in [&base, &inner] {
            let why = real(path).unwrap_err();
            assert!(why.contains("not sticky (mode 777)") && why.contains(&base.shown()), "{why}");
        }
        mode(&base, 0o1777);
        assert_eq!(real(&inner).unwrap(), inner);
        let me = rustix::process::geteuid().as_raw();
        assert!(unsafe_because(me + 1, 0, 0o755).is_some() && unsafe_because(0, 0, 0o1777).is_none());
        assert!(unsafe_because(me, 54_321, 0o775).is_some() && unsafe_because(me, 54_321, 0o755).is_none());
    }
}
