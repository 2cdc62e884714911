//! The report for people, at 80 columns.

use super::{LinkReport, RunReport};
use crate::campaign::verdict::{LinkVerdict, Verdict};
use crate::journal::UndoOutcome;
use anstyle::{AnsiColor, Style};
use std::io::Write;

const GREEN: Style = AnsiColor::Green.on_default();
const RED: Style = AnsiColor::Red.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const DIM: Style = Style::new().dimmed();

/// Prints one run. Colour goes away where `out` is no terminal or `NO_COLOR` is set (`anstream`).
pub fn print(out: &mut dyn Write, report: &RunReport) -> std::io::Result<()> {
    let style = match report.verdict {
        Verdict::Pass => GREEN,
        Verdict::Flaky => YELLOW,
        Verdict::Fail | Verdict::Error => RED,
        Verdict::Blocked | Verdict::Inconclusive => YELLOW,
    };
    let name = if report.experiment == "fire" { &report.technique } else { &report.experiment };
    writeln!(
        out,
        "{style}{:<12}{style:#} {name} {DIM}({}){DIM:#}",
        report.verdict.to_string(),
        report.attack.join(", ")
    )?;
    writeln!(out, "  {}", report.reason)?;
    if let Some(summary) = &report.summary {
        writeln!(out, "  did       {summary}")?;
    }
    for (name, value) in report.facts.iter().take(12) {
        writeln!(out, "            {DIM}{name}{DIM:#} {}", crate::engine::cut(value, 100))?;
    }
    for link in &report.links {
        print_link(out, link)?;
    }
    for line in report.observed.iter().take(10) {
        writeln!(out, "  observed  {} {DIM}(by Foil itself, no sensor){DIM:#}", crate::engine::cut(line, 120))?;
    }
    for (what, outcome) in &report.undo.effects {
        match outcome {
            UndoOutcome::Undone => writeln!(out, "  {GREEN}undone{GREEN:#}    {what}")?,
            UndoOutcome::NothingToDo => writeln!(out, "  {DIM}undone    {what} (nothing was left of it){DIM:#}")?,
            UndoOutcome::Conflict(why) => writeln!(out, "  {RED}conflict{RED:#}  {what}: {why}")?,
            UndoOutcome::Failed(why) => writeln!(out, "  {RED}residue{RED:#}   {what}: {why}")?,
        }
    }
    for gap in &report.gaps {
        writeln!(out, "  {YELLOW}gap{YELLOW:#}       {gap}")?;
    }
    for what in &report.residue {
        writeln!(out, "  {RED}residue{RED:#}   {what}")?;
    }
    for line in report.log.iter().filter(|l| matches!(l.level, "warning" | "error")).take(10) {
        writeln!(out, "  {:<9} {}", line.level, line.message)?;
    }
    if !report.run.is_empty() {
        writeln!(
            out,
            "  {DIM}run {} on {} in `{}` as {}, {} ms{DIM:#}",
            report.run, report.target, report.shield, report.run_as, report.duration_ms
        )?;
    }
    Ok(())
}

fn print_link(out: &mut dyn Write, link: &LinkReport) -> std::io::Result<()> {
    let style = match link.verdict {
        LinkVerdict::Seen => GREEN,
        LinkVerdict::Missed | LinkVerdict::Noisy => RED,
        LinkVerdict::Late | LinkVerdict::Weak | LinkVerdict::Unknown => YELLOW,
    };
    let after = link.after_ms.map(|ms| format!(" after {ms:.1} ms")).unwrap_or_default();
    let own = if link.own_rules { " (own rules)" } else { "" };
    writeln!(out, "  {:<9} {style}{}{style:#}{after}{own} {DIM}by {}{DIM:#}", link.link, link.verdict, link.check)?;
    if let Some(reason) = &link.reason {
        writeln!(out, "            {reason}")?;
    }
    for evidence in link.evidence.iter().take(3) {
        let own = if evidence.own_observation { ", by Foil itself" } else { "" };
        let how = format!("{:?}", evidence.attribution).to_lowercase();
        writeln!(out, "            {} {DIM}[{how}{own}]{DIM:#}", crate::engine::cut(&evidence.summary, 200))?;
    }
    Ok(())
}

/// One line for several runs.
pub fn summary(out: &mut dyn Write, reports: &[RunReport]) -> std::io::Result<()> {
    let count = |verdict: Verdict| reports.iter().filter(|r| r.verdict == verdict).count();
    let parts: Vec<String> =
        [Verdict::Pass, Verdict::Flaky, Verdict::Fail, Verdict::Blocked, Verdict::Inconclusive, Verdict::Error]
            .into_iter()
            .filter(|v| count(*v) > 0)
            .map(|v| format!("{} {v}", count(v)))
            .collect();
    let residue = reports.iter().map(|r| r.residue.len() + r.undo.residue().count()).sum::<usize>();
    let left =
        if residue == 0 { "nothing was left behind".to_owned() } else { format!("{residue} things were left behind") };
    writeln!(out, "{} runs: {}; {left}", reports.len(), parts.join(", "))
}
