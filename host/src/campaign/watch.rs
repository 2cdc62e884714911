//! Watches one link from the moment of detonation until it is settled. The host owns time; the check only looks.

use super::attest::{Attested, Seen};
use super::experiment::Link;
use super::tie::{caution, evidence_event, falco_hint};
use crate::engine::PhaseError;
use foil_collector::Blindness;
use foil_collector::rules::Lacking;
use foil_manifest::TiedBy;
use foil_record::{Evidence, EvidenceEvent, LinkReport, LinkVerdict, NotCounted, Severity, Uncounted, Weight};
use foil_text::cut;
use std::future::Future;
use std::time::Duration;
use tokio::time::Instant;

/// The first wait between two looks at a source that does not wake us, and the longest.
const FIRST_WAIT: Duration = Duration::from_millis(25);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

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
    /// One look from `cursor` on, at what counts.
    fn look(&mut self, cursor: u64) -> impl Future<Output = Result<Seen, PhaseError>> + Send;
    /// Looks at all that arrived and does not count: what the check would have taken of it.
    fn look_at_the_rest(&mut self) -> impl Future<Output = Rest> + Send;
    /// Returns once there may be something new since the last look; never, where the source does not wake us.
    fn news(&self) -> impl Future<Output = ()> + Send;
    /// Returns once the run is to stop: the next look says so.
    fn stopped(&self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }
    /// Whether a look could show anything, where there was no news: something is recorded, or the check looks elsewhere too.
    fn is_worth_a_look(&self) -> bool {
        true
    }
    /// What was lacking to the rule that the link names, where it names one.
    fn lacking(&self) -> Lacking;
    /// Why absence would prove nothing.
    fn blind(&self) -> Option<Blindness>;
}

/// An event that the check would have taken, and that does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passed {
    /// Why not.
    pub why: NotCounted,
    /// It is an alert of Falco's.
    pub falco: bool,
}

/// The events of a look at what does not count.
#[derive(Debug, Clone, Default)]
pub struct Rest {
    /// The events that were read.
    pub passed: Vec<Passed>,
    /// Whether the look ended before all events were read.
    pub more: bool,
}

/// Watches until the link is seen or its time and grace are over. `demanded`: the weakest tie that counts.
pub async fn watch(link: &Link, zero: Zero, demanded: TiedBy, sight: &mut impl Sight) -> LinkReport {
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
        tied_by: None,
        caution: None,
        uncounted: Vec::new(),
        nearest: None,
        correlation: None,
        sensors: Vec::new(),
    };
    let deadline = zero.instant + link.within() + link.grace();
    let (mut cursor, mut wait) = (0, FIRST_WAIT);
    let mut remark: Option<String> = None;
    let failed = loop {
        // Asked before the look, so that the last look is one that began after the deadline.
        let last = Instant::now() >= deadline;
        let failed = match sight.look(cursor).await {
            Ok(seen) => {
                cursor = seen.cursor;
                report.looked_at = report.looked_at.saturating_add(u64::from(seen.looked_at));
                remark.clone_from(&seen.remark);
                if take(&mut report, seen, link, zero, demanded) {
                    return report;
                }
                None
            }
            Err(error @ PhaseError::Unfounded(_)) => return unknown(report, error.to_string()),
            Err(
                error @ (PhaseError::Limit(_)
                | PhaseError::Flooded { .. }
                | PhaseError::Trap(_)
                | PhaseError::Denied { .. }
                | PhaseError::Cancelled),
            ) => {
                return unknown(report, format!("the check could not look: {error}"));
            }
            // It will not be armed later: waiting would tell nothing more.
            Err(PhaseError::Failed { code, message }) if code == "dead-collector" => {
                let why = sight.blind().map_or(message, |blind| blind.to_string());
                return unknown(report, why);
            }
            // A later event may settle it; at the end it is why nothing is known.
            Err(PhaseError::Failed { code, message }) if code == "incomplete" => Some(message),
            Err(error) => Some(format!("the check could not look: {error}")),
        };
        if last {
            break failed;
        }
        loop {
            tokio::select! {
                () = sight.news() => wait = FIRST_WAIT,
                () = tokio::time::sleep(wait) => wait = (wait * 2).min(LONGEST_WAIT),
                () = tokio::time::sleep_until(deadline) => {}
                () = sight.stopped() => break,
            }
            // Thousands of experiments that wait for their first event cost nothing meanwhile.
            if failed.is_some() || sight.is_worth_a_look() || Instant::now() >= deadline {
                break;
            }
        }
    };
    if report.verdict == LinkVerdict::Weak {
        return report;
    }
    let blind = sight.blind();
    // Once more from the beginning: what was read before the host knew whose it is may be known by now to be this run's.
    if let Ok(seen) = sight.look(0).await
        && take(&mut report, seen, link, zero, demanded)
    {
        return report;
    }
    // Before the check's own failure: a collector that was never armed is why it could not look.
    if let Some(blind) = blind {
        return unknown(report, blind.to_string());
    }
    if let Some(why) = failed {
        return unknown(report, why);
    }
    if report.evidence.iter().any(|e| e.own_observation) {
        return unknown(report, "only Foil itself observed it, which says nothing of a sensor".to_owned());
    }
    if report.verdict == LinkVerdict::Weak {
        return report;
    }
    report.remark = remark.map(|remark| cut(&remark, 1024));
    let lacking = sight.lacking();
    (report.nearest, report.correlation) = (lacking.nearest, lacking.correlation);
    missed(report, link, sight.look_at_the_rest().await)
}

