//! The one size-limited tmpfs behind a run's view: upper layers, copies of single files, `/dev/shm`, and what masks are made of.

use std::fmt::Display;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Gid, Mode, OFlags, Uid};
use rustix::mount::MountAttrFlags;

use super::tree;

/// Where it is mounted while the view is built: a folder that exists wherever mountinfo could be read. It is in the run's own mount
/// namespace, and gone with the old root; overlays keep handles of their own to their layers.
pub const POINT: &str = "/proc";

/// The view's root is attached below it until the roots are exchanged.
const ROOT: &str = "root";

/// The tmpfs, mounted at [`POINT`].
#[derive(Debug)]
pub struct Stage {
    mount: OwnedFd,
    empty_folder: OwnedFd,
    empty_file: OwnedFd,
}

impl Stage {
    /// Mounts it, with room for `bytes` of content; how many files it takes is limited in proportion.
    pub fn new(bytes: u64) -> Result<Self, String> {
        let size = bytes.max(1 << 16).to_string();
        // A file costs the kernel about a kilobyte that `size` does not count.
        let files = (bytes / 4096).clamp(4096, 1 << 22).to_string();
        let options = [("source", "tmpfs"), ("size", &*size), ("nr_inodes", &*files), ("mode", "0755")];
        let mount =
            tree::make("tmpfs", &options, MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOSUID)?;
        let here = |error: std::io::Error| format!("the run's tmpfs cannot be prepared: {error}");
        let point =
            rustix::fs::open(POINT, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(|e| here(e.into()))?;
        tree::attach(mount.as_fd(), point.as_fd()).map_err(here)?;
        for name in ["u", "w", "f", ROOT, "empty", "shm"] {
            rustix::fs::mkdirat(&mount, name, Mode::RWXU).map_err(|e| here(e.into()))?;
        }
        let mode = |name: &str, bits: u32| {
            rustix::fs::chmodat(&mount, name, Mode::from_raw_mode(bits), rustix::fs::AtFlags::empty())
                .map_err(|e| here(e.into()))
        };
        mode("shm", 0o1777)?;
        mode("empty", 0o555)?;
        tree::empty_file(mount.as_fd(), "none", Mode::RUSR).map_err(|e| here(e.into()))?;
        mode("none", 0o444)?;
        let empty_folder = tree::find(mount.as_fd(), Path::new("empty")).map_err(here)?;
        let empty_file = tree::find(mount.as_fd(), Path::new("none")).map_err(here)?;
        Ok(Self { mount, empty_folder, empty_file })
    }

    /// The directory that the view's root is attached to.
    pub fn root(&self) -> Result<OwnedFd, String> {
        tree::find(self.mount.as_fd(), Path::new(ROOT)).map_err(|error| format!("the view has no place: {error}"))
    }

    /// New upper and work folders; the upper one with the owner and mode of the folder that it will stand for, since
    /// an overlay's root takes them from there. Absolute paths, as overlay options want them.
    pub fn layer(&self, number: usize, like: &rustix::fs::Stat) -> Result<(String, String), String> {
        let upper = format!("u/{number}");
        let work = format!("w/{number}");
        let fail = |error: &dyn Display| format!("the layer {upper} cannot be made: {error}");
        for name in [&upper, &work] {
            rustix::fs::mkdirat(&self.mount, name.as_str(), Mode::RWXU).map_err(|error| fail(&error))?;
        }
        self.dress(&upper, like).map_err(|error| fail(&error))?;
        Ok((format!("{POINT}/{upper}"), format!("{POINT}/{work}")))
    }

    /// A layer's upper folder, to be looked at.
    pub fn upper(&self, path: &str) -> Result<OwnedFd, String> {
        let below = Path::new(path).strip_prefix(POINT).unwrap_or(Path::new(path));
        let found = tree::find(self.mount.as_fd(), below).and_then(|upper| tree::copy(upper.as_fd(), tree::sealed()));
        found.map_err(|error| format!("the layer {path} cannot be looked at: {error}"))
    }

    /// A file with this content, to be mounted over another.
    pub fn file(&self, number: usize, content: &[u8], like: &rustix::fs::Stat) -> Result<OwnedFd, String> {
        let name = format!("f/{number}");
        let fail = |error: &dyn Display| format!("the copy {name} cannot be made: {error}");
        let create = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.mount, name.as_str(), create, Mode::RUSR).map_err(|error| fail(&error))?;
        std::io::Write::write_all(&mut std::fs::File::from(file), content).map_err(|error| fail(&error))?;
        self.dress(&name, like).map_err(|error| fail(&error))?;
        tree::find(self.mount.as_fd(), Path::new(&name)).map_err(|error| fail(&error))
    }

    fn dress(&self, name: &str, like: &rustix::fs::Stat) -> rustix::io::Result<()> {
        let (owner, group) = (Uid::from_raw(like.st_uid), Gid::from_raw(like.st_gid));
        rustix::fs::chownat(&self.mount, name, Some(owner), Some(group), rustix::fs::AtFlags::empty())?;
        // After the owner: changing that clears set-id bits.
        rustix::fs::chmodat(&self.mount, name, Mode::from_raw_mode(like.st_mode & 0o7777), rustix::fs::AtFlags::empty())
    }

    /// The folder behind `/dev/shm`, so that it counts towards the same limit.
    pub fn shm(&self) -> Result<OwnedFd, String> {
        tree::find(self.mount.as_fd(), Path::new("shm")).map_err(|error| format!("/dev/shm has no place: {error}"))
    }

    /// Covers a directory or a file with nothing, read-only.
    pub fn mask(&self, target: BorrowedFd<'_>, directory: bool) -> std::io::Result<()> {
        let empty = if directory { &self.empty_folder } else { &self.empty_file };
        tree::attach(tree::copy(empty.as_fd(), tree::sealed())?.as_fd(), target)
    }
}
