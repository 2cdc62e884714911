//! What the journal tells: runs, effects, residue. And what is taken out of it: accepted residue, old runs.

use super::error::{JournalError, Result};
use super::{EffectState, Journal, RunRecord, Undo, audit, now_ns, rfc3339};
use foil_text::RunId;
use rusqlite::{OptionalExtension, params};
use std::time::Duration;

/// A run of the history.
#[derive(Debug, Clone, serde::Serialize)]
pub struct RunEntry {
    /// As it was begun.
    #[serde(flatten)]
    pub record: RunRecord,
    /// When it ended, RFC 3339; `None`: alive, or dead and not recovered.
    pub finished: Option<String>,
    /// How it ended.
    pub outcome: Option<String>,
    /// The whole verdict, where it came to one.
    pub verdict: Option<serde_json::Value>,
    /// A `foil` holds its lock.
    pub live: bool,
    /// Effects.
    pub effects: u64,
    /// Those that wait to be undone.
    pub open: u64,
    /// Those that could not be.
    pub residue: u64,
}

/// An effect of the history.
#[derive(Debug, Clone, serde::Serialize)]
pub struct EffectEntry {
    /// Its row.
    pub id: i64,
    /// Its run.
    pub run: String,
    /// The capability.
    pub capability: String,
    /// What was done.
    pub what: String,
    /// How it is undone.
    pub undo: Option<Undo>,
    /// Where it stands.
    pub state: EffectState,
    /// When it was intended, RFC 3339.
    pub at: String,
    /// Why it is residue, or was refused.
    pub reason: Option<String>,
}

/// What [`Journal::prune`] removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Pruned {
    /// Runs, with their effects.
    pub runs: usize,
    /// Rows of the audit log.
    pub audit: usize,
}

impl Journal {
    /// All runs, newest first.
    pub fn runs(&self) -> Result<Vec<RunEntry>> {
        let mut runs = self.inner.read(|db| {
            let sql = "SELECT run, started, experiment, technique, digest, environment, target, shield, pid, finished, outcome, verdict, \
                       (SELECT count(*) FROM effects e WHERE e.run = r.run), \
                       (SELECT count(*) FROM effects e WHERE e.run = r.run AND state IN ('intended', 'applied')), \
                       (SELECT count(*) FROM effects e WHERE e.run = r.run AND state = 'residue') \
                       FROM runs r ORDER BY run DESC";
            let mut statement = db.prepare(sql)?;
            let rows = statement.query_map([], |row| {
                let Ok(run) = RunId::try_from(row.get::<_, String>(0)?) else { return Ok(None) };
                let verdict: Option<String> = row.get(11)?;
                Ok(Some(RunEntry {
                    record: RunRecord {
                        run,
                        started: row.get(1)?,
                        experiment: row.get(2)?,
                        technique: row.get(3)?,
                        digest: row.get(4)?,
                        environment: row.get(5)?,
                        target: row.get(6)?,
                        shield: row.get(7)?,
                        pid: row.get(8)?,
                    },
                    finished: row.get::<_, Option<i64>>(9)?.map(rfc3339),
                    outcome: row.get(10)?,
                    verdict: verdict.and_then(|v| serde_json::from_str(&v).ok()),
                    live: false,
                    effects: row.get::<_, i64>(12)?.unsigned_abs(),
                    open: row.get::<_, i64>(13)?.unsigned_abs(),
                    residue: row.get::<_, i64>(14)?.unsigned_abs(),
                }))
            })?;
            rows.filter_map(rusqlite::Result::transpose).collect::<rusqlite::Result<Vec<_>>>()
        })?;
        for run in runs.iter_mut().filter(|run| run.finished.is_none()) {
            run.live = self.inner.locks.is_held(&run.record.run)?;
        }
        Ok(runs)
    }

