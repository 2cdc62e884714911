//! `foil:host/files-read`: looks at files in the run's own view of the file system.
//!
//! A path is decided on twice: as the guest wrote it, and as the kernel says what was opened (`/proc/self/fd`), so that a
//! link on the way, however it got there, leads nowhere that was not granted. Nothing but regular files and directories
//! is ever opened for reading: what is found is held with `O_PATH` first, which neither blocks on a FIFO nor wakes a device.

use super::guest::failure;
use super::{Guest, World};
use crate::engine::bindings::imports::files_read::{Host, Kind, Metadata};
use crate::engine::bindings::types::Error;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use foil_policy::Exactness;
use foil_safe_path::{self as safe_path, PathError};
use foil_text::Shown as _;
use rustix::fs::OFlags;
use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

/// Bytes of one read.
const MAX_READ: u32 = 1 << 20;
/// Names of one directory.
const MAX_ENTRIES: usize = 10_000;

impl Host for Guest {
    async fn read(&mut self, path: String, offset: u64, limit: u32) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        self.begin()?;
        if !(1..=MAX_READ).contains(&limit) {
            return Ok(Err(Error::Invalid(format!("`limit` is {limit}; it must be 1 to {MAX_READ}"))));
        }
        Ok(self.granted(&path, OFlags::empty()).and_then(|(held, meta)| {
            if !meta.is_file() {
                return Err(not_read(&path));
            }
            let file = safe_path::reopen(&held, OFlags::RDONLY, Path::new(&path)).map_err(from_path)?;
            read_at(&file, offset, limit).map_err(|e| from_path(PathError::from_io(Path::new(&path), "reading", &e)))
        }))
    }

    async fn stat(&mut self, path: String) -> wasmtime::Result<Result<Metadata, Error>> {
        self.begin()?;
        Ok(self.granted(&path, OFlags::NOFOLLOW).map(|(_, meta)| Metadata {
            kind: match () {
                () if meta.is_file() => Kind::File,
                () if meta.is_dir() => Kind::Directory,
                () if meta.is_symlink() => Kind::Symlink,
                () => Kind::Other,
            },
            size: meta.size(),
            mode: meta.mode() & 0o7777,
            uid: meta.uid(),
            gid: meta.gid(),
            modified: modified(&meta),
        }))
    }

    async fn entries(&mut self, path: String) -> wasmtime::Result<Result<Vec<String>, Error>> {
        self.begin()?;
        Ok(self.granted(&path, OFlags::empty()).and_then(|(held, meta)| {
            if !meta.is_dir() {
                return Err(failure("not-a-directory", format!("{path} is no directory")));
            }
            names(&held, Path::new(&path))
        }))
    }
}

impl Guest {
    /// Opens, without reading, what a path names, where the policy allows both the path and what it turned out to be.
    fn granted(&self, path: &str, flags: OFlags) -> Result<(File, std::fs::Metadata), Error> {
        let asked = self.decide(&format!("read {path}"), self.permission.read(path))?;
        let held = hold(&self.world, path, flags).map_err(from_path)?;
        let real = safe_path::real_path(&held).map_err(from_path)?;
        let real = real.to_str().ok_or_else(|| failure("io", format!("{path} leads to a name that is no UTF-8")))?;
        let exact = if real == path {
            asked
        } else {
            self.decide(&format!("read {path}, which is {real}"), self.permission.read(real))?
        };
        if foils_own(&self.world, real) {
            return Err(failure("refused", format!("{path} is of a process of Foil's own, which no grant reaches")));
        }
        let meta = held.metadata().map_err(|e| from_path(PathError::from_io(Path::new(path), "looking at it", &e)))?;
        // A hard link makes any file of the same file system appear below a granted folder; only a rule that names the
        // very path means it.
        if meta.is_file() && meta.nlink() > 1 && exact != Exactness::Literal {
            let text = format!(
                "{path} has {} hard links, so it is also another file: grant it by its exact path",
                meta.nlink()
            );
            return Err(failure("refused", text));
        }
        Ok((held, meta))
    }
}

