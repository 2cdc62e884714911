//! What can go wrong with the journal, as sentences.

use foil_safe_path::PathError;
use std::path::{Path, PathBuf};

/// Why the journal did not do what it was asked. Where `intend` fails, the effect must not happen.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file is not ours alone.
    #[error(
        "the journal {path} is refused: {why}; it is a list of things to do with your rights, so move it away after looking at it"
    )]
    Untrusted {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Written by a newer Foil.
    #[error(
        "the journal {path} has format {found}, written by a newer Foil; this one knows up to {known}: clean up with the newer one"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest that we know.
        known: i64,
    },
    /// SQLite finds it broken.
    #[error(
        "the journal {path} is damaged ({detail}), so Foil cannot tell what earlier runs left; keep a copy, try `sqlite3 {path} .recover`, \
         look at the machine by hand, and only then move it away"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// SQLite's words.
        detail: String,
    },
    /// Another process holds it for longer than we wait, the disk is full, and so on.
    #[error("the journal {path} cannot be {doing}: {source}")]
    Storage {
        /// The file.
        path: PathBuf,
        /// Reading or writing.
        doing: &'static str,
        /// SQLite's words.
        source: rusqlite::Error,
    },
    /// A file beside the journal.
    #[error("{path}: {doing}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// The system's words.
        source: std::io::Error,
    },
    /// There is something at the path that the effect is to create.
    #[error("{0} exists already")]
    Occupied(PathBuf),
    /// The effect could not be undone, so it must not happen.
    #[error("{path}: it could not be undone: {why}")]
    NotUndoable {
        /// The path.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The path could not be looked at.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The run's lock is held: it is alive.
    #[error("run {0} is alive")]
    Alive(String),
    /// No such run, or effect.
    #[error("the journal knows no {0}")]
    Unknown(String),
}

impl JournalError {
    /// SQLite's error about the journal at `path`.
    pub(super) fn sqlite(path: &Path, doing: &'static str, source: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        match source.sqlite_error_code() {
            Some(DatabaseCorrupt | NotADatabase) => Self::Damaged { path: path.into(), detail: source.to_string() },
            _ => Self::Storage { path: path.into(), doing, source },
        }
    }

    /// Another file's error.
    pub(super) fn file(path: &Path, doing: &'static str) -> impl Fn(std::io::Error) -> Self {
        move |source| Self::File { path: path.into(), doing, source }
    }
}

/// The journal's result.
pub type Result<T, E = JournalError> = std::result::Result<T, E>;
