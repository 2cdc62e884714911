//! One layer for each mount that a path leads to, so that a separate `/var`, `/home` or `/tmp` is as private as `/`.
//!
//! Everything is shown *through an overlay*, what is mounted read-only too: only there do sockets and FIFOs lose their other
//! end. A read-only bind mount keeps both alive. What no overlay takes is masked, but for file systems that
//! cannot hold sockets, FIFOs or devices.

use foil_text::Shown as _;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, OFlags};
use rustix::mount::MountAttrFlags;

use super::mountinfo::{Mount, Visible};
use super::stage::Stage;
use super::tree;

/// Built anew instead ([`super::pseudo`]).
const REBUILT: [&str; 3] = ["/proc", "/sys", "/dev"];

/// File systems of the kernel itself: handles to the machine, wherever they are mounted (a chroot's `/proc`, `/run/netns/NAME`).
const KERNEL: &[&str] = &[
    "autofs",
    "binder",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "cpuset",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "functionfs",
    "hugetlbfs",
    "mqueue",
    "nfsd",
    "nsfs",
    "proc",
    "pstore",
    "resctrl",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "smackfs",
    "sysfs",
    "tracefs",
];

/// File systems that know no sockets, FIFOs or devices: safe to show read-only as they are.
const PLAIN: &[&str] = &["exfat", "iso9660", "msdos", "vfat"];

/// Without one of these the view would be no likeness of the machine.
const ESSENTIAL: [&str; 5] = ["/", "/etc", "/home", "/usr", "/var"];

/// A file that is a mount of its own is copied up to this size; a larger one is shown read-only.
const COPIED: u64 = 1 << 20;

/// A path of the machine that the view does not show as it is, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masked {
    /// The mountpoint.
    pub path: PathBuf,
    /// A clause for people.
    pub reason: String,
}

/// A layer as it can be looked at: read-only, and without what is mounted in it.
#[derive(Debug)]
pub struct Layer {
    /// Where the view shows it.
    pub point: PathBuf,
    /// What the view shows there: a folder, or one file.
    pub merged: OwnedFd,
    /// What was written to it, in overlayfs's own words; `None` where it is no overlay.
    pub upper: Option<OwnedFd>,
    /// What the machine has there; `None` where the layer is the run's alone.
    pub lower: Option<OwnedFd>,
}

/// An overlay that was made, for other mounts of the same files.
struct Made<'a> {
    of: &'a Mount,
    mount: OwnedFd,
}

/// The layers under construction.
struct Build<'a> {
    stage: &'a Stage,
    /// `trusted.*` attributes cannot be had in a container's user namespace.
    user_attributes: bool,
    count: usize,
    made: Vec<Made<'a>>,
    masked: Vec<Masked>,
    layers: Vec<Layer>,
}

/// Builds all layers. Returns the view's root, what is masked, and the layers to look at. `scratch` must not be.
pub fn build(
    seen: &[Visible],
    stage: &Stage,
    user_attributes: bool,
    scratch: &Path,
) -> Result<(OwnedFd, Vec<Masked>, Vec<Layer>), String> {
    let mut build =
        Build { stage, user_attributes, count: 0, made: Vec::new(), masked: Vec::new(), layers: Vec::new() };
    let mut seen = seen.iter();
    let first = seen.next().ok_or("no mount is visible")?;
    let (root, upper) = build.overlay(first).map_err(|reason| format!("no overlay of / can be had: {reason}"))?;
    tree::attach(root.as_fd(), stage.root()?.as_fd())
        .map_err(|error| format!("the view's root has no place: {error}"))?;
    let top = root.try_clone().map_err(|error| format!("a handle cannot be copied: {error}"))?;
    build.layers.push(Layer::of(first, &root, Some(upper))?);
    build.made.push(Made { of: &first.mount, mount: root });
    for visible in seen {
        let point = &visible.mount.point;
        if REBUILT.iter().any(|path| point.starts_with(path)) {
            continue;
        }
        if let Err(reason) = build.add(top.as_fd(), visible) {
            let essential = ESSENTIAL.iter().any(|path| point == Path::new(path)) || scratch.starts_with(point);
            if essential {
                return Err(format!("{} ({}) cannot be made private: {reason}", point.shown(), visible.mount.kind));
            }
            build.mask(top.as_fd(), visible, reason)?;
        }
    }
    Ok((top, build.masked, build.layers))
}

