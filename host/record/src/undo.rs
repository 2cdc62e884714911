//! What came of a clean-up.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What came of one undo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UndoOutcome {
    /// Reversed and verified.
    Undone,
    /// It was not there any more, or had never happened.
    NothingToDo,
    /// Somebody else changed it meanwhile; left alone.
    Conflict(String),
    /// It failed.
    Failed(String),
    /// It cannot be taken back, ends by itself, and is said: no residue.
    Irrevocable(String),
}

/// What a clean-up did, newest effect first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UndoReport {
    /// The run.
    pub run: String,
    /// Each effect in words, and what came of its undo.
    pub effects: Vec<(String, UndoOutcome)>,
}

impl UndoReport {
    /// What is still there.
    pub fn residue(&self) -> impl Iterator<Item = &(String, UndoOutcome)> {
        self.effects.iter().filter(|(_, o)| matches!(o, UndoOutcome::Conflict(_) | UndoOutcome::Failed(_)))
    }
}
