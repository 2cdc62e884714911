//! Markdown for a pull request or a job's summary: a table, then what is broken, with its evidence folded away.
//!
//! Nothing that a guest or a server said may become markup: all but letters, digits and harmless signs are written as character
//! references, which neither Markdown nor HTML takes for more than the character.

use super::explain::explain;
use super::outcome::{cleanup, forgot};
use super::text::{broken, counts};
use super::words::{attack, chain, rests_on, span, span_ms, tied, title};
use foil_record::{LinkReport, RunReport, TestReport, UndoOutcome, Verdict};
use foil_text::cut;
use std::io::{Result, Write};

/// A comment on GitHub has at most 65,536 characters: details beyond this many bytes are left out, and counted.
const MOST: usize = 50_000;
/// Pieces of evidence shown a link.
const MAX_EVIDENCE: usize = 5;

/// Lines shown of what a test's own clean-up left.
const MAX_LEFT: usize = 10;

/// Writes the document.
pub fn write(out: &mut dyn Write, reports: &[RunReport]) -> Result<()> {
    writeln!(out, "## Foil: {}\n", safe(&counts(reports)))?;
    writeln!(out, "| | Experiment | ATT&amp;CK | Broken | Time |\n|---|---|---|---|---|")?;
    let mut size = 0_usize;
    let mut rows = reports.iter();
    for report in rows.by_ref() {
        let row = format!(
            "| {} | {} | {} | {} | {} |",
            mark(report),
            safe(&title(report)),
            safe(&attack(report).join(", ")),
            safe(&broken(report)),
            span_ms(report.duration_ms)
        );
        writeln!(out, "{row}")?;
        size = size.saturating_add(row.len());
        if size > MOST {
            break;
        }
    }
    if rows.len() > 0 {
        writeln!(out, "| | and {} more | | | |", rows.len())?;
    }
    let noteworthy = reports.iter().filter(|r| {
        r.verdict != Verdict::Pass || r.left_behind() > 0 || r.test.as_ref().is_some_and(forgot) || is_weak(r)
    });
    let mut left_out = 0_usize;
    for report in noteworthy {
        let section = section(report);
        if size.saturating_add(section.len()) > MOST {
            left_out = left_out.saturating_add(1);
            continue;
        }
        size = size.saturating_add(section.len());
        out.write_all(section.as_bytes())?;
    }
    if left_out > 0 {
        writeln!(out, "\n{left_out} more had no room here; `--format json` has all.")?;
    }
    Ok(())
}

/// A link of it is tied to the run with a caution.
fn is_weak(report: &RunReport) -> bool {
    report.links.iter().any(|link| link.caution.is_some())
}

/// A sign and the word: colour alone says nothing.
fn mark(report: &RunReport) -> String {
    let sign = match report.verdict {
        Verdict::Fail | Verdict::Error => "❌",
        _ if report.left_behind() > 0 => "❌",
        Verdict::Pass => "✅",
        Verdict::Flaky | Verdict::Inconclusive => "⚠️",
        Verdict::Blocked => "🛡️",
    };
    format!("{sign} {}", report.verdict)
}

fn section(report: &RunReport) -> String {
    let mut text = format!("\n### {} {}\n\n", mark(report), safe(&title(report)));
    let mut line = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    if !report.hypothesis.is_empty() {
        line(format!("<em>{}</em>\n", safe(&cut(&report.hypothesis, 1000))));
    }
    let mut said = explain(report);
    if said.is_empty() {
        said.push(report.reason.clone());
    }
    said.iter().for_each(|sentence| line(format!("- {}", safe(&cut(sentence, 2000)))));
    for link in chain(report) {
        let caution = link.caution.iter().map(|caution| cut(&caution.text, 1000));
        caution.for_each(|text| line(format!("- **caution:** {}: {}", safe(&cut(&link.link, 20)), safe(&text))));
    }
    residue(report).iter().for_each(|what| line(format!("- **left behind:** {}", safe(what))));
    report.test.iter().flat_map(aftermath).for_each(&mut line);
    line("\n<details><summary>Links and evidence</summary>\n".to_owned());
    if !report.links.is_empty() {
        line("| Link | Verdict | After | Within | Check |\n|---|---|---|---|---|".to_owned());
        chain(report).iter().for_each(|link| line(row(link)));
        line(String::new());
    }
    for link in chain(report) {
        for evidence in link.evidence.iter().take(MAX_EVIDENCE) {
            let summary = safe(&cut(&evidence.summary, 400));
            let from = safe(&rests_on(evidence));
            line(format!("- {}: <code>{summary}</code> ({}{from})", safe(&cut(&link.link, 20)), tied(evidence)));
        }
    }
    let run = format!("run {} on {} in {} as {}", report.run, report.target, report.shield, report.run_as);
    line(format!("- {}, started {}", safe(&cut(&run, 300)), safe(&report.started)));
    line("\n</details>".to_owned());
    text
}

