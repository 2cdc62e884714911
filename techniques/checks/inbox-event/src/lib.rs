//! `inbox.event`: was an event pushed about what this run did?

use foil_sdk::events::Event;
use foil_sdk::prelude::*;
use foil_sdk::search::{Wanted, search_or_doubt};

/// The collector that it reads.
const INBOX: &str = "inbox";

/// Fields that hold how bad it is, in the sender's own word.
const SEVERITY: [&str; 4] = ["labels.severity", "severity", "priority", "level"];

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Query {
    kind: Option<String>,
    #[serde(default)]
    fields: Vec<String>,
    contains: Option<String>,
}

struct InboxEvent;

impl Check for InboxEvent {
    type Parameters = Query;

    fn probe(_: &Context, query: &Query, cursor: u64) -> Result<Observation> {
        let wanted = Wanted::new(&query.fields, query.contains.as_deref())?;
        if wanted.is_empty() {
            return Err(Error::Invalid("say which event by `fields` or `contains`: any event would match".to_owned()));
        }
        let is_kind = |event: &Event| query.kind.as_ref().is_none_or(|kind| *kind == event.kind);
        let severity = |event: &Event| SEVERITY.iter().find_map(|name| event.field(name)).map(ToOwned::to_owned);
        let found = |event: &Event| {
            let fits = is_kind(event) && wanted.fits(event, &[]);
            fits.then(|| Sighting::of(event, line(event)).severity(severity(event).as_deref()))
        };
        let could = |event: &Event| is_kind(event) && wanted.could_fit(event, &[]);
        search_or_doubt(INBOX, cursor, found, could)
    }
}

/// What it is, and the event itself.
fn line(event: &Event) -> String {
    let title = ["labels.alertname", "rule", "verb", "title", "message"].iter().find_map(|name| event.field(name));
    let text = title.or_else(|| event.field("raw")).unwrap_or_default();
    format!("{}: {text}", event.kind)
}

foil_sdk::check!(InboxEvent);

#[cfg(test)]
mod tests {
    use super::*;
    use foil_sdk::{Value, fake};

    fn probe(query: &[(&str, Value)]) -> Result<Observation> {
        let host = fake::Host::for_check(include_str!("../check.toml"));
        let event =
            fake::event("alertmanager").with("labels.alertname", "ShadowRead").with("labels.severity", "critical");
        host.event(INBOX, event);
        host.probe::<InboxEvent>(query, 0)
    }

    fn fields(text: &str) -> (&'static str, Value) {
        ("fields", Value::from(&[text][..]))
    }

    #[test]
    fn an_alert_is_found_by_kind_and_labels_with_its_severity() {
        let seen = probe(&[("kind", "alertmanager".into()), fields("labels.alertname=Shadow*")]).unwrap();
        assert_eq!(seen.sightings.len(), 1);
        let sighting = &seen.sightings[0];
        assert_eq!(sighting.summary, "alertmanager: ShadowRead");
        assert_eq!(sighting.severity.as_deref(), Some("critical"));
        for other in [&[("kind", "falco".into()), ("contains", "Shadow".into())][..], &[fields("labels.severity=info")]]
        {
            assert!(probe(other).unwrap().sightings.is_empty(), "{other:?}");
        }
    }

    #[test]
    fn a_query_that_any_event_matches_is_refused() {
        for query in [&[][..], &[("kind", "falco".into())], &[("contains", "".into())]] {
            assert!(matches!(probe(query), Err(Error::Invalid(_))), "{query:?}");
        }
    }
}