impl Layer {
    /// A layer over a mount of the machine's.
    fn of(visible: &Visible, merged: &OwnedFd, upper: Option<OwnedFd>) -> Result<Self, String> {
        let fail = |error: io::Error| format!("no handle to look at it by: {error}");
        // A mount with locked ones below, as in a user namespace, cannot be copied: then the handle as it is.
        let lower = tree::copy(visible.handle.as_fd(), tree::sealed()).or_else(|_| visible.handle.try_clone());
        Ok(Self {
            point: visible.mount.point.clone(),
            merged: tree::copy(merged.as_fd(), tree::sealed()).map_err(fail)?,
            upper,
            lower: Some(lower.map_err(fail)?),
        })
    }

    /// A folder of the view's own.
    pub fn own(point: &str, top: BorrowedFd<'_>) -> Result<Self, String> {
        let merged = tree::find(top, Path::new(point)).and_then(|found| tree::copy(found.as_fd(), tree::sealed()));
        let merged = merged.map_err(|error| format!("{point} cannot be looked at: {error}"))?;
        Ok(Self { point: point.into(), merged, upper: None, lower: None })
    }

    /// Its handles.
    pub fn handles(&self) -> impl Iterator<Item = &OwnedFd> {
        [Some(&self.merged), self.upper.as_ref(), self.lower.as_ref()].into_iter().flatten()
    }
}

impl<'a> Build<'a> {
    /// Shows one mount. `Err`: it is to be masked.
    fn add(&mut self, top: BorrowedFd<'_>, visible: &'a Visible) -> Result<(), String> {
        let mount = &visible.mount;
        if KERNEL.contains(&mount.kind.as_str()) {
            return Err("a file system of the kernel".into());
        }
        let target = target(top, &mount.point)?;
        let place = |tree: &OwnedFd| {
            tree::attach(tree.as_fd(), target.as_fd()).map_err(|error| format!("it cannot be attached: {error}"))
        };
        if let Some(again) = self.again(mount) {
            return place(&again);
        }
        if !visible.directory {
            let (file, written) = self.file(visible)?;
            place(&file)?;
            if written {
                self.layers.push(Layer::of(visible, &file, None)?);
            }
            return Ok(());
        }
        match self.overlay(visible) {
            Ok((tree, upper)) => {
                place(&tree)?;
                self.layers.push(Layer::of(visible, &tree, Some(upper))?);
                self.made.push(Made { of: mount, mount: tree });
                Ok(())
            }
            Err(_) if PLAIN.contains(&mount.kind.as_str()) => {
                let read_only = attributes(mount) | MountAttrFlags::MOUNT_ATTR_RDONLY;
                let tree = tree::copy(visible.handle.as_fd(), read_only).map_err(|error| error.to_string())?;
                place(&tree)
            }
            Err(reason) => Err(reason),
        }
    }

