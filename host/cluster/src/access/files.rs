//! Files that decide how a cluster is reached: read up to a bound, and, as root, only where nobody else can have written them.

use super::AccessError;
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The largest kubeconfig, in bytes. One of a thousand clusters with their certificates has 5 MiB.
pub const MAX_KUBECONFIG: u64 = 16 << 20;
/// The largest certificate bundle, key or token file, in bytes.
pub const MAX_CREDENTIAL: u64 = 4 << 20;

/// Which kubeconfig files hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// In order.
    pub paths: Vec<PathBuf>,
    /// Those that are not there are skipped: `KUBECONFIG` names them, and `kubectl` skips them too.
    pub may_lack: bool,
}

impl Files {
    /// The one that foil.yaml names, or those of `KUBECONFIG`, or the one of the home folder.
    pub fn of(named: Option<&Path>, kubeconfig: Option<&OsStr>, home: Option<PathBuf>) -> Result<Self, AccessError> {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        if let Some(path) = named {
            return Ok(Self { paths: vec![absolute(path)], may_lack: false });
        }
        let list = kubeconfig
            .map(|list| std::env::split_paths(list).filter(|p| !p.as_os_str().is_empty()).map(|p| absolute(&p)));
        let paths: Vec<PathBuf> = list.into_iter().flatten().collect();
        if !paths.is_empty() {
            return Ok(Self { paths, may_lack: true });
        }
        let home = home.ok_or(AccessError::NoFile)?;
        Ok(Self { paths: vec![home.join(".kube/config")], may_lack: false })
    }
}

/// Reads a file that decides what Foil does.
///
/// # Errors
/// It is not there, is no regular file, is too large, or somebody else could have written it.
pub fn read(what: &'static str, path: &Path, most: u64) -> Result<Vec<u8>, AccessError> {
    read_of(what, path, most, true)
}

/// The same; `check`: only where nobody else could have written it.
///
/// # Errors
/// As [`read`].
pub fn read_of(what: &'static str, path: &Path, most: u64, check: bool) -> Result<Vec<u8>, AccessError> {
    let unreadable = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => AccessError::Missing { what, path: path.to_owned() },
        error => AccessError::Unreadable { what, path: path.to_owned(), error },
    };
    // A FIFO of that name must not hang us.
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(path).map_err(unreadable)?;
    let meta = file.metadata().map_err(unreadable)?;
    if !meta.is_file() {
        return Err(AccessError::NotRegular { what, path: path.to_owned() });
    }
    if check {
        trusted(what, path, &meta)?;
    }
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > most {
        return Err(AccessError::TooLarge { what, path: path.to_owned(), most });
    }
    Ok(bytes)
}

/// Refuses a file that somebody else can write or replace, by what the open file says. Root obeys only what root wrote; anybody else
/// chose the file, and is kept only from what everybody may write.
///
/// # Errors
/// Whose it is, or its mode, and the same of its folder.
pub fn trusted(what: &'static str, path: &Path, meta: &Metadata) -> Result<(), AccessError> {
    trusted_file(what, path, meta)?;
    let me = rustix::process::geteuid();
    // The folder of the file itself, behind every link: whoever writes there replaces the file. A folder that cannot be looked at is
    // one into which we were let through a link, and belongs to whoever made that.
    for folder in [path.canonicalize().ok().as_deref().and_then(Path::parent), path.parent()].into_iter().flatten() {
        if let Ok(meta) = std::fs::metadata(folder) {
            check(what, folder, &meta, me.as_raw(), true)?;
        }
    }
    Ok(())
}

/// The same of the file alone: for what is found in a folder that the operator trusts by other means, such as `PATH`.
///
/// # Errors
/// Whose it is, or its mode.
pub fn trusted_file(what: &'static str, path: &Path, meta: &Metadata) -> Result<(), AccessError> {
    check(what, path, meta, rustix::process::geteuid().as_raw(), false)
}

fn check(what: &'static str, path: &Path, meta: &Metadata, me: u32, folder: bool) -> Result<(), AccessError> {
    let root = me == 0;
    if root && meta.uid() != 0 {
        return Err(AccessError::Foreign { what, path: path.to_owned(), owner: meta.uid(), me });
    }
    // In a sticky folder such as /tmp only the owner replaces a file.
    let sticky = folder && meta.mode() & 0o1000 != 0;
    let others = if root { 0o022 } else { 0o002 };
    if meta.mode() & others != 0 && !sticky {
        return Err(AccessError::Writable { what, path: path.to_owned(), mode: meta.mode(), me });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_files_are_those_that_kubectl_reads() {
        let of = |named: Option<&str>, list: Option<&str>| {
            Files::of(named.map(Path::new), list.map(OsStr::new), Some("/home/a".into())).unwrap()
        };
        assert_eq!(of(Some("/a"), Some("/b")), Files { paths: vec!["/a".into()], may_lack: false });
        assert_eq!(of(None, Some("/b::/c")), Files { paths: vec!["/b".into(), "/c".into()], may_lack: true });
        for empty in [None, Some(""), Some(":")] {
            assert_eq!(of(None, empty), Files { paths: vec!["/home/a/.kube/config".into()], may_lack: false });
        }
        assert_eq!(Files::of(None, None, None), Err(AccessError::NoFile));
    }

    #[test]
    fn only_regular_files_of_a_bounded_size_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        assert!(matches!(read("it", &path, 10), Err(AccessError::Missing { .. })));
        std::fs::write(&path, "12345678901").unwrap();
        assert!(matches!(read("it", &path, 10), Err(AccessError::TooLarge { .. })));
        assert_eq!(read("it", &path, 11).unwrap().len(), 11);
        let fifo = folder.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(matches!(read("it", &fifo, 10), Err(AccessError::NotRegular { .. })));
        assert!(matches!(read("it", folder.path(), 10), Err(AccessError::NotRegular { .. })));
    }

    #[test]
    fn root_obeys_only_what_root_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, "x").unwrap();
        let mode = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        let refused = |word: &str| {
            let error = read("the kubeconfig", &path, 10).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        };
        mode(&path, 0o646);
        refused("chmod go-w");
        mode(&path, 0o644);
        assert!(read("it", &path, 10).is_ok());
        mode(folder.path(), 0o777);
        refused("has mode 777");
        mode(folder.path(), 0o700);
        if !rustix::process::geteuid().is_root() {
            return;
        }
        mode(&path, 0o664);
        refused("chmod go-w");
        mode(&path, 0o644);
        std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
        refused("belongs to uid 65534");
        std::os::unix::fs::chown(&path, Some(0), None).unwrap();
        // A link in somebody else's folder chooses the file.
        let theirs = tempfile::tempdir().unwrap();
        let link = theirs.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(read("it", &link, 10).is_ok());
        mode(theirs.path(), 0o777);
        assert!(matches!(read("it", &link, 10), Err(AccessError::Writable { .. })));
    }
}
