//! Text that a stranger wrote: which characters deceive whoever reads it, and how it is shown.
//!
//! A manifest, an experiment and `foil.yaml` are reviewed by people, so that characters that nobody sees are refused where such a
//! file is read. Text that cannot be refused, such as a file's name or what a program wrote, is escaped where it is shown.

use regex_syntax::hir::{Class, HirKind};
use std::path::Path;
use std::sync::LazyLock;

/// The longest piece of untrusted text that is quoted in a message, in characters.
pub const QUOTE: usize = 80;

/// Characters that have no picture of their own, or change how others are shown, by Unicode's own classes (UAX #44): controls and
/// formats (bidirectional marks, soft hyphens, tags), line and paragraph separators, what fonts leave out by default (fillers,
/// variation selectors, joiners), and private use, which looks like whatever a font makes of it. U+2800 is a Braille pattern without
/// dots.
const HIDDEN: &str = r"[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Default_Ignorable_Code_Point}\x{2800}]";

/// The ranges of [`HIDDEN`], ascending.
static RANGES: LazyLock<Vec<(char, char)>> =
    LazyLock::new(|| match regex_syntax::parse(HIDDEN).map(|hir| hir.into_kind()) {
        Ok(HirKind::Class(Class::Unicode(class))) => class.ranges().iter().map(|r| (r.start(), r.end())).collect(),
        // A constant of this file, which a test reads; without its tables everything beyond ASCII is escaped.
        _ => vec![('\0', '\u{1f}'), ('\u{7f}', char::MAX)],
    });

/// Whether a character deceives whoever reads it: it is not seen, or it changes how other characters are seen. New lines and tabs
/// count among them: whoever allows those says so.
pub fn is_hidden(c: char) -> bool {
    // Almost all text is printable ASCII.
    if (' '..='~').contains(&c) {
        return false;
    }
    let after = RANGES.partition_point(|(start, _)| *start <= c);
    after.checked_sub(1).and_then(|at| RANGES.get(at)).is_some_and(|(_, end)| c <= *end)
}

/// The same, but for new lines and tabs: what prose and scripts may have.
pub fn deceives(c: char) -> bool {
    is_hidden(c) && c != '\n' && c != '\t'
}

/// A space that is not U+0020: in a command or a path it looks like one that separates words.
pub fn is_odd_space(c: char) -> bool {
    c != ' ' && c.is_whitespace()
}

/// The first character of a file's text that deceives, as `line:column` and `U+XXXX`. A byte order mark at the beginning is none.
pub fn first_deceiving(text: &str) -> Option<(String, String)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // `\r\n` ends lines of files that were written on Windows.
    let found = text.char_indices().find(|(at, c)| {
        deceives(*c) && !(*c == '\r' && text.get(at.saturating_add(1)..).is_some_and(|rest| rest.starts_with('\n')))
    });
    found.map(|(at, c)| (place(text, at), code_point(c)))
}

/// What is wrong with a file that people review and that has such a character: a sentence with its place.
pub fn deceives_a_reviewer(text: &str) -> Option<String> {
    let (place, c) = first_deceiving(text)?;
    Some(format!(
        "{place}: there is the invisible or control character {c}, which deceives whoever reviews the file: take it out, or write it \
         as an escape within double quotes"
    ))
}

/// `U+200B`.
pub fn code_point(c: char) -> String {
    format!("U+{:04X}", u32::from(c))
}

/// `line:column` (both from 1, the column in characters) of a byte offset.
pub fn place(text: &str, offset: usize) -> String {
    let before = text.get(..text.floor_char_boundary(offset.min(text.len()))).unwrap_or_default();
    let line = before.matches('\n').count().saturating_add(1);
    let column = before.chars().rev().take_while(|c| *c != '\n').count().saturating_add(1);
    format!("{line}:{column}")
}

/// Appends a character as it is shown: itself, or escaped where a terminal would obey it or nobody would see it. Returns how many
/// characters that took. Quotes and backslashes are for reading, not for a parser.
pub fn push_visible(shown: &mut String, c: char) -> usize {
    let before = shown.len();
    match c {
        '\'' | '"' | '\\' => shown.push(c),
        _ if is_hidden(c) && !matches!(c, '\n' | '\r' | '\t' | '\0') => shown.extend(c.escape_unicode()),
        _ => shown.extend(c.escape_debug()),
    }
    // What is escaped is ASCII; what is not is one character.
    shown.get(before..).map_or(0, |added| added.chars().count())
}

/// `text` with everything that a terminal would not simply print escaped (control, format, invisible and private-use characters),
/// cut after `max` characters with `…`.
pub fn visible(text: &str, max: usize) -> String {
    let mut shown = String::new();
    let mut count = 0_usize;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        count = count.saturating_add(push_visible(&mut shown, c));
        if count >= max && !chars.as_str().is_empty() {
            shown.push('…');
            break;
        }
    }
    shown
}

