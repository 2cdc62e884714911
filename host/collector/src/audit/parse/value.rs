//! What stands behind a `=`: quoted where it is harmless, hexadecimal where it is not.

/// Most bytes of one field's value: what a fact may carry through the contract.
pub const MAX_VALUE: usize = 64 * 1024;

/// A value as it stood in the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// Between the quotes, or up to the next space.
    pub raw: Vec<u8>,
    /// It stood in double quotes, so that it is what it says.
    pub quoted: bool,
}

impl Value {
    /// The text that the kernel was told: unquoted hexadecimal is decoded. Only for fields that the kernel writes by
    /// `audit_log_untrustedstring`; elsewhere digits are just digits.
    pub fn untrusted(&self) -> Vec<u8> {
        if self.quoted {
            return self.raw.clone();
        }
        hex(&self.raw).unwrap_or_else(|| self.raw.clone())
    }

    /// The kernel's word for nothing. A file of that name stands in quotes.
    pub fn is_null(&self) -> bool {
        !self.quoted && self.raw == b"(null)"
    }

    /// The text of the field `name`.
    pub fn text(&self, name: &str) -> String {
        let mut bytes = if is_untrusted(name) { self.untrusted() } else { self.raw.clone() };
        if name == "key" {
            // Several keys of one rule are kept apart by a 1.
            bytes.iter_mut().filter(|b| **b == 1).for_each(|b| *b = b',');
        }
        text(&bytes)
    }

    /// A decimal number.
    pub fn number<T: std::str::FromStr>(&self) -> Option<T> {
        std::str::from_utf8(&self.raw).ok()?.parse().ok()
    }
}

/// Fields that the kernel, libaudit and what uses it write as untrusted strings, whatever the record's type: those that the audit
/// tools call escaped. (`a0` and so on of EXECVE too.)
#[rustfmt::skip]
fn is_untrusted(name: &str) -> bool {
    matches!(
        name,
        "name" | "comm" | "exe" | "cwd" | "proctitle" | "key" | "ocomm" | "path" | "data" | "cmd" | "dir" | "watch" | "acct"
            | "file" | "sw" | "root_dir" | "device" | "vm" | "old-disk" | "new-disk" | "old-fs" | "new-fs" | "old-chardev"
            | "new-chardev" | "old-rng" | "new-rng" | "old-net" | "new-net"
    )
}

/// What a value without quotes says as the field `name`.
pub fn unquoted(name: &str, value: &str) -> String {
    Value { raw: value.into(), quoted: false }.text(name)
}

/// Decodes hexadecimal; `None` where it is none.
pub fn hex(raw: &[u8]) -> Option<Vec<u8>> {
    if raw.is_empty() || !raw.len().is_multiple_of(2) {
        return None;
    }
    let digit = |b: u8| (b as char).to_digit(16).and_then(|d| u8::try_from(d).ok());
    raw.chunks(2)
        .map(|pair| match pair {
            [high, low] => Some((digit(*high)? << 4) | digit(*low)?),
            _ => None,
        })
        .collect()
}

/// Bytes as text, as they are: rules look at what a program said, not at a picture of it. Each sequence that is not UTF-8 becomes
/// U+FFFD, as in JSON; the text is cut at [`MAX_VALUE`] bytes. It may hold anything a terminal obeys: whoever shows it escapes it.
pub fn text(bytes: &[u8]) -> String {
    // What is beyond cannot be kept, however many bytes a character of it takes.
    let head = bytes.get(..MAX_VALUE.saturating_add(4)).unwrap_or(bytes);
    let mut out = String::from_utf8_lossy(head).into_owned();
    cut(&mut out);
    out
}

/// Words as a POSIX shell would take them: what needs quotes gets single ones. Made text like [`text`], and cut likewise.
pub fn shell_join<'a>(words: impl IntoIterator<Item = &'a [u8]>) -> String {
    join(words).0
}

/// The words as [`shell_join`] writes them, and whether all of them are in it.
pub fn join<'a>(words: impl IntoIterator<Item = &'a [u8]>) -> (String, bool) {
    let mut out = String::new();
    let mut first = true;
    for word in words {
        if out.len() >= MAX_VALUE {
            cut(&mut out);
            return (out, false);
        }
        if !std::mem::take(&mut first) {
            out.push(' ');
        }
        let word = text(word);
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&b) || b >= 0x80;
        if !word.is_empty() && word.bytes().all(plain) {
            out.push_str(&word);
        } else {
            out.push('\'');
            out.push_str(&word.replace('\'', r"'\''"));
            out.push('\'');
        }
    }
    let whole = out.len() <= MAX_VALUE;
    cut(&mut out);
    (out, whole)
}

/// Cuts a text at [`MAX_VALUE`], between characters.
fn cut(out: &mut String) {
    if out.len() > MAX_VALUE {
        let end = (0..=MAX_VALUE).rev().find(|i| out.is_char_boundary(*i)).unwrap_or(0);
        out.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unquoted_hexadecimal_is_decoded() {
        let value = |raw: &str, quoted| Value { raw: raw.into(), quoted };
        assert_eq!(value("2F746D702F6120", false).untrusted(), b"/tmp/a ");
        assert_eq!(value("cafe", true).untrusted(), b"cafe");
        assert!(value("(null)", false).is_null() && !value("(null)", true).is_null());
        assert_eq!(
            (value("63 61", true).text("cmd"), value("6361", false).text("pid")),
            ("63 61".into(), "6361".into())
        );
        assert_eq!(value("abc", false).untrusted(), b"abc");
    }

    #[test]
    fn text_is_what_was_said() {
        assert_eq!(text(b"a\nb\xff\x1b[31m\xc3\xa9\t\0"), "a\nb\u{fffd}\u{1b}[31m\u{e9}\t\0");
        assert_eq!(text("\u{202e}\u{2028}".as_bytes()), "\u{202e}\u{2028}");
        // The pieces of one character that was cut are one replacement; other bytes are one each.
        assert_eq!(text(b"x\xa8b\xe2\x80c"), "x\u{fffd}b\u{fffd}c");
        for long in [
            vec![0xff; 1 << 20],
            "\u{e9}".repeat(1 << 19).into_bytes(),
            [b"a", "\u{e9}".repeat(1 << 19).as_bytes()].concat(),
        ] {
            let shown = text(&long);
            assert!(shown.len() <= MAX_VALUE && shown.len() > MAX_VALUE - 4, "{}", shown.len());
        }
        let cut = text(&"a\u{e9}".repeat(1 << 19).into_bytes());
        assert!(!cut.contains('\u{fffd}'), "a cut makes no character up");
    }

    #[test]
    fn words_are_quoted_as_a_shell_needs_it() {
        let words: [&[u8]; 4] = [b"sh", b"-c", b"echo it's", b""];
        assert_eq!(shell_join(words), r"sh -c 'echo it'\''s' ''");
        let long = vec![b'\''; 1 << 18];
        assert!(shell_join([long.as_slice(), b"x"]).len() <= MAX_VALUE);
    }
}
