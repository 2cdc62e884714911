//! How an event is tied to a run, and why it does not count.

use foil_manifest::TiedBy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How an event was tied to this run, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Attribution {
    /// By a process of this run's own tree.
    Tree,
    /// By the run's id, found in the event.
    Marker,
    /// By what it says of a process (command line, parents, user) and the time, where it names none that could be looked up.
    Likeness,
    /// By time and target only.
    Window,
    /// Not tied to this run.
    Stranger,
}

impl Attribution {
    /// What ties an event to the run; `None` for a stranger's.
    pub fn tied_by(self) -> Option<TiedBy> {
        match self {
            Self::Tree => Some(TiedBy::Process),
            Self::Marker => Some(TiedBy::Marker),
            Self::Likeness => Some(TiedBy::Likeness),
            Self::Window => Some(TiedBy::Time),
            Self::Stranger => None,
        }
    }
}

/// Why an event that a check would have taken does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", tag = "reason")]
pub enum NotCounted {
    /// It names a process, and whether that is the run's cannot be told.
    Untold,
    /// Its tie to the run is weaker than demanded.
    WeakTie {
        /// How it is tied.
        tied_by: TiedBy,
        /// The weakest tie that would count.
        demanded: TiedBy,
    },
    /// It is this run's by all that it says but its time, which lies before the detonation.
    BeforeDetonation {
        /// By how much.
        by_ns: u64,
    },
    /// It names a process of this run, at a moment when that had not begun or was over.
    OutOfTime,
    /// Its time is yet to come.
    Future {
        /// By how much.
        by_ns: u64,
    },
    /// Another process of the machine did it.
    OtherProcess,
    /// It is another run's.
    OtherRun,
    /// Foil itself did it.
    Foil,
}
