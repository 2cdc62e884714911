//! Verdicts of links and of experiments. Pure.

use serde::Serialize;
use std::fmt;

/// What is known of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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

/// What is known of the hypothesis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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

/// The verdict of an experiment, and why, from how the technique went and its links in order.
pub fn judge(detonation: &Detonation, links: &[(String, LinkVerdict, Option<String>)]) -> (Verdict, String) {
    match detonation {
        Detonation::Blocked(why) => return (Verdict::Blocked, why.clone()),
        Detonation::Inconclusive(why) => return (Verdict::Inconclusive, why.clone()),
        Detonation::Error(why) => return (Verdict::Error, why.clone()),
        Detonation::Done => {}
    }
    let reason = |why: &Option<String>| why.as_ref().map(|w| format!(": {w}")).unwrap_or_default();
    // The first broken link is the one to mend; a link that could not be looked at says nothing about those behind it.
    if let Some((name, verdict, why)) =
        links.iter().find(|(_, v, _)| matches!(v, LinkVerdict::Missed | LinkVerdict::Late))
    {
        return (Verdict::Fail, format!("the first broken link is {name} ({verdict}){}", reason(why)));
    }
    if let Some((name, _, why)) = links.iter().find(|(_, v, _)| *v == LinkVerdict::Unknown) {
        return (Verdict::Inconclusive, format!("{name} is unknown{}", reason(why)));
    }
    if links.is_empty() {
        return (Verdict::Pass, "the technique ran; nothing was expected to notice".to_owned());
    }
    (Verdict::Pass, "every link was seen in time".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(verdicts: &[LinkVerdict]) -> Vec<(String, LinkVerdict, Option<String>)> {
        verdicts.iter().enumerate().map(|(i, v)| (format!("link-{i}"), *v, None)).collect()
    }

    #[test]
    fn the_first_broken_link_is_named() {
        use LinkVerdict::{Late, Missed, Seen, Unknown};
        let of = |verdicts: &[LinkVerdict]| judge(&Detonation::Done, &links(verdicts));
        assert_eq!(of(&[Seen, Seen]).0, Verdict::Pass);
        assert!(of(&[Seen, Missed, Missed]).1.contains("link-1"));
        assert_eq!(of(&[Seen, Late]).0, Verdict::Fail);
        assert_eq!(of(&[Unknown, Missed]).0, Verdict::Fail);
        assert_eq!(of(&[Seen, Unknown]).0, Verdict::Inconclusive);
        assert_eq!(of(&[]).0, Verdict::Pass);
    }

    #[test]
    fn a_technique_that_did_not_run_misses_nothing() {
        let missed = links(&[LinkVerdict::Missed]);
        assert_eq!(judge(&Detonation::Inconclusive("no root".into()), &missed).0, Verdict::Inconclusive);
        assert_eq!(judge(&Detonation::Blocked("EPERM".into()), &missed).0, Verdict::Blocked);
        assert_eq!(judge(&Detonation::Error("trap".into()), &missed).0, Verdict::Error);
    }
}
