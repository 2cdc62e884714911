//! Events of foreign sensors (Falco, Elastic, laurel, a backend's alerts), which come as JSON or as lines: fields, time, the process
//! that they are about, and what else may tie them to a run. Shared by the collectors `file.NAME` and `inbox`.

mod fields;
mod identity;
pub mod internal;
mod moment;
mod redact;
mod subscribers;

pub use fields::{flatten, plain};
pub use internal::Internal;
pub use moment::moment;
pub use redact::{audit as redact_audit, torn};
pub use subscribers::{Subscribers, run_ids};

use super::{ClockGrain, Recorded};
use std::collections::BTreeMap;

/// What an event says of a process besides its id. Empty: it says nothing of any process, as a backend's alert.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Likeness {
    /// The program's name and its arguments, or its arguments with the program's own word for itself.
    pub command_line: Option<String>,
    /// The program's path.
    pub exe: Option<String>,
    /// The program's short name.
    pub name: Option<String>,
    /// The names of the parent, of its parent, and so on, as far as the event says them.
    pub parents: Vec<Option<String>>,
    /// Whose it is.
    pub uid: Option<u32>,
    /// The run that the process's environment names: a process of another run is a stranger, whatever else is alike.
    pub run: Option<String>,
    /// Ids of runs that stand anywhere in the event, in lower case: of this process, and others where `foil-` stands before them.
    pub mentions: Vec<String>,
    /// How exact the event's time is.
    pub grain: ClockGrain,
}

impl Likeness {
    /// It names runs, and not this one.
    pub fn names_another(&self, run: &str) -> bool {
        self.run.as_ref().is_some_and(|named| named != run)
            || (!self.mentions.is_empty() && self.mentions.iter().all(|named| named != run))
    }

    /// It says nothing by which a process could be told.
    pub fn is_silent(&self) -> bool {
        self.command_line.is_none() && self.exe.is_none() && self.name.is_none()
    }
}

/// Whether an event is an alert of Falco's, by whichever way it came: it has a rule, a priority, and what the rule's output names.
pub fn is_falco_alert(fields: &BTreeMap<String, String>) -> bool {
    let output = fields.contains_key("output") || fields.keys().any(|name| name.starts_with("output_fields."));
    output && fields.contains_key("rule") && fields.contains_key("priority")
}

/// Makes an event of a sensor's fields.
///
/// `time`: the field that holds its time; the usual names are tried where it is `None`. `received`: when it came, nanoseconds
/// since 1970, which is its time where it says none.
pub fn event(kind: &str, fields: BTreeMap<String, String>, time: Option<&str>, received: u64) -> Recorded {
    let (process, mut likeness) = identity::identify(&fields, received);
    let (at, grain) = moment::of(&fields, time, received);
    likeness.grain = grain;
    Recorded { at, kind: kind.to_owned(), own_observation: false, process, likeness: Some(Box::new(likeness)), fields }
}