/// Holds what a path names, in the run's view. `cap-std` keeps `..` and links inside the view.
fn hold(world: &World, path: &str, flags: OFlags) -> Result<File, PathError> {
    let error = |e: std::io::Error| match e.kind() {
        // cap-std's own word for a path that would leave the view.
        std::io::ErrorKind::PermissionDenied if e.raw_os_error().is_none() => {
            PathError::Refused { path: path.into(), why: "it leads out of the run's view through a link".into() }
        }
        _ => PathError::from_io(Path::new(path), "opening", &e),
    };
    let view = world.shield.as_ref().map_or_else(|| "/".into(), |shield| shield.view());
    let root = Dir::open_ambient_dir(view, cap_std::ambient_authority()).map_err(error)?;
    let inside = path.trim_start_matches('/');
    let inside = if inside.is_empty() { "." } else { inside };
    let mut options = OpenOptions::new();
    let flags = flags | OFlags::PATH | OFlags::CLOEXEC;
    options.read(true).custom_flags(i32::try_from(flags.bits()).unwrap_or(libc::O_PATH));
    Ok(root.open_with(inside, &options).map_err(error)?.into_std())
}

/// Whether this is below `/proc/PID` of a process of Foil's own (this one, a thread of it, the launcher, a run's init): its
/// environment and its memory hold the operator's secrets, and a grant of `/proc/**` means other people's processes.
fn foils_own(world: &World, real: &str) -> bool {
    let Some(pid) = real.strip_prefix("/proc/").and_then(|rest| rest.split('/').next()) else { return false };
    if pid.is_empty() || !pid.bytes().all(|b| b.is_ascii_digit()) {
        return false;
    }
    let view = world.shield.as_ref().map_or_else(|| "/".into(), |shield| shield.view());
    // What a process runs is known by file, not by name. One that may not be looked at keeps its secrets from us as well.
    let runs = |process: &Path| std::fs::metadata(process.join("exe")).ok().map(|m| (m.dev(), m.ino()));
    let own = runs(Path::new("/proc/self"));
    own.is_some() && own == runs(&view.join("proc").join(pid))
}

fn read_at(file: &File, offset: u64, limit: u32) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; limit as usize];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset.saturating_add(filled as u64)) {
            Ok(0) => break,
            Ok(n) => filled = filled.saturating_add(n),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

fn names(held: &File, path: &Path) -> Result<Vec<String>, Error> {
    let io = |e: std::io::Error| from_path(PathError::from_io(path, "listing", &e));
    let folder = safe_path::reopen(held, OFlags::RDONLY | OFlags::DIRECTORY, path).map_err(from_path)?;
    let mut names = Vec::new();
    for entry in Dir::from_std_file(folder).entries().map_err(io)? {
        if names.len() >= MAX_ENTRIES {
            return Err(Error::Limit(format!("{} has more than {MAX_ENTRIES} entries", path.shown())));
        }
        names.push(entry.map_err(io)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn modified(meta: &std::fs::Metadata) -> u64 {
    let seconds = u64::try_from(meta.mtime()).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(meta.mtime_nsec()).unwrap_or(0))
}

fn not_read(path: &str) -> Error {
    failure("refused", format!("{path} is no regular file"))
}

/// What a refused or failed path means to the guest.
pub(super) fn from_path(error: PathError) -> Error {
    match error {
        PathError::Invalid { .. } => Error::Invalid(error.to_string()),
        PathError::NotFound(path) => Error::NotFound(path.shown()),
        PathError::Limit { .. } => Error::Limit(error.to_string()),
        PathError::Refused { .. } => failure("refused", error.to_string()),
        PathError::Forbidden { .. } => failure("forbidden", error.to_string()),
        PathError::Io { .. } => failure("io", error.to_string()),
    }
}
