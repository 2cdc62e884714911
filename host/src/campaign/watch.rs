//! Watches one link from the moment of detonation until it is settled. The host owns time; the check only looks.

use super::experiment::Link;
use super::severity::Severity;
use super::verdict::LinkVerdict;
use crate::collector::{Attribution, Blindness, ClockGrain};
use crate::engine::PhaseError;
use crate::engine::bindings::check::Observation;
use crate::engine::bindings::imports::events_read;
use crate::report::{Evidence, LinkReport};
use std::future::Future;
use std::time::Duration;
use tokio::time::Instant;

/// The first wait between two looks at a source that does not wake us, and the longest.
const FIRST_WAIT: Duration = Duration::from_millis(25);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// How far a sensor's clock may be ahead of ours.
const AHEAD: Duration = Duration::from_secs(60);

/// Evidence kept a link.
const MAX_EVIDENCE: usize = 10;

/// The moment of detonation by both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Zero {
    /// For waiting.
    pub instant: Instant,
    /// For comparing with a sensor's time, nanoseconds since 1970.
    pub unix_ns: u64,
}

/// What a watch needs of the world.
pub trait Sight {
    /// One look from `cursor` on.
    fn look(&mut self, cursor: u64) -> impl Future<Output = Result<Observation, PhaseError>> + Send;
    /// Returns once there may be something new since the last look; never, where the source does not wake us.
    fn news(&self) -> impl Future<Output = ()> + Send;
    /// Why absence would prove nothing.
    fn blind(&self) -> Option<Blindness>;
    /// How exact the time is that a source gave to what happened at `at`: only a coarse one may lie before what caused it.
    fn grain(&self, at: u64) -> ClockGrain;
}

/// Watches until the link is seen or its time and grace are over.
pub async fn watch(link: &Link, zero: Zero, sight: &mut impl Sight) -> LinkReport {
    let mut report = LinkReport {
        link: link.link.to_string(),
        check: link.check.clone(),
        verdict: LinkVerdict::Missed,
        reason: None,
        after_ms: None,
        noticed_ms: None,
        within_ms: u64::try_from(link.within().as_millis()).unwrap_or(u64::MAX),
        own_rules: false,
        evidence: Vec::new(),
        looked_at: 0,
        severity: None,
        contradicted: false,
        remark: None,
    };
    let deadline = zero.instant + link.within() + link.grace();
    let (mut cursor, mut wait) = (0, FIRST_WAIT);
    let mut remark: Option<String> = None;
    let failed = loop {
        // Asked before the look, so that the last look is one that began after the deadline.
        let last = Instant::now() >= deadline;
        let failed = match sight.look(cursor).await {
            Ok(observation) => {
                cursor = observation.cursor;
                report.looked_at = report.looked_at.saturating_add(u64::from(observation.looked_at));
                remark.clone_from(&observation.remark);
                let grain = |at| sight.grain(at);
                if take(&mut report, observation, link, zero, grain) {
                    return report;
                }
                None
            }
            Err(
                error
                @ (PhaseError::Limit(_) | PhaseError::Trap(_) | PhaseError::Denied { .. } | PhaseError::Cancelled),
            ) => {
                return unknown(report, format!("the check could not look: {error}"));
            }
            // It will not be armed later: waiting would tell nothing more.
            Err(PhaseError::Failed { code, message }) if code == "dead-collector" => {
                let why = sight.blind().map_or(message, |blind| blind.to_string());
                return unknown(report, why);
            }
            Err(error) => Some(error.to_string()),
        };
        if last {
            break failed;
        }
        tokio::select! {
            () = sight.news() => wait = FIRST_WAIT,
            () = tokio::time::sleep(wait) => wait = (wait * 2).min(LONGEST_WAIT),
            () = tokio::time::sleep_until(deadline) => {}
        }
    };
    if report.verdict == LinkVerdict::Weak {
        return report;
    }
    // Before the check's own failure: a collector that was never armed is why it could not look.
    if let Some(blind) = sight.blind() {
        return unknown(report, blind.to_string());
    }
    if let Some(error) = failed {
        return unknown(report, format!("the check could not look: {error}"));
    }
    if report.evidence.iter().any(|e| e.own_observation) {
        return unknown(report, "only Foil itself observed it, which says nothing of a sensor".to_owned());
    }
    let span = Duration::from_millis(report.within_ms) + link.grace();
    report.remark = remark.map(|remark| crate::engine::cut(&remark, 1024));
    report.reason = Some(match &report.remark {
        Some(remark) => format!("not within {span:?}: {remark}"),
        None => format!("nothing of this run was recorded within {span:?} ({} events looked at)", report.looked_at),
    });
    report
}

