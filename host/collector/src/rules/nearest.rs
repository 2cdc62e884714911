//! What a rule that matched nothing lacked: the event of the run that came nearest, and which of its fields did not match.

use super::correlator::Correlator;
use super::events::{Programs, is_about, streams, views};
use super::set::{Loaded, RuleSet};
use super::sigma::{Miss, Misses};
use super::tally::tally;
use crate::{Event, EventLog, Judged};
use foil_record::{Nearest, Tally, Unmatched};
use foil_text::cut;

/// Most events and rules that are looked at.
const MAX_EVENTS: usize = 5_000;
const MAX_RULES: usize = 8;

/// Most fields that are named.
const MAX_FIELDS: usize = 3;

/// What a rule lacked that a missed link names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lacking {
    /// The event that came nearest; `None`: no event satisfies any part of the rule, or none is lacking.
    pub nearest: Option<Nearest>,
    /// How far a correlation got.
    pub correlation: Option<Tally>,
}

/// Finds the event that came nearest to a rule that a link names by id or by a pattern of titles. `counts`: whether an event counts
/// for the link.
pub(super) fn find(
    rules: &RuleSet,
    wanted: &str,
    feeds: &[(&str, &EventLog)],
    (programs, correlator): (&Programs, &Correlator),
    counts: &dyn Fn(&Judged) -> bool,
) -> Lacking {
    let mut named: Vec<(usize, &Loaded)> = Vec::new();
    let mut counted = None;
    for loaded in rules.named(wanted).take(MAX_RULES) {
        let number = rules.rules().iter().position(|other| std::ptr::eq(other, loaded));
        let Some(number) = number else { continue };
        match loaded.rule.correlation() {
            Some(correlation) => {
                counted.get_or_insert_with(|| tally(number, loaded, correlation, correlator));
                named.extend(uncounted(rules, number, correlator));
            }
            None => named.push((number, loaded)),
        }
    }
    let mut best: Option<(Score, Nearest)> = None;
    for (feed, log) in feeds {
        let about = |loaded: &Loaded| -> Vec<_> {
            let Some(detection) = loaded.rule.detection() else { return Vec::new() };
            streams(feed).iter().copied().filter(|stream| is_about(&detection.logsource, *stream, feed)).collect()
        };
        let rules: Vec<_> = named.iter().take(MAX_RULES).map(|(_, loaded)| (*loaded, about(loaded))).collect();
        if rules.iter().all(|(_, streams)| streams.is_empty()) {
            continue;
        }
        for judged in events(log, counts) {
            let event = event_of(&judged);
            for (loaded, streams) in &rules {
                let Some(detection) = loaded.rule.detection() else { continue };
                for view in streams.iter().flat_map(|stream| views(&event, *stream, programs)) {
                    let misses = detection.misses(&view);
                    let score = Score { satisfied: misses.satisfied, missing: std::cmp::Reverse(misses.missing.len()) };
                    if misses.satisfied > 0 && best.as_ref().is_none_or(|(known, _)| score > *known) {
                        best = Some((score, nearest(loaded, feed, &event, &misses)));
                    }
                }
            }
        }
    }
    Lacking { nearest: best.map(|(_, nearest)| nearest), correlation: counted }
}

/// Better ones are greater.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Score {
    satisfied: usize,
    missing: std::cmp::Reverse<usize>,
}

/// The rules over single events below a correlation of which no match was counted.
fn uncounted<'a>(rules: &'a RuleSet, number: usize, correlator: &Correlator) -> Vec<(usize, &'a Loaded)> {
    let references = rules.graph().references(number);
    let lacking = references.iter().enumerate().filter(|(reference, _)| !correlator.has(number, *reference));
    let lacking: Vec<usize> = lacking.flat_map(|(_, rules)| rules.iter().copied()).collect();
    let mut found = Vec::new();
    for rule in lacking {
        match rules.rules().get(rule) {
            Some(loaded) if loaded.rule.correlation().is_some() => found.extend(uncounted(rules, rule, correlator)),
            Some(loaded) => found.push((rule, loaded)),
            None => {}
        }
    }
    found
}

fn events(log: &EventLog, counts: &dyn Fn(&Judged) -> bool) -> Vec<Judged> {
    let (mut cursor, mut found) = (0, Vec::new());
    loop {
        let page = log.read_judged(cursor, MAX_EVENTS.saturating_sub(found.len()), counts);
        cursor = page.next;
        found.extend(page.events);
        if page.drained || found.len() >= MAX_EVENTS {
            return found;
        }
    }
}

fn event_of(judged: &Judged) -> Event {
    Event {
        sequence: judged.sequence,
        at: judged.event.at,
        kind: judged.event.kind.clone(),
        attribution: judged.attribution,
        own_observation: judged.event.own_observation,
        fields: judged.event.fields.clone(),
    }
}

fn nearest(loaded: &Loaded, feed: &str, event: &Event, misses: &Misses) -> Nearest {
    let unmatched = |miss: &Miss| Unmatched {
        field: miss.field.as_ref().map(|field| cut(field, 80)),
        value: miss.value.as_ref().map(|value| cut(value, 160)),
        wants: cut(&miss.wants, 200),
    };
    Nearest {
        rule: cut(&loaded.rule.head.title, 200),
        collector: feed.to_owned(),
        sequence: event.sequence,
        kind: cut(&event.kind, 80),
        satisfied: misses.satisfied,
        items: misses.satisfied.saturating_add(misses.missing.len()),
        unmatched: misses.missing.iter().take(MAX_FIELDS).map(unmatched).collect(),
    }
}
