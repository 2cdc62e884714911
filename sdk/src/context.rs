//! What a guest may know of the run that it is part of.

use crate::{Context, Fact};

impl Context {
    /// `foil-` and the run's id: what every name, comment and file that a module makes should carry, so that a person who
    /// finds it knows what it is, and a sensor's event can be tied to the run.
    pub fn mark(&self) -> String {
        ["foil-", &self.run_id].concat()
    }

    /// The mark and what it is put on, such as `foil-RUN-shell`: for names of which no two may be the same.
    pub fn mark_for(&self, what: &str) -> String {
        [&self.mark(), "-", what].concat()
    }

    /// The path of `name` in the run's own folder, which is empty at the start and removed at the end.
    pub fn in_scratch(&self, name: &str) -> String {
        [&self.scratch, "/", name].concat()
    }
}

impl Fact {
    /// A named finding: at most 64 bytes of name and 64 KiB of value.
    pub fn new(name: impl Into<String>, value: impl ToString) -> Self {
        Self { name: name.into(), value: value.to_string() }
    }
}

/// The value of the first fact of this name.
pub(crate) fn value<'a>(facts: &'a [Fact], name: &str) -> Option<&'a str> {
    facts.iter().find(|fact| fact.name == name).map(|fact| fact.value.as_str())
}
