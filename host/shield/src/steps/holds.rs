//! The objects that a run's grants name, resolved once and held by descriptor for as long as the run lives.
//!
//! A path means what whoever may write one of its folders makes it mean. So each granted path is resolved once, through no
//! symbolic link at all; mounts and Landlock rules are made from what was found, and never from the path again. Before
//! each program the path is resolved anew and must lead to the same device and inode ([`Holds::check`]). The descriptor
//! keeps the inode alive, which keeps its number from being given to another file meanwhile.

use crate::api::{Bound, RunSpec};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat, openat2};
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, open_tree};
use std::os::fd::OwnedFd;

/// What a path is granted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Reading and executing.
    Read,
    /// Changing.
    Write,
}

/// One granted object.
#[derive(Debug)]
pub struct Hold {
    /// As it was granted.
    pub path: String,
    /// For what.
    pub purpose: Purpose,
    /// An `O_PATH` descriptor, in the mount namespace of the children.
    pub place: OwnedFd,
    /// What kind of file it is.
    pub kind: FileType,
    identity: (u64, u64),
}

/// A granted path that leads elsewhere now. Nothing may be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// As it was granted.
    pub path: String,
    /// What is wrong with it, as a clause.
    pub why: String,
}

/// All that a run holds.
#[derive(Debug, Default)]
pub struct Holds {
    held: Vec<Hold>,
    writes: Vec<(String, Bound)>,
    scratch: Option<OwnedFd>,
}

impl Holds {
    /// Resolves all grants of a run, and its scratch folder. What cannot be granted is said in `gaps`, but for what `base`
    /// says is readable without a grant.
    pub fn take(spec: &RunSpec, base: impl Fn(&str) -> bool, gaps: &mut Vec<String>) -> Result<Self, String> {
        let scratch = spec.scratch.to_str().ok_or("the scratch folder's path is not UTF-8")?;
        let (place, _) =
            resolve(scratch).map_err(|why| format!("the scratch folder {scratch} cannot be opened: {why}"))?;
        let mut holds = Self { scratch: Some(place), ..Self::default() };
        for path in &spec.reads {
            match resolve(path).and_then(|(place, stat)| Hold::new(path, Purpose::Read, place, &stat)) {
                Ok(hold) => holds.held.push(hold),
                Err(_) if base(path) => {}
                Err(bound) => gaps.push(format!("children cannot read {path}, though it is granted: {bound}")),
            }
        }
        for path in &spec.writes {
            let bound = match resolve(path).and_then(|(place, stat)| Hold::new(path, Purpose::Write, place, &stat)) {
                Ok(hold) => {
                    let (dev, ino) = hold.identity;
                    holds.held.push(hold);
                    Bound::Object { dev, ino }
                }
                Err(bound) => {
                    gaps.push(format!("children cannot change {path}, though it is granted: {bound}"));
                    bound
                }
            };
            holds.writes.push((path.clone(), bound));
        }
        Ok(holds)
    }

    /// The scratch folder; none where the level binds nothing.
    pub fn scratch(&self) -> Option<&OwnedFd> {
        self.scratch.as_ref()
    }

    /// What is held for this purpose.
    pub fn of(&self, purpose: Purpose) -> impl Iterator<Item = &Hold> {
        self.held.iter().filter(move |hold| hold.purpose == purpose)
    }

    /// What each write grant is bound to, for the host.
    pub fn writes(&self) -> &[(String, Bound)] {
        &self.writes
    }

    /// Resolves every granted path again and compares it with what is held.
    pub fn check(&self) -> Result<(), Changed> {
        self.held.iter().try_for_each(Hold::check)
    }
}

impl Hold {
    fn new(path: &str, purpose: Purpose, place: OwnedFd, stat: &Stat) -> Result<Self, Bound> {
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::Symlink {
            return Err(Bound::Refused("it is a symbolic link; grant the real path".into()));
        }
        if purpose == Purpose::Write && has_other_names(stat) {
            return Err(Bound::Refused(format!(
                "it has {} names (hard links); what changes it changes them all",
                stat.st_nlink
            )));
        }
        Ok(Self { path: path.to_owned(), purpose, place, kind, identity: identity(stat) })
    }

    fn check(&self) -> Result<(), Changed> {
        let changed = |why: String| Err(Changed { path: self.path.clone(), why });
        match resolve(&self.path) {
            Ok((_, now)) if identity(&now) != self.identity => changed("something else is there now".into()),
            Ok((_, now)) if self.purpose == Purpose::Write && has_other_names(&now) => {
                changed(format!("it has {} names (hard links) now", now.st_nlink))
            }
            Ok(_) => Ok(()),
            // Whoever may not go there gets nothing by the path.
            Err(Bound::Forbidden) => Ok(()),
            // Removed altogether, and not moved: no name leads to what is held.
            Err(Bound::Absent) if self.purpose == Purpose::Read && self.is_gone() => Ok(()),
            Err(bound) => changed(format!("now {bound}")),
        }
    }

    fn is_gone(&self) -> bool {
        fstat(&self.place).is_ok_and(|stat| stat.st_nlink == 0)
    }
}

/// Looks up what a path leads to through no symbolic link, without reading it. A link at the end is what it is.
fn resolve(path: &str) -> Result<(OwnedFd, Stat), Bound> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let place = match walk(path) {
        // An old kernel, or a container that forbids the call.
        Err(Errno::NOSYS | Errno::PERM) => openat2(CWD, path, flags, Mode::empty(), resolve),
        found => found,
    }
    .map_err(|error| match error {
        Errno::NOENT | Errno::NOTDIR => Bound::Absent,
        Errno::ACCESS | Errno::PERM => Bound::Forbidden,
        Errno::LOOP => Bound::Refused("it is reached through a symbolic link; grant the real path".into()),
        other => Bound::Refused(std::io::Error::from(other).to_string()),
    })?;
    let stat = fstat(&place).map_err(|error| Bound::Refused(std::io::Error::from(error).to_string()))?;
    Ok((place, stat))
}

/// Looks a path up part by part with `open_tree`, which without `OPEN_TREE_CLONE` is `open` with `O_PATH` under another
/// name. Falco and audit watches count every `open` of `/etc/shadow` as reading it, also one with `O_PATH`.
fn walk(path: &str) -> Result<OwnedFd, Errno> {
    let flags = OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
    let mut place = openat(CWD, "/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let mut parts = path.split('/').filter(|part| !part.is_empty()).peekable();
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        // As `open` with `O_PATH`: nothing is mounted on account of the last part.
        let automount = if last { OpenTreeFlags::AT_NO_AUTOMOUNT } else { OpenTreeFlags::empty() };
        place = open_tree(&place, part, flags | automount)?;
        if !last && FileType::from_raw_mode(fstat(&place)?.st_mode) == FileType::Symlink {
            return Err(Errno::LOOP);
        }
    }
    Ok(place)
}

fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

fn has_other_names(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) != FileType::Directory && stat.st_nlink > 1
}
