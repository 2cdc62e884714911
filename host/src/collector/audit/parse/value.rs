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

    /// A decimal number.
    pub fn number<T: std::str::FromStr>(&self) -> Option<T> {
        std::str::from_utf8(&self.raw).ok()?.parse().ok()
    }
}

/// Fields that the kernel writes as untrusted strings, whatever the record's type. (`a0` and so on of EXECVE too.)
pub fn is_untrusted(name: &str) -> bool {
    matches!(
        name,
        "name"
            | "comm"
            | "exe"
            | "cwd"
            | "proctitle"
            | "key"
            | "ocomm"
            | "path"
            | "data"
            | "cmd"
            | "dir"
            | "watch"
            | "acct"
    )
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

/// Bytes as text: what is no UTF-8 and every control character becomes `\xNN`; cut at [`MAX_VALUE`] bytes.
pub fn text(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().min(MAX_VALUE));
    let full = |out: &String| out.len() > MAX_VALUE - 16;
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if full(&out) {
                return out;
            }
            // Line and paragraph separators and the bidirectional overrides would let a name lie on a terminal.
            if c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
                let mut buffer = [0; 4];
                c.encode_utf8(&mut buffer).bytes().for_each(|b| out.push_str(&format!("\\x{b:02x}")));
            } else {
                out.push(c);
            }
        }
        for b in chunk.invalid() {
            if full(&out) {
                return out;
            }
            out.push_str(&format!("\\x{b:02x}"));
        }
    }
    out
}

/// Words as a POSIX shell would take them: what needs quotes gets single ones. Escaped like [`text`], and cut likewise.
pub fn shell_join<'a>(words: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut out = String::new();
    for word in words {
        if out.len() >= MAX_VALUE {
            break;
        }
        if !out.is_empty() {
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
    cut(&mut out);
    out
}

/// Cuts a text at [`MAX_VALUE`], between characters.
pub fn cut(out: &mut String) {
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
        assert_eq!(value("(null)", false).untrusted(), b"(null)");
        assert_eq!(value("abc", false).untrusted(), b"abc");
    }

    #[test]
    fn text_shows_what_it_cannot_print() {
        assert_eq!(text(b"a\nb\xff\x1b[31m\xc3\xa9"), "a\\x0ab\\xff\\x1b[31mé");
        assert_eq!(text("\u{202e}".as_bytes()), "\\xe2\\x80\\xae");
        assert!(text(&[0xff; 1 << 20]).len() <= MAX_VALUE);
    }

    #[test]
    fn words_are_quoted_as_a_shell_needs_it() {
        let words: [&[u8]; 4] = [b"sh", b"-c", b"echo it's", b""];
        assert_eq!(shell_join(words), r"sh -c 'echo it'\''s' ''");
        let long = vec![b'\''; 1 << 18];
        assert!(shell_join([long.as_slice(), b"x"]).len() <= MAX_VALUE);
    }
}