    /// The effects of a run, oldest first. An unknown run is an error.
    pub fn effects(&self, run: &RunId) -> Result<Vec<EffectEntry>> {
        let known = self
            .inner
            .read(|db| db.query_row("SELECT 1 FROM runs WHERE run = ?1", [run.as_str()], |_| Ok(())).optional())?;
        known.ok_or_else(|| JournalError::Unknown(format!("run {run}")))?;
        self.entries("run = ?1 ORDER BY id", run.as_str())
    }

    /// What could not be undone and nobody accepted, newest first.
    pub fn residue(&self) -> Result<Vec<EffectEntry>> {
        self.entries("state = ?1 ORDER BY id DESC", EffectState::Residue.word())
    }

    /// What a recovery would undo now: the open effects of dead runs, and residue, newest first.
    pub fn to_recover(&self) -> Result<Vec<EffectEntry>> {
        let mut entries = Vec::new();
        for run in self.pending(super::Scope::DeadAndResidue)? {
            if !self.inner.locks.is_held(&run)? {
                entries.extend(self.entries(
                    "run = ?1 AND state IN ('intended', 'applied', 'residue') ORDER BY id DESC",
                    run.as_str(),
                )?);
            }
        }
        Ok(entries)
    }

    fn entries(&self, which: &str, value: &str) -> Result<Vec<EffectEntry>> {
        self.inner.read(|db| {
            let sql = format!("SELECT id, run, capability, what, undo, state, at, reason FROM effects WHERE {which}");
            db.prepare(&sql)?
                .query_map([value], |row| {
                    let (undo, state): (String, String) = (row.get(4)?, row.get(5)?);
                    Ok(EffectEntry {
                        id: row.get(0)?,
                        run: row.get(1)?,
                        capability: row.get(2)?,
                        what: row.get(3)?,
                        undo: serde_json::from_str(&undo).ok(),
                        state: EffectState::of_word(&state),
                        at: rfc3339(row.get(6)?),
                        reason: row.get(7)?,
                    })
                })?
                .collect()
        })
    }

    /// Accepts the residue of a run: nobody is reminded of it any more, and its pre-images are purged. Returns how many
    /// effects that were.
    pub fn forget(&self, run: &RunId) -> Result<usize> {
        self.effects(run)?;
        let lock = self.inner.locks.take(run)?;
        let count = self.inner.write(|tx| {
            tx.execute(
                "DELETE FROM preimages WHERE effect IN (SELECT id FROM effects WHERE run = ?1 AND state = 'residue')",
                [run.as_str()],
            )?;
            tx.execute("UPDATE effects SET state = 'accepted' WHERE run = ?1 AND state = 'residue'", [run.as_str()])
        })?;
        self.inner.checkpoint();
        drop(lock);
        Ok(count)
    }

    /// Removes finished runs that ended longer ago than this, except those with something left to undo, and the audit
    /// log's rows of that time; then gives the space back. The rest of the audit chain stays verifiable.
    pub fn prune(&self, older_than: Duration) -> Result<Pruned> {
        let before = now_ns().saturating_sub(i64::try_from(older_than.as_nanos()).unwrap_or(i64::MAX));
        let pruned = self.inner.write(|tx| {
            let runs = tx.execute(
                "DELETE FROM runs WHERE finished < ?1 AND run NOT IN \
                 (SELECT run FROM effects WHERE state IN ('intended', 'applied', 'residue'))",
                params![before],
            )?;
            Ok(Pruned { runs, audit: audit::prune(tx, before)? })
        })?;
        // `incremental_vacuum` works as its rows are stepped through.
        self.inner.read(|db| db.execute_batch("PRAGMA incremental_vacuum"))?;
        self.inner.checkpoint();
        Ok(pruned)
    }

    /// SQLite's own check of the whole file; `None`: sound. Reads all of it.
    pub fn check_file(&self) -> Result<Option<String>> {
        let answer: String = self.inner.read(|db| db.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)))?;
        Ok((answer != "ok").then_some(answer))
    }
}
