//! Verdicts of links and of experiments. Pure.

use crate::{Caution, LinkReport, Outcome};
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt;

/// What is known of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LinkVerdict {
    /// In time.
    Seen,
    /// Within its grace.
    Late,
    /// Seen, but below the severity asked for: one that nobody will read.
    Weak,
    /// Looked for to the end and not there.
    Missed,
    /// The benign twin raised it too.
    Noisy,
    /// Could not look: absence proves nothing.
    Unknown,
}

impl fmt::Display for LinkVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Seen => "seen",
            Self::Late => "late",
            Self::Weak => "weak",
            Self::Missed => "missed",
            Self::Noisy => "noisy",
            Self::Unknown => "unknown",
        })
    }
}

/// How the technique itself went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detonation {
    /// It did what it does.
    Done,
    /// It was prevented, and not by our own shield or policy.
    Blocked(String),
    /// It could not run: no root, missing tool, prerequisite, shield, stopped.
    Inconclusive(String),
    /// It broke: a limit, a trap, a denial, a failure of the host.
    Error(String),
}

impl Detonation {
    /// Returns what it means where it happened in the warm-up: the technique's act was never tried, so nothing that refused the
    /// preparation is known to prevent the technique.
    pub fn in_warm_up(self) -> Self {
        match self {
            Self::Blocked(why) => {
                Self::Inconclusive(format!("{why}; this was in the warm-up, so the technique was not tried (warm-up)"))
            }
            other => other,
        }
    }
}

/// What is known of the hypothesis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every link as expected.
    Pass,
    /// As expected, but not at the first attempt.
    Flaky,
    /// A link is broken.
    Fail,
    /// A control prevented the technique.
    Blocked,
    /// It could not run, or could not be looked at.
    Inconclusive,
    /// It broke.
    Error,
}

impl Verdict {
    /// Every one.
    pub const ALL: [Self; 6] = [Self::Pass, Self::Flaky, Self::Fail, Self::Blocked, Self::Inconclusive, Self::Error];
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pass => "pass",
            Self::Flaky => "flaky",
            Self::Fail => "fail",
            Self::Blocked => "blocked",
            Self::Inconclusive => "inconclusive",
            Self::Error => "error",
        })
    }
}

/// What is known of each link, as `judge` needs it.
#[derive(Debug, Clone, Copy)]
pub struct Judged<'a> {
    /// The hop's name.
    pub link: &'a str,
    /// Its verdict.
    pub verdict: LinkVerdict,
    /// Why.
    pub reason: Option<&'a str>,
    /// It is tied to the run with a caution.
    pub caution: Option<&'a Caution>,
}

impl<'a> Judged<'a> {
    /// What is known of a link that was watched.
    pub fn of(link: &'a LinkReport) -> Self {
        Self { link: &link.link, verdict: link.verdict, reason: link.reason.as_deref(), caution: link.caution.as_ref() }
    }
}

impl LinkVerdict {
    /// Something of this run was there, in time or not, heavy enough or not.
    pub fn is_there(self) -> bool {
        matches!(self, Self::Seen | Self::Late | Self::Weak | Self::Noisy)
    }

    fn is_broken(self) -> bool {
        matches!(self, Self::Missed | Self::Late | Self::Weak | Self::Noisy)
    }
}