fn unknown(mut report: LinkReport, reason: String) -> LinkReport {
    report.verdict = LinkVerdict::Unknown;
    report.reason = Some(reason);
    report
}

/// Adds what was seen; `true` once the link is settled.
fn take(
    report: &mut LinkReport,
    observation: Observation,
    link: &Link,
    zero: Zero,
    grain: impl Fn(u64) -> ClockGrain,
) -> bool {
    let now = crate::capability::unix_nanos();
    let mut first: Option<u64> = None;
    let mut weak: Option<u64> = None;
    for sighting in observation.sightings {
        let attribution = match sighting.attribution {
            events_read::Attribution::Tree => Attribution::Tree,
            events_read::Attribution::Marker => Attribution::Marker,
            events_read::Attribution::Likeness => Attribution::Likeness,
            events_read::Attribution::Window => Attribution::Window,
            // A check that counts a stranger's event is wrong; it is not believed.
            events_read::Attribution::Stranger => continue,
        };
        // What happened before the detonation, as in the warm-up, is not the technique; what is yet to happen is a lie.
        let before = sighting.at < zero.unix_ns && grain(sighting.at).latest(sighting.at) < zero.unix_ns;
        if before || sighting.at > now.saturating_add(nanos(AHEAD)) {
            continue;
        }
        if report.evidence.len() < MAX_EVIDENCE {
            report.evidence.push(Evidence {
                summary: crate::engine::cut(&sighting.summary, 1024),
                attribution,
                own_observation: sighting.own_observation,
                facts: sighting.facts.into_iter().map(|f| (f.name, crate::engine::cut(&f.value, 1024))).collect(),
            });
        }
        if sighting.own_observation {
            continue;
        }
        let severity = sighting.severity.as_deref().and_then(Severity::of);
        if severity > report.severity.as_deref().and_then(Severity::of) || report.severity.is_none() {
            report.severity = sighting.severity.as_deref().map(|word| crate::engine::cut(word, 64));
        }
        let enough = link.min_severity.is_none_or(|least| severity.is_some_and(|severity| severity >= least));
        let earliest = if enough { &mut first } else { &mut weak };
        *earliest = Some(earliest.map_or(sighting.at, |at| at.min(sighting.at)));
    }
    let Some(at) = first else {
        // Not settled: one that is heavy enough may yet come.
        if let Some(at) = weak {
            report.after_ms = Some(millis(at.saturating_sub(zero.unix_ns)));
            report.verdict = LinkVerdict::Weak;
            report.reason = link.min_severity.map(|least| {
                let seen = report.severity.as_deref().unwrap_or("none");
                format!("it was seen with the severity {seen}, and at least {} was asked for", least.word())
            });
        }
        return false;
    };
    let after = at.saturating_sub(zero.unix_ns);
    report.after_ms = Some(millis(after));
    report.noticed_ms = Some(millis(now.saturating_sub(at)));
    if after <= nanos(link.within()) {
        report.verdict = LinkVerdict::Seen;
        report.reason = None;
    } else {
        report.verdict = LinkVerdict::Late;
        report.reason =
            Some(format!("it came {:.1} ms after the detonation; {} ms were allowed", millis(after), report.within_ms));
    }
    true
}

