//! A layer of the ATT&CK Navigator (format 4.5): what was fired, and what was noticed.

use super::json;
use super::outcome::{Outcome, outcome};
use super::text::counts;
use super::words::{chain, rules, title};
use foil_record::{LinkReport, LinkVerdict, RunReport, Verdict};
use foil_text::cut;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Result, Write};

/// Runs named in a technique's comment; more are counted.
const MAX_RUNS: usize = 40;

/// What a technique is coloured by; the best first, so that the worst of its runs is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    Pass,
    Blocked,
    Unwatched,
    Unknown,
    Late,
    Fail,
}

use Mark::{Blocked, Fail, Late, Pass, Unknown, Unwatched};

impl Mark {
    fn of(report: &RunReport) -> Self {
        let late = || {
            let verdicts = || report.links.iter().map(|link| link.verdict);
            verdicts().any(|v| v == LinkVerdict::Late)
                && verdicts().all(|v| matches!(v, LinkVerdict::Late | LinkVerdict::Seen))
        };
        match report.verdict {
            Verdict::Fail if late() => Late,
            Verdict::Fail => Fail,
            Verdict::Flaky => Late,
            Verdict::Inconclusive | Verdict::Error => Unknown,
            // Green would say that somebody noticed.
            Verdict::Pass if report.links.is_empty() => Unwatched,
            Verdict::Blocked => Blocked,
            Verdict::Pass => Pass,
        }
    }

    fn color(self) -> &'static str {
        match self {
            Fail => "#e5604d",
            Late => "#f5b041",
            Unknown => "#bdbdbd",
            Unwatched => "#d7c9ee",
            Blocked => "#6fa8dc",
            Pass => "#6cbf73",
        }
    }

    /// None where nothing is known: a number would go into the Navigator's averages.
    fn score(self) -> Option<u8> {
        match self {
            Fail => Some(0),
            Late => Some(50),
            Blocked => Some(75),
            Pass => Some(100),
            Unknown | Unwatched => None,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Fail => "fail: a link of the detection chain is broken",
            Late => "late, or only at a further attempt",
            Unknown => "inconclusive: could not run, or could not be looked at",
            Unwatched => "ran, and nothing was expected to notice it",
            Blocked => "blocked: a control prevented it",
            Pass => "pass: every link noticed it in time",
        }
    }
}

/// Writes the layer.
pub fn write(out: &mut dyn Write, reports: &[RunReport]) -> Result<()> {
    json::write(out, &layer(reports))
}

fn layer(reports: &[RunReport]) -> Value {
    let mut fired: BTreeMap<String, Vec<&RunReport>> = BTreeMap::new();
    for report in reports {
        for id in &report.attack {
            fired.entry(cut(id, 20)).or_default().push(report);
        }
    }
    let gradient = [Fail, Late, Pass].map(Mark::color);
    let legend = [Pass, Late, Fail, Blocked, Unwatched, Unknown];
    json!({
        "name": "Foil",
        // Without the version of ATT&CK the Navigator takes its own.
        "versions": { "navigator": "4.9.0", "layer": "4.5" },
        "domain": "enterprise-attack",
        "description": counts(reports),
        "sorting": 0,
        "layout": { "layout": "side", "showID": true, "showName": true, "expandedSubtechniques": "annotated" },
        "techniques": fired.into_iter().map(|(id, runs)| technique(&id, runs)).collect::<Vec<_>>(),
        "gradient": { "colors": gradient, "minValue": 0, "maxValue": 100 },
        "legendItems": legend.map(|mark| json!({ "label": mark.label(), "color": mark.color() })),
    })
}

fn technique(id: &str, runs: Vec<&RunReport>) -> Value {
    let worst = runs.iter().map(|report| Mark::of(report)).max().unwrap_or(Unknown);
    // Not in the order in which they ended, and the worst where they are seen.
    let mut lines: Vec<_> = runs.into_iter().map(|r| (std::cmp::Reverse(Mark::of(r)), title(r), &r.run, r)).collect();
    lines.sort_by(|one, other| (one.0, &one.1, one.2).cmp(&(other.0, &other.1, other.2)));
    let mut comment: Vec<String> = lines.iter().take(MAX_RUNS).map(|(_, _, _, report)| line(report)).collect();
    if let more @ 1.. = lines.len().saturating_sub(MAX_RUNS) {
        comment.push(format!("and {more} more"));
    }
    let mut technique = json!({ "techniqueID": id, "color": worst.color(), "comment": comment.join("\n") });
    if let (Some(score), Some(technique)) = (worst.score(), technique.as_object_mut()) {
        technique.insert("score".to_owned(), score.into());
    }
    technique
}

