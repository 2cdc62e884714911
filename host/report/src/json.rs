//! JSON that may be shown on a terminal.

use foil_text::is_hidden;
use serde::Serialize;
use std::io::{Result, Write};

/// Writes a document. Characters that a terminal obeys or that nobody sees are escaped, which a reader takes for the same text.
pub fn write(out: &mut dyn Write, document: &(impl Serialize + ?Sized)) -> Result<()> {
    let text = serde_json::to_string_pretty(document)?;
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        // Such as DEL, C1 controls and marks of direction; they stand in strings only. JSON itself escapes those before the space.
        let escaped = is_hidden(c) || c.escape_debug().next() == Some('\\');
        if escaped && !matches!(c, '\n' | '"' | '\'' | '\\') {
            for unit in c.encode_utf16(&mut [0; 2]) {
                safe.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            safe.push(c);
        }
    }
    safe.push('\n');
    out.write_all(safe.as_bytes())
}

#[cfg(test)]
mod tests {
    #[test]
    fn readers_see_the_text_and_terminals_do_not() {
        let evil = "ä\"'\\ \u{0}\u{1b}[2J\u{7f}\u{9b}2J\u{202e}\u{e0001}\u{3164}\u{200b}\n\u{1f6e1}";
        let mut out = Vec::new();
        super::write(&mut out, &[evil]).expect("memory");
        let text = String::from_utf8(out).expect("UTF-8");
        assert_eq!(serde_json::from_str::<Vec<String>>(&text).expect("JSON"), [evil]);
        assert!(
            !text.contains(['\0', '\u{1b}', '\u{7f}', '\u{9b}', '\u{202e}', '\u{e0001}', '\u{3164}', '\u{200b}']),
            "{text:?}"
        );
        assert!(text.contains("ä") && text.contains('\u{1f6e1}'), "{text}");
    }
}
