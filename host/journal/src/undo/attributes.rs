//! Everything of a file but its content: owner, permission bits, attributes, times. And whether they are right.

use super::super::preimage::Rest;
use foil_safe_path::{Fingerprint, Look, PathError, fd_path, flags, xattr};
use rustix::fs::{AtFlags, CWD, Gid, Mode, Timespec, Timestamps, Uid};
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Gives what `held` holds (a file or a link) its earlier owner, bits, attributes and times. Touches only what differs, so
/// that an ordinary user is not refused a change that is none. Not the inode flags, which come last: two of them stop every
/// other change.
pub(super) fn restore(held: &File, before: &Fingerprint, rest: &Rest, path: &Path) -> Result<(), PathError> {
    let link = fd_path(held);
    let failed = |doing| move |e| PathError::from_errno(path, doing, e);
    let meta = held.metadata().map_err(|e| PathError::from_io(path, "looking at it", &e))?;
    if (meta.uid(), meta.gid()) != (before.uid, before.gid) {
        let (uid, gid) = (Uid::from_raw(before.uid), Gid::from_raw(before.gid));
        rustix::fs::chownat(held, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)
            .map_err(failed("giving it its owner"))?;
    }
    // After the owner, since a change of owner takes set-id bits and file capabilities away.
    if before.kind == "file" {
        rustix::fs::chmodat(CWD, &link, Mode::from_raw_mode(before.mode), AtFlags::empty())
            .map_err(failed("giving it its permission bits"))?;
    }
    if let Some(wanted) = rest.attributes() {
        xattr::restore(held, &wanted, path)?;
    }
    super::fault::point("undo.restore.before-times");
    let times = Timestamps { last_access: timespec(rest.atime_ns), last_modification: timespec(before.mtime_ns) };
    rustix::fs::utimensat(CWD, &link, &times, AtFlags::empty()).map_err(failed("giving it its times"))
}

/// What is not as it was, in words; `None`: all is.
pub(super) fn difference(held: &File, look: &Look, before: &Fingerprint, rest: &Rest, path: &Path) -> Option<String> {
    let now = &look.fingerprint;
    if (&now.kind, &now.sha256, now.size) != (&before.kind, &before.sha256, before.size) {
        return Some("its content is another".into());
    }
    if (now.uid, now.gid) != (before.uid, before.gid) {
        return Some(format!("its owner is {}:{} instead of {}:{}", now.uid, now.gid, before.uid, before.gid));
    }
    if now.mode != before.mode {
        return Some(format!("its permission bits are {:o} instead of {:o}", now.mode, before.mode));
    }
    if now.mtime_ns != before.mtime_ns {
        return Some("its modification time is another".into());
    }
    match (xattr::read(held, path), rest.attributes()) {
        (Ok(found), Some(wanted)) if found == wanted => {}
        (Err(e), _) => return Some(e.to_string()),
        _ => return Some("its extended attributes are others".into()),
    }
    match (flags::read(held, path), rest.flags) {
        (Ok(Some(found)), Some(wanted)) if found != wanted => {
            Some(format!("its inode flags (lsattr) are {found:#x} instead of {wanted:#x}"))
        }
        (Err(e), _) => Some(e.to_string()),
        _ => None,
    }
}

/// Whether owner and permission bits can be of our doing: those of before, or those that the effect left, and either
/// without the set-id bits, which the kernel takes away at a write.
pub(super) fn ours(now: &Fingerprint, before: &Fingerprint, learned: Option<&Fingerprint>) -> bool {
    const SET_ID: u32 = 0o6000;
    let known = || [Some(before), learned].into_iter().flatten();
    known().any(|f| (f.uid, f.gid) == (now.uid, now.gid))
        && known().any(|f| now.mode == f.mode || now.mode == f.mode & !SET_ID)
}

fn timespec(ns: i128) -> Timespec {
    const SECOND: i128 = 1_000_000_000;
    let whole = i64::try_from(ns.div_euclid(SECOND)).unwrap_or_default();
    Timespec { tv_sec: whole, tv_nsec: i64::try_from(ns.rem_euclid(SECOND)).unwrap_or_default() as _ }
}
