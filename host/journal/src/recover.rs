//! Cleaning up after runs whose `foil` is dead, from the journal alone.

use super::error::{JournalError, Result};
use super::undo::{UndoHost, undo_run};
use super::{Journal, run};
use foil_record::{UndoOutcome, UndoReport};
use foil_text::RunId;
use rusqlite::OptionalExtension;

/// Which runs a recovery is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Those that never finished.
    Dead,
    /// Those, and the residue that earlier clean-ups left, once more: `foil cleanup`.
    DeadAndResidue,
}

/// Called after each effect: the run, the effect in words, what came of it. In batches' order, newest effect first.
pub type Progress<'a> = dyn FnMut(&str, &(String, UndoOutcome)) + 'a;

impl Journal {
    /// Undoes what dead runs left. A live run is never touched, and two recoveries at once share the work: whoever recovers
    /// a run holds its lock. A run without anything to undo is marked as ended and not reported. What keeps one run from being
    /// recovered stands in its report as residue, and the others are recovered.
    ///
    /// # Errors
    /// The runs cannot be listed: nothing was undone.
    pub fn recover(&self, scope: Scope, host: &dyn UndoHost, progress: &mut Progress<'_>) -> Result<Vec<UndoReport>> {
        let mut reports = Vec::new();
        for run in self.pending(scope)? {
            let mut report = UndoReport { run: run.to_string(), effects: Vec::new() };
            match self.recover_run(&run, host, progress, &mut report) {
                Ok(false) | Err(JournalError::Alive(_)) => continue,
                Ok(true) => {}
                Err(error) => report.effects.push(("the journal".into(), UndoOutcome::Failed(error.to_string()))),
            }
            reports.push(report);
        }
        // A `foil` that was killed may have left a purged pre-image in the log.
        self.inner.checkpoint();
        Ok(reports)
    }

    /// Returns whether there is anything to report of it.
    fn recover_run(
        &self,
        run: &RunId,
        host: &dyn UndoHost,
        progress: &mut Progress<'_>,
        report: &mut UndoReport,
    ) -> Result<bool> {
        let _lock = self.inner.locks.take(run)?;
        // Under the lock: somebody else may have recovered it since it was listed.
        let Some((finished, undo_started)) = self.standing(run)? else { return Ok(false) };
        *report = undo_run(&self.inner, run, host, |_| true, progress)?;
        if !finished {
            let outcome = if report.residue().next().is_some() { "residue" } else { "recovered" };
            run::finish(&self.inner, run, outcome, None, true)?;
        } else if !report.effects.is_empty() {
            self.inner.checkpoint();
        }
        Ok(!report.effects.is_empty() || (!finished && undo_started))
    }

    /// The runs that have something to undo, newest first. Live ones among them.
    pub(super) fn pending(&self, scope: Scope) -> Result<Vec<RunId>> {
        let residue = if scope == Scope::DeadAndResidue { "residue" } else { "applied" };
        self.inner.read(|db| {
            let sql = "SELECT run FROM runs WHERE finished IS NULL OR run IN \
                       (SELECT run FROM effects WHERE state IN ('intended', 'applied', ?1)) ORDER BY run DESC";
            let names =
                db.prepare(sql)?.query_map([residue], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
            Ok(names.into_iter().filter_map(|name| RunId::try_from(name).ok()).collect())
        })
    }

    /// Whether the run is finished, and whether an undo of it was begun. `None`: there is no such run.
    fn standing(&self, run: &RunId) -> Result<Option<(bool, bool)>> {
        self.inner.read(|db| {
            db.query_row("SELECT finished IS NOT NULL, undo_started FROM runs WHERE run = ?1", [run.as_str()], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()
        })
    }
}