    /// The same files are in a layer already (a bind mount): a second layer of them would part the two.
    fn again(&self, mount: &Mount) -> Option<OwnedFd> {
        let usable = |made: &&Made<'_>| {
            made.of.device == mount.device
                && mount.root.starts_with(&made.of.root)
                && (mount.read_only || !made.of.read_only)
                && mount.attributes.contains(made.of.attributes)
        };
        let made = self.made.iter().filter(usable).max_by_key(|made| made.of.root.components().count())?;
        let below = mount.root.strip_prefix(&made.of.root).ok()?;
        let below = if below.as_os_str().is_empty() { Path::new(".") } else { below };
        let at = tree::find_same_mount(made.mount.as_fd(), below).ok()?;
        // What is shared here may be a socket's or a FIFO's inode of the overlay, which is no longer the machine's.
        tree::copy(at.as_fd(), attributes(mount)).ok()
    }

    /// A detached overlay of a directory, and its upper folder.
    fn overlay(&mut self, visible: &Visible) -> Result<(OwnedFd, OwnedFd), String> {
        let stat =
            rustix::fs::fstat(&visible.handle).map_err(|error| format!("its root cannot be looked at: {error}"))?;
        // The lower layer is named by the working directory: no path, so nothing to escape and nothing to swap.
        rustix::process::fchdir(&visible.handle).map_err(|error| format!("it cannot be entered: {error}"))?;
        let (upper, work) = self.stage.layer(self.next(), &stat)?;
        attributes_of_here(&upper);
        let base = [("source", "overlay"), ("lowerdir", "."), ("upperdir", &*upper), ("workdir", &*work)];
        let rich = [("index", "off"), ("xino", "auto"), ("redirect_dir", "on"), ("metacopy", "on")];
        let variants: &[&[(&str, &str)]] =
            if self.user_attributes { &[&[]] } else { &[&rich, rich.split_last().map_or(&[], |(_, most)| most), &[]] };
        let mut reason = String::new();
        for more in variants {
            let mut options: Vec<_> = base.into_iter().chain(more.iter().copied()).collect();
            if self.user_attributes {
                options.push(("userxattr", ""));
            }
            match tree::make("overlay", &options, attributes(&visible.mount)) {
                Ok(tree) => return Ok((tree, self.stage.upper(&upper)?)),
                Err(why) => reason = why,
            }
        }
        Err(reason)
    }

    /// A file that is mounted by itself: a private copy, since an overlay takes directories only. Whether it can be written.
    fn file(&mut self, visible: &Visible) -> Result<(OwnedFd, bool), String> {
        let stat = rustix::fs::fstat(&visible.handle).map_err(|error| error.to_string())?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err("a socket, FIFO or device, mounted by itself".into());
        }
        let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
        if size > COPIED {
            let read_only = attributes(&visible.mount) | MountAttrFlags::MOUNT_ATTR_RDONLY;
            let file = tree::copy(visible.handle.as_fd(), read_only).map_err(|error| error.to_string())?;
            return Ok((file, false));
        }
        let content = read(&visible.mount.point, &stat).map_err(|error| format!("it cannot be read: {error}"))?;
        let number = self.next();
        let file = self.stage.file(number, &content, &stat)?;
        let copy = tree::copy(file.as_fd(), attributes(&visible.mount)).map_err(|error| error.to_string())?;
        Ok((copy, true))
    }

    fn mask(&mut self, top: BorrowedFd<'_>, visible: &Visible, reason: String) -> Result<(), String> {
        let point = &visible.mount.point;
        // Not there: it is below something masked, and so is this.
        if let Ok(target) = target(top, point) {
            self.stage
                .mask(target.as_fd(), visible.directory)
                .map_err(|error| format!("{} cannot be masked: {error}", point.shown()))?;
        }
        self.masked.push(Masked { path: point.clone(), reason });
        Ok(())
    }

    fn next(&mut self) -> usize {
        self.count = self.count.saturating_add(1);
        self.count
    }
}

/// The mount's own attributes; devices never work in a view, but for the ones in its own `/dev`.
fn attributes(mount: &Mount) -> MountAttrFlags {
    let mut attributes = mount.attributes | MountAttrFlags::MOUNT_ATTR_NODEV;
    attributes.set(MountAttrFlags::MOUNT_ATTR_RDONLY, mount.read_only);
    attributes
}

fn target(top: BorrowedFd<'_>, point: &Path) -> Result<OwnedFd, String> {
    tree::find(top, point).map_err(|error| format!("its mountpoint is not in the view: {error}"))
}

/// Gives an upper folder the extended attributes (access lists, labels) of the working directory, where the tmpfs takes them.
fn attributes_of_here(upper: &str) {
    let mut names = vec![0_u8; 65536];
    let Ok(length) = rustix::fs::listxattr(".", &mut names[..]) else { return };
    let names = names.get(..length).unwrap_or_default().split(|byte| *byte == 0).filter(|name| !name.is_empty());
    for name in names.filter(|name| !name.starts_with(b"trusted.overlay.") && !name.starts_with(b"user.overlay.")) {
        let mut value = vec![0_u8; 65536];
        if let Ok(length) = rustix::fs::getxattr(".", name, &mut value[..]) {
            let value = value.get(..length).unwrap_or_default();
            let _ = rustix::fs::setxattr(upper, name, value, rustix::fs::XattrFlags::empty());
        }
    }
}

/// A small regular file's content, if the path still leads to it.
fn read(point: &Path, stat: &rustix::fs::Stat) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = rustix::fs::open(point, flags, rustix::fs::Mode::empty())?;
    let now = rustix::fs::fstat(&file)?;
    if (now.st_dev, now.st_ino) != (stat.st_dev, stat.st_ino) {
        return Err(io::Error::other("it was exchanged meanwhile"));
    }
    let mut content = Vec::new();
    std::fs::File::from(file).take(COPIED).read_to_end(&mut content)?;
    Ok(content)
}
