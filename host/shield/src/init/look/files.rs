//! Files that are not as on the machine: the upper layers say where to look, the overlay what is there, the lower layers
//! what was there.
//!
//! The tree may be hostile. Nothing is followed or opened but folders and regular files, each looked up anew below its
//! layer's root, so that neither depth nor number keeps handles or memory.

use super::{Eye, NAME};
use crate::overlay::{self, Layer};
use crate::scene::{Change, File, FileKind, Scene};
use foil_text::printable;
use rustix::fs::{Dir, FileType, Mode, OFlags, Stat, fgetxattr, fstat, getxattr, openat, readlinkat};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use std::ffi::OsStr;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Files in a scene.
const MOST: usize = 20_000;
/// Bytes of names in a scene: what a message holds even if each of them has to be escaped.
const NAMES: usize = 6 << 20;
/// A longer path is not gone into; the kernel takes 4,095 bytes.
const DEEPEST: usize = 3800;
/// What changes a file besides its bytes and mode.
const ATTRIBUTES: [&str; 2] = ["system.posix_acl_access", "security.capability"];

/// Writes down what is not as on the machine.
pub fn look(eye: &Eye<'_>, end: Instant, scene: &mut Scene) {
    let mut walk = Walk { eye, end, scene, names: 0, todo: Vec::new() };
    for layer in eye.layers {
        walk.layer(layer);
    }
    scene.files.sort_by(|a, b| a.path.cmp(&b.path));
}

/// A folder to look into.
struct Folder {
    /// Below the layer's root; empty for that itself.
    path: PathBuf,
    /// Its names are not the lower folder's and what was written: it was replaced or moved here.
    whole: bool,
}

struct Walk<'a> {
    eye: &'a Eye<'a>,
    end: Instant,
    scene: &'a mut Scene,
    names: usize,
    todo: Vec<Folder>,
}

impl Walk<'_> {
    fn layer(&mut self, layer: &Layer) {
        self.todo.clear();
        if layer.lower.is_some() {
            self.entry(layer, PathBuf::new(), layer.upper.is_none());
        } else {
            // Made for the run: all in it is its own.
            self.todo.push(Folder { path: PathBuf::new(), whole: true });
        }
        while let Some(folder) = self.todo.pop() {
            self.folder(layer, &folder);
        }
    }

    fn full(&self) -> bool {
        self.scene.files.len() >= MOST || self.names >= NAMES || Instant::now() >= self.end
    }

    fn folder(&mut self, layer: &Layer, folder: &Folder) {
        let upper = layer.upper.as_ref().and_then(|upper| self.list(upper, &folder.path));
        let whole = folder.whole || upper.as_ref().is_some_and(replaced);
        let (listed, lower) = match (whole, &layer.lower) {
            (false, _) => (upper, None),
            (true, lower) => (self.list(&layer.merged, &folder.path), lower.as_ref()),
        };
        // What the machine has there and the overlay has not.
        let gone = names(lower.and_then(|lower| self.list(lower, &folder.path)))
            .filter(|name| matches!(Found::at(&layer.merged, &folder.path.join(name)), Ok(None)));
        for name in names(listed).chain(gone) {
            if self.full() {
                self.scene.more = true;
                return self.todo.clear();
            }
            self.entry(layer, folder.path.join(name), whole);
        }
    }

    /// A folder, to be read; `None` where the layer has none there.
    fn list(&mut self, root: &OwnedFd, path: &Path) -> Option<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let found = Found::at(root, path).and_then(|found| match found {
            Some(found) if found.kind() == FileKind::Directory => {
                openat(found.handle, ".", flags, Mode::empty()).map(Some)
            }
            _ => Ok(None),
        });
        self.scene.more |= found.is_err();
        found.ok().flatten()
    }

    /// Compares one path with the machine's.
    fn entry(&mut self, layer: &Layer, path: PathBuf, whole: bool) {
        let shown = if path.as_os_str().is_empty() { layer.point.clone() } else { layer.point.join(&path) };
        if shown.starts_with(self.eye.scratch) {
            return;
        }
        let lower = layer.lower.as_ref().map_or(Ok(None), |lower| Found::at(lower, &path));
        let (Ok(now), Ok(was)) = (Found::at(&layer.merged, &path), lower) else {
            self.scene.more = true;
            return;
        };
        let change = match (&now, &was) {
            (Some(now), Some(was)) => (!self.same(now, was)).then_some(Change::Changed),
            (Some(_), None) => Some(Change::Made),
            (None, _) => Some(Change::Removed),
        };
        if let (Some(change), Some(found)) = (change, now.as_ref().or(was.as_ref())) {
            self.write_down(&shown, found, change);
        }
        let folder = |found: Option<Found>| found.is_some_and(|found| found.kind() == FileKind::Directory);
        if folder(now) {
            self.later(path, whole || !folder(was));
        }
    }

    fn later(&mut self, path: PathBuf, whole: bool) {
        if path.as_os_str().len() > DEEPEST {
            self.scene.more = true;
        } else {
            self.todo.push(Folder { path, whole });
        }
    }

    /// Times do not count: a file that is written and written back has others.
    fn same(&mut self, now: &Found, was: &Found) -> bool {
        let (a, b) = (&now.stat, &was.stat);
        if (a.st_mode, a.st_uid, a.st_gid, a.st_rdev) != (b.st_mode, b.st_uid, b.st_gid, b.st_rdev) {
            return false;
        }
        if matches!(now.kind(), FileKind::Directory | FileKind::Fifo | FileKind::Socket | FileKind::Device) {
            return true;
        }
        // Nobody can set a change time: with the same one it is the lower file itself.
        let changed = (a.st_ctime, a.st_ctime_nsec) != (b.st_ctime, b.st_ctime_nsec);
        a.st_size == b.st_size && (!changed || self.content(now) == self.content(was))
    }

    fn write_down(&mut self, path: &Path, found: &Found, change: Change) {
        let (stat, kind) = (&found.stat, found.kind());
        let bytes = path.as_os_str().as_bytes();
        self.scene.more |= bytes.len() > NAME;
        let path = printable(bytes, NAME);
        self.names = self.names.saturating_add(path.len());
        let size = if kind == FileKind::Directory { 0 } else { u64::try_from(stat.st_size).unwrap_or(0) };
        let content = if change == Change::Removed { String::new() } else { self.content(found) };
        self.scene.files.push(File {
            path,
            change,
            kind,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            size,
            mtime_ns: i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec),
            ino: stat.st_ino,
            content,
        });
    }

    /// What tells its content from another's.
    fn content(&mut self, found: &Found) -> String {
        let hash = match found.kind() {
            FileKind::File => self.hash(found),
            FileKind::Symlink => readlinkat(&found.handle, "", Vec::new()).ok().map(|to| Sha256::digest(to.as_bytes())),
            _ => return String::new(),
        };
        let Stat { st_ino, st_mtime, st_ctime, st_ctime_nsec, .. } = found.stat;
        hash.map_or_else(|| format!("{st_ino} {st_mtime} {st_ctime}.{st_ctime_nsec}"), hex::encode)
    }

    fn hash(&mut self, found: &Found) -> Option<sha2::digest::Output<Sha256>> {
        let path = found.path();
        let mut hasher = Sha256::new();
        let mut part = vec![0_u8; 64 * 1024];
        for name in ATTRIBUTES {
            if let Ok(length) = getxattr(&*path, name, &mut part[..]) {
                hasher.update(name);
                hasher.update(part.get(..length)?);
            }
        }
        // The handle is of a regular file, which the kernel opens again: nothing can have come in its place.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let mut file = std::fs::File::from(rustix::fs::open(path, flags, Mode::empty()).ok()?);
        loop {
            if Instant::now() >= self.end {
                self.scene.more = true;
                return None;
            }
            match file.read(&mut part).ok()? {
                0 => return Some(hasher.finalize()),
                read => hasher.update(part.get(..read)?),
            }
        }
    }
}

