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
    fn places_count_characters() {
        assert_eq!(place("é\nab", 4), "2:2");
        assert_eq!(place("", 9), "1:1");
    }
}
