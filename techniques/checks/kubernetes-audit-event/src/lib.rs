//! `kubernetes.audit-event`: did the API server's audit record a request of this run?

use foil_sdk::events::Event;
use foil_sdk::pattern;
use foil_sdk::prelude::*;
use foil_sdk::search::{Wanted, search_or_doubt};
use std::cell::RefCell;
use std::collections::BTreeSet;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Query {
    verb: Option<String>,
    resource: Option<String>,
    subresource: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
    user: Option<String>,
    code: Option<String>,
    stage: String,
    #[serde(default)]
    fields: Vec<String>,
    anyone: bool,
    collector: String,
}

struct AuditEvent;

impl Check for AuditEvent {
    type Parameters = Query;

    fn probe(context: &Context, query: &Query, cursor: u64) -> Result<Observation> {
        let wanted = Wanted::new(&query.fields, None)?;
        if wanted.is_empty() && [&query.verb, &query.resource, &query.name].iter().all(|given| given.is_none()) {
            let why = "say which request by `verb`, `resource`, `name` or `fields`: any request would match";
            return Err(Error::Invalid(why.to_owned()));
        }
        // The stages of one request share an id.
        let counted = RefCell::new(BTreeSet::new());
        let found = |event: &Event| {
            let id = event.field("auditID")?;
            let fits = query.is_of(context, event) && query.fits(event) && wanted.fits(event, &[]);
            (fits && counted.borrow_mut().insert(id.to_owned())).then(|| Sighting::of(event, line(event)))
        };
        // What a request is about is never cut: only fields of the objects in it are.
        let could = |event: &Event| query.is_of(context, event) && query.fits(event) && wanted.could_fit(event, &[]);
        search_or_doubt(&query.collector, cursor, found, could)
    }
}

impl Query {
    /// Whose request it is: the run's own by its user agent, which no module chooses.
    fn is_of(&self, context: &Context, event: &Event) -> bool {
        // Its checks' requests, which act on nothing, name the run too, in other words.
        let agent = || said(event, "userAgent").contains(&["(run ", &context.run_id, ")"].concat());
        self.anyone || agent()
    }

    fn fits(&self, event: &Event) -> bool {
        let is = |wanted: &Option<String>, name: &str| {
            wanted.as_ref().is_none_or(|wanted| pattern::matches(wanted, said(event, name)))
        };
        is(&self.verb, "verb")
            && is(&self.resource, "objectRef.resource")
            && is(&self.subresource, "objectRef.subresource")
            && is(&self.namespace, "objectRef.namespace")
            && is(&self.name, "objectRef.name")
            && (is(&self.user, "user.username") || is(&self.user, "impersonatedUser.username"))
            && is(&self.code, "responseStatus.code")
            && pattern::matches(&self.stage, said(event, "stage"))
    }
}

fn said<'a>(event: &'a Event, name: &str) -> &'a str {
    event.field(name).unwrap_or_default()
}

/// Such as `create pods/exec security-testing/foil-x by kubernetes-admin (101)`.
fn line(event: &Event) -> String {
    let with = |before: &str, text: &str| if text.is_empty() { String::new() } else { [before, text].concat() };
    let object = |name: &str| said(event, &["objectRef.", name].concat());
    let (namespace, name) = (object("namespace"), object("name"));
    let place = match (namespace.is_empty(), name.is_empty()) {
        (true, true) => with(" ", if object("resource").is_empty() { said(event, "requestURI") } else { "" }),
        (true, false) => with(" ", name),
        (false, _) => [" ", namespace, &with("/", name)].concat(),
    };
    [
        said(event, "verb"),
        &with(" ", object("resource")),
        &with("/", object("subresource")),
        &place,
        &with(" by ", said(event, "user.username")),
        &with(" as ", said(event, "impersonatedUser.username")),
        &with(" (", said(event, "responseStatus.code")),
        if said(event, "responseStatus.code").is_empty() { "" } else { ")" },
    ]
    .concat()
}

foil_sdk::check!(AuditEvent);

#[cfg(test)]
mod tests;