/// Something in a layer.
struct Found {
    handle: OwnedFd,
    stat: Stat,
}

impl Found {
    /// What is at a path below a layer's root, if anything.
    fn at(root: &OwnedFd, path: &Path) -> Result<Option<Self>, Errno> {
        let handle = match overlay::at(root.as_fd(), path) {
            Ok(handle) => handle,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(Self { stat: fstat(&handle)?, handle }))
    }

    fn kind(&self) -> FileKind {
        match FileType::from_raw_mode(self.stat.st_mode) {
            FileType::Directory => FileKind::Directory,
            FileType::RegularFile => FileKind::File,
            FileType::Symlink => FileKind::Symlink,
            FileType::Fifo => FileKind::Fifo,
            FileType::Socket => FileKind::Socket,
            _ => FileKind::Device,
        }
    }

    /// By which it can be opened although its handle is for looking up only. Init's `/proc`, which no child can cover.
    fn path(&self) -> String {
        format!("/proc/self/fd/{}", self.handle.as_raw_fd())
    }
}

fn names(folder: Option<OwnedFd>) -> impl Iterator<Item = std::ffi::OsString> {
    let entries = folder.and_then(|folder| Dir::new(folder).ok()).into_iter().flatten().flatten();
    let names = entries.map(|entry| OsStr::from_bytes(entry.file_name().to_bytes()).to_owned());
    names.filter(|name| name != "." && name != "..")
}

/// Does an upper folder hide the lower one of its name (it is opaque), or stand for another (it was moved)?
fn replaced(upper: &OwnedFd) -> bool {
    let mut value = [0_u8; 8];
    let has = |name: String| !matches!(fgetxattr(upper, name, &mut value[..]), Err(Errno::NODATA | Errno::OPNOTSUPP));
    let names = ["trusted", "user"].map(|space| ["opaque", "redirect"].map(|what| format!("{space}.overlay.{what}")));
    names.into_iter().flatten().any(has)
}
