//! An event as rules see it.

use rsigma_eval::event::{Event, EventValue};
use std::borrow::Cow;

/// Fields by Sigma's names. A name may have several values, such as a path as it was given and in its absolute form; an item
/// of a rule matches if it matches one of them.
#[derive(Debug, Default)]
pub struct SigmaEvent<'a> {
    /// By [`key`], once `new` has sorted them.
    fields: Vec<(&'a str, Cow<'a, str>)>,
}

/// What fields are sorted by. The length first: names are looked up for each item of each rule, and few are of one length.
fn key(name: &str) -> (usize, &str) {
    (name.len(), name)
}

impl<'a> SigmaEvent<'a> {
    /// An event with these fields.
    pub fn new(fields: impl IntoIterator<Item = (&'a str, Cow<'a, str>)>) -> Self {
        let mut fields: Vec<_> = fields.into_iter().collect();
        fields.sort_by_key(|(name, _)| key(name));
        Self { fields }
    }

    /// Returns the first value of a field.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.values(name).first().map(|(_, value)| &**value)
    }

    fn values(&self, name: &str) -> &[(&'a str, Cow<'a, str>)] {
        let from = self.fields.partition_point(|(n, _)| key(n) < key(name));
        let rest = self.fields.get(from..).unwrap_or_default();
        let count = rest.iter().take_while(|(n, _)| *n == name).count();
        rest.get(..count).unwrap_or_default()
    }
}

/// Recorded fields are flat: a name with dots or brackets is one name, not a path.
impl Event for SigmaEvent<'_> {
    fn get_field(&self, path: &str) -> Option<EventValue<'_>> {
        let name = plain_name(path);
        match self.values(&name) {
            [] => None,
            [(_, value)] => Some(EventValue::Str(Cow::Borrowed(value))),
            many => Some(EventValue::Array(many.iter().map(|(_, v)| EventValue::Str(Cow::Borrowed(v))).collect())),
        }
    }

    fn any_string_value(&self, holds: &dyn Fn(&str) -> bool) -> bool {
        self.fields.iter().any(|(_, value)| holds(value))
    }

    fn all_string_values(&self) -> Vec<Cow<'_, str>> {
        self.fields.iter().map(|(_, value)| Cow::Borrowed(&**value)).collect()
    }

    fn visit_string_values(&self, visit: &mut dyn FnMut(&str)) {
        self.fields.iter().for_each(|(_, value)| visit(value));
    }

    fn to_json(&self) -> serde_json::Value {
        self.fields.iter().map(|(name, value)| ((*name).to_owned(), serde_json::Value::from(&**value))).collect()
    }

    fn field_keys(&self) -> Vec<Cow<'_, str>> {
        self.fields.iter().map(|(name, _)| Cow::Borrowed(*name)).collect()
    }
}

/// A field's name without the backslashes that the parser puts before brackets.
pub(super) fn plain_name(path: &str) -> Cow<'_, str> {
    if path.contains('\\') { path.replace("\\[", "[").replace("\\]", "]").into() } else { path.into() }
}

/// The same event, of which only the first value of each field is known: a group of a correlation has one value a field.
pub(super) struct FirstValues<'a>(pub(super) &'a SigmaEvent<'a>);

impl Event for FirstValues<'_> {
    fn get_field(&self, path: &str) -> Option<EventValue<'_>> {
        self.0.first(&plain_name(path)).map(|value| EventValue::Str(Cow::Borrowed(value)))
    }

    fn any_string_value(&self, holds: &dyn Fn(&str) -> bool) -> bool {
        self.0.any_string_value(holds)
    }

    fn all_string_values(&self) -> Vec<Cow<'_, str>> {
        self.0.all_string_values()
    }

    fn to_json(&self) -> serde_json::Value {
        self.0.to_json()
    }
}
