//! How strong the tie between an event and a run must be.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What ties an event to a run, strongest first. As a demand it is the weakest tie that counts.
///
/// An event that names a process never counts by its time alone, whatever is demanded: who did it can be told, or should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TiedBy {
    /// A process of the run's own tree did it.
    Process,
    /// The run's id is in it.
    Marker,
    /// What it says of a process (command line, parents, user) fits one of the run's. So does another process that does the same.
    Likeness,
    /// It happened in the run's time.
    #[default]
    Time,
}

impl fmt::Display for TiedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Process => "process",
            Self::Marker => "marker",
            Self::Likeness => "likeness",
            Self::Time => "time",
        })
    }
}
