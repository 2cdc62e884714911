//! The audit log: every decision of policy, in a hash chain.
//!
//! Each row's hash is SHA-256 over the hash before it and the row, so a row that is changed, removed or put in between
//! shows, and so does a cut at the end (the last hash is kept apart). It is a seal against accidents and careless hands:
//! whoever may write the file can compute the whole chain anew.

use super::error::{JournalError, Result};
use rusqlite::{Connection, Transaction, params};
use sha2::Digest as _;

/// A row that is not yet in the chain. It gets its place only when it is written: several processes share the chain.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) at: i64,
    pub(super) run: Option<String>,
    pub(super) event: String,
}

/// A row of the log.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct AuditRow {
    /// Its place in the chain, from 1.
    pub id: i64,
    /// Nanoseconds since 1970.
    pub at: i64,
    /// The run it belongs to.
    pub run: Option<String>,
    /// The event.
    pub event: serde_json::Value,
}

/// What a look at the whole chain found.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ChainReport {
    /// Rows that hang together from the first on.
    pub rows: u64,
    /// Hash of the last row, in hexadecimal. Kept elsewhere, it proves later that nothing before it was changed.
    pub head: String,
    /// Where and how it is cut; `None`: whole.
    pub cut: Option<String>,
}

fn hash(previous: &[u8], id: i64, row: &Pending) -> [u8; 32] {
    let mut hasher = sha2::Sha256::new();
    hasher.update(previous);
    hasher.update(id.to_be_bytes());
    hasher.update(row.at.to_be_bytes());
    // Lengths before texts, so that no two different rows are the same bytes; no run is not an empty run.
    for text in [row.run.as_deref(), Some(&row.event)] {
        hasher.update(text.map_or(u64::MAX, |t| t.len() as u64).to_be_bytes());
        hasher.update(text.unwrap_or_default());
    }
    hasher.finalize().into()
}

fn end(db: &Connection, which: &str) -> rusqlite::Result<(i64, Vec<u8>)> {
    db.prepare_cached("SELECT id, hash FROM audit_ends WHERE which = ?1")?
        .query_row([which], |row| Ok((row.get(0)?, row.get(1)?)))
}

fn set_end(db: &Connection, which: &str, id: i64, hash: &[u8]) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE audit_ends SET id = ?2, hash = ?3 WHERE which = ?1")?
        .execute(params![which, id, hash])?;
    Ok(())
}

/// Writes rows at the end of the chain.
pub(super) fn append(tx: &Transaction<'_>, rows: &[Pending]) -> rusqlite::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let (mut id, mut last) = end(tx, "head")?;
    let mut insert = tx.prepare_cached("INSERT INTO audit (id, at, run, event, hash) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for row in rows {
        id = id.saturating_add(1);
        last = hash(&last, id, row).to_vec();
        insert.execute(params![id, row.at, row.run, row.event, last])?;
    }
    set_end(tx, "head", id, &last)
}

/// Walks the whole chain.
pub(super) fn verify(db: &mut Connection) -> rusqlite::Result<ChainReport> {
    // One snapshot: another process may append meanwhile.
    let tx = db.transaction()?;
    let (mut id, mut last) = end(&tx, "anchor")?;
    let (head_id, head) = end(&tx, "head")?;
    let mut report = ChainReport { rows: 0, head: hex::encode(&head), cut: None };
    let mut rows = tx.prepare("SELECT id, at, run, event, hash FROM audit ORDER BY id")?;
    let mut rows = rows.query([])?;
    while let Some(row) = rows.next()? {
        let found: i64 = row.get(0)?;
        let stored: Vec<u8> = row.get(4)?;
        if found != id.saturating_add(1) {
            report.cut = Some(format!("row {} is missing (the next is {found})", id.saturating_add(1)));
            return Ok(report);
        }
        let content = Pending { at: row.get(1)?, run: row.get(2)?, event: row.get(3)? };
        if hash(&last, found, &content)[..] != stored[..] {
            report.cut = Some(format!("row {found} was changed, or the one before it"));
            return Ok(report);
        }
        (id, last) = (found, stored);
        report.rows = report.rows.saturating_add(1);
    }
    if (id, &last) != (head_id, &head) {
        report.cut = Some(format!("it ends at row {id}, and row {head_id} was the last: the end was cut off"));
    }
    Ok(report)
}

