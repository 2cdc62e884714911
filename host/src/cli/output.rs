//! Where reports go: standard output as they come or as a table, a file, and a line a run for whoever watches a pipe.

use super::pending::Pending;
use super::{Global, InternalError};
use crate::console::err;
use crate::report::{self, Format, Progress, RunReport};
use anyhow::Context as _;
use std::io::{IsTerminal as _, Result, Write as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The arguments of commands that report.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Printing {
    /// Print the table of all runs, then the details of those that did not pass, and nothing else
    #[arg(long, short)]
    pub quiet: bool,
    /// Write the reports in --format to this file, once all runs are over; standard output is for people then
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

impl Printing {
    /// Finds out, before anything is fired, that the file can be written.
    ///
    /// # Errors
    /// A sentence that says why not.
    pub fn check(&self) -> anyhow::Result<()> {
        match &self.output {
            Some(path) => Pending::create(path).map(drop),
            None => Ok(()),
        }
    }
}

/// Prints reports as runs end, and at their end.
pub(super) struct Printer<'a> {
    printing: &'a Printing,
    /// Of the document: in the file, or on standard output where there is no file.
    format: Format,
    /// What standard output gets is for people.
    text: bool,
    /// Each report is printed as soon as it is there.
    each: bool,
    /// A line a run goes to standard error.
    lines: bool,
    done: AtomicUsize,
}

impl<'a> Printer<'a> {
    pub fn new(printing: &'a Printing, global: &Global) -> Self {
        let text = printing.output.is_some() || global.report == Format::Text;
        // Where both are terminals the reports themselves show how far it is.
        let watched = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        Self {
            printing,
            format: global.report,
            text,
            each: text && !printing.quiet,
            lines: !printing.quiet && !watched,
            done: AtomicUsize::new(0),
        }
    }

    /// For who prints something else of the reports: only the lines are left.
    pub fn lines_only(self) -> Self {
        Self { each: false, ..self }
    }

    /// Prints what a run came to, of `total`.
    pub fn ended(&self, report: &RunReport, total: usize, progress: &Progress) -> Result<()> {
        progress.aside(|| {
            if self.lines {
                let number = self.done.fetch_add(1, Ordering::Relaxed).saturating_add(1);
                err!("{}", report::line(report, number, total));
            }
            if self.each { report::print(&mut anstream::stdout().lock(), report) } else { Ok(()) }
        })
    }

    /// Prints a report that belongs to no run.
    pub fn refused(&self, report: &RunReport) -> Result<()> {
        if self.each { report::print(&mut anstream::stdout().lock(), report) } else { Ok(()) }
    }

    /// Prints what all came to, and writes the file.
    pub fn end(&self, reports: &[RunReport]) -> anyhow::Result<()> {
        let mut out = anstream::stdout().lock();
        if !self.text {
            report::write(&mut out, self.format, reports)?;
        } else if self.printing.quiet {
            report::brief(&mut out, reports)?;
        } else {
            report::nodes_of(&mut out, reports)?;
            report::write(&mut out, Format::Text, reports)?;
        }
        drop(out);
        match &self.printing.output {
            Some(path) => self.save(path, reports).map_err(|error| InternalError(error).into()),
            None => Ok(()),
        }
    }

    fn save(&self, path: &std::path::Path, reports: &[RunReport]) -> anyhow::Result<()> {
        let mut document = Vec::new();
        match self.format {
            Format::Text if self.printing.quiet => {
                report::brief(&mut anstream::StripStream::new(&mut document), reports)?
            }
            Format::Text => {
                for report in reports {
                    document.write_all(report::plain(report).as_bytes())?;
                }
                let mut out = anstream::StripStream::new(&mut document);
                report::nodes_of(&mut out, reports)?;
                report::write(&mut out, Format::Text, reports)?;
            }
            format => report::write(&mut document, format, reports)?,
        }
        let pending = Pending::create(path).context("every run was put back, and its report stands above")?;
        pending.commit(&document).context("every run was put back, and its report stands above")
    }
}