/// What the test's own clean-up did not do: no residue, since it vanished with the overlay.
fn aftermath(test: &TestReport) -> Vec<String> {
    let mut lines: Vec<String> = cleanup(test).map(|how| format!("- cleanup {}", safe(&how))).into_iter().collect();
    if !test.left.is_empty() {
        lines.push("- left by the test's own clean-up, thrown away with the overlay:".to_owned());
        lines.extend(test.left.iter().take(MAX_LEFT).map(|what| format!("  - <code>{}</code>", safe(&cut(what, 300)))));
    }
    if let more @ 1.. = test.left.len().saturating_sub(MAX_LEFT) {
        lines.push(format!("  - and {more} more"));
    }
    lines.extend(test.not_looked.iter().map(|why| format!("- left: nobody could look: {}", safe(&cut(why, 600)))));
    lines
}

fn row(link: &LinkReport) -> String {
    let after = link.after_ms.map_or("-".to_owned(), span);
    let check = safe(&cut(&link.check, 200));
    let own = if link.own_rules { " (own rules)" } else { "" };
    format!(
        "| {} | {}{own} | {after} | {} | {check} |",
        safe(&cut(&link.link, 20)),
        link.verdict,
        span_ms(link.within_ms)
    )
}

/// What could not be put back.
pub(super) fn residue(report: &RunReport) -> Vec<String> {
    let undo = report.undo.residue().map(|(what, outcome)| match outcome {
        UndoOutcome::Conflict(why) | UndoOutcome::Failed(why) => format!("{}: {}", cut(what, 300), cut(why, 600)),
        UndoOutcome::Undone | UndoOutcome::NothingToDo | UndoOutcome::Irrevocable(_) => cut(what, 300),
    });
    report.residue.iter().map(|what| cut(what, 600)).chain(undo).collect()
}

/// Text that stays text.
fn safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // Without `.` behind `www` and `:` behind `http` nothing becomes a link.
            ' ' | ',' | '/' | ';' | '(' | ')' => out.push(c),
            '-' | '.' if out.ends_with(|c: char| c.is_ascii_alphanumeric()) && !out.ends_with("www") => out.push(c),
            _ if c.is_alphanumeric() => out.push(c),
            _ if c.is_control() => out.push('\u{fffd}'),
            _ if c.is_ascii() => out.push_str(&format!("&#{};", u32::from(c))),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{evil, report, test};
    use foil_record::CleanupReport;

    fn markdown(reports: &[RunReport]) -> String {
        let mut out = Vec::new();
        write(&mut out, reports).expect("memory");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn broken_ones_are_explained_and_good_ones_only_listed() {
        insta::assert_snapshot!(markdown(&[report("telemetry=seen"), report("telemetry=seen rule=missed")]));
    }

    #[test]
    fn foreign_text_stays_text() {
        let evil = "|x|\n# `a` <script> [b](http://c) **d** @root #1 www.e.org <!-- &lt; ~~f~~ \u{1b}[31m".to_owned();
        let mut run = report("telemetry=seen rule=unknown");
        (run.hypothesis, run.links[1].reason) = (evil.clone(), Some(evil.clone()));
        run.links[0].evidence[0].summary = evil.clone();
        run.residue = vec![evil.clone()];
        (run.experiment, run.target) = (evil.clone(), evil);
        let shown = markdown(&[run]);
        for markup in
            ["<script", "[b](", "http://", "**d", "@root", "www.", "<!--", "&lt;", "~~", "`a`", "|x", "\u{1b}", "# "]
        {
            let ours = shown.replace("## Foil", "").replace("\n### ", "\n");
            assert!(!ours.contains(markup), "{markup}: {shown}");
        }
        // A table's row has as many bars as its header.
        let rows: Vec<&str> = shown.lines().filter(|line| line.starts_with('|')).collect();
        assert!(rows.iter().all(|row| row.matches('|').count() == 6), "{rows:#?}");
    }

    #[test]
    fn what_a_clean_up_forgot_is_told_of_a_pass_too() {
        let mut run = report("telemetry=seen");
        assert!(!markdown(std::slice::from_ref(&run)).contains("###"));
        let mut test = test();
        (test.left, test.not_looked) = (vec![evil(); 12], Some("the shield was gone".into()));
        test.cleanup = Some(CleanupReport { summary: evil(), exit: None, stderr: evil() });
        run.test = Some(test);
        let shown = markdown(&[run]);
        for part in [
            "- cleanup &#61;cmd",
            "thrown away with the overlay:\n  - <code>&#61;cmd",
            "  - and 2 more",
            "nobody could look: the",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert!(!shown.contains(['\0', '\u{1b}', '\u{202e}', '\r']) && !shown.contains("<script"), "{shown}");
        assert_eq!(shown.matches("<code>").count(), 11, "{shown}");
    }

    #[test]
    fn it_fits_a_comment() {
        let mut run = report("telemetry=missed");
        run.reason = "x".repeat(5000);
        let shown = markdown(&vec![run; 500]);
        assert!(shown.len() < 65_536 && shown.contains("more had no room"), "{}", shown.len());
        assert!(markdown(&vec![report(""); 2000]).contains("more |"));
    }
}
