//! `file.NAME`: a log that is followed, through rotation and truncation.
//!
//! However many runs follow a log, one [`reader::Reader`] reads it. Whoever asks whether anything was missed reads what is there
//! first, so that an absence is never believed that is only a delay.

pub(super) mod line;
mod reader;
mod tail;

use super::{Blindness, EventLog, Interest};
use foil_policy::sources::FileSource;
use foil_text::Shown as _;
use reader::Reader;
use std::path::Path;
use std::sync::Arc;

/// What its names begin with.
pub const PREFIX: &str = "file.";

/// Checks that a log can be followed: that it is a regular file that can be read, or that its folder is there and it can come.
///
/// # Errors
/// A sentence.
pub fn check(path: &Path) -> Result<(), String> {
    let shown = path.shown();
    let text = path.to_str().ok_or_else(|| format!("{shown} is no UTF-8"))?;
    let of_file = |why: String| format!("{shown} {why}");
    if tail::look(text).map_err(of_file)?.is_some() {
        return tail::Tail::open(text, false).map(drop).map_err(of_file);
    }
    // It may come yet, where there is a folder for it to come to. A link may lead elsewhere.
    let target = std::fs::read_link(path).ok();
    let target = target.and_then(|target| Some(path.parent()?.join(target))).unwrap_or_else(|| path.to_owned());
    let folder = target.parent().unwrap_or(Path::new("/"));
    match std::fs::metadata(folder) {
        Ok(meta) if meta.is_dir() => Ok(()),
        Ok(_) => Err(format!("{shown} cannot come to be there: {} is no folder", folder.shown())),
        Err(error) => Err(format!("{shown} cannot come to be there: its folder {}: {error}", folder.shown())),
    }
}

/// An armed follower. Dropping it stops it.
#[derive(Debug)]
pub struct Follower {
    log: Arc<EventLog>,
    reader: Arc<Reader>,
    number: u64,
}

impl Follower {
    /// Follows from the file's end on; from its beginning, where it does not exist yet.
    pub fn arm(log: Arc<EventLog>, source: &FileSource) -> Result<Self, Blindness> {
        let reader = Reader::of(source).map_err(Blindness::Dead)?;
        let number = reader.subscribe(&log).map_err(Blindness::Dead)?;
        Ok(Self { log, reader, number })
    }

    /// Takes in all that is in the file by now, and says whether anything was missed so far. A line without an end, or a file that is
    /// not there, is blindness for the moment only.
    pub fn verify(&self) -> Option<Blindness> {
        self.verify_about(&Interest::default())
    }

    /// The same for what such a link looks for.
    pub fn verify_about(&self, interest: &Interest) -> Option<Blindness> {
        let open = self.reader.catch_up();
        self.log.blind_about(interest).or(open)
    }

    /// Takes in what is there, and stops.
    pub fn finish(self) -> Option<Blindness> {
        self.verify()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.reader.unsubscribe(self.number);
    }
}
