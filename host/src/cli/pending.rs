//! A file that is there as a whole or not at all: written beside its place, then renamed.

use anyhow::{Context as _, bail};
use foil_text::Shown as _;
use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// A file that is being written. Without [`Pending::commit`] nothing is left of it.
#[derive(Debug)]
pub(super) struct Pending {
    path: PathBuf,
    temporary: PathBuf,
    file: File,
}

impl Pending {
    /// Begins to write `path`: a new file, or an ordinary one that is replaced.
    ///
    /// # Errors
    /// The folder cannot be written, or something other than an ordinary file is there. A link is not followed: whoever may write
    /// its folder could choose what is replaced.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let name = match path.file_name() {
            Some(name) if !path.as_os_str().as_encoded_bytes().ends_with(b"/") => name.to_string_lossy(),
            _ => bail!("cannot write {}: it names a folder; name a file in it", path.shown()),
        };
        match std::fs::symlink_metadata(path) {
            Ok(there) if there.is_dir() => {
                bail!("cannot write {}: it is a folder; name a file in it", path.shown())
            }
            Ok(there) if there.is_symlink() => {
                bail!("cannot write {}: it is a symbolic link; name the file that it points to", path.shown())
            }
            Ok(there) if !there.is_file() => {
                bail!("cannot write {}: it is not a regular file; name another", path.shown())
            }
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot write {}", path.shown()));
            }
            _ => {}
        }
        let temporary = path.with_file_name(format!(".{name}.{}.new", std::process::id()));
        let file = File::options().write(true).create_new(true).open(&temporary);
        let file = file.with_context(|| format!("cannot write {}: its folder takes no new file", path.shown()))?;
        Ok(Self { path: path.to_owned(), temporary, file })
    }

    /// Writes the text and puts the file in its place.
    pub fn commit(mut self, text: &[u8]) -> anyhow::Result<()> {
        let mut put = || -> std::io::Result<()> {
            self.file.write_all(text)?;
            // The file that is replaced may be one that others must not read.
            if let Ok(there) = std::fs::symlink_metadata(&self.path) {
                self.file.set_permissions(there.permissions())?;
            }
            self.file.sync_all()?;
            std::fs::rename(&self.temporary, &self.path)
        };
        put().with_context(|| format!("cannot write {}", self.path.shown()))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        // After a commit it is not there any more.
        _ = std::fs::remove_file(&self.temporary);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_nothing_is_left_otherwise() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("report.json");
        let names = || std::fs::read_dir(folder.path()).expect("readable").count();
        drop(Pending::create(&path).expect("writable"));
        assert_eq!(names(), 0);
        Pending::create(&path).expect("writable").commit(b"old").expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("ours");
        Pending::create(&path).expect("writable").commit(b"new").expect("written");
        assert_eq!((std::fs::read(&path).expect("readable"), names()), (b"new".to_vec(), 1));
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_is_no_ordinary_file_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("elsewhere", &link).expect("writable");
        for (path, word) in [
            (folder.path().to_owned(), "a folder"),
            (folder.path().join("x/"), "a folder"),
            (folder.path().join("x/y.json"), "takes no new file"),
            (link, "a symbolic link"),
            ("/dev/null".into(), "not a regular file"),
            ("".into(), "a folder"),
        ] {
            let error = format!("{:#}", Pending::create(&path).expect_err(word));
            assert!(error.contains(word) && error.contains(&*path.to_string_lossy()), "{word}: {error}");
        }
    }
}
