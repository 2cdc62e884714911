//! How a link was tied to the run: the events that it rests on, what is weak about them, and what arrived and does not count.

use crate::campaign::attest::Cited;
use crate::collector::{Attribution, NotCounted, foreign};
use foil_manifest::TiedBy;
use foil_text::cut;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// What ties an alert of Falco's to its process for certain, as `foil.yaml`'s operator writes it into `falco.yaml`.
pub const FALCO_FIELDS: [&str; 4] = ["proc.pid", "proc.ppid", "proc.pid.ts", "proc.env[FOIL_RUN_ID]"];

/// Most fields of an event that a report repeats, and the longest value in bytes.
const MAX_FIELDS: usize = 64;
const MAX_VALUE: usize = 1024;

/// An event that a sighting rests on, as the host recorded it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct EvidenceEvent {
    /// The collector that recorded it.
    pub collector: String,
    /// Its place in the collector's log.
    pub sequence: u64,
    /// The collector's word for it, such as `execve` or `falco`.
    pub kind: String,
    /// When it happened, nanoseconds since 1970, by the sensor's clock.
    pub at: u64,
    /// How it was tied to this run.
    pub attribution: Attribution,
    /// Its fields, the first 64.
    pub fields: BTreeMap<String, String>,
}

impl EvidenceEvent {
    /// What a report repeats of an event.
    pub fn of(cited: &Cited) -> Self {
        let event = &cited.judged.event;
        let field = |(name, value): (&String, &String)| (cut(name, 256), cut(value, MAX_VALUE));
        // Where there are too many: which rule it was comes first, and one argument of many last.
        let place = |name: &str| match name.strip_prefix('a') {
            _ if name.starts_with("rule") => 0,
            Some(number) if number.starts_with(|c: char| c.is_ascii_digit()) => 2,
            _ => 1,
        };
        let mut fields: Vec<_> = event.fields.iter().collect();
        fields.sort_by_key(|(name, _)| place(name));
        Self {
            collector: cited.collector.clone(),
            sequence: cited.judged.sequence,
            kind: event.kind.clone(),
            at: event.at,
            attribution: cited.judged.attribution,
            fields: fields.into_iter().take(MAX_FIELDS).map(field).collect(),
        }
    }
}

/// What is weak about how a link was tied to the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Caution {
    /// Which weakness.
    pub kind: CautionKind,
    /// In a sentence, with what would mend it.
    pub text: String,
}

/// A weakness of a tie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CautionKind {
    /// By likeness: another process that does the same looks the same.
    Likeness,
    /// By time: whatever happened in the run's time would have done.
    TimeOnly,
    /// What the check saw outside of the collectors: its word, tied by time.
    CheckWord,
}

impl Caution {
    /// The caution with which a link is tied like this; `None` where the tie is certain. `events`: what it rests on.
    pub fn of(tied_by: TiedBy, events: &[Cited]) -> Option<Self> {
        let (kind, text) = match (tied_by, events) {
            (TiedBy::Process | TiedBy::Marker, _) => return None,
            (TiedBy::Likeness, _) => (
                CautionKind::Likeness,
                "it is tied to this run by likeness only: another process that does the same at that time looks the same",
            ),
            (TiedBy::Time, []) => (
                CautionKind::CheckWord,
                "it is the check's word for how things were, and tied to this run by time only",
            ),
            (TiedBy::Time, _) => (
                CautionKind::TimeOnly,
                "it is tied to this run by time only: whatever else raised it at that time would have done",
            ),
        };
        let falco = events.iter().any(|cited| foreign::is_falco_alert(&cited.judged.event.fields));
        Some(Self { kind, text: format!("{text}{}", if falco { falco_hint() } else { String::new() }) })
    }
}

/// Which of Falco's output fields to switch on.
pub fn falco_hint() -> String {
    let [pid, ppid, start, run] = FALCO_FIELDS;
    format!(
        "; let Falco name the process: `append_output` with the `extra_fields` {pid}, {ppid}, {start} and {run} (docs/collectors.md)"
    )
}

/// Events that the check would have taken, and that do not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Uncounted {
    /// How many.
    pub count: usize,
    /// There were more, which nobody counted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub at_least: bool,
    /// Why; where it says by how much time, of the nearest.
    #[serde(flatten)]
    pub why: NotCounted,
}

impl Uncounted {
    /// Puts together what does not count for the same reason, the reason that leaves most open first.
    pub fn group(reasons: impl IntoIterator<Item = NotCounted>) -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        for why in reasons {
            let same = |group: &&mut Self| std::mem::discriminant(&group.why) == std::mem::discriminant(&why);
            match groups.iter_mut().find(same) {
                Some(group) => {
                    *group = Self { count: group.count.saturating_add(1), why: group.why.min(why), at_least: false }
                }
                None => groups.push(Self { count: 1, why, at_least: false }),
            }
        }
        groups.sort_by_key(|group| group.why);
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::{Attribution, Judged, Recorded};
    use std::sync::Arc;

    #[test]
    fn which_rule_it_was_is_kept_of_an_event_with_many_arguments() {
        let names = (0..100).map(|n| format!("a{n}")).chain(["rule.title", "comm", "success"].map(str::to_owned));
        let event = Recorded {
            at: 0,
            kind: "match".into(),
            own_observation: false,
            process: None,
            likeness: None,
            fields: names.map(|name| (name, "x".to_owned())).collect(),
        };
        let judged = Judged { sequence: 1, attribution: Attribution::Tree, event: Arc::new(event) };
        let kept = EvidenceEvent::of(&Cited { collector: "rules".into(), judged });
        assert_eq!(kept.fields.len(), MAX_FIELDS);
        assert!(
            ["rule.title", "comm", "success"].iter().all(|name| kept.fields.contains_key(*name)),
            "{:?}",
            kept.fields
        );
    }
}
