//! What senders prove themselves with.

use anyhow::{Context as _, ensure};
use foil_text::Shown as _;
use rustix::fs::Mode;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Shorter ones are guessed.
const SHORTEST: usize = 16;
const LONGEST: usize = 1024;

/// A token. Only its digest is kept: it cannot be printed by mistake, and comparing digests takes the same time wherever they differ.
pub struct Token([u8; 32]);

impl Token {
    /// Reads the first line of a file.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let shown = path.shown();
        let cannot = || format!("inbox: cannot read the `token-file` {shown}");
        // A pipe of that name must not hang us.
        let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let file = std::fs::File::options().read(true).custom_flags(flags).open(path).with_context(cannot)?;
        let meta = file.metadata().with_context(cannot)?;
        ensure!(meta.is_file(), "inbox: the `token-file` {shown} is no regular file");
        ensure!(
            !Mode::from_raw_mode(meta.mode()).intersects(Mode::RWXO | Mode::WGRP),
            "inbox: the `token-file` {shown} can be read or changed by others: chmod 600 {shown}"
        );
        let mut text = String::new();
        file.take(2 * LONGEST as u64).read_to_string(&mut text).with_context(cannot)?;
        let token = text.lines().next().unwrap_or_default().trim();
        ensure!(
            (SHORTEST..=LONGEST).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_graphic()),
            "inbox: the first line of the `token-file` {shown} must be {SHORTEST} to {LONGEST} visible ASCII characters, such as the \
             output of `openssl rand -hex 32`"
        );
        Ok(Self(digest(token.as_bytes())))
    }

    /// Whether this is it.
    pub fn is(&self, offered: &[u8]) -> bool {
        let different = self.0.iter().zip(digest(offered)).fold(0, |sum, (own, other)| sum | (own ^ other));
        different == 0
    }
}

fn digest(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_token_is_strong_and_secret_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let read = |text: &str, mode: u32| {
            let path = folder.path().join("token");
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            Token::read(&path).map_err(|e| e.to_string())
        };
        let token = read("0123456789abcdef\nmore", 0o640).unwrap();
        assert!(token.is(b"0123456789abcdef"));
        assert!(!token.is(b"0123456789abcdeg") && !token.is(b"") && !token.is(b"0123456789abcdef\nmore"));
        assert_eq!(format!("{token:?}"), "Token");
        assert!(read("0123456789abcdef", 0o644).unwrap_err().contains("chmod 600"));
        assert!(read("short", 0o600).unwrap_err().contains("16 to 1024"));
        assert!(Token::read(folder.path()).is_err() && Token::read(Path::new("/nonexistent")).is_err());
    }
}
