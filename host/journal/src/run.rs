//! A run's own part of the journal, held while it is alive.

use super::error::{JournalError, Result};
use super::family::FamilyUndo;
use super::lock::RunLock;
use super::preimage::Preimage;
use super::undo::{UndoHost, undo_run};
use super::{After, Effect, EffectState, Inner, Journal, RunRecord, Undo, Wait, fault, now_ns};
use foil_record::UndoReport;
use foil_safe_path::{self as safe_path, Fingerprint, PathError};
use foil_text::RunId;
use rusqlite::{Transaction, params};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// An effect's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EffectId(pub(super) i64);

/// What an effect is about to do to a file that exists.
#[derive(Debug, Clone, Copy)]
pub enum Change<'a> {
    /// This becomes its whole content.
    Replace(&'a [u8]),
    /// This is added at its end.
    Append(&'a [u8]),
    /// It is deleted.
    Remove,
    /// Children get it to write; what they do is learned with [`RunJournal::applied`].
    Unknown,
}

/// What an effect that happened taught. What undo compares with is on the disk when [`RunJournal::applied`] returns; the rest is not
/// waited for, since undo does without: after a loss of power the effect may be `intended` again.
#[derive(Debug, Clone, Copy)]
pub enum Learned<'a> {
    /// Nothing that undo would need: it looks at the effect all the same. Not waited for.
    Nothing,
    /// What a path has now, as the intent said already: undo compares with that. Not waited for.
    AsIntended(Option<&'a Fingerprint>),
    /// What a path has now (`None`: nothing, or nothing to compare with).
    File(Option<&'a Fingerprint>),
    /// What is known of something else than a file.
    Object(&'a serde_json::Value),
}

/// The journal of one live run. Holds the run's lock until [`finish`](Self::finish) or until it is dropped; a run that is
/// dropped unfinished is one that `foil cleanup` recovers.
#[derive(Debug)]
pub struct RunJournal {
    inner: Arc<Inner>,
    run: RunId,
    lock: Mutex<Option<RunLock>>,
    effects: AtomicBool,
    /// Contents of files that were there before are in the journal.
    preimages: AtomicBool,
}

impl Journal {
    /// Takes the run's lock and writes the run down. An error: the run must not start.
    pub fn begin(&self, record: &RunRecord) -> Result<RunJournal> {
        fault::point("begin.before");
        // First the lock: a run that is in the journal and not locked is dead.
        let lock = self.inner.locks.take(&record.run)?;
        fault::point("begin.locked");
        // On the disk with the first effect's intent at the latest: a run without effects has nothing to be recovered.
        self.inner.write_ahead(|tx| {
            tx.prepare_cached(
                "INSERT INTO runs (run, started, experiment, technique, digest, environment, target, shield, pid, boot) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .execute(params![
                    record.run.as_str(),
                    record.started,
                    record.experiment,
                    record.technique,
                    record.digest,
                    record.environment,
                    record.target,
                    record.shield,
                    record.pid,
                    self.inner.boot
            ])
        })?;
        fault::point("begin.after");
        Ok(RunJournal {
            inner: self.inner.clone(),
            run: record.run.clone(),
            lock: Mutex::new(Some(lock)),
            effects: AtomicBool::new(false),
            preimages: AtomicBool::new(false),
        })
    }
}

impl RunJournal {
    /// Something was to be written down that would have to be undone.
    pub fn has_effects(&self) -> bool {
        self.effects.load(Ordering::Acquire)
    }

    /// The run.
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// The journal that it is in, for the audit log.
    pub fn journal(&self) -> Journal {
        Journal { inner: self.inner.clone() }
    }

    /// Writes an effect down that needs no content to be undone. When it returns, it is on the disk, and the effect may
    /// happen. For files use [`intend_create`](Self::intend_create) and
    /// [`intend_with_preimage`](Self::intend_with_preimage); an [`Undo::Remove`] of something that exists already is
    /// refused as [`JournalError::Occupied`], since the undo would remove what the run did not make.
    pub fn intend(&self, effect: &Effect) -> Result<EffectId> {
        if let Undo::Remove { path, .. } = &effect.undo {
            absent(Path::new(path))?;
        }
        // What vanishes with the run's namespace, whatever happens, needs no undo.
        let wait = if matches!(effect.undo, Undo::Vanished { .. }) { Wait::No } else { Wait::ForDisk };
        self.record(wait, |tx| self.insert(tx, effect))
    }

    /// Writes down that a file (which must not exist) is about to be made with this content.
    pub fn intend_create(&self, capability: &str, what: &str, path: &Path, content: &[u8]) -> Result<EffectId> {
        absent(path)?;
        let path = text(path)?;
        self.record(Wait::ForDisk, |tx| {
            let row = self.keep(tx, "{}", content)?;
            let undo = Undo::Remove { path: path.into(), directory: false, content: Some(row) };
            let id = self.insert(tx, &Effect { capability: capability.into(), what: what.into(), undo })?;
            belongs(tx, id, &[row])?;
            Ok(id)
        })
    }

    /// Writes down that a file or link (which exists) is about to be changed, with its pre-image, in one transaction.
    pub fn intend_with_preimage(
        &self,
        capability: &str,
        what: &str,
        path: &Path,
        preimage: &Preimage,
        change: Change<'_>,
    ) -> Result<EffectId> {
        if let Change::Remove = change {
            preimage.removable(path)?;
        } else if preimage.before.kind != "file" {
            let why = "it is no regular file, so it has no content to change".to_string();
            return Err(JournalError::NotUndoable { path: path.into(), why });
        }
        let path = text(path)?;
        let rest = serde_json::to_string(&preimage.rest).unwrap_or_default();
        self.preimages.store(true, Ordering::Release);
        self.record(Wait::ForDisk, |tx| {
            let row = self.keep(tx, &rest, &preimage.content)?;
            let mut rows = vec![row];
            let mut kept = |content| -> rusqlite::Result<i64> {
                let row = self.keep(tx, "{}", content)?;
                rows.push(row);
                Ok(row)
            };
            let after = match change {
                Change::Replace(content) => After::Content { row: kept(content)? },
                Change::Append(content) => After::Appended { row: kept(content)? },
                Change::Remove => After::Nothing,
                Change::Unknown => After::Unknown,
            };
            let undo = Undo::RestoreFile { path: path.into(), before: preimage.before.clone(), preimage: row, after };
            let id = self.insert(tx, &Effect { capability: capability.into(), what: what.into(), undo })?;
            belongs(tx, id, &rows)?;
            Ok(id)
        })
    }

    /// Writes down an effect of a family with what its undo needs. `undo`: from the numbers under which each of `kept` is kept. Where it
    /// cannot be written as JSON, nothing is written down.
    pub fn intend_with<const N: usize>(
        &self,
        (capability, what): (&str, &str),
        kept: [&[u8]; N],
        undo: impl FnOnce([i64; N]) -> serde_json::Result<FamilyUndo>,
    ) -> Result<EffectId> {
        self.preimages.store(true, Ordering::Release);
        self.record(Wait::ForDisk, |tx| {
            let mut rows = [0; N];
            for (row, content) in rows.iter_mut().zip(kept) {
                *row = self.keep(tx, "{}", content)?;
            }
            let undo = undo(rows).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?;
            let undo = Undo::Family(undo);
            let id = self.insert(tx, &Effect { capability: capability.into(), what: what.into(), undo })?;
            belongs(tx, id, &rows)?;
            Ok(id)
        })
    }

    /// It happened, and this is what was learned of it.
    pub fn applied(&self, id: EffectId, learned: Learned<'_>) -> Result<()> {
        fault::point("applied.before");
        let (wait, learned) = match learned {
            Learned::Nothing => (Wait::No, None),
            // `null` is written down too: that the program left nothing is knowledge, which an effect in doubt has not.
            Learned::AsIntended(now) => (Wait::No, serde_json::to_string(&now).ok()),
            Learned::File(now) => (Wait::ForDisk, serde_json::to_string(&now).ok()),
            Learned::Object(facts) => (Wait::ForDisk, Some(facts.to_string())),
        };
        self.mark(wait, id, EffectState::Applied, learned.as_deref(), None)?;
        fault::point("applied.after");
        Ok(())
    }

    /// It did not happen, for certain: the world is as before. Where that is not certain, say nothing: undo will look.
    pub fn refused(&self, id: EffectId, why: &str) -> Result<()> {
        fault::point("refused.before");
        // Without the mark undo looks, and finds nothing to do.
        self.mark(Wait::No, id, EffectState::Refused, None, Some(why))?;
        fault::point("refused.after");
        Ok(())
    }

    /// Reverses all that this run did, newest first, and looks at each. Never stops at a failure. Blocks: at least one
    /// commit, and about 0.1 ms a file.
    pub fn undo_all(&self, host: &dyn UndoHost) -> Result<UndoReport> {
        self.alive()?;
        undo_run(&self.inner, &self.run, host, |_| true, &mut |_, _| {})
    }

    /// The same but for audit rules, which sensors still need: what the technique did.
    pub fn undo_acts(&self, host: &dyn UndoHost) -> Result<UndoReport> {
        self.alive()?;
        let is_act = |undo: &Undo| !matches!(undo, Undo::AuditRules { .. });
        undo_run(&self.inner, &self.run, host, is_act, &mut |_, _| {})
    }

    /// The run is over: writes its outcome and verdict, purges, lets go of its lock. Nothing can be added after it.
    pub fn finish(&self, outcome: &str, verdict: &serde_json::Value) -> Result<()> {
        self.alive()?;
        fault::point("finish.before");
        finish(&self.inner, &self.run, outcome, Some(verdict), self.preimages.load(Ordering::Acquire))?;
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
        fault::point("finish.after");
        Ok(())
    }

    fn alive(&self) -> Result<()> {
        let held = self.lock.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        if held { Ok(()) } else { Err(JournalError::Unknown(format!("live run {}: it is finished", self.run))) }
    }

    fn record(
        &self,
        wait: Wait,
        insert: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<EffectId>,
    ) -> Result<EffectId> {
        self.alive()?;
        fault::point("intend.before");
        self.effects.store(true, Ordering::Release);
        let id = self.inner.write_at(wait, insert, || fault::point("intend.before-commit"))?;
        fault::point("intend.after-commit");
        Ok(id)
    }

    fn insert(&self, tx: &Transaction<'_>, effect: &Effect) -> rusqlite::Result<EffectId> {
        let undo =
            serde_json::to_string(&effect.undo).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?;
        tx.prepare_cached(
            "INSERT INTO effects (run, capability, what, undo, path, state, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            self.run.as_str(),
            effect.capability,
            effect.what,
            undo,
            effect.undo.path(),
            EffectState::Intended.word(),
            now_ns()
        ])?;
        Ok(EffectId(tx.last_insert_rowid()))
    }

    fn keep(&self, tx: &Transaction<'_>, meta: &str, content: &[u8]) -> rusqlite::Result<i64> {
        tx.prepare_cached("INSERT INTO preimages (run, meta, content) VALUES (?1, ?2, ?3)")?.execute(params![
            self.run.as_str(),
            meta,
            content
        ])?;
        Ok(tx.last_insert_rowid())
    }

    fn mark(
        &self,
        wait: Wait,
        id: EffectId,
        state: EffectState,
        learned: Option<&str>,
        reason: Option<&str>,
    ) -> Result<()> {
        self.alive()?;
        let mark = |tx: &Transaction<'_>| {
            if state == EffectState::Refused {
                tx.prepare_cached("DELETE FROM preimages WHERE effect = ?1")?.execute([id.0])?;
            }
            self.set(tx, id, state, learned, reason)
        };
        let changed = self.inner.write_at(wait, mark, || {})?;
        self.one(changed, id)
    }

    fn set(
        &self,
        tx: &Transaction<'_>,
        id: EffectId,
        state: EffectState,
        learned: Option<&str>,
        reason: Option<&str>,
    ) -> rusqlite::Result<usize> {
        tx.prepare_cached("UPDATE effects SET state = ?3, learned = ?4, reason = ?5 WHERE id = ?1 AND run = ?2")?
            .execute(params![id.0, self.run.as_str(), state.word(), learned, reason])
    }

    fn one(&self, changed: usize, id: EffectId) -> Result<()> {
        if changed == 1 { Ok(()) } else { Err(JournalError::Unknown(format!("effect {} of run {}", id.0, self.run))) }
    }
}

