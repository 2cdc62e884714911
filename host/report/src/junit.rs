//! JUnit XML, as CI systems read it: a suite a campaign, a case an experiment.
//!
//! `fail` is a failure, `error` an error, `inconclusive` a skipped case; what is neither in JUnit's words stands in the property
//! `verdict`. What was left behind makes a case an error whatever its verdict, since CI must not show it green.

use super::explain::explain;
use super::outcome::outcome;
use super::text;
use super::words::{attack, title};
use foil_record::{RunReport, Verdict};
use foil_text::cut;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestRerun, TestSuite};
use std::collections::BTreeMap;
use std::io::{Error, Result, Write};
use std::time::Duration;

/// The longest message of a case, in bytes; the whole report is its output.
const LONGEST: usize = 4000;

/// Writes one document. Control characters, which XML cannot hold, are escaped or left out.
pub fn write(out: &mut dyn Write, reports: &[RunReport]) -> Result<()> {
    let mut suites: BTreeMap<String, Vec<TestCase>> = BTreeMap::new();
    let mut names: BTreeMap<String, u32> = BTreeMap::new();
    for report in reports {
        let suite = report.campaign.as_ref().map_or("foil".to_owned(), |step| cut(&step.campaign, 200));
        let name = title(report);
        // Readers take two cases of one name for one.
        let count = names.entry(format!("{suite}\n{name}")).and_modify(|n| *n = n.saturating_add(1)).or_insert(1);
        let name = if *count > 1 { format!("{name} #{count}") } else { name };
        suites.entry(suite).or_default().push(case(report, &name));
    }
    let mut document = Report::new("foil");
    document.set_time(time(reports.iter()));
    for (name, cases) in suites {
        let mut suite = TestSuite::new(&name);
        let of_it = |report: &&RunReport| report.campaign.as_ref().map_or("foil", |step| &step.campaign) == name;
        suite.set_time(time(reports.iter().filter(of_it)));
        suite.add_test_cases(cases);
        document.add_test_suite(suite);
    }
    out.write_all(document.to_string().map_err(Error::other)?.as_bytes())
}

/// How long the runs took together; with several at once that is more than the clock says.
fn time<'a>(reports: impl Iterator<Item = &'a RunReport>) -> Duration {
    Duration::from_millis(reports.fold(0, |sum, report| sum.saturating_add(report.duration_ms)))
}

fn case(report: &RunReport, name: &str) -> TestCase {
    let mut status = status(report);
    status.add_reruns(report.earlier.iter().map(rerun));
    let mut case = TestCase::new(name, status);
    case.set_classname(cut(report.about(), 200)).set_time(Duration::from_millis(report.duration_ms));
    let left = report.left_behind().to_string();
    for (name, value) in [
        ("verdict", report.verdict.to_string()),
        ("outcome", outcome(report).0.to_string()),
        ("run", report.run.clone()),
        ("attack", attack(report).join(", ")),
        ("environment", cut(&report.environment, 200)),
        ("target", cut(&report.target, 300)),
        ("started", report.started.clone()),
        ("left-behind", left),
    ] {
        case.add_property((name, value.as_str()));
    }
    case.set_system_out(text::plain(report));
    case
}

fn status(report: &RunReport) -> TestCaseStatus {
    let words = message(report);
    let not_success = |kind, ty: &str| {
        let mut status = TestCaseStatus::non_success(kind);
        status.set_type(ty).set_message(&words);
        status
    };
    match report.verdict {
        Verdict::Fail => not_success(NonSuccessKind::Failure, "fail"),
        Verdict::Error => not_success(NonSuccessKind::Error, "error"),
        _ if report.left_behind() > 0 => not_success(NonSuccessKind::Error, "residue"),
        Verdict::Inconclusive => {
            let mut status = TestCaseStatus::skipped();
            status.set_type("inconclusive").set_message(cut(&report.reason, LONGEST));
            status
        }
        Verdict::Pass | Verdict::Flaky | Verdict::Blocked => TestCaseStatus::success(),
    }
}

