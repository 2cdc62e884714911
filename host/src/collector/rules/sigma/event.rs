//! An event as rules see it.

use std::borrow::Cow;
use std::cell::OnceCell;

/// Fields by Sigma's names. A name may have several values, as a path that was given relative and is known absolute; a test
/// holds where it holds for one of them.
#[derive(Debug, Default)]
pub struct SigmaEvent<'a> {
    /// By name, once `new` has sorted them.
    fields: Vec<(&'a str, Value<'a>)>,
}

/// A value, as it stands and in lower case.
#[derive(Debug)]
pub(super) struct Value<'a> {
    pub(super) plain: Cow<'a, str>,
    lower: OnceCell<Option<String>>,
}

impl Value<'_> {
    /// In lower case. Made once, since hundreds of rules ask.
    pub(super) fn lower(&self) -> &str {
        let is_lower = |b: u8| b.is_ascii() && !b.is_ascii_uppercase();
        let make = || (!self.plain.bytes().all(is_lower)).then(|| self.plain.to_lowercase());
        self.lower.get_or_init(make).as_deref().unwrap_or(&self.plain)
    }
}

impl<'a> SigmaEvent<'a> {
    /// Of these fields.
    pub fn new(fields: impl IntoIterator<Item = (&'a str, Cow<'a, str>)>) -> Self {
        let value = |plain| Value { plain, lower: OnceCell::new() };
        let mut fields: Vec<_> = fields.into_iter().map(|(name, plain)| (name, value(plain))).collect();
        fields.sort_by_key(|(name, _)| *name);
        Self { fields }
    }

    /// All values of a field; none where it is absent.
    pub(super) fn get(&self, name: &str) -> impl Iterator<Item = &Value<'a>> + Clone {
        let from = self.fields.partition_point(|(n, _)| *n < name);
        let fields = self.fields.get(from..).unwrap_or_default().iter();
        fields.take_while(move |(n, _)| *n == name).map(|(_, value)| value)
    }

    /// All values, for keywords.
    pub(super) fn values(&self) -> impl Iterator<Item = &Value<'a>> {
        self.fields.iter().map(|(_, value)| value)
    }
}