/// Writes a run's end; where it had pre-images, the write-ahead log is emptied of what was purged.
///
/// The end is not waited for: without it, recovery looks at a run of which nothing is left, and says so.
pub(super) fn finish(
    inner: &Inner,
    run: &RunId,
    outcome: &str,
    verdict: Option<&serde_json::Value>,
    preimages: bool,
) -> Result<()> {
    inner.write_ahead(|tx| ended(tx, run, outcome, verdict))?;
    fault::point("purge.before");
    if preimages {
        inner.checkpoint();
    }
    fault::point("purge.after");
    Ok(())
}

fn ended(
    tx: &Transaction<'_>,
    run: &RunId,
    outcome: &str,
    verdict: Option<&serde_json::Value>,
) -> rusqlite::Result<usize> {
    tx.prepare_cached("UPDATE runs SET finished = ?2, outcome = ?3, verdict = ?4 WHERE run = ?1")?.execute(params![
        run.as_str(),
        now_ns(),
        outcome,
        verdict.map(ToString::to_string)
    ])
}

fn belongs(tx: &Transaction<'_>, id: EffectId, rows: &[i64]) -> rusqlite::Result<()> {
    let mut update = tx.prepare_cached("UPDATE preimages SET effect = ?1 WHERE id = ?2")?;
    rows.iter().try_for_each(|row| update.execute([id.0, *row]).map(drop))
}

fn absent(path: &Path) -> Result<()> {
    let (folder, name) = match safe_path::open_parent(path) {
        Err(PathError::NotFound(_)) => return Ok(()),
        other => other?,
    };
    match safe_path::entry(folder.as_fd(), name, path)? {
        None => Ok(()),
        Some(_) => Err(JournalError::Occupied(path.into())),
    }
}

/// The journal's paths are text, as everything that guests name is.
fn text(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| PathError::Invalid { path: path.into(), why: "the path is no UTF-8" }.into())
}
