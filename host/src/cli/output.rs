//! Where reports go: standard output as they come or as a table, files, and a line a run for whoever watches a pipe.

use super::pending::Pending;
use super::report_file::{self, ReportFile};
use super::{Global, InternalError};
use crate::console::err;
use anyhow::{Context as _, bail};
use foil_record::RunReport;
use foil_report::{self as report, Format, Progress};
use foil_text::Shown as _;
use std::fs::File;
use std::io::{ErrorKind, IsTerminal as _, Read as _, Result, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The arguments of commands that report.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Printing {
    /// Print the table of all runs, then the details of those that did not pass, and nothing else
    #[arg(long, short)]
    pub quiet: bool,
    /// Write the reports to this file when all runs are over, in FORMAT or else in --format; may be given several times.
    /// The terminal gets a line for each run, then the details of those that did not pass and the table
    #[arg(long, value_name = "[FORMAT=]FILE", value_parser = report_file::parser())]
    pub output: Vec<ReportFile>,
}

impl Printing {
    /// Finds out, before anything is fired, that the files can be written, and that no file but an earlier report is replaced.
    ///
    /// # Errors
    /// A sentence that says why not.
    pub fn check(&self, global: &Global) -> anyhow::Result<()> {
        let state = super::cleanup::folder(global)?;
        let state = state.canonicalize().unwrap_or(state);
        let mut checked = Vec::new();
        for ReportFile { path, .. } in &self.output {
            Pending::create(path)?;
            // The folder is there: the file could be made in it.
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let absolute = folder.canonicalize()?.join(path.file_name().unwrap_or_default());
            if absolute.starts_with(&state) {
                bail!("`--output {}`: this is in the state folder, which is Foil's own; name another", path.shown());
            }
            replaceable(path)?;
            if checked.contains(&absolute) {
                bail!("`--output` names {} twice: name a file for each report", path.shown());
            }
            checked.push(absolute);
        }
        Ok(())
    }
}

/// Only an earlier report is replaced: an experiment, the grants or a log of that name would be lost.
fn replaceable(path: &Path) -> anyhow::Result<()> {
    let mut head = Vec::new();
    match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        opened => opened.and_then(|file| file.take(report::HEAD as u64).read_to_end(&mut head)),
    }
    .with_context(|| format!("cannot read {}, which a report would replace", path.shown()))?;
    if !report::is_report(&head) {
        bail!("`--output {}`: this file is not a report of Foil's; remove it, or name another", path.shown());
    }
    Ok(())
}

/// What standard output gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Screen {
    /// Each report as soon as it is there, then the table of all.
    Reports,
    /// The details of what did not pass, then the table of all, both at the end; until then each run is a line on standard error.
    /// A file has the whole reports.
    Lines,
    /// The table of all, then the details of what did not pass.
    Brief,
    /// The document in `--format`, at the end.
    Document,
    /// Nothing: the caller prints.
    Nothing,
}

/// Prints reports as runs end, and at their end.
pub(super) struct Printer<'a> {
    printing: &'a Printing,
    /// Of the document on standard output, and of files that name no format.
    format: Format,
    screen: Screen,
    /// A line a run goes to standard error.
    lines: bool,
    done: AtomicUsize,
}

impl<'a> Printer<'a> {
    /// `reports`: how many there will be.
    pub fn new(printing: &'a Printing, global: &Global, reports: usize) -> Self {
        let taken = printing.output.iter().any(|file| file.format.is_none());
        let screen = if global.report != Format::Text && !taken {
            Screen::Document
        } else if printing.quiet {
            Screen::Brief
        } else if printing.output.is_empty() || reports < 2 {
            Screen::Reports
        } else {
            Screen::Lines
        };
        // Where both are terminals the reports themselves show how far it is.
        let watched = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        Self {
            printing,
            format: global.report,
            screen,
            lines: !printing.quiet && (!watched || screen == Screen::Lines),
            done: AtomicUsize::new(0),
        }
    }

    /// For who prints something else of the reports: only the lines are left.
    pub fn lines_only(self) -> Self {
        Self { screen: Screen::Nothing, ..self }
    }

    /// Prints what a run came to, of `total`.
    pub fn ended(&self, report: &RunReport, total: usize, progress: &Progress) -> Result<()> {
        progress.aside(|| {
            if self.lines {
                let number = self.done.fetch_add(1, Ordering::Relaxed).saturating_add(1);
                err!("{}", report::line(report, number, total));
            }
            self.refused(report)
        })
    }

    /// Prints a report that belongs to no run.
    pub fn refused(&self, report: &RunReport) -> Result<()> {
        match self.screen {
            Screen::Reports => report::print(&mut anstream::stdout().lock(), report),
            _ => Ok(()),
        }
    }

    /// Prints what all came to, and writes the files.
    pub fn end(&self, reports: &[RunReport]) -> anyhow::Result<()> {
        let mut out = anstream::stdout().lock();
        match self.screen {
            Screen::Nothing => {}
            Screen::Document => report::write(&mut out, self.format, reports)?,
            Screen::Brief => report::brief(&mut out, reports)?,
            Screen::Reports | Screen::Lines => {
                if self.screen == Screen::Lines {
                    report::details(&mut out, reports)?;
                }
                report::nodes_of(&mut out, reports)?;
                report::write(&mut out, Format::Text, reports)?;
            }
        }
        let unwritten: Vec<anyhow::Error> =
            self.printing.output.iter().filter_map(|file| self.save(file, reports).err()).collect();
        if unwritten.is_empty() {
            return Ok(());
        }
        if self.screen == Screen::Lines {
            // No file may have them: those that are not on the screen yet follow.
            let unseen = reports.iter().filter(|report| report.passed() || report.skipped);
            unseen.into_iter().try_for_each(|report| report::print(&mut out, report))?;
        }
        let all: Vec<String> = unwritten.iter().map(|error| format!("{error:#}")).collect();
        let error = anyhow::anyhow!("every run was put back, and its report stands above: {}", all.join("; "));
        Err(InternalError(error).into())
    }

    fn save(&self, file: &ReportFile, reports: &[RunReport]) -> anyhow::Result<()> {
        let mut document = Vec::new();
        match file.format.unwrap_or(self.format) {
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
            format => report::write(&mut document, format, reports).context("a report")?,
        }
        // Whatever came there meanwhile.
        replaceable(&file.path)?;
        Pending::create(&file.path)?.commit(&document)
    }
}
