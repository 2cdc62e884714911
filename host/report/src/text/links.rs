//! Tables: the links of a run, the runs of a set.

use super::paint::{DIM, Page, link_style, style};
use crate::outcome::{Outcome, outcome};
use crate::words::{attack, best, chain, span, span_ms, tied, title};
use anstyle::Style;
use foil_record::{LinkReport, RunReport, Verdict};
use foil_text::cut;
use std::io::Result;

/// The chain, one row a link.
pub fn table(page: &mut Page<'_>, report: &RunReport) -> Result<()> {
    if report.links.is_empty() {
        return Ok(());
    }
    let header = ["LINK", "VERDICT", "AFTER", "WITHIN", "CHECK", "TIED BY"].map(str::to_owned);
    let links = chain(report);
    let rows: Vec<_> = links.iter().map(|link| (row(link), link_style(link.verdict))).collect();
    // The check's name gives way: it may be the path of a file.
    lay_out(page, &header, &rows, 4)
}

fn row(link: &LinkReport) -> [String; 6] {
    let after = link.after_ms.map_or("-".to_owned(), span);
    let verdict = if link.contradicted { format!("{}?", link.verdict) } else { link.verdict.to_string() };
    let own = if link.own_rules { ", own rules" } else { "" };
    let tied = best(link).map_or("-".to_owned(), |evidence| format!("{}{own}", tied(evidence)));
    [cut(&link.link, 20), verdict, after, span_ms(link.within_ms), cut(&link.check, 400), tied]
}

/// A row a run, then the counts.
pub fn summary(page: &mut Page<'_>, reports: &[RunReport]) -> Result<()> {
    if reports.len() < 2 {
        return Ok(());
    }
    page.gap()?;
    runs(page, reports)
}

/// The same, however many they are.
pub fn runs(page: &mut Page<'_>, reports: &[RunReport]) -> Result<()> {
    if reports.iter().any(|report| report.test.is_some()) {
        let header = ["VERDICT", "OUTCOME", "TEST", "BROKEN", "LEFT", "TIME"].map(str::to_owned);
        let rows: Vec<_> = reports.iter().map(|report| (of_test(report), style(report.verdict))).collect();
        lay_out(page, &header, &rows, 2)?;
        page.gap()?;
        return page.paragraph(2, &counts(reports), Style::new());
    }
    let header = ["VERDICT", "EXPERIMENT", "ATT&CK", "BROKEN", "TIME"].map(str::to_owned);
    let rows = reports.iter().map(|report| {
        let ids = attack(report).iter().filter_map(|a| a.split(' ').next().map(str::to_owned)).collect::<Vec<_>>();
        let row =
            [report.verdict.to_string(), title(report), ids.join(" "), broken(report), span_ms(report.duration_ms)];
        (row, style(report.verdict))
    });
    let rows: Vec<_> = rows.collect();
    lay_out(page, &header, &rows, 1)?;
    page.gap()?;
    page.paragraph(2, &counts(reports), Style::new())
}

/// A run of a test: whether it ran and its exit status, and how much its own clean-up left. Its name begins with its ATT&CK id.
fn of_test(report: &RunReport) -> [String; 6] {
    let outcome = match (outcome(report).0, report.facts.get("exit")) {
        (Outcome::Ran, Some(exit)) => format!("ran ({})", cut(exit, 4)),
        (outcome, _) => outcome.to_string(),
    };
    let left = match &report.test {
        Some(test) if test.not_looked.is_some() => "?".to_owned(),
        Some(test) if test.ran => test.left.len().to_string(),
        _ => "-".to_owned(),
    };
    [report.verdict.to_string(), outcome, title(report), broken(report), left, span_ms(report.duration_ms)]
}

/// The links that are not as expected, in the chain's order.
pub fn broken(report: &RunReport) -> String {
    let wrong = chain(report).into_iter().filter(|l| l.verdict != foil_record::LinkVerdict::Seen);
    let wrong: Vec<String> = wrong.map(|l| format!("{} {}", cut(&l.link, 20), l.verdict)).collect();
    match wrong.split_first() {
        None => "-".to_owned(),
        Some((first, [])) => first.clone(),
        Some((first, rest)) => format!("{first} +{}", rest.len()),
    }
}