fn unknown(mut report: LinkReport, reason: String) -> LinkReport {
    report.verdict = LinkVerdict::Unknown;
    report.reason = Some(reason);
    report
}

/// Nothing that counts was there to the end. `rest`: what arrived and does not count.
fn missed(mut report: LinkReport, link: &Link, rest: Rest) -> LinkReport {
    let Rest { passed: rest, more } = rest;
    let loose = |passed: &Passed| matches!(passed.why, NotCounted::Untold | NotCounted::WeakTie { .. });
    let hint = if rest.iter().any(|passed| passed.falco && loose(passed)) { falco_hint() } else { String::new() };
    report.uncounted.extend(Uncounted::group(rest.iter().map(|passed| passed.why)));
    report.uncounted.iter_mut().for_each(|uncounted| uncounted.at_least = more);
    let arrived = foil_report::uncounted(&report).map(|arrived| arrived + &hint);
    // It may have been this run's: to say that it was missed would be a guess.
    if let Some(arrived) = arrived.clone().filter(|_| report.uncounted.iter().any(|u| u.why == NotCounted::Untold)) {
        return unknown(report, arrived);
    }
    let span = Duration::from_millis(report.within_ms) + link.grace();
    let absence = match &report.remark {
        Some(remark) => format!("not within {span:?}: {remark}"),
        None => format!("nothing of this run was recorded within {span:?} ({} events looked at)", report.looked_at),
    };
    report.reason = Some(arrived.map_or(absence.clone(), |arrived| format!("{absence}; {arrived}")));
    report
}

/// A sighting that counts, as far as a link's verdict needs it, better ones first: in time, well tied, early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    late: bool,
    tied_by: TiedBy,
    at: u64,
}

/// Adds what was seen; `true` once the link is settled.
fn take(report: &mut LinkReport, seen: Seen, link: &Link, zero: Zero, demanded: TiedBy) -> bool {
    let now = crate::capability::unix_nanos();
    let (mut best, mut weak): (Option<(Rank, Attested)>, Option<Attested>) = (None, None);
    for mut sighting in seen.sightings {
        // No log has judged what a check saw elsewhere: it lies between the detonation and now, and is tied by time.
        if sighting.events.is_empty() {
            if !(zero.unix_ns..=now).contains(&sighting.at) {
                continue;
            }
            if demanded < TiedBy::Time {
                report.uncounted = Uncounted::group([NotCounted::WeakTie { tied_by: TiedBy::Time, demanded }]);
                continue;
            }
        }
        // It is there, whatever its clock says: one that is ahead must make nothing late.
        sighting.at = sighting.at.min(now);
        let Some(tied_by) = sighting.attribution.tied_by() else { continue };
        keep(report, &sighting);
        if sighting.own_observation {
            continue;
        }
        let severity = sighting.severity.as_deref().and_then(Severity::of);
        if severity > report.severity.as_deref().and_then(Severity::of) || report.severity.is_none() {
            report.severity = sighting.severity.as_deref().map(|word| cut(word, 64));
        }
        let weight = Weight::of(sighting.severity.as_deref());
        if link.min_severity.is_some_and(|least| !weight.is_at_least(least)) {
            if weak.as_ref().is_none_or(|other| sighting.at < other.at) {
                weak = Some(sighting);
            }
            continue;
        }
        let late = sighting.at.saturating_sub(zero.unix_ns) > nanos(link.within());
        let rank = Rank { late, tied_by, at: sighting.at };
        if best.as_ref().is_none_or(|(other, _)| rank < *other) {
            best = Some((rank, sighting));
        }
    }
    let settled = best.is_some();
    let Some(sighting) = best.map(|(_, sighting)| sighting).or(weak) else { return false };
    let after = sighting.at.saturating_sub(zero.unix_ns);
    report.after_ms = Some(millis(after));
    report.tied_by = sighting.attribution.tied_by();
    report.caution = report.tied_by.and_then(|tied_by| caution(tied_by, &sighting.events));
    report.uncounted.clear();
    if !settled {
        // One that is heavy enough may yet come.
        report.verdict = LinkVerdict::Weak;
        report.reason = link.min_severity.map(|least| {
            let seen = report.severity.as_deref();
            Weight::of(seen).too_little(seen.unwrap_or_default(), least)
        });
        return false;
    }
    report.noticed_ms = Some(millis(now.saturating_sub(sighting.at)));
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

/// Keeps a sighting as evidence, once: the last look sees again what earlier ones saw.
fn keep(report: &mut LinkReport, sighting: &Attested) {
    let evidence = Evidence {
        summary: sighting.summary.clone(),
        attribution: sighting.attribution,
        own_observation: sighting.own_observation,
        events: sighting.events.iter().map(evidence_event).collect(),
        facts: sighting.facts.clone(),
    };
    let same = |kept: &Evidence| {
        let places = |events: &[EvidenceEvent]| {
            events.iter().map(|event| (event.collector.clone(), event.sequence)).collect::<Vec<_>>()
        };
        kept.summary == evidence.summary && places(&kept.events) == places(&evidence.events)
    };
    if report.evidence.len() < MAX_EVIDENCE && !report.evidence.iter().any(same) {
        report.evidence.push(evidence);
    }
}

#[allow(clippy::cast_precision_loss, reason = "milliseconds for people")]
fn millis(ns: u64) -> f64 {
    ns as f64 / 1e6
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
