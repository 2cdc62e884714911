//! What a report says of the events that a link rests on.

use super::attest::Cited;
use foil_collector::foreign;
use foil_manifest::TiedBy;
use foil_record::{Caution, CautionKind, EvidenceEvent};
use foil_text::cut;

/// What ties an alert of Falco's to its process for certain, as `foil.yaml`'s operator writes it into `falco.yaml`.
pub const FALCO_FIELDS: [&str; 4] = ["proc.pid", "proc.ppid", "proc.pid.ts", "proc.env[FOIL_RUN_ID]"];

/// Most fields of an event that a report repeats, and the longest value in bytes.
const MAX_FIELDS: usize = 64;
const MAX_VALUE: usize = 1024;

/// What a report repeats of an event.
pub fn evidence_event(cited: &Cited) -> EvidenceEvent {
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
    EvidenceEvent {
        collector: cited.collector.clone(),
        sequence: cited.judged.sequence,
        kind: event.kind.clone(),
        at: event.at,
        attribution: cited.judged.attribution,
        fields: fields.into_iter().take(MAX_FIELDS).map(field).collect(),
    }
}

/// The caution with which a link is tied like this; `None` where the tie is certain. `events`: what it rests on.
pub fn caution(tied_by: TiedBy, events: &[Cited]) -> Option<Caution> {
    let (kind, text) = match (tied_by, events) {
        (TiedBy::Process | TiedBy::Marker, _) => return None,
        (TiedBy::Likeness, _) => (
            CautionKind::Likeness,
            "it is tied to this run by likeness only: another process that does the same at that time looks the same",
        ),
        (TiedBy::Time, []) => {
            (CautionKind::CheckWord, "it is the check's word for how things were, and tied to this run by time only")
        }
        (TiedBy::Time, _) => (
            CautionKind::TimeOnly,
            "it is tied to this run by time only: whatever else raised it at that time would have done",
        ),
    };
    let falco = events.iter().any(|cited| foreign::is_falco_alert(&cited.judged.event.fields));
    Some(Caution { kind, text: format!("{text}{}", if falco { falco_hint() } else { String::new() }) })
}

/// Which of Falco's output fields to switch on.
pub fn falco_hint() -> String {
    let [pid, ppid, start, run] = FALCO_FIELDS;
    format!(
        "; let Falco name the process: `append_output` with the `extra_fields` {pid}, {ppid}, {start} and {run} (docs/collectors.md)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use foil_collector::{Judged, Recorded};
    use foil_record::Attribution;
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
        let kept = evidence_event(&Cited { collector: "rules".into(), judged });
        assert_eq!(kept.fields.len(), MAX_FIELDS);
        assert!(
            ["rule.title", "comm", "success"].iter().all(|name| kept.fields.contains_key(*name)),
            "{:?}",
            kept.fields
        );
    }
}