/// A run, and which links noticed it.
fn line(report: &RunReport) -> String {
    let link = |l: &&LinkReport| {
        let rules = rules(l);
        let by = if rules.is_empty() { String::new() } else { format!(" by {}", rules.join(", ")) };
        format!("{} {}{by}", cut(&l.link, 20), l.verdict)
    };
    let links: Vec<String> = chain(report).iter().map(link).collect();
    let said = match outcome(report) {
        (Outcome::Ran, "") if links.is_empty() => "nothing was expected to notice it".to_owned(),
        (Outcome::Ran, "") => links.join(", "),
        (Outcome::Ran, why) => format!("it broke: {}", cut(why, 300)),
        (outcome, why) => format!("{outcome}: {}", cut(why, 300)),
    };
    let name = report.test.as_ref().map(|test| format!(" ({})", cut(&test.name, 120))).unwrap_or_default();
    format!("{} {}{name}: {said}", report.verdict, title(report))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{evil, report, test};

    #[test]
    fn the_worst_run_colours_its_technique() {
        let mut of_test = report("telemetry=seen rule=missed");
        of_test.test = Some(test());
        let mut other = report("telemetry=late rule=seen");
        other.attack = vec!["T1059.004".into(), "T1105".into()];
        let mut refused = report("");
        (refused.verdict, refused.reason, refused.summary) = (Verdict::Inconclusive, "refused: no grant".into(), None);
        refused.attack = vec!["T1105".into(), "T1082".into()];
        let mut reports = vec![report("telemetry=seen"), of_test, other, refused];
        let shown = layer(&reports);
        insta::assert_json_snapshot!(shown);
        reports.reverse();
        assert_eq!(layer(&reports), shown);
    }

    #[test]
    fn a_comment_names_the_rule_that_noticed() {
        let mut run = report("telemetry=seen detection=seen");
        run.links[1].evidence[0].facts.insert("rule".into(), "Clear Log Activities".into());
        run.links[1].evidence[0].facts.insert("matched".into(), "by the rule map for T1685.006".into());
        let comment = layer(&[run])["techniques"][0]["comment"].as_str().expect("text").to_owned();
        let end = "telemetry seen, detection seen by Clear Log Activities (matched by the rule map for T1685.006)";
        assert!(comment.ends_with(end), "{comment}");
    }

    #[test]
    fn every_verdict_has_its_colour() {
        let of = |verdict, links: &str| {
            let mut run = report(links);
            run.verdict = verdict;
            Mark::of(&run)
        };
        assert_eq!(of(Verdict::Fail, "telemetry=late rule=missed"), Fail);
        assert_eq!(of(Verdict::Fail, "telemetry=seen rule=late"), Late);
        assert_eq!(of(Verdict::Fail, ""), Fail);
        assert_eq!(of(Verdict::Flaky, "telemetry=seen"), Late);
        assert_eq!(of(Verdict::Pass, "telemetry=seen"), Pass);
        assert_eq!(of(Verdict::Pass, ""), Unwatched);
        assert_eq!(of(Verdict::Blocked, ""), Blocked);
        assert_eq!(of(Verdict::Inconclusive, "telemetry=unknown"), Unknown);
        assert_eq!(of(Verdict::Error, ""), Unknown);
    }

    #[test]
    fn a_comment_is_bounded_and_says_nothing_to_a_terminal() {
        let mut run = report("");
        (run.verdict, run.reason, run.experiment) = (Verdict::Error, evil(), evil());
        run.summary = None;
        let shown = layer(&vec![run; 100]);
        let comment = shown["techniques"][0]["comment"].as_str().expect("text");
        assert_eq!(comment.lines().count(), MAX_RUNS + 1, "{comment}");
        assert!(
            comment.ends_with("\nand 60 more") && !comment.contains(['\0', '\u{1b}', '\u{202e}', '\r']),
            "{comment:?}"
        );
        assert_eq!(layer(&[])["techniques"], json!([]));
    }
}