fn message(report: &RunReport) -> String {
    let mut said = explain(report);
    if said.is_empty() {
        said.push(report.reason.clone());
    }
    if report.left_behind() > 0 {
        said.insert(0, format!("{} thing(s) could not be put back.", report.left_behind()));
    }
    cut(&said.join(" "), LONGEST)
}

/// An earlier attempt.
fn rerun(earlier: &RunReport) -> TestRerun {
    let kind = if earlier.verdict == Verdict::Error { NonSuccessKind::Error } else { NonSuccessKind::Failure };
    let mut rerun = TestRerun::new(kind);
    rerun.set_type(earlier.verdict.to_string()).set_message(message(earlier));
    rerun.set_time(Duration::from_millis(earlier.duration_ms)).set_system_out(text::plain(earlier));
    rerun
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::report;
    use foil_record::StepOf;

    fn xml(reports: &[RunReport]) -> String {
        let mut out = Vec::new();
        write(&mut out, reports).expect("memory");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn each_verdict_is_what_ci_shows() {
        let of = |verdict: Verdict| {
            let mut run = report("telemetry=seen rule=missed");
            run.verdict = verdict;
            xml(&[run])
        };
        assert!(
            of(Verdict::Fail)
                .contains("<failure message=\"The audit log recorded it after 2 ms; no rule matched: look at")
        );
        assert!(of(Verdict::Error).contains("<error message=\"The technique broke"));
        assert!(of(Verdict::Inconclusive).contains("<skipped message=\"the first broken link"));
        for verdict in [Verdict::Blocked, Verdict::Pass, Verdict::Flaky] {
            let shown = of(verdict);
            assert!(shown.contains("failures=\"0\" errors=\"0\""), "{shown}");
            assert!(shown.contains(&format!("<property name=\"verdict\" value=\"{verdict}\"/>")), "{shown}");
        }
        assert!(of(Verdict::Fail).contains("time=\"1.234\""));
    }

    #[test]
    fn what_was_left_behind_is_never_green() {
        let mut run = report("telemetry=seen");
        run.residue = vec!["/etc/x".into()];
        let shown = xml(&[run]);
        assert!(shown.contains("errors=\"1\"") && shown.contains("1 thing(s) could not be put back."), "{shown}");
        assert!(shown.contains("RESIDUE   /etc/x"), "{shown}");
    }

    #[test]
    fn earlier_attempts_are_reruns_and_names_are_told_apart() {
        let mut flaky = report("telemetry=seen");
        (flaky.verdict, flaky.earlier) = (Verdict::Flaky, vec![report("telemetry=missed")]);
        let shown = xml(&[flaky]);
        assert!(shown.contains("<flakyFailure") && shown.contains("type=\"fail\""), "{shown}");
        let mut step = report("telemetry=seen");
        step.campaign = Some(StepOf { campaign: "night".into(), step: "one".into() });
        let shown = xml(&[report(""), report(""), step]);
        for part in ["<testsuite name=\"foil\" tests=\"2\"", "<testsuite name=\"night\" tests=\"1\"", "file-delete #2"]
        {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }

    #[test]
    fn it_stays_xml_whatever_guests_say() {
        let evil = "]]></system-out>\u{1b}[31m\u{0}\u{fffe}\u{7f}<!-- & \"".to_owned();
        let mut run = report("telemetry=missed rule=unknown");
        (run.verdict, run.reason, run.summary) = (Verdict::Error, evil.clone(), Some(evil.clone()));
        run.facts.insert(evil.clone(), evil.clone());
        (run.experiment, run.target, run.links[0].link) = (evil.clone(), evil.clone(), evil);
        let shown = xml(&[run]);
        assert!(
            !shown.contains("]]></system-out>\u{1b}") && !shown.contains(['\u{0}', '\u{1b}', '\u{fffe}']),
            "{shown}"
        );
        assert_eq!(quick_junit::Report::deserialize_from_str(&shown).expect("well-formed").test_suites.len(), 1);
    }
}
