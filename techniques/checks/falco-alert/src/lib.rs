//! `falco.alert`: did Falco raise an alert about what this run did?

mod expected;
mod priority;

use expected::{Expected, Reason};
use foil_sdk::events::Event;
use foil_sdk::prelude::*;
use foil_sdk::search::{Wanted, search_or_doubt};
use foil_sdk::{Fact, falco, pattern};
use priority::{PRIORITIES, Priority};

/// Where Falco puts what a rule's output names.
const FIELDS: [&str; 1] = ["output_fields."];

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Query {
    rule: Option<String>,
    priority: Option<String>,
    tag: Option<String>,
    #[serde(default)]
    exact: bool,
    #[serde(default)]
    attack: Vec<String>,
    test: Option<String>,
    #[serde(default)]
    fields: Vec<String>,
    namespace: Option<String>,
    pod: Option<String>,
    container: Option<String>,
    node: Option<String>,
    collector: String,
}

impl Query {
    /// The place of the lowest priority that counts.
    fn lowest(&self) -> Result<usize> {
        match self.priority.as_deref().map(Priority::of) {
            None => Ok(PRIORITIES.len()),
            Some(Priority::Known(place)) => Ok(place),
            Some(Priority::Unknown) => Err(Error::Invalid("`priority` is none of Falco's".to_owned())),
        }
    }

    /// Which alert; any alert at all proves nothing.
    fn expected(&self, wanted: &Wanted) -> Result<Expected> {
        let said = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.trim().is_empty());
        let others = !wanted.is_empty() || said(&self.rule);
        let tag = self.tag.as_deref().filter(|tag| !tag.trim().is_empty());
        let expected = Expected::new(tag, self.exact, &self.attack, self.test.as_deref());
        if expected == Expected::Any && !others {
            let why = "say which alert by `rule`, `tag` or `fields`: any alert would match";
            return Err(Error::Invalid(why.to_owned()));
        }
        Ok(expected)
    }

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
        let lowest = query.lowest()?;
        let expected = query.expected(&wanted)?;
        // What comes of a rule is short and kept; what a rule's output names may be left out.
        let could = |event: &Event| {
            query.rule.as_ref().is_none_or(|wanted| event.could_have("rule", wanted))
                && wanted.could_fit(event, &FIELDS)
        };
        let found = |event: &Event| {
            let (rule, said) = (event.field("rule").unwrap_or_default(), event.field("priority").unwrap_or_default());
            let fits = is_alert(event)
                && query.rule.as_ref().is_none_or(|wanted| wanted == rule || pattern::matches(wanted, rule))
                && Priority::of(said).is_at_least(lowest)
                && wanted.fits(event, &FIELDS)
                && query.is_there(event);
            let reason = fits.then(|| expected.fits(event, rule)).flatten()?;
            let severity = Priority::of(said).word(said);
            let severity = Some(severity.as_str()).filter(|word| !word.is_empty());
            let mut sighting = Sighting::of(event, line(event, rule, said, reason.as_ref())).severity(severity);
            sighting.facts.extend(reason.map(|reason| Fact::new("matched", reason)));
            Some(sighting)
        };
        search_or_doubt(&query.collector, cursor, found, could)
    }
}

/// An alert that does not name its rule is one all the same; other lines of a followed log have not two of these.
fn is_alert(event: &Event) -> bool {
    ["rule", "priority", "output"].iter().filter(|name| event.field(name).is_some()).count() >= 2
}

/// Such as `Read sensitive file untrusted (Warning), cat /etc/shadow, matched by the rule map for T1003.008`.
fn line(event: &Event, rule: &str, priority: &str, reason: Option<&Reason>) -> String {
    let rule = if rule.is_empty() { "an alert that names no rule" } else { rule };
    let of_falco = if Priority::of(priority) == Priority::Unknown { ", which is no priority of Falco's" } else { "" };
    let priority = if priority.is_empty() { "no priority" } else { priority };
    // Falco's word for what it does not know.
    let command = event.field("output_fields.proc.cmdline").filter(|line| *line != "<NA>");
    let mut command = command.map(|line| format!(", {line}")).unwrap_or_default();
    foil_sdk::search::cut(&mut command, 80);
    let reason = reason.map(|reason| format!(", matched {reason}")).unwrap_or_default();
    // What was run may be long; why it counts must stay readable.
    let mut start = format!("{rule} ({priority}{of_falco})");
    foil_sdk::search::cut(&mut start, 120);
    format!("{start}{command}{reason}")
}

foil_sdk::check!(FalcoAlert);

#[cfg(test)]
mod recorded;
#[cfg(test)]
mod tests;
