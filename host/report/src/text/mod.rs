//! The report for people: a headline, the chain as a table, what is broken in words, then what it rests on. Lines fit into 80
//! columns, or into the terminal's, and nothing is said by colour alone.

mod links;
mod paint;

pub use links::{broken, counts};

use super::explain::explain;
use super::outcome::cleanup;
use super::words::{attack, ends, rests_on, span_ms, tied, title};
use foil_record::{Evidence, LinkReport, RunReport, TestReport, UndoOutcome, Verdict};
use foil_text::cut;
use paint::{DIM, GREEN, Page, RED, YELLOW, style};
use std::io::{Result, Write};

/// How much of a fact is shown, in bytes; a test's output is one.
const FACT: usize = 600;
/// Evidence shown a link, lines shown of what may be many; the JSON form has them all.
const MAX_EVIDENCE: usize = 3;
const MAX_LINES: usize = 6;

/// Prints one run. Colour goes away where `out` is no terminal or `NO_COLOR` is set (`anstream`).
pub fn print(out: &mut dyn Write, report: &RunReport) -> Result<()> {
    crate::forgive(whole(&mut Page::terminal(out), report))
}

/// The same without colour, in 80 columns.
pub fn plain(report: &RunReport) -> String {
    let mut out = anstream::StripStream::new(Vec::new());
    // Memory takes all.
    let _ = whole(&mut Page::new(&mut out, paint::COLUMNS), report);
    String::from_utf8_lossy(&out.into_inner()).into_owned()
}

fn whole(page: &mut Page<'_>, report: &RunReport) -> Result<()> {
    headline(page, report)?;
    links::table(page, report)?;
    let said = explain(report);
    let broken = style(report.verdict);
    for sentence in &said {
        page.gap()?;
        page.paragraph(2, sentence, if report.verdict == Verdict::Pass { DIM } else { broken })?;
    }
    // A table of links that were seen needs no words.
    if said.is_empty() && (report.verdict != Verdict::Pass || report.links.is_empty()) {
        page.gap()?;
        page.paragraph(2, &cut(&report.reason, 2000), anstyle::Style::new())?;
    }
    page.gap()?;
    cautions(page, report)?;
    did(page, report)?;
    for link in super::words::chain(report) {
        evidence(page, link)?;
    }
    if !report.observed.is_empty() {
        page.field("observed", "by Foil itself, no sensor:", DIM)?;
        more(page, "", &report.observed, DIM, |line| cut(line, 300))?;
    }
    undone(page, report)?;
    report.test.as_ref().map_or(Ok(()), |test| aftermath(page, test))?;
    more(page, "gap", &report.gaps, YELLOW, |gap| cut(gap, 600))?;
    log(page, report)?;
    others(page, report)?;
    if report.run.is_empty() {
        return Ok(());
    }
    let how = match report.technique {
        Some(_) => format!("{} on {} in `{}` as {}", report.run, report.target, report.shield, report.run_as),
        None => format!("{} on {}, checks only", report.run, report.target),
    };
    page.field("run", &format!("{}, {}", cut(&how, 300), span_ms(report.duration_ms)), DIM)
}

fn headline(page: &mut Page<'_>, report: &RunReport) -> Result<()> {
    let verdict = report.verdict.to_string();
    page.headline(&verdict, style(report.verdict), &title(report), &attack(report))?;
    page.paragraph(2, &cut(&report.hypothesis, 1000), DIM)
}

fn did(page: &mut Page<'_>, report: &RunReport) -> Result<()> {
    if let Some(summary) = &report.summary {
        page.field("did", &cut(summary, 600), anstyle::Style::new())?;
    }
    let facts: Vec<String> = report.facts.iter().map(|(k, v)| format!("{} {}", cut(k, 60), ends(v, FACT))).collect();
    more(page, "", &facts, DIM, String::clone)
}

/// What is weak about how links are tied to the run.
fn cautions(page: &mut Page<'_>, report: &RunReport) -> Result<()> {
    let weak = super::words::chain(report).into_iter().filter_map(|link| Some((link, link.caution.as_ref()?)));
    for (link, caution) in weak {
        page.field("caution", &format!("{}: {}", link.link, caution.text), YELLOW)?;
    }
    Ok(())
}

fn evidence(page: &mut Page<'_>, link: &LinkReport) -> Result<()> {
    let line = |e: &Evidence| format!("{}: {} [{}{}]", link.link, cut(&e.summary, 400), tied(e), rests_on(e));
    let shown: Vec<String> = link.evidence.iter().map(line).collect();
    let rest = shown.len().saturating_sub(MAX_EVIDENCE);
    for line in shown.iter().take(MAX_EVIDENCE) {
        page.field("evidence", line, anstyle::Style::new())?;
    }
    if rest > 0 {
        page.field("", &format!("and {rest} more of {}", link.link), DIM)?;
    }
    Ok(())
}

