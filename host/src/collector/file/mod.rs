//! `file.NAME`: a log that is followed, through rotation and truncation.
//!
//! However many runs follow a log, one [`reader::Reader`] reads it. Whoever asks whether anything was missed reads what is there
//! first, so that an absence is never believed that is only a delay.

pub(super) mod line;
mod reader;
mod tail;

use super::{Blindness, EventLog};
use crate::policy::sources::FileSource;
use reader::Reader;
use std::sync::Arc;

/// What its names begin with.
pub const PREFIX: &str = "file.";

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
        let open = self.reader.catch_up();
        self.log.blind().or(open)
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
