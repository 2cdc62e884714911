//! `file.NAME`: a log that is followed, through rotation and truncation.

use super::{Blindness, EventLog};
use crate::policy::sources::FileSource;
use std::sync::Arc;

/// What its names begin with.
pub const PREFIX: &str = "file.";

/// An armed follower. Dropping it stops it.
#[derive(Debug)]
pub struct Follower {
    log: Arc<EventLog>,
}

impl Follower {
    /// Follows from the file's end on.
    pub fn arm(log: Arc<EventLog>, source: &FileSource) -> Result<Self, Blindness> {
        let _ = log;
        Err(Blindness::Dead(format!("{} cannot be followed yet", source.path)))
    }

    /// Whether it has missed anything so far.
    pub fn verify(&self) -> Option<Blindness> {
        self.log.blind()
    }

    /// Takes in what is there, and stops.
    pub fn finish(self) -> Option<Blindness> {
        self.log.blind()
    }
}
