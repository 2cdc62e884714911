//! The write-ahead log of effects and their undos, the audit log and the run history: one SQLite file.
//!
//! The promise is that whatever happens to Foil, nothing that a run made stays behind, or Foil says exactly what does. So
//! an effect is `intended` (with its undo, on the disk) before it happens, `applied` (with what is there now) after it, and
//! `undone` when it was reversed *and looked at*. Undo is idempotent: a mark that a crash swallows costs a second look,
//! never a wrong step, and therefore the marks of an undo are written in batches.
//!
//! **Blocking.** Calls here block for one commit, which is one `fsync` (a millisecond or so on a good disk, tens on a bad
//! one) and may wait up to ten seconds for another Foil's. From async code call `begin`, `intend*`, `applied`, `refused`,
//! `audit` directly where a millisecond does not matter, else by `spawn_blocking`; `undo_all`, `recover`, `prune` and
//! `verify_chain` always by `spawn_blocking`. [`Journal`] and [`RunJournal`] are `Send + Sync`; `Journal` is a cheap clone.

// A journal is a list of things to do with our rights: nothing in it may end the host.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod audit;
mod error;
pub mod family;
pub mod fault;
mod history;
mod lock;
pub mod model;
mod preimage;
mod recover;
mod run;
mod schema;
mod undo;

pub use audit::{AuditRow, ChainReport};
pub use error::JournalError;
pub use history::{EffectEntry, Pruned, RunEntry};
pub use model::{After, Effect, EffectState, RunRecord, Undo};
pub use preimage::Preimage;
pub use recover::{Progress, Scope};
pub use run::{Change, EffectId, Learned, RunJournal};
pub use undo::{AuditState, NoHost, UndoHost};

use error::Result;
use foil_text::RunId;
use lock::Locks;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The journal of a state folder. Several processes may have it open; a clone shares the connection.
#[derive(Debug, Clone)]
pub struct Journal {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// The SQLite file.
    path: PathBuf,
    locks: Arc<Locks>,
    /// The log could not be emptied, and may hold a purged pre-image.
    unpurged: AtomicBool,
    /// The kernel's boot id: device numbers mean nothing after a reboot.
    boot: String,
    db: Mutex<Database>,
    waiting: Mutex<Vec<audit::Pending>>,
}

/// The connection, and whether its commits wait for the disk now: to say so each time is a statement to parse.
#[derive(Debug)]
struct Database {
    db: Connection,
    waits: Wait,
}

impl Journal {
    /// Opens the journal of a state folder, which is made where it is missing. Refuses a folder or file that somebody else
    /// owns or may write, a newer format, and a damaged file.
    pub fn open(state: &Path) -> anyhow::Result<Self> {
        foil_safe_path::state::open(state)?;
        Ok(Self::open_folder(state)?)
    }

    fn open_folder(state: &Path) -> Result<Self> {
        let state = state.canonicalize().map_err(JournalError::file(state, "opening the state folder"))?;
        let locks = Locks::open(&state)?;
        let path = state.join("journal.db");
        let db = Mutex::new(Database { db: schema::open(&path)?, waits: Wait::ForDisk });
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_string();
        Ok(Self {
            inner: Arc::new(Inner {
                path,
                locks,
                unpurged: AtomicBool::default(),
                boot,
                db,
                waiting: Mutex::default(),
            }),
        })
    }

    /// The SQLite file.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Runs whose lock is held, oldest first: their `foil` is alive, or another one is cleaning up after it.
    pub fn live(&self) -> Result<Vec<RunId>> {
        let mut live = Vec::new();
        for run in self.pending(Scope::DeadAndResidue)?.into_iter().rev() {
            if self.inner.locks.is_held(&run)? {
                live.push(run);
            }
        }
        Ok(live)
    }

    /// Which process holds the lock of each of these runs, where that can be seen from here.
    pub fn holders(&self, runs: &[RunId]) -> BTreeMap<RunId, u32> {
        self.inner.locks.holders(runs)
    }

    /// Whether a process holds the lock of one of these runs.
    pub fn holds(&self, pid: u32, runs: &[RunId]) -> bool {
        !self.inner.locks.held_by(pid, runs).is_empty()
    }
}

