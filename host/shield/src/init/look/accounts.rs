//! Users and groups, without what may be secret.

use super::{Eye, MOST, NAME, list};
use crate::overlay;
use crate::scene::{Account, AccountKind, Passwords, Scene};
use foil_text::printable;
use rustix::fs::{AtFlags, Stat, statat};
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Who has a password.
const SHADOW: &str = "/etc/shadow";

/// Reads the lists by the layers, before the view is joined. One that is not there has no lines.
pub fn look(eye: &Eye<'_>, scene: &mut Scene) {
    for (path, kind) in [("/etc/passwd", AccountKind::User), ("/etc/group", AccountKind::Group)] {
        let Some((now, _)) = List::of(eye, Path::new(path)) else { continue };
        let (text, cut) = now.text();
        let mut lines = text.split(|byte| *byte == b'\n').filter_map(|line| read(kind, line));
        scene.accounts.extend(lines.by_ref().take(MOST));
        scene.more |= cut || lines.next().is_some();
    }
    passwords(eye, scene);
}

/// Reads whose passwords there are, where the list is not the machine's file any more.
fn passwords(eye: &Eye<'_>, scene: &mut Scene) {
    let Some((now, Some(machine))) = List::of(eye, Path::new(SHADOW)) else { return };
    if now.is_same(&machine) {
        return;
    }
    let mut names = |list: &List| {
        let (names, cut) = list.names();
        scene.more |= cut;
        names
    };
    scene.passwords = Some(Passwords { machine: names(&machine), now: names(&now) });
}

/// A list of accounts in a layer, not opened yet.
struct List<'a> {
    folder: Option<OwnedFd>,
    name: &'a OsStr,
    stat: Option<Stat>,
}

impl<'a> List<'a> {
    /// The list as children see it, and the machine's own. `None`: it is mounted by itself, and shown among the files.
    fn of(eye: &Eye<'_>, path: &'a Path) -> Option<(Self, Option<Self>)> {
        let holds = |layer: &&overlay::Layer| path.starts_with(&layer.point);
        let layer = eye.layers.iter().filter(holds).max_by_key(|layer| layer.point.components().count())?;
        let below = path.strip_prefix(&layer.point).ok()?;
        let (folder, name) = (below.parent()?, below.file_name()?);
        let lower = layer.lower.as_ref().map(|lower| Self::at(lower, folder, name));
        Some((Self::at(&layer.merged, folder, name), lower))
    }

    fn at(root: &OwnedFd, folder: &Path, name: &'a OsStr) -> Self {
        let folder = overlay::at(root.as_fd(), folder).ok();
        let stat = folder.as_ref().and_then(|folder| statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).ok());
        Self { folder, name, stat }
    }

    /// Nobody can set a change time: with the same one it is the same file.
    fn is_same(&self, other: &Self) -> bool {
        let state = |list: &Self| list.stat.map(|stat| (stat.st_mode, stat.st_size, stat.st_ctime, stat.st_ctime_nsec));
        state(self) == state(other)
    }

    /// What is in it, and whether it goes on. Whatever else stands there, the files say.
    fn text(&self) -> (Vec<u8>, bool) {
        let (Some(folder), Some(name)) = (&self.folder, self.name.to_str()) else { return (Vec::new(), false) };
        list(folder.as_fd(), name).unwrap_or_default()
    }

    /// The names in it, and whether there are more. One that is not there has none.
    fn names(&self) -> (Vec<String>, bool) {
        let (text, cut) = self.text();
        let mut names = text.split(|byte| *byte == b'\n').filter_map(name_of);
        let found = names.by_ref().take(MOST).collect();
        (found, cut || names.next().is_some())
    }
}

/// The first field.
fn name_of(line: &[u8]) -> Option<String> {
    let name = line.split(|byte| *byte == b':').next().filter(|name| !name.is_empty())?;
    Some(printable(name, NAME))
}

/// `name:password:…`
fn read(kind: AccountKind, line: &[u8]) -> Option<Account> {
    let name = name_of(line)?;
    let rest = line.splitn(3, |byte| *byte == b':').nth(2).unwrap_or_default();
    Some(Account { kind, name, fields: printable(rest, NAME) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_kept() {
        let account = |kind, name: &str, fields: &str| Some(Account { kind, name: name.into(), fields: fields.into() });
        let user = read(AccountKind::User, b"art:$6$secret:0:0::/root:/bin/sh");
        assert_eq!(user, account(AccountKind::User, "art", "0:0::/root:/bin/sh"));
        assert_eq!(read(AccountKind::Group, b"g:secret:27:art"), account(AccountKind::Group, "g", "27:art"));
        assert_eq!(name_of(b"art:$6$secret:1:2:3:::").as_deref(), Some("art"));
        assert_eq!(read(AccountKind::User, b"half\xff"), account(AccountKind::User, "half\\xff", ""));
        assert_eq!(read(AccountKind::User, b""), None);
    }
}