fn undone(page: &mut Page<'_>, report: &RunReport) -> Result<()> {
    let (mut well, mut stays, mut left) =
        (Vec::new(), Vec::new(), report.residue.iter().map(|what| cut(what, 600)).collect::<Vec<_>>());
    for (what, outcome) in &report.undo.effects {
        match outcome {
            UndoOutcome::Undone => well.push(cut(what, 300)),
            UndoOutcome::NothingToDo => well.push(format!("{} (nothing was left of it)", cut(what, 300))),
            UndoOutcome::Irrevocable(why) => stays.push(format!("{}: {}", cut(what, 300), cut(why, 600))),
            UndoOutcome::Conflict(why) => left.push(format!("conflict: {}: {}", cut(what, 300), cut(why, 600))),
            UndoOutcome::Failed(why) => left.push(format!("{}: {}", cut(what, 300), cut(why, 600))),
        }
    }
    more(page, "undone", &well, GREEN, String::clone)?;
    // What cannot be recalled is no failed clean-up, and is said in full.
    stays.iter().try_for_each(|line| page.field("stays", line, YELLOW))?;
    // Residue is never shortened: somebody has to take it away.
    left.iter().try_for_each(|line| page.field("RESIDUE", line, RED))
}

/// What the test's own clean-up did not do: no residue, since it vanished with the overlay.
fn aftermath(page: &mut Page<'_>, test: &TestReport) -> Result<()> {
    if let Some(how) = cleanup(test) {
        page.field("cleanup", &how, YELLOW)?;
    }
    if !test.left.is_empty() {
        page.field("left", "by the test's own clean-up, thrown away with the overlay:", YELLOW)?;
        more(page, "", &test.left, YELLOW, |what| cut(what, 300))?;
    }
    match &test.not_looked {
        Some(why) => page.field("left", &format!("nobody could look: {}", cut(why, 600)), YELLOW),
        None => Ok(()),
    }
}

fn log(page: &mut Page<'_>, report: &RunReport) -> Result<()> {
    let lines: Vec<String> = report
        .log
        .iter()
        .filter(|line| matches!(line.level, "warning" | "error"))
        .map(|line| format!("{}: {}", line.level, cut(&line.message, 400)))
        .collect();
    more(page, "log", &lines, YELLOW, String::clone)
}

/// Runs that belong to this one: one line each.
fn others(page: &mut Page<'_>, report: &RunReport) -> Result<()> {
    let line = |other: &RunReport| format!("{}: {} [{}]", other.verdict, cut(&other.reason, 300), other.run);
    for (index, earlier) in report.earlier.iter().enumerate() {
        let attempt = format!("{} {}", index.saturating_add(1), line(earlier));
        page.field("attempt", &attempt, DIM)?;
    }
    if let Some(control) = &report.control {
        page.field("control", &line(control), DIM)?;
    }
    Ok(())
}

/// At most [`MAX_LINES`] of them, and how many more there are.
fn more<T>(
    page: &mut Page<'_>,
    name: &str,
    all: &[T],
    color: anstyle::Style,
    text: impl Fn(&T) -> String,
) -> Result<()> {
    for item in all.iter().take(MAX_LINES) {
        page.field(name, &text(item), color)?;
    }
    match all.len().saturating_sub(MAX_LINES) {
        0 => Ok(()),
        rest => page.field("", &format!("and {rest} more (`--format json` has all)"), DIM),
    }
}

/// Several runs: a table, then the counts. Nothing for one.
pub fn summary(out: &mut dyn Write, reports: &[RunReport]) -> Result<()> {
    links::summary(&mut Page::terminal(out), reports)
}

/// The table of all runs, however many, then the details of those that did not pass.
pub fn brief(out: &mut dyn Write, reports: &[RunReport]) -> Result<()> {
    let mut page = Page::terminal(out);
    let print = |page: &mut Page<'_>| {
        links::runs(page, reports)?;
        crate::nodes_of(page.out(), reports)?;
        unpassed(page, reports)
    };
    crate::forgive(print(&mut page))
}

/// The details of the runs that did not pass.
pub fn details(out: &mut dyn Write, reports: &[RunReport]) -> Result<()> {
    crate::forgive(unpassed(&mut Page::terminal(out), reports))
}

/// Those that were not begun have none.
fn unpassed(page: &mut Page<'_>, reports: &[RunReport]) -> Result<()> {
    for report in reports.iter().filter(|report| !report.passed() && !report.skipped) {
        page.gap()?;
        whole(page, report)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