/// The verdict of an experiment, and why, from how the technique went, what was to happen to it, and its links in order.
pub fn judge(detonation: &Detonation, outcome: Outcome, links: &[Judged<'_>]) -> (Verdict, String) {
    match (detonation, outcome) {
        (Detonation::Blocked(why), Outcome::Detected) => {
            return (Verdict::Fail, format!("it was prevented ({why}), so that its detection was not put to the test"));
        }
        (Detonation::Blocked(why), _) => return (Verdict::Blocked, why.clone()),
        (Detonation::Inconclusive(why), _) => return (Verdict::Inconclusive, why.clone()),
        (Detonation::Error(why), _) => return (Verdict::Error, why.clone()),
        (Detonation::Done, Outcome::Prevented) => {
            return (Verdict::Fail, "nothing prevented the technique: it ran to its end".to_owned());
        }
        (Detonation::Done, _) => {}
    }
    let because = |link: &Judged<'_>| link.reason.map(|why| format!(": {why}")).unwrap_or_default();
    // The first broken link is the one to mend; a link that could not be looked at says nothing about those behind it.
    if let Some(link) = links.iter().find(|link| link.verdict.is_broken()) {
        let Judged { link: name, verdict, .. } = link;
        return (Verdict::Fail, format!("the first broken link is {name} ({verdict}){}", because(link)));
    }
    if let Some(link) = links.iter().find(|link| link.verdict == LinkVerdict::Unknown) {
        return (Verdict::Inconclusive, format!("{} is unknown{}", link.link, because(link)));
    }
    if links.is_empty() {
        return (Verdict::Pass, "the technique ran; nothing was expected to notice".to_owned());
    }
    let cautions = links.iter().filter_map(|link| Some(format!("; {}: {}", link.link, link.caution?.text)));
    (Verdict::Pass, format!("every link was seen in time{}", cautions.collect::<String>()))
}

/// Which links were missed although one behind them was there: it cannot be, so that the check, or what it reads, is wrong.
pub fn contradicted(verdicts: &[LinkVerdict]) -> Vec<bool> {
    let behind = |at: usize| verdicts.iter().skip(at.saturating_add(1)).any(|v| v.is_there());
    verdicts.iter().enumerate().map(|(at, verdict)| *verdict == LinkVerdict::Missed && behind(at)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use LinkVerdict::{Late, Missed, Noisy, Seen, Unknown, Weak};

    fn of(detonation: &Detonation, outcome: Outcome, verdicts: &[LinkVerdict]) -> (Verdict, String) {
        const NAMES: [&str; 3] = ["telemetry", "rule", "detection"];
        let link = |(link, verdict): (&'static str, &LinkVerdict)| Judged {
            link,
            verdict: *verdict,
            reason: None,
            caution: None,
        };
        judge(detonation, outcome, &NAMES.into_iter().zip(verdicts).map(link).collect::<Vec<_>>())
    }

    #[test]
    fn the_first_broken_link_is_named() {
        for (verdicts, verdict, word) in [
            (&[Seen, Seen][..], Verdict::Pass, "every link"),
            (&[Seen, Missed, Missed], Verdict::Fail, "rule (missed)"),
            (&[Seen, Late], Verdict::Fail, "rule (late)"),
            (&[Weak, Seen], Verdict::Fail, "telemetry (weak)"),
            (&[Seen, Seen, Noisy], Verdict::Fail, "detection (noisy)"),
            (&[Unknown, Missed], Verdict::Fail, "rule (missed)"),
            (&[Seen, Unknown], Verdict::Inconclusive, "rule is unknown"),
            (&[], Verdict::Pass, "nothing was expected"),
        ] {
            let judged = of(&Detonation::Done, Outcome::Either, verdicts);
            assert!(judged.0 == verdict && judged.1.contains(word), "{verdicts:?}: {judged:?}");
        }
    }

    #[test]
    fn a_technique_that_did_not_run_misses_nothing() {
        let blocked = Detonation::Blocked("EPERM".into());
        for (detonation, outcome, verdict) in [
            (Detonation::Inconclusive("no root".into()), Outcome::Either, Verdict::Inconclusive),
            (blocked.clone(), Outcome::Either, Verdict::Blocked),
            (blocked.clone(), Outcome::Prevented, Verdict::Blocked),
            (blocked, Outcome::Detected, Verdict::Fail),
            (Detonation::Error("trap".into()), Outcome::Prevented, Verdict::Error),
            (Detonation::Done, Outcome::Prevented, Verdict::Fail),
        ] {
            assert_eq!(of(&detonation, outcome, &[Missed]).0, verdict, "{detonation:?} {outcome:?}");
        }
    }

    #[test]
    fn a_refusal_in_the_warm_up_blocks_nothing() {
        let refused = Detonation::Blocked("exceeded quota".into()).in_warm_up();
        for outcome in [Outcome::Either, Outcome::Prevented, Outcome::Detected] {
            let (verdict, why) = of(&refused, outcome, &[Missed]);
            assert!(verdict == Verdict::Inconclusive && why.contains("quota") && why.contains("warm-up"), "{why}");
        }
        let error = Detonation::Error("trap".into());
        assert_eq!(error.clone().in_warm_up(), error);
    }

    #[test]
    fn what_was_seen_behind_a_miss_contradicts_it() {
        assert_eq!(contradicted(&[Seen, Missed, Weak]), [false, true, false]);
        assert_eq!(contradicted(&[Missed, Missed, Unknown]), [false, false, false]);
    }
}
