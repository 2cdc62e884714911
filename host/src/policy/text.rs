//! Text that a guest or a stranger's file wrote, made safe to show: no control characters, no bidirectional tricks, no
//! megabytes.

/// The longest piece of untrusted text that is quoted in a message, in characters.
pub const QUOTE: usize = 80;

/// `text` with everything that a terminal would not simply print escaped (control, format and private-use characters),
/// cut after `max` characters with `…`.
pub fn visible(text: &str, max: usize) -> String {
    let mut shown = String::new();
    let mut count = 0;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if matches!(c, '\'' | '"' | '\\') {
            shown.push(c);
            count += 1;
        } else {
            for e in c.escape_debug() {
                shown.push(e);
                count += 1;
            }
        }
        if count >= max && !chars.as_str().is_empty() {
            shown.push('…');
            break;
        }
    }
    shown
}

/// Bytes as text that a terminal prints and does not obey: what is not UTF-8, control characters and marks of direction become
/// `\xNN`; cut after `most` bytes of the original.
pub fn printable(bytes: &[u8], most: usize) -> String {
    let bytes = bytes.get(..most).unwrap_or(bytes);
    let mut out = String::with_capacity(bytes.len());
    let escape = |out: &mut String, byte: u8| out.push_str(&format!("\\x{byte:02x}"));
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
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

/// `line:column` (both from 1, the column in characters) of a byte offset.
pub fn place(text: &str, offset: usize) -> String {
    let before = text.get(..text.floor_char_boundary(offset.min(text.len()))).unwrap_or_default();
    let line = before.matches('\n').count().saturating_add(1);
    let column = before.chars().rev().take_while(|c| *c != '\n').count().saturating_add(1);
    format!("{line}:{column}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown_instead() {
        assert_eq!(visible("a\u{1b}[2Jb\n\u{202e}c", 80), "a\\u{1b}[2Jb\\n\\u{202e}c");
        assert_eq!(visible("it's \"fine\" é", 80), "it's \"fine\" é");
        assert_eq!(visible(&"x".repeat(1 << 20), 5), "xxxxx…");
        assert_eq!(visible("xxxxx", 5), "xxxxx");
        assert_eq!(visible("ééééé", 5), "ééééé");
    }

    #[test]
    fn bytes_that_a_terminal_would_obey_are_shown_as_numbers() {
        assert_eq!(printable(b"a\nb\xff\x1b[31m\xc3\xa9", 80), "a\\x0ab\\xff\\x1b[31m\u{e9}");
        assert_eq!(printable("\u{202e}".as_bytes(), 80), "\\xe2\\x80\\xae");
        assert_eq!(printable(&[b'x'; 100], 5), "xxxxx");
    }

    #[test]
    fn places_count_characters() {
        assert_eq!(place("é\nab", 4), "2:2");
        assert_eq!(place("", 9), "1:1");
    }
}
