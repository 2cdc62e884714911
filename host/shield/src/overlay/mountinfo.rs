//! What is mounted: `/proc/self/mountinfo`, read and reduced to what a path really leads to.
//!
//! Fields and escapes: proc_pid_mountinfo(5).

use foil_text::Shown as _;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::mount::MountAttrFlags;

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The kernel's id of it.
    pub id: u64,
    /// `major:minor` of the file system.
    pub device: String,
    /// Which part of the file system is mounted.
    pub root: PathBuf,
    /// Where.
    pub point: PathBuf,
    /// Read-only, by the mount or by the file system.
    pub read_only: bool,
    /// `nosuid`, `nodev`, `noexec` and the access-time rules of the mount; not `ro`.
    pub attributes: MountAttrFlags,
    /// Such as `ext4`.
    pub kind: String,
}

/// A mount that a path leads to, and a handle to its root.
#[derive(Debug)]
pub struct Visible {
    /// The mount.
    pub mount: Mount,
    /// `O_PATH` handle to what is mounted.
    pub handle: OwnedFd,
    /// It is a directory (a container's `/etc/resolv.conf` is a file).
    pub directory: bool,
}

/// Reads every line of a mountinfo file. An unreadable line is an error: skipping it would leave a mount uncovered.
pub fn parse(text: &[u8]) -> Result<Vec<Mount>, String> {
    let mut mounts = Vec::new();
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let mount = parse_line(line)
            .ok_or_else(|| format!("a line of /proc/self/mountinfo is not understood: {}", line.escape_ascii()))?;
        mounts.push(mount);
    }
    Ok(mounts)
}

fn parse_line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let id = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    let _parent = fields.next()?;
    let device = text(fields.next()?);
    let root = path(fields.next()?);
    let point = path(fields.next()?);
    let options = text(fields.next()?);
    // Optional fields, up to a lone dash.
    fields.by_ref().find(|field| *field == b"-")?;
    let kind = text(fields.next()?);
    let _source = fields.next()?;
    let super_options = text(fields.next().unwrap_or_default());
    let has = |list: &str, option: &str| list.split(',').any(|word| word == option);
    let mut attributes = MountAttrFlags::empty();
    for (word, flag) in [
        ("nosuid", MountAttrFlags::MOUNT_ATTR_NOSUID),
        ("nodev", MountAttrFlags::MOUNT_ATTR_NODEV),
        ("noexec", MountAttrFlags::MOUNT_ATTR_NOEXEC),
        ("noatime", MountAttrFlags::MOUNT_ATTR_NOATIME),
        ("nodiratime", MountAttrFlags::MOUNT_ATTR_NODIRATIME),
        ("nosymfollow", MountAttrFlags::MOUNT_ATTR_NOSYMFOLLOW),
    ] {
        attributes.set(flag, has(&options, word));
    }
    let read_only = has(&options, "ro") || has(&super_options, "ro");
    Some(Mount { id, device, root, point, read_only, attributes, kind })
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(field).into_owned()
}

fn path(field: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(unescape(field)))
}

/// Undoes `\040` and its like; anything else stays as it is.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| *first == b'\\').and_then(|digits| {
            digits.iter().try_fold(0_u32, |value, digit| {
                (b'0'..=b'7').contains(digit).then(|| value.wrapping_mul(8).wrapping_add(u32::from(digit - b'0')))
            })
        });
        match octal.and_then(|value| u8::try_from(value).ok()) {
            Some(byte) => {
                plain.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                plain.push(*first);
                rest = after;
            }
        }
    }
    plain
}

/// The mounts that paths lead to, each path's topmost only, parents before what is mounted in them.
pub fn visible(mounts: Vec<Mount>) -> Result<Vec<Visible>, String> {
    let mut seen: Vec<Visible> = Vec::new();
    for mount in mounts {
        let Ok((handle, directory)) = open(&mount.point) else {
            continue; // hidden below another mount, or its mountpoint is gone: no path leads to it
        };
        let id = mount_id(&handle)
            .map_err(|error| format!("the mount at {} cannot be identified: {error}", mount.point.shown()))?;
        if id == mount.id {
            seen.push(Visible { mount, handle, directory });
        }
    }
    seen.sort_by_key(|visible| visible.mount.point.components().count());
    if seen.first().is_none_or(|first| first.mount.point != Path::new("/")) {
        return Err("no mount at / is listed in /proc/self/mountinfo (Foil runs in a chroot?)".into());
    }
    Ok(seen)
}

fn open(point: &Path) -> io::Result<(OwnedFd, bool)> {
    let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    // Asking for a directory tells the two apart without a `stat`, which a dead network file system never answers.
    match rustix::fs::open(point, flags | OFlags::DIRECTORY, Mode::empty()) {
        Ok(handle) => Ok((handle, true)),
        Err(rustix::io::Errno::NOTDIR) => Ok((rustix::fs::open(point, flags, Mode::empty())?, false)),
        Err(error) => Err(error.into()),
    }
}

/// The mount that a handle is in. From fdinfo, not `statx`: a FUSE mount of another user refuses root a `statx`.
fn mount_id(handle: &OwnedFd) -> io::Result<u64> {
    let info = io::read_to_string(File::open(format!("/proc/self/fdinfo/{}", handle.as_raw_fd()))?)?;
    info.lines()
        .find_map(|line| line.strip_prefix("mnt_id:"))
        .and_then(|value| value.trim().parse().ok())
        .ok_or_else(|| io::Error::other("fdinfo names no mount"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_escapes_and_optional_fields() {
        let text =
            b"36 35 98:0 /mnt\\0401 /a\\134b\\011c ro,nosuid,noatime shared:1 master:2 - ext3 /dev/root rw,errors=x\n\
            37 35 0:9 / /b rw - tmpfs none ro\n";
        let mounts = parse(text).unwrap();
        assert_eq!(mounts[0].root, Path::new("/mnt 1"));
        assert_eq!(mounts[0].point, Path::new("/a\\b\tc"));
        assert!(mounts[0].read_only && mounts[1].read_only);
        assert_eq!(mounts[0].attributes, MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOATIME);
        assert_eq!((mounts[0].kind.as_str(), mounts[1].kind.as_str()), ("ext3", "tmpfs"));
        assert_eq!((mounts[0].id, mounts[0].device.as_str()), (36, "98:0"));
    }

    #[test]
    fn a_broken_line_is_refused() {
        for bad in ["x 1 0:1 / / rw - ext4 d rw", "1 1 0:1 / / rw", "1 1 0:1 / / rw shared:1 ext4 d rw"] {
            assert!(parse(bad.as_bytes()).unwrap_err().contains("mountinfo"), "{bad}");
        }
    }

    #[test]
    fn half_an_escape_stays() {
        assert_eq!(unescape(b"a\\04"), b"a\\04");
        assert_eq!(unescape(b"a\\999"), b"a\\999");
        assert_eq!(unescape(b"\\777"), b"\\777"); // above a byte
    }

    #[test]
    fn this_machine_has_a_visible_root_and_each_path_once() {
        let all = parse(&std::fs::read("/proc/self/mountinfo").unwrap()).unwrap();
        let seen = visible(all).unwrap();
        let mut points: Vec<_> = seen.iter().map(|visible| visible.mount.point.clone()).collect();
        points.sort();
        let count = points.len();
        points.dedup();
        assert_eq!(points.len(), count);
    }
}
