//! `falco.alert`: did Falco raise an alert about what this run did?

use foil_sdk::events::Event;
use foil_sdk::prelude::*;
use foil_sdk::search::{Wanted, search_with};
use foil_sdk::{falco, pattern};

/// Falco's priorities, highest first.
const PRIORITIES: [&str; 8] =
    ["emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug"];

/// Where Falco puts what a rule's output names.
const FIELDS: [&str; 1] = ["output_fields."];

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Query {
    rule: Option<String>,
    priority: Option<String>,
    tag: Option<String>,
    #[serde(default)]
    fields: Vec<String>,
    namespace: Option<String>,
    pod: Option<String>,
    container: Option<String>,
    node: Option<String>,
    collector: String,
}

impl Query {
    /// Whether it happened where it was asked for.
    fn is_there(&self, event: &Event) -> bool {
        let fits = |wanted: &Option<String>, said: &[&str]| {
            wanted.as_ref().is_none_or(|wanted| said.iter().any(|said| pattern::matches(wanted, said)))
        };
        let said = |names: &[&str]| names.iter().filter_map(|name| event.field(name)).collect::<Vec<_>>();
        fits(&self.namespace, &said(&["output_fields.k8s.ns.name"]))
            && fits(&self.pod, &said(&["output_fields.k8s.pod.name"]))
            && fits(&self.container, &said(&["output_fields.container.name", "output_fields.container.id"]))
            && fits(&self.node, &falco::nodes(event))
    }
}

struct FalcoAlert;

impl Check for FalcoAlert {
    type Parameters = Query;

    fn probe(_: &Context, query: &Query, cursor: u64) -> Result<Observation> {
        let wanted = Wanted::new(&query.fields, None)?;
        let said = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.trim().is_empty());
        if wanted.is_empty() && !said(&query.rule) && !said(&query.tag) {
            let why = "say which alert by `rule`, `tag` or `fields`: any alert would match";
            return Err(Error::Invalid(why.to_owned()));
        }
        let lowest = query.priority.as_deref().map(rank).unwrap_or(Some(PRIORITIES.len()));
        let lowest = lowest.ok_or_else(|| Error::Invalid("`priority` is none of Falco's".to_owned()))?;
        search_with(&query.collector, cursor, |event| {
            let (rule, priority) = (event.field("rule")?, event.field("priority")?);
            let fits = query.rule.as_ref().is_none_or(|wanted| wanted == rule || pattern::matches(wanted, rule))
                && query.tag.as_ref().is_none_or(|wanted| tagged(event, wanted))
                && rank(priority).is_some_and(|rank| rank <= lowest)
                && wanted.fits(event, &FIELDS)
                && query.is_there(event);
            fits.then(|| Sighting::of(event, line(event, rule, priority)).severity(Some(priority)))
        })
    }
}

/// Falco writes a rule's tags as a list, of which none has a space in it.
fn tagged(event: &Event, wanted: &str) -> bool {
    event.field("tags").unwrap_or_default().split(' ').any(|tag| pattern::matches(wanted, tag))
}

/// A priority's place, 0 being the highest. Falco writes `Informational` in alerts and takes `info` in rules.
fn rank(priority: &str) -> Option<usize> {
    let priority = priority.to_ascii_lowercase();
    PRIORITIES.iter().position(|known| *known == priority || (*known == "informational" && priority == "info"))
}

/// Such as `Read sensitive file untrusted (Warning), cat /etc/shadow`.
fn line(event: &Event, rule: &str, priority: &str) -> String {
    let command = event.field("output_fields.proc.cmdline").map(|line| format!(", {line}")).unwrap_or_default();
    format!("{rule} ({priority}){command}")
}

foil_sdk::check!(FalcoAlert);

#[cfg(test)]
mod tests;