/// Whether a transaction waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// It survives a loss of power: what an undo needs.
    ForDisk,
    /// It survives the end of this process at once, and a loss of power from the next durable one on, which carries it along: what
    /// spares the next recovery a look, and alone undoes nothing.
    No,
}

impl Inner {
    fn db(&self) -> MutexGuard<'_, Database> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<audit::Pending>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One durable transaction, with the audit log's waiting rows in it.
    fn write<T>(&self, change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        self.write_at(Wait::ForDisk, change, || {})
    }

    /// A transaction that does not wait for the disk: see [`Wait::No`].
    fn write_ahead<T>(&self, change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        self.write_at(Wait::No, change, || {})
    }

    /// A transaction with the audit log's waiting rows in it, and a call just before the commit (for fault points).
    fn write_at<T>(
        &self,
        wait: Wait,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
        before_commit: impl FnOnce(),
    ) -> Result<T> {
        let mut db = self.db();
        let waiting = std::mem::take(&mut *self.waiting());
        let commit = |db: &mut Connection| {
            let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            audit::append(&tx, &waiting)?;
            let value = change(&tx)?;
            before_commit();
            tx.commit()?;
            Ok(value)
        };
        let run = |Database { db, waits }: &mut Database| {
            if *waits != wait {
                // In WAL mode NORMAL leaves out the wait at a commit, and nothing else.
                let word = if wait == Wait::ForDisk { "FULL" } else { "NORMAL" };
                db.pragma_update(None, "synchronous", word)?;
                *waits = wait;
            }
            commit(db)
        };
        run(&mut db).map_err(|e| {
            // Not lost: they go with the next one.
            let mut back = self.waiting();
            let newer = std::mem::replace(&mut *back, waiting);
            back.extend(newer);
            JournalError::sqlite(&self.path, "written", e)
        })
    }

    fn read<T>(&self, look: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        look(&self.db().db).map_err(|e| JournalError::sqlite(&self.path, "read", e))
    }

    /// Empties the write-ahead log into the file, so that no purged pre-image stays in it. Best effort: another process
    /// that reads puts it off until the end of this one, or the next `foil cleanup`.
    fn checkpoint(&self) {
        let busy = self.db().db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
        self.unpurged.store(busy.unwrap_or(true), Ordering::Release);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if !self.waiting().is_empty()
            && let Err(e) = self.write_ahead(|_| Ok(()))
        {
            tracing::error!("the last events of the audit log are lost: {e}");
        }
        let mut log = self.path.as_os_str().to_owned();
        log.push("-wal");
        let long = std::fs::metadata(log).is_ok_and(|log| log.len() > schema::SHORT_LOG);
        if long || self.unpurged.load(Ordering::Acquire) {
            self.checkpoint();
        }
    }
}

/// Nanoseconds since 1970; fits until the year 2262.
fn now_ns() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// Now, RFC 3339 in UTC with milliseconds: what [`RunRecord::started`] holds.
pub fn now() -> String {
    rfc3339(now_ns())
}

fn rfc3339(ns: i64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(ns)).map_or_else(|_| ns.to_string(), |t| format!("{t:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_is_durable_whatever_was_written_before() {
        let folder = tempfile::tempdir().expect("a folder");
        for _ in 0..2 {
            let journal = Journal::open(&folder.path().join("state")).expect("a journal");
            let text = || "test".to_owned();
            let record = RunRecord {
                run: foil_text::RunId::new(),
                started: now(),
                experiment: text(),
                technique: text(),
                digest: text(),
                environment: text(),
                target: text(),
                shield: text(),
                pid: std::process::id(),
            };
            journal.begin(&record).expect("a run");
            journal.flush().expect("a commit that is waited for");
            let pragma = |name: &str| {
                let sql = format!("PRAGMA {name}");
                journal.inner.read(|db| db.query_row(&sql, [], |row| row.get::<_, i64>(0))).expect("a setting")
            };
            // FULL, and INCREMENTAL.
            assert_eq!((pragma("synchronous"), pragma("auto_vacuum")), (2, 2));
            let runs = journal.inner.read(|db| {
                db.query_row("SELECT count(*) FROM runs WHERE run = ?1", [record.run.as_str()], |r| r.get::<_, i64>(0))
            });
            assert_eq!(runs.expect("a count"), 1);
        }
    }
}
