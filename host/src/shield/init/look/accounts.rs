//! Users and groups, without what may be secret.

use super::{MOST, NAME, list};
use crate::collector::foreign::plain;
use crate::shield::scene::{Account, AccountKind, Scene};

/// Reads the lists as the calling process sees them. One that is not there has no lines.
pub fn look(scene: &mut Scene) -> Result<(), String> {
    for (path, kind) in
        [("/etc/passwd", AccountKind::User), ("/etc/group", AccountKind::Group), ("/etc/shadow", AccountKind::Password)]
    {
        // Whatever else stands there, the files say.
        let Ok((text, cut)) = list(rustix::fs::CWD, path) else { continue };
        let mut lines = text.split(|byte| *byte == b'\n').filter_map(|line| read(kind, line));
        scene.accounts.extend(lines.by_ref().take(MOST));
        scene.more |= cut || lines.next().is_some();
    }
    Ok(())
}

/// `name:password:…`; of a line of `/etc/shadow` the name alone.
fn read(kind: AccountKind, line: &[u8]) -> Option<Account> {
    let mut fields = line.splitn(3, |byte| *byte == b':');
    let name = plain(fields.next().filter(|name| !name.is_empty())?, NAME);
    let rest = fields.nth(1).filter(|_| kind != AccountKind::Password).unwrap_or_default();
    Some(Account { kind, name, fields: plain(rest, NAME) })
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
        let secret = read(AccountKind::Password, b"art:$6$secret:1:2:3:::");
        assert_eq!(secret, account(AccountKind::Password, "art", ""));
        assert_eq!(read(AccountKind::User, b"half\xff"), account(AccountKind::User, "half\\xff", ""));
        assert_eq!(read(AccountKind::User, b""), None);
    }
}
