//! Whether anybody else controls what a path leads to.

use anyhow::{Context as _, bail};
use foil_text::Shown as _;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

/// How many symbolic links are followed, as by the kernel.
const MOST_LINKS: usize = 40;

/// Goes the way to a file or folder step by step, as the kernel does, and returns what is there.
///
/// # Errors
/// A sentence that names the folder, link or file on the way that somebody else controls.
pub fn follow(path: &Path) -> anyhow::Result<Metadata> {
    let whole = std::path::absolute(path).with_context(|| format!("{} is not a usable path", path.shown()))?;
    let mut ahead: VecDeque<OsString> = steps(&whole).collect();
    let (mut at, mut links) = (PathBuf::from("/"), 0_usize);
    let look = |at: &Path| std::fs::symlink_metadata(at).with_context(|| format!("cannot look at {}", at.shown()));
    let mut here = look(&at)?;
    while let Some(step) = ahead.pop_front() {
        // In a sticky folder such as /tmp only its owner replaces an entry, and the entry's own owner is asked next.
        check_owner(&at, &here, here.mode() & 0o1000 != 0)?;
        if step == ".." {
            at.pop();
            here = look(&at)?;
            continue;
        }
        let next = at.join(&step);
        let found = look(&next)?;
        if !found.is_symlink() {
            (at, here) = (next, found);
            continue;
        }
        links = links.saturating_add(1);
        if links > MOST_LINKS {
            bail!("{} leads through more than {MOST_LINKS} symbolic links", path.shown());
        }
        // Whoever owns one in a sticky folder can point it elsewhere.
        check_owner(&next, &found, false)?;
        let target = std::fs::read_link(&next).with_context(|| format!("cannot look at {}", next.shown()))?;
        if target.is_absolute() {
            at = PathBuf::from("/");
            here = look(&at)?;
        }
        for step in steps(&target).collect::<Vec<_>>().into_iter().rev() {
            ahead.push_front(step);
        }
    }
    check_owner(&at, &here, false)?;
    Ok(here)
}

/// The names in a path, `..` among them.
fn steps(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

/// Root obeys only what root wrote. Anybody else also trusts root, and, as many systems make a group for each user, the user's own
/// group. `sticky`: of what others may write, only their own files are theirs.
pub fn check_owner(path: &Path, meta: &Metadata, sticky: bool) -> anyhow::Result<()> {
    let (me, group) = (rustix::process::geteuid(), rustix::process::getegid().as_raw());
    let owner = meta.uid();
    // Modes of links mean nothing.
    let mode = if meta.is_symlink() { 0 } else { meta.mode() };
    let own_group = !me.is_root() && meta.gid() == group;
    let others = if own_group { 0o002 } else { 0o022 };
    if owner != me.as_raw() && owner != 0 {
        bail!(
            "{} belongs to uid {owner}, who could change what Foil does as uid {}: make it yours (`chown`) first",
            path.shown(),
            me.as_raw()
        );
    }
    if mode & others != 0 && !sticky {
        bail!(
            "{} has mode {:o}, so that others could change what Foil does as uid {}: `chmod go-w` it first",
            path.shown(),
            mode & 0o7777,
            me.as_raw()
        );
    }
    Ok(())
}
