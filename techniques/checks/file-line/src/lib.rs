//! `file.line`: did a sensor write a line about what this run did?

use foil_sdk::events::Event;
use foil_sdk::prelude::*;
use foil_sdk::search::{Wanted, search_or_doubt};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Query {
    collector: String,
    #[serde(default)]
    fields: Vec<String>,
    contains: Option<String>,
}

struct FileLine;

impl Check for FileLine {
    type Parameters = Query;

    fn probe(_: &Context, query: &Query, cursor: u64) -> Result<Observation> {
        let wanted = Wanted::new(&query.fields, query.contains.as_deref())?;
        if wanted.is_empty() {
            return Err(Error::Invalid("say which line by `fields` or `contains`: any line would match".to_owned()));
        }
        let found = |event: &Event| wanted.fits(event, &[]).then(|| Sighting::of(event, line(event)));
        search_or_doubt(&query.collector, cursor, found, |event| wanted.could_fit(event, &[]))
    }
}

/// The line itself.
fn line(event: &Event) -> String {
    event.field("line").or_else(|| event.field("raw")).unwrap_or_default().to_owned()
}

foil_sdk::check!(FileLine);

#[cfg(test)]
mod tests {
    use super::*;
    use foil_sdk::{Value, fake};

    fn host() -> fake::Host {
        let host = fake::Host::for_check(include_str!("../check.toml"));
        let event = fake::event("line").with("user.name", "ann").with("line", "sudo: ann : COMMAND=/bin/cat");
        host.event("file.auth", event);
        host
    }

    fn probe(query: &[(&str, Value)]) -> Result<Observation> {
        host().probe::<FileLine>(&[&[("collector", "file.auth".into())], query].concat(), 0)
    }

    #[test]
    fn lines_are_found_by_fields_and_by_text() {
        let seen = probe(&[("fields", Value::from(&["user.name=a*"][..])), ("contains", "COMMAND=".into())]).unwrap();
        assert_eq!(seen.sightings.len(), 1);
        assert_eq!(seen.sightings[0].summary, "sudo: ann : COMMAND=/bin/cat");
        assert!(probe(&[("contains", "su: ".into())]).unwrap().sightings.is_empty());
    }

    #[test]
    fn what_could_not_be_looked_at_is_no_empty_answer() {
        assert!(matches!(probe(&[]), Err(Error::Invalid(_))));
        assert!(matches!(probe(&[("fields", Value::from(&["x"][..]))]), Err(Error::Invalid(_))));
        let other = |name: &str| host().probe::<FileLine>(&[("collector", name.into()), ("contains", "x".into())], 0);
        assert!(matches!(other("inbox"), Err(Error::Denied(_))));
        assert_eq!(other("file.other").unwrap_err().code(), Some("dead-collector"));
    }
}
