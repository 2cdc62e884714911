//! What the journal's undo needs of the kernel's audit rules, and of clusters.

use foil_cluster::undo::{FAMILY, KubeUndo, undo};
use foil_collector::audit::{OwnRules, on_for_nobody, remove};
use foil_journal::family::{Families, FamilyUndo, Known};
use foil_journal::{AuditState, NoHost, UndoHost};
use foil_record::UndoOutcome;
use foil_text::hint::of_state;

/// This machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Machine;

impl Families for Machine {
    fn undo(&self, effect: &FamilyUndo, known: &Known<'_>) -> UndoOutcome {
        if effect.family == FAMILY { undo(effect, known) } else { NoHost.undo(effect, known) }
    }

    fn depend(&self, newer: &FamilyUndo, older: &FamilyUndo) -> bool {
        match (KubeUndo::read(newer), KubeUndo::read(older)) {
            (Ok(newer), Ok(older)) => newer.depends(&older),
            // Whatever it is: not at once.
            _ => true,
        }
    }

    fn in_words(&self, undo: &FamilyUndo) -> String {
        KubeUndo::read(undo).map_or_else(|_| NoHost.in_words(undo), |undo| undo.in_words())
    }
}

impl UndoHost for Machine {
    fn delete_audit_rules(&self, rules: &[Vec<u8>], disable: bool) -> Result<(), String> {
        own(rules, disable).and_then(|own| remove(&own).map_err(|e| e.to_string()))
    }

    fn audit_state(&self, rules: &[Vec<u8>]) -> Result<AuditState, String> {
        let (present, enabled) = on_for_nobody(rules).map_err(|e| e.to_string())?;
        Ok(AuditState { present, enabled })
    }
}

fn own(rules: &[Vec<u8>], disable: bool) -> Result<OwnRules, String> {
    let rules: Vec<String> = rules.iter().map(hex::encode).collect();
    OwnRules::from_undo(&rules, disable).map_err(|e| e.to_string())
}

/// A clean-up that broke off, in a sentence.
pub(super) fn broke_off(why: &dyn std::fmt::Display) -> String {
    format!("the clean-up broke off: {why}; run `{}`", of_state(["cleanup"]))
}
