//! A row a run, for spreadsheets and for what reads Invoke-AtomicRedTeam's execution log.
//!
//! The first columns are those of its Default-ExecutionLogger, in its order and spelling; Foil's own follow.

use super::here::Here;
use super::markdown::residue;
use super::outcome::{outcome, runs};
use super::words::{chain, rules};
use csv::{QuoteStyle, WriterBuilder};
use foil_record::RunReport;
use foil_text::cut;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::io::{Error, Result, Write};

const COLUMNS: [&str; 20] = [
    "Execution Time (UTC)",
    "Execution Time (Local)",
    "Technique",
    "Test Number",
    "Test Name",
    "Hostname",
    "IP Address",
    "Username",
    "GUID",
    "ProcessId",
    "ExitCode",
    "Verdict",
    "Outcome",
    "Reason",
    "Duration (ms)",
    "Cleanup ExitCode",
    "Left",
    "Module",
    "Run",
    "Noticed By",
];

/// A spreadsheet's cell holds 32,767 characters; what is longer ends with `…`, and the JSON form has all of it.
const LONGEST: usize = 32_000;

/// Writes the table.
pub fn write(out: &mut dyn Write, reports: &[RunReport]) -> Result<()> {
    write_at(out, reports, &Here::now())
}

fn write_at(out: &mut dyn Write, reports: &[RunReport], here: &Here) -> Result<()> {
    // In memory, which does not fail: the crate's error would hide that a reader has gone.
    let mut table = WriterBuilder::new().quote_style(QuoteStyle::Always).from_writer(Vec::new());
    table.write_record(COLUMNS).map_err(Error::other)?;
    for report in runs(reports) {
        table.write_record(row(report, here).map(|text| cell(&text))).map_err(Error::other)?;
    }
    out.write_all(&table.into_inner().map_err(|error| Error::other(error.to_string()))?)
}

/// Text that no spreadsheet takes for a formula: `'` before a sign that begins one makes it text there. Control characters, and a
/// tab that begins one too, are escaped, so that a row is a line.
fn cell(text: &str) -> String {
    // Once more, since what is escaped is longer.
    let text = cut(&cut(text, LONGEST), LONGEST);
    if text.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']) { format!("'{text}") } else { text }
}

fn row(report: &RunReport, here: &Here) -> [String; COLUMNS.len()] {
    let test = report.test.as_ref();
    let of_test = |text: fn(&foil_record::TestReport) -> String| test.map(text).unwrap_or_default();
    let begun = report.detonated.as_ref().unwrap_or(&report.started);
    let (outcome, why) = outcome(report);
    [
        time(begun, &TimeZone::UTC),
        time(begun, &here.zone),
        test.map_or_else(|| report.attack.join(" "), |test| test.technique.clone()),
        of_test(|test| test.number.to_string()),
        of_test(|test| test.name.clone()),
        report.target.clone(),
        here.ip.clone(),
        report.run_as.clone(),
        of_test(|test| test.guid.clone().unwrap_or_default()),
        // Where the evidence has it: Foil's own interpreter is not told.
        report.facts.get("pid").cloned().unwrap_or_default(),
        report.facts.get("exit").cloned().unwrap_or_default(),
        report.verdict.to_string(),
        outcome.to_string(),
        if why.is_empty() { report.reason.clone() } else { why.to_owned() },
        report.duration_ms.to_string(),
        of_test(|test| test.cleanup.as_ref().and_then(|c| c.exit).map(|exit| exit.to_string()).unwrap_or_default()),
        left(report),
        report.technique.clone().unwrap_or_default(),
        report.run.clone(),
        noticed(report),
    ]
}

/// The logger ends both of its times with `Z`, the local one too.
fn time(rfc3339: &str, zone: &TimeZone) -> String {
    let Ok(time) = rfc3339.parse::<Timestamp>() else { return rfc3339.to_owned() };
    time.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Which rules noticed it, by link.
fn noticed(report: &RunReport) -> String {
    let links = chain(report).into_iter().map(|link| (link, rules(link))).filter(|(_, rules)| !rules.is_empty());
    links.map(|(link, rules)| format!("{}: {}", cut(&link.link, 20), rules.join(", "))).collect::<Vec<_>>().join("; ")
}

/// What could not be put back, then what a test's own clean-up left in the overlay.
fn left(report: &RunReport) -> String {
    let mut left: Vec<String> = residue(report).into_iter().map(|what| format!("not put back: {what}")).collect();
    if let Some(test) = &report.test {
        left.extend(test.left.iter().cloned());
        left.extend(test.not_looked.as_ref().map(|why| format!("not looked: {why}")));
    }
    left.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{evil, here, report, test};

    fn table(reports: &[RunReport]) -> String {
        let mut out = Vec::new();
        write_at(&mut out, reports, &here()).expect("memory");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn tests_and_techniques_are_rows() {
        let mut run = report("telemetry=seen rule=missed");
        let mut test = test();
        test.left = vec!["file /tmp/art".into(), "process sleep".into()];
        run.facts.insert("exit".into(), "1".into());
        (run.test, run.earlier) = (Some(test), vec![report("telemetry=missed")]);
        insta::assert_snapshot!(table(&[run, report("telemetry=seen")]));
    }

    #[test]
    fn the_rules_that_noticed_have_a_column() {
        let mut run = report("telemetry=seen detection=seen");
        let facts = &mut run.links[1].evidence[0].facts;
        facts.insert("rule".into(), "=Delete or rename shell history\u{1b}".into());
        facts.insert("matched".into(), "by its tag T1070, the parent of T1070.003".into());
        let shown = table(&[run]);
        let mut reader = csv::Reader::from_reader(shown.as_bytes());
        let row = reader.records().next().expect("a row").expect("as many cells as columns");
        let noticed =
            r"detection: =Delete or rename shell history\u{1b} (matched by its tag T1070, the parent of T1070.003)";
        assert_eq!(&row[19], noticed);
    }

    #[test]
    fn a_cell_is_text_on_one_line() {
        let mut run = report("telemetry=seen");
        let mut test = test();
        (test.name, test.left) = (evil(), vec![evil(), "\0".repeat(70_000)]);
        (run.test, run.reason, run.target) = (Some(test), "=cmd|'/c calc'!A1".into(), "\t=1+1".into());
        run.facts.insert("exit".into(), "-1".into());
        let shown = table(&[run]);
        assert_eq!(shown.lines().count(), 2, "{shown}");
        assert!(!shown.contains(['\0', '\u{1b}', '\u{202e}', '\r', '\t']), "{shown:?}");
        let mut reader = csv::Reader::from_reader(shown.as_bytes());
        assert_eq!(reader.headers().expect("columns"), &csv::StringRecord::from(COLUMNS.to_vec()));
        let row = reader.records().next().expect("a row").expect("as many cells as columns");
        for cell in &row {
            assert!(!cell.starts_with(['=', '+', '-', '@']) && cell.len() <= LONGEST + 4, "{}", cell.len());
        }
        assert_eq!((&row[13], &row[5], &row[10]), ("'=cmd|'/c calc'!A1", r"\t=1+1", "'-1"));
        assert!(row[4].starts_with("'=cmd|") && row[4].contains("\"quoted\", ä"), "{}", &row[4]);
        assert!(row[16].ends_with('…'));
    }
}