/// The same of several lines: new lines stay.
pub fn visible_lines(text: &str) -> String {
    text.split('\n').map(|line| visible(line, usize::MAX)).collect::<Vec<_>>().join("\n")
}

/// What a parser says of a file, in one line: it may quote the file, whose author writes no line of ours.
pub fn one_line(text: &str) -> String {
    visible(&text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(", "), usize::MAX)
}

/// A path or a name as it is shown in a message: whoever chose it cannot make a terminal obey, or write a line of its own. Never to
/// be used as the path or the name itself.
pub trait Shown {
    /// The text for a reader: what is hidden is escaped, bytes that are not UTF-8 become `\xNN`.
    fn shown(&self) -> String;
}

impl Shown for str {
    fn shown(&self) -> String {
        visible(self, usize::MAX)
    }
}

impl Shown for Path {
    fn shown(&self) -> String {
        let mut shown = String::new();
        for chunk in self.as_os_str().as_encoded_bytes().utf8_chunks() {
            for c in chunk.valid().chars() {
                push_visible(&mut shown, c);
            }
            chunk.invalid().iter().for_each(|byte| shown.push_str(&format!("\\x{byte:02x}")));
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of each class that a text could hide something by.
    const HIDDEN: [char; 24] = [
        '\0',
        '\u{7}',
        '\u{1b}',
        '\u{7f}',
        '\u{85}',
        '\u{9b}',
        '\u{ad}',
        '\u{34f}',
        '\u{61c}',
        '\u{115f}',
        '\u{17b4}',
        '\u{180e}',
        '\u{200b}',
        '\u{200d}',
        '\u{2028}',
        '\u{2029}',
        '\u{202e}',
        '\u{2060}',
        '\u{2066}',
        '\u{2800}',
        '\u{3164}',
        '\u{fe0f}',
        '\u{feff}',
        '\u{e0041}',
    ];

    #[test]
    fn what_nobody_sees_is_hidden_and_what_people_write_is_not() {
        for c in HIDDEN.into_iter().chain(['\u{ffa0}', '\u{1160}', '\u{e0100}', '\u{e000}', '\u{fffb}', '\u{1d173}']) {
            assert!(is_hidden(c) && deceives(c), "{}", code_point(c));
            let shown = visible(&format!("a{c}b"), 80);
            assert!(!shown.contains(c) && shown.starts_with("a\\") && shown.ends_with('b'), "{shown}");
        }
        for c in "aé漢字ßЖ한🛡…`'\"\\ ".chars() {
            assert!(!is_hidden(c), "{c}");
            assert_eq!(visible(&c.to_string(), 9), c.to_string());
        }
        assert!(is_hidden('\n') && !deceives('\n') && !deceives('\t') && deceives('\r'));
        assert!(is_odd_space('\u{a0}') && is_odd_space('\u{3000}') && !is_odd_space(' '));
        assert!(RANGES.len() > 20 && RANGES.is_sorted(), "{RANGES:?}");
    }

    #[test]
    fn what_a_terminal_would_obey_is_shown_instead() {
        assert_eq!(visible("a\u{1b}[2Jb\n\u{202e}c", 80), "a\\u{1b}[2Jb\\n\\u{202e}c");
        assert_eq!(visible("it's \"fine\" é", 80), "it's \"fine\" é");
        assert_eq!(visible(&"x".repeat(1 << 20), 5), "xxxxx…");
        assert_eq!((visible("xxxxx", 5), visible("ééééé", 5)), ("xxxxx".to_owned(), "ééééé".to_owned()));
        assert_eq!(visible_lines("a\u{1b}\nb\r"), "a\\u{1b}\nb\\r");
        assert_eq!(one_line("bad `a\u{1b}`\n expected b\n"), "bad `a\\u{1b}`, expected b");
    }

    #[test]
    fn a_path_is_one_line_that_a_terminal_prints() {
        use std::os::unix::ffi::OsStrExt as _;
        assert_eq!(Path::new("/a\u{1b}[31m\n\u{202e}\u{3164}é/b c").shown(), "/a\\u{1b}[31m\\n\\u{202e}\\u{3164}é/b c");
        assert_eq!(Path::new(std::ffi::OsStr::from_bytes(b"/x\xff\xc3")).shown(), "/x\\xff\\xc3");
    }

    #[test]
    fn the_first_hidden_character_has_a_place() {
        assert_eq!(first_deceiving("\u{feff}a = 1\r\n\tb = 'é'\n"), None);
        let found = first_deceiving("a\nbé\u{200b}c").expect("a zero width space");
        assert_eq!(found, ("2:3".to_owned(), "U+200B".to_owned()));
        assert_eq!((place("é\nab", 4), place("", 9)), ("2:2".to_owned(), "1:1".to_owned()));
    }
}
