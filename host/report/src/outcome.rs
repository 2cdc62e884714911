//! What came of a run apart from who noticed it: whether it ran at all, and what a test's own clean-up left.

use foil_record::{RunReport, TestReport, Verdict};
use foil_text::cut;
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt;

/// Whether a run's technique ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It did what it does, or broke while it did.
    Ran,
    /// A control prevented it.
    Blocked,
    /// It could not run here.
    Inconclusive,
    /// The policy or a missing grant did not let it.
    Refused,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ran => "ran",
            Self::Blocked => "blocked",
            Self::Inconclusive => "inconclusive",
            Self::Refused => "refused",
        })
    }
}

/// Whether it ran, and why not: empty where it ran to its end. What its links say is the verdict's business.
pub fn outcome(report: &RunReport) -> (Outcome, &str) {
    let why = report.reason.as_str();
    match report.verdict {
        // Checks alone: what was looked at was looked at, whatever was there.
        _ if report.technique.is_none() && report.detonated.is_some() => (Outcome::Ran, ""),
        // What ran to its end has said what it did; a link may be unknown all the same.
        _ if report.summary.is_some() => (Outcome::Ran, ""),
        Verdict::Pass | Verdict::Flaky => (Outcome::Ran, ""),
        // Without a word of its own it was prevented, where its detection was to be tested.
        Verdict::Blocked | Verdict::Fail => (Outcome::Blocked, why),
        Verdict::Error if report.detonated.is_some() => (Outcome::Ran, why),
        Verdict::Error => (Outcome::Inconclusive, why),
        Verdict::Inconclusive => match why.strip_prefix("refused: ") {
            Some(why) => (Outcome::Refused, why),
            // An effect that its grant does not allow.
            None if why.ends_with(" (policy)") => (Outcome::Refused, why),
            None => (Outcome::Inconclusive, why),
        },
    }
}

/// Every run: earlier attempts were runs of their own, and come before the last. A benign twin does not do what its technique does.
pub fn runs(reports: &[RunReport]) -> impl Iterator<Item = &RunReport> {
    reports.iter().flat_map(|report| report.earlier.iter().chain([report]))
}

/// Why the test's own clean-up is to be mended, where it failed.
pub fn cleanup(test: &TestReport) -> Option<String> {
    let cleanup = test.cleanup.as_ref().filter(|cleanup| cleanup.exit != Some(0))?;
    let how = cut(cleanup.summary.strip_prefix("the cleanup ").unwrap_or(&cleanup.summary), 600);
    let said = cleanup.stderr.trim_end().lines().next_back().unwrap_or_default();
    Some(if said.is_empty() { how } else { format!("{how}: {}", cut(said, 600)) })
}

/// There is something to say of how it cleaned up.
pub fn forgot(test: &TestReport) -> bool {
    !test.left.is_empty() || test.not_looked.is_some() || cleanup(test).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{report, test};
    use foil_record::CleanupReport;

    #[test]
    fn whether_it_ran_is_not_who_noticed() {
        let of = |verdict, summary: bool, detonated: bool, reason: &str| {
            let mut run = report("telemetry=seen");
            (run.verdict, run.reason) = (verdict, reason.to_owned());
            run.summary = run.summary.filter(|_| summary);
            run.detonated = run.detonated.filter(|_| detonated);
            let (outcome, why) = outcome(&run);
            format!("{outcome} {why}")
        };
        assert_eq!(of(Verdict::Fail, true, true, "rule missed"), "ran ");
        assert_eq!(of(Verdict::Inconclusive, true, true, "rule is unknown"), "ran ");
        assert_eq!(of(Verdict::Blocked, false, true, "EPERM"), "blocked EPERM");
        assert_eq!(of(Verdict::Fail, false, true, "it was prevented"), "blocked it was prevented");
        assert_eq!(
            of(Verdict::Inconclusive, false, false, "no tool (prerequisite)"),
            "inconclusive no tool (prerequisite)"
        );
        assert_eq!(of(Verdict::Inconclusive, false, false, "refused: no grant"), "refused no grant");
        assert_eq!(of(Verdict::Inconclusive, false, true, "no `exec` (policy)"), "refused no `exec` (policy)");
        assert_eq!(of(Verdict::Error, false, true, "its time was over"), "ran its time was over");
        assert_eq!(of(Verdict::Error, false, false, "no engine"), "inconclusive no engine");
    }

    #[test]
    fn a_failed_clean_up_is_told_with_its_last_word() {
        let mut test = test();
        assert!(!forgot(&test));
        let ended = |exit| {
            let summary = format!("the cleanup ended with {exit}");
            Some(CleanupReport { summary, exit: Some(exit), stderr: "rm: one\nrm: no \u{1b}[2J file\n".into() })
        };
        test.cleanup = ended(0);
        assert_eq!(cleanup(&test), None);
        test.cleanup = ended(1);
        assert_eq!(cleanup(&test).as_deref(), Some("ended with 1: rm: no \\u{1b}[2J file"));
        assert!(forgot(&test));
    }
}
