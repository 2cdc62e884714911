//! Lines on a page of limited width. Text is wrapped before it is coloured.

use crate::words::wrap;
use anstyle::{AnsiColor, Style};
use foil_record::{LinkVerdict, Verdict};
use std::io::{Result, Write};

pub const GREEN: Style = AnsiColor::Green.on_default();
pub const RED: Style = AnsiColor::Red.on_default();
pub const YELLOW: Style = AnsiColor::Yellow.on_default();
pub const DIM: Style = Style::new().dimmed();

/// Columns where no terminal says how many.
pub const COLUMNS: usize = 80;

/// Where a field's text begins.
const FIELD: usize = 12;

/// How a verdict is coloured; the word stands beside it always.
pub fn style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Pass => GREEN,
        Verdict::Fail | Verdict::Error => RED,
        Verdict::Flaky | Verdict::Blocked | Verdict::Inconclusive => YELLOW,
    }
}

/// The same for a link.
pub fn link_style(verdict: LinkVerdict) -> Style {
    match verdict {
        LinkVerdict::Seen => GREEN,
        LinkVerdict::Missed | LinkVerdict::Noisy => RED,
        LinkVerdict::Late | LinkVerdict::Weak | LinkVerdict::Unknown => YELLOW,
    }
}

/// A page.
pub struct Page<'a> {
    out: &'a mut dyn Write,
    width: usize,
    /// An empty line is due before the next text.
    gap: bool,
}

impl<'a> Page<'a> {
    /// A page of so many columns.
    pub fn new(out: &'a mut dyn Write, width: usize) -> Self {
        Self { out, width, gap: false }
    }

    /// As wide as the terminal, from 60 to 120 columns; 80 where there is none.
    pub fn terminal(out: &'a mut dyn Write) -> Self {
        let terminal = rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| usize::from(size.ws_col));
        Self::new(out, terminal.filter(|width| *width > 0).map_or(COLUMNS, |width| width.clamp(60, 120)))
    }

    /// Where it is printed.
    pub fn out(&mut self) -> &mut dyn Write {
        self.out
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// An empty line, if something follows.
    pub fn gap(&mut self) -> Result<()> {
        self.gap = true;
        Ok(())
    }

    /// A line that is laid out already.
    pub fn line(&mut self, line: &str) -> Result<()> {
        if std::mem::take(&mut self.gap) {
            writeln!(self.out)?;
        }
        writeln!(self.out, "{}", line.trim_end())
    }

    /// Wrapped text.
    pub fn paragraph(&mut self, indent: usize, text: &str, style: Style) -> Result<()> {
        for line in wrap(text, self.width.saturating_sub(indent)) {
            self.line(&format!("{:indent$}{style}{line}{style:#}", ""))?;
        }
        Ok(())
    }

    /// A name in a narrow column, wrapped text beside it.
    pub fn field(&mut self, name: &str, text: &str, style: Style) -> Result<()> {
        let mut name = name;
        for line in wrap(text, self.width.saturating_sub(FIELD)) {
            self.line(&format!("  {style}{name:<9}{style:#} {line}"))?;
            name = "";
        }
        Ok(())
    }

    /// Verdict, title, and what else fits beside or goes below.
    pub fn headline(&mut self, verdict: &str, style: Style, title: &str, attack: &[String]) -> Result<()> {
        let bold = style.bold();
        let attack = attack.join(", ");
        let room = self.width.saturating_sub(13).saturating_sub(title.chars().count());
        if !attack.is_empty() && attack.chars().count().saturating_add(2) <= room {
            return self.line(&format!("{bold}{verdict:<12}{bold:#} {title}  {DIM}{attack}{DIM:#}"));
        }
        let mut titles = wrap(title, self.width.saturating_sub(13)).into_iter();
        self.line(&format!("{bold}{verdict:<12}{bold:#} {}", titles.next().unwrap_or_default()))?;
        for line in titles.chain(wrap(&attack, self.width.saturating_sub(13))) {
            self.line(&format!("{:13}{DIM}{line}{DIM:#}", ""))?;
        }
        Ok(())
    }
}
