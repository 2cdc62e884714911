//! Opening the SQLite file: who may have it, its settings, its tables.

use super::error::{JournalError, Result};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::fs::OpenOptions;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

/// The format that this Foil writes. A change of tables raises it and adds a step to [`migrate`].
const FORMAT: i64 = 1;

/// How long a call waits for another Foil's transaction. Those take milliseconds; ten seconds only pass on a dying disk.
const BUSY: Duration = Duration::from_secs(10);

/// How long the log may be that is left to the next Foil, in bytes: it reads all of it.
pub(super) const SHORT_LOG: u64 = 1 << 20;

/// `PRAGMA auto_vacuum` of a file whose free pages can be given back a few at a time.
const INCREMENTAL: i64 = 2;

const TABLES: &str = "
CREATE TABLE schema (version INTEGER NOT NULL);
CREATE TABLE runs (
    run TEXT PRIMARY KEY NOT NULL, started TEXT NOT NULL, experiment TEXT NOT NULL, technique TEXT NOT NULL,
    digest TEXT NOT NULL, environment TEXT NOT NULL, target TEXT NOT NULL, shield TEXT NOT NULL, pid INTEGER NOT NULL,
    boot TEXT NOT NULL,                      -- boot id: device numbers are only comparable within one
    undo_started INTEGER NOT NULL DEFAULT 0, -- from here on a half-restored file may be our own doing
    finished INTEGER,                        -- nanoseconds since 1970
    outcome TEXT, verdict TEXT
);
CREATE TABLE effects (
    id INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL REFERENCES runs(run) ON DELETE CASCADE,
    capability TEXT NOT NULL, what TEXT NOT NULL, undo TEXT NOT NULL, path TEXT,
    state TEXT NOT NULL, at INTEGER NOT NULL, -- nanoseconds since 1970
    learned TEXT,                             -- fingerprint of what the effect left
    restoring INTEGER NOT NULL DEFAULT 0,     -- being restored without a known new content
    reason TEXT
);
CREATE INDEX effects_of_run ON effects(run, id);
CREATE INDEX effects_open ON effects(state) WHERE state IN ('intended', 'applied', 'residue');
CREATE TABLE preimages (                      -- purged once undone and verified
    id INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL REFERENCES runs(run) ON DELETE CASCADE,
    effect INTEGER, meta TEXT NOT NULL, content BLOB NOT NULL
);
CREATE INDEX preimages_of_effect ON preimages(effect);
CREATE TABLE successors (                     -- a deleted file came back with another inode
    run TEXT NOT NULL REFERENCES runs(run) ON DELETE CASCADE,
    path TEXT NOT NULL,
    dev INTEGER NOT NULL, ino INTEGER NOT NULL, new_dev INTEGER NOT NULL, new_ino INTEGER NOT NULL,
    PRIMARY KEY (run, path)
);
CREATE TABLE audit (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, run TEXT, event TEXT NOT NULL, hash BLOB NOT NULL);
CREATE TABLE audit_ends (                     -- what is before the first row, and what the last one is
    which TEXT PRIMARY KEY NOT NULL CHECK (which IN ('anchor', 'head')), id INTEGER NOT NULL, hash BLOB NOT NULL
);
INSERT INTO audit_ends VALUES ('anchor', 0, zeroblob(32)), ('head', 0, zeroblob(32));
INSERT INTO schema VALUES (1);
";

/// Opens (and makes, where missing) the journal file. `path` has no symbolic link in it.
pub(super) fn open(path: &Path) -> Result<Connection> {
    // Made here and not by SQLite, so that it is 0600 whatever the umask; the WAL and shared memory inherit the mode.
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => {}
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(e) => return Err(JournalError::file(path, "making the journal")(e)),
    }
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        ours_alone(Path::new(&name))?;
    }
    let wrong = |e| JournalError::sqlite(path, "opened", e);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let mut db = Connection::open_with_flags(path, flags).map_err(wrong)?;
    db.busy_timeout(BUSY).map_err(wrong)?;
    // Only in a new file, before it has tables: SQLite writes the setting down, and waits for the disk, each time it is set.
    if db.query_row("PRAGMA auto_vacuum", [], |row| row.get::<_, i64>(0)).map_err(wrong)? != INCREMENTAL {
        db.execute_batch("PRAGMA auto_vacuum = INCREMENTAL").map_err(wrong)?;
    }
    // FULL: a commit is on the disk before the effect happens. `secure_delete`: a purged pre-image is overwritten.
    // `trusted_schema` and `cell_size_check`: distrust of a file that was tampered with.
    db.execute_batch(
        "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA foreign_keys = ON;
         PRAGMA wal_autocheckpoint = 4096;",
    )
    .map_err(wrong)?;
    // The log stays for the next Foil: to empty, remove and make it anew waits for the disk four times.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(wrong)?;
    db.set_prepared_statement_cache_capacity(64);
    migrate(&mut db, path)?;
    Ok(db)
}

/// Refuses a file that somebody else could have written into.
pub(super) fn ours_alone(path: &Path) -> Result<()> {
    let meta = match std::fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(JournalError::file(path, "looking at it")(e)),
    };
    let me = rustix::process::geteuid().as_raw();
    let untrusted = |why| Err(JournalError::Untrusted { path: path.into(), why });
    if !meta.is_file() {
        return untrusted("it is no regular file".into());
    }
    if meta.uid() != me {
        return untrusted(format!("it belongs to uid {}, and you are uid {me}", meta.uid()));
    }
    if meta.mode() & 0o022 != 0 {
        return untrusted(format!("others can write it (mode {:o})", meta.mode() & 0o7777));
    }
    if meta.nlink() > 1 {
        return untrusted("it has another hard link somewhere".into());
    }
    if meta.mode() & 0o077 != 0 {
        let only_us = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(path, only_us).map_err(JournalError::file(path, "closing it to others"))?;
    }
    Ok(())
}

/// Makes the tables in a new file; refuses a newer format.
fn migrate(db: &mut Connection, path: &Path) -> Result<()> {
    let wrong = |e| JournalError::sqlite(path, "opened", e);
    // Immediate: two first processes at once must not both make the tables.
    let tx = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(wrong)?;
    let count = |sql| tx.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(wrong);
    let tables = count("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")?;
    if tables == 0 {
        tx.execute_batch(TABLES).map_err(wrong)?;
    } else if count("SELECT count(*) FROM sqlite_schema WHERE name = 'schema'")? == 0 {
        return Err(JournalError::Untrusted {
            path: path.into(),
            why: "it is a database, but no journal of Foil".into(),
        });
    }
    let found = count("SELECT max(version) FROM schema")?;
    if found > FORMAT {
        return Err(JournalError::Newer { path: path.into(), found, known: FORMAT });
    }
    tx.commit().map_err(wrong)?;
    if tables == 0 {
        // The file by itself is a journal from the beginning, whatever becomes of the log.
        db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(wrong)?;
    }
    Ok(())
}