/// `12 runs: 10 pass, 2 fail; nothing was left behind`.
pub fn counts(reports: &[RunReport]) -> String {
    let count = |verdict: Verdict| reports.iter().filter(|r| r.verdict == verdict).count();
    let parts: Vec<String> =
        [Verdict::Pass, Verdict::Flaky, Verdict::Fail, Verdict::Blocked, Verdict::Inconclusive, Verdict::Error]
            .into_iter()
            .filter(|verdict| count(*verdict) > 0)
            .map(|verdict| format!("{} {verdict}", count(verdict)))
            .collect();
    let left = match reports.iter().map(RunReport::left_behind).sum::<usize>() {
        0 => "nothing was left behind".to_owned(),
        1 => "1 thing was left behind".to_owned(),
        many => format!("{many} things were left behind"),
    };
    let tests = of_tests(reports).map(|words| format!("; {words}")).unwrap_or_default();
    let skipped = match reports.iter().filter(|report| report.skipped).count() {
        0 => String::new(),
        1 => "; 1 was not run".to_owned(),
        many => format!("; {many} were not run"),
    };
    let runs = if reports.len() == 1 { "run" } else { "runs" };
    format!("{} {runs}: {}{skipped}{tests}; {left}", reports.len(), parts.join(", "))
}

/// `of tests 9 ran, 1 refused; what 2 forgot to clean up went with the overlay`.
fn of_tests(reports: &[RunReport]) -> Option<String> {
    let tests = || reports.iter().filter_map(|report| Some((outcome(report).0, report.test.as_ref()?)));
    tests().next()?;
    let parts = [Outcome::Ran, Outcome::Blocked, Outcome::Inconclusive, Outcome::Refused].map(|of| {
        let count = tests().filter(|(outcome, _)| *outcome == of).count();
        (count > 0).then(|| format!("{count} {of}"))
    });
    let left = match tests().filter(|(_, test)| !test.left.is_empty()).count() {
        0 => String::new(),
        count => format!("; what {count} forgot to clean up went with the overlay"),
    };
    Some(format!("of tests {}{left}", parts.into_iter().flatten().collect::<Vec<_>>().join(", ")))
}

/// Columns as wide as what is in them; `flexible` gives way until the row fits the page, and keeps its end, which tells paths
/// apart. The word of the verdict is coloured.
fn lay_out<const N: usize>(
    page: &mut Page<'_>,
    header: &[String; N],
    rows: &[([String; N], Style)],
    flexible: usize,
) -> Result<()> {
    let mut widths = header.each_ref().map(|cell| cell.chars().count());
    for (row, _) in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let all: usize = widths.iter().map(|width| width.saturating_add(2)).sum();
    let over = all.saturating_sub(page.width());
    if let Some(width) = widths.get_mut(flexible) {
        *width = width.saturating_sub(over).max(10);
    }
    let verdict = header.iter().position(|name| name == "VERDICT");
    page.gap()?;
    for (row, style) in std::iter::once((header, DIM)).chain(rows.iter().map(|(row, style)| (row, *style))) {
        let mut line = String::new();
        let mut pad = 0;
        for (index, (cell, width)) in row.iter().zip(widths).enumerate() {
            let paint = if style == DIM || verdict == Some(index) { style } else { Style::new() };
            let cell = end_of(cell, width);
            // Before the next cell, so that no line ends in spaces.
            line.push_str(&format!("{:pad$}  {paint}{cell}{paint:#}", ""));
            pad = width.saturating_sub(cell.chars().count());
        }
        page.line(&line)?;
    }
    Ok(())
}

/// The text, or its end behind `…`.
fn end_of(text: &str, width: usize) -> String {
    let count = text.chars().count();
    if count <= width {
        return text.to_owned();
    }
    std::iter::once('…').chain(text.chars().skip(count.saturating_sub(width).saturating_add(1))).collect()
}