/// Removes rows from before `at` (nanoseconds since 1970) from the start of the chain; the last one's hash stays as anchor.
pub(super) fn prune(tx: &Transaction<'_>, at: i64) -> rusqlite::Result<usize> {
    // Up to the first that stays, not by time alone: the clock may have been set back, and a chain has no holes.
    let keep: Option<i64> = tx.query_row("SELECT min(id) FROM audit WHERE at >= ?1", [at], |row| row.get(0))?;
    let (head_id, _) = end(tx, "head")?;
    let last = keep.map_or(head_id, |id| id.saturating_sub(1));
    let removed: Option<Vec<u8>> = match tx.query_row("SELECT hash FROM audit WHERE id = ?1", [last], |row| row.get(0))
    {
        Ok(hash) => Some(hash),
        Err(rusqlite::Error::QueryReturnedNoRows) => None,
        Err(e) => return Err(e),
    };
    let Some(hash) = removed else { return Ok(0) };
    set_end(tx, "anchor", last, &hash)?;
    tx.execute("DELETE FROM audit WHERE id <= ?1", [last])
}

/// The latest rows, oldest first.
pub(super) fn rows(db: &Connection, run: Option<&str>, most: u32) -> rusqlite::Result<Vec<AuditRow>> {
    let sql = "SELECT id, at, run, event FROM audit WHERE ?1 IS NULL OR run = ?1 ORDER BY id DESC LIMIT ?2";
    let mut rows: Vec<AuditRow> = db
        .prepare(sql)?
        .query_map(params![run, most], |row| {
            let event: String = row.get(3)?;
            let event = serde_json::from_str(&event).unwrap_or(serde_json::Value::String(event));
            Ok(AuditRow { id: row.get(0)?, at: row.get(1)?, run: row.get(2)?, event })
        })?
        .collect::<rusqlite::Result<_>>()?;
    rows.reverse();
    Ok(rows)
}

impl super::Journal {
    /// Adds an event to the audit log. Cheap: it is kept in memory and written with the next durable commit of this
    /// process (an effect, the end of the run), or when 256 wait or the oldest has waited for a second, or by
    /// [`flush`](Self::flush) and at drop. `kill -9` can therefore cost the last second's events that no effect followed.
    pub fn audit(&self, run: Option<&foil_text::RunId>, event: &serde_json::Value) -> Result<()> {
        const MOST: usize = 256;
        const OLDEST_NS: i64 = 1_000_000_000;
        let at = super::now_ns();
        let mut waiting = self.inner.waiting();
        waiting.push(Pending { at, run: run.map(ToString::to_string), event: event.to_string() });
        let due = waiting.len() >= MOST || waiting.first().is_some_and(|p| at.saturating_sub(p.at) > OLDEST_NS);
        drop(waiting);
        if due { self.flush() } else { Ok(()) }
    }

    /// Writes the waiting events.
    pub fn flush(&self) -> Result<()> {
        self.inner.write(|_| Ok(()))
    }

    /// The latest events, oldest first: of one run, or of all.
    pub fn audit_rows(&self, run: Option<&str>, most: u32) -> Result<Vec<AuditRow>> {
        self.flush()?;
        self.inner.read(|db| rows(db, run, most))
    }

    /// Checks the whole chain, and says where it is cut. Reads every row: about a second for a million.
    pub fn verify_chain(&self) -> Result<ChainReport> {
        self.flush()?;
        let mut db = self.inner.db();
        verify(&mut db.db).map_err(|e| JournalError::sqlite(&self.inner.path, "read", e))
    }
}
