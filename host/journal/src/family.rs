//! What a capability family did, and only it can take back: the journal keeps the family's data and asks it.

use foil_record::UndoOutcome;
use foil_text::RunId;
use serde_json::{Map, Value};

/// How to take back what a family did: the family's name, and data that the family reads. In the journal it is
/// `{"FAMILY": {...}}`; a `version` in the data says which form it has, and 1 is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FamilyUndo {
    /// Such as `kube`.
    pub family: String,
    /// An object, whose fields are the family's own.
    pub data: Map<String, Value>,
}

/// What the journal knows of an effect.
pub struct Known<'a> {
    /// The run.
    pub run: &'a RunId,
    /// What was learned when it was done; `None`: it may not have been.
    pub learned: Option<Value>,
    /// Reads what was kept with the effect, by its number. `None`: it is not in the journal any more.
    pub kept: &'a (dyn Fn(i64) -> Result<Option<Vec<u8>>, String> + 'a),
}

/// Carries out the undos of families.
pub trait Families: Sync {
    /// Takes back what was done, and looks at it. May be repeated.
    fn undo(&self, undo: &FamilyUndo, known: &Known<'_>) -> UndoOutcome;

    /// Returns whether `newer` must be undone before `older`. The others are undone at once.
    fn depend(&self, newer: &FamilyUndo, older: &FamilyUndo) -> bool;

    /// Returns what the undo does, in words.
    fn in_words(&self, undo: &FamilyUndo) -> String;
}
