//! What a run came to, for people and for programs.

// What a module or a server said is in a report: none of it may end the host.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod attire;
mod csv;
mod explain;
#[cfg(test)]
pub(crate) mod fixture;
mod here;
mod json;
mod junit;
mod known;
mod markdown;
mod navigator;
mod nodes;
mod outcome;
mod progress;
mod text;
mod words;

pub use explain::explain;
pub use known::{HEAD, is_report};
pub use outcome::{Outcome, outcome};
pub use progress::{Progress, Waiting};
pub use text::{brief, details, plain, print};
pub use words::{uncounted, wrap};

use foil_record::{Exit, RunReport};
use schemars::JsonSchema;
use serde::Serialize;
use std::io::Write;

/// A report in its JSON form: what follows from it is there as well, so that readers need not know how.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ReportDocument<'a> {
    #[serde(flatten)]
    report: &'a RunReport,
    /// Whether its technique ran.
    outcome: Outcome,
    /// Why not, or what ended it.
    outcome_reason: &'a str,
}

impl<'a> From<&'a RunReport> for ReportDocument<'a> {
    fn from(report: &'a RunReport) -> Self {
        let (outcome, outcome_reason) = outcome(report);
        Self { report, outcome, outcome_reason }
    }
}

/// The forms that reports have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs; the schema is stable.
    Json,
    /// JUnit XML, for CI systems.
    Junit,
    /// Markdown, for a pull request or a job's summary.
    Markdown,
    /// A row a run, with Invoke-AtomicRedTeam's columns first.
    Csv,
    /// ATTiRe 1.1, for VECTR.
    Attire,
    /// A layer for the ATT&CK Navigator.
    Navigator,
}

/// Writes the whole document of all runs at their end. For people only the summary: each run was printed when it ended
/// ([`print()`]).
pub fn write(out: &mut dyn Write, format: Format, reports: &[RunReport]) -> std::io::Result<()> {
    forgive(match format {
        Format::Text => text::summary(out, reports),
        Format::Json => json::write(out, &reports.iter().map(ReportDocument::from).collect::<Vec<_>>()),
        Format::Junit => junit::write(out, reports),
        Format::Markdown => markdown::write(out, reports),
        Format::Csv => csv::write(out, reports),
        Format::Attire => attire::write(out, reports),
        Format::Navigator => navigator::write(out, reports),
    })
}

/// Writes a document that is not a report, for commands that print none.
pub fn print_json(out: &mut dyn Write, document: &(impl Serialize + ?Sized)) -> std::io::Result<()> {
    forgive(json::write(out, document))
}

/// What several runs on the nodes of a cluster came to, in lines.
pub fn nodes_of(out: &mut dyn Write, reports: &[RunReport]) -> std::io::Result<()> {
    forgive(nodes::by_node(reports).iter().try_for_each(|line| writeln!(out, "{line}")))
}

/// How far a set of runs is, once one has ended: `3/40 pass file-delete (1.2 s)`.
pub fn line(report: &RunReport, number: usize, total: usize) -> String {
    let took = words::span_ms(report.duration_ms);
    format!("{number}/{total} {} {} ({took})", report.verdict, words::title(report))
}

/// A reader that has seen enough, such as `head`, is no error: other runs go on, and are cleaned up after.
fn forgive(written: std::io::Result<()>) -> std::io::Result<()> {
    written.or_else(|error| if error.kind() == std::io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
}

/// The exit code of several runs: 5, 4, 1, 3 in that order.
pub fn exit(reports: &[RunReport]) -> Exit {
    let codes: Vec<Exit> = reports.iter().map(RunReport::exit).collect();
    [Exit::Internal, Exit::Residue, Exit::Broken, Exit::Inconclusive]
        .into_iter()
        .find(|code| codes.contains(code))
        .unwrap_or(Exit::Success)
}