#[allow(clippy::cast_precision_loss, reason = "milliseconds for people")]
fn millis(ns: u64) -> f64 {
    ns as f64 / 1e6
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::bindings::check::Sighting;

    struct Script {
        looks: Vec<Result<Observation, PhaseError>>,
        blind: Option<Blindness>,
        grain: ClockGrain,
    }

    impl Sight for Script {
        async fn look(&mut self, cursor: u64) -> Result<Observation, PhaseError> {
            if self.looks.is_empty() {
                return Ok(Observation { sightings: vec![], cursor, looked_at: 0, remark: None });
            }
            self.looks.remove(0)
        }
        async fn news(&self) {
            std::future::pending().await
        }
        fn blind(&self) -> Option<Blindness> {
            self.blind.clone()
        }
        fn grain(&self, _: u64) -> ClockGrain {
            self.grain
        }
    }

    const ZERO_NS: u64 = 1_000_000_000_000;

    fn seen(
        after_ms: i64,
        attribution: events_read::Attribution,
        own_observation: bool,
    ) -> Result<Observation, PhaseError> {
        let at = ZERO_NS.saturating_add_signed(after_ms * 1_000_000);
        let summary = "execve".to_owned();
        let sighting = Sighting { at, summary, attribution, own_observation, severity: None, facts: vec![] };
        Ok(Observation { sightings: vec![sighting], cursor: 1, looked_at: 1, remark: None })
    }

    async fn verdict(looks: Vec<Result<Observation, PhaseError>>, blind: Option<Blindness>) -> LinkReport {
        by_clock(ClockGrain::EXACT, looks, blind).await
    }

    async fn by_clock(
        grain: ClockGrain,
        looks: Vec<Result<Observation, PhaseError>>,
        blind: Option<Blindness>,
    ) -> LinkReport {
        let text =
            "experiment: x\ntechnique: a.b\nexpect: [{ link: telemetry, check: c.d, within: 100ms, grace: 100ms }]";
        let experiment = super::super::experiment::parse(text).expect("valid");
        let zero = Zero { instant: Instant::now(), unix_ns: ZERO_NS };
        watch(&experiment.expect[0], zero, &mut Script { looks, blind, grain }).await
    }

    #[tokio::test]
    async fn only_a_coarse_clock_may_date_an_event_before_the_detonation() {
        use events_read::Attribution::Tree;
        let early = |ms: i64| vec![seen(-ms, Tree, false)];
        // Falco stamps nanoseconds: what comes before the detonation is set-up.
        for ms in [1, 5, 10] {
            assert_eq!(verdict(early(ms), None).await.verdict, LinkVerdict::Missed, "{ms} ms");
        }
        let coarse = async |ms| by_clock(ClockGrain::COARSE, early(ms), None).await.verdict;
        assert_eq!(coarse(10).await, LinkVerdict::Seen);
        assert_eq!(coarse(12).await, LinkVerdict::Missed);
        assert_eq!(by_clock(ClockGrain::of_digits(3), early(1), None).await.verdict, LinkVerdict::Seen);
        assert_eq!(by_clock(ClockGrain::of_digits(3), early(2), None).await.verdict, LinkVerdict::Missed);
    }

    #[tokio::test]
    async fn verdicts() {
        use events_read::Attribution::{Stranger, Tree};
        assert_eq!(verdict(vec![seen(5, Tree, false)], None).await.verdict, LinkVerdict::Seen);
        assert_eq!(verdict(vec![seen(150, Tree, false)], None).await.verdict, LinkVerdict::Late);
        assert_eq!(verdict(vec![], None).await.verdict, LinkVerdict::Missed);
        assert_eq!(verdict(vec![seen(5, Stranger, false)], None).await.verdict, LinkVerdict::Missed);
        // Before the detonation, as in a warm-up.
        assert_eq!(verdict(vec![seen(-50, Tree, false)], None).await.verdict, LinkVerdict::Missed);
    }

    #[tokio::test]
    async fn what_could_not_be_looked_at_is_unknown_and_never_missed() {
        use events_read::Attribution::Tree;
        let lost = Blindness::Lost("3 by the kernel".into());
        assert_eq!(verdict(vec![], Some(lost.clone())).await.verdict, LinkVerdict::Unknown);
        // Lost events make an absence worthless, not a sighting.
        assert_eq!(verdict(vec![seen(5, Tree, false)], Some(lost)).await.verdict, LinkVerdict::Seen);
        assert_eq!(
            verdict(vec![Err(PhaseError::Trap("unreachable".into()))], None).await.verdict,
            LinkVerdict::Unknown
        );
        let own = verdict(vec![seen(5, Tree, true)], None).await;
        assert_eq!((own.verdict, own.evidence.len()), (LinkVerdict::Unknown, 1));
    }
}
