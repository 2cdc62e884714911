//! Bytes and words of strangers in messages.

use crate::visible::{QUOTE, is_hidden, visible};

/// Bytes as text that a terminal prints and does not obey: what is not UTF-8, control characters and what nobody sees become `\xNN`; cut after `most` bytes of the original.
pub fn printable(bytes: &[u8], most: usize) -> String {
    let bytes = bytes.get(..most).unwrap_or(bytes);
    let mut out = String::with_capacity(bytes.len());
    let escape = |out: &mut String, byte: u8| out.push_str(&format!("\\x{byte:02x}"));
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if is_hidden(c) {
                c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| escape(&mut out, byte));
            } else {
                out.push(c);
            }
        }
        chunk.invalid().iter().for_each(|byte| escape(&mut out, *byte));
    }
    out
}

/// `text` in back-quotes, escaped and cut for a message.
pub fn quote(text: &str) -> String {
    format!("`{}`", visible(text, QUOTE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_a_terminal_would_obey_are_shown_as_numbers() {
        assert_eq!(printable(b"a\nb\xff\x1b[31m\xc3\xa9", 80), "a\\x0ab\\xff\\x1b[31m\u{e9}");
        assert_eq!(printable("\u{202e}\u{3164}".as_bytes(), 80), "\\xe2\\x80\\xae\\xe3\\x85\\xa4");
        assert_eq!(printable(&[b'x'; 100], 5), "xxxxx");
    }
}
