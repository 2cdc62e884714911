//! Wrapped text with styles. All that is put on a page is escaped here, so that no module can paint over its review.

use anstyle::{AnsiColor, Style};
use foil_text::visible;

/// Columns.
const WIDTH: usize = 80;

/// What a reviewer must stop at.
pub const RED: Style = AnsiColor::Red.on_default().bold();
/// What is new.
pub const GREEN: Style = AnsiColor::Green.on_default();
/// Headings.
pub const BOLD: Style = Style::new().bold();
/// Everything else.
pub const PLAIN: Style = Style::new();

/// Text that grows line by line.
#[derive(Debug, Default)]
pub struct Page(String);

impl Page {
    /// A heading, after an empty line.
    pub fn heading(&mut self, text: &str) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        self.item(0, BOLD, "", text);
    }

    /// `label`, then text that is wrapped beside it. `label` is ours; `text` may be anybody's.
    pub fn item(&mut self, indent: usize, style: Style, label: &str, text: &str) {
        let text = visible(text, usize::MAX);
        let hang = indent.saturating_add(label.chars().count());
        let mut line = format!("{}{label}", " ".repeat(indent));
        let mut used = hang;
        let mut empty = true;
        for word in text.split(' ') {
            let length = word.chars().count();
            if !empty && used.saturating_add(1).saturating_add(length) > WIDTH {
                self.push(&line, style);
                line = " ".repeat(hang);
                used = hang;
                empty = true;
            }
            if !empty {
                line.push(' ');
                used = used.saturating_add(1);
            }
            line.push_str(word);
            used = used.saturating_add(length);
            empty = false;
        }
        self.push(&line, style);
    }

    /// The text with colour codes.
    pub fn finish(self) -> String {
        self.0
    }

    fn push(&mut self, line: &str, style: Style) {
        let line = line.trim_end();
        let rest = line.trim_start();
        let (space, _) = line.split_at(line.len().saturating_sub(rest.len()));
        self.0.push_str(&format!("{space}{style}{rest}{style:#}\n"));
    }
}
