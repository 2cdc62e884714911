//! Event sources on the target, armed before the detonation.
//!
//! A collector writes into an [`EventLog`] from a thread of its own; checks read that log by cursor. Which run an event
//! belongs to is decided when it is *read* ([`tree::ProcessTree`]), since it may be recorded before the launcher has
//! said which processes are the run's. docs/collectors.md lists every collector with its fields.

// Every byte of an event is hostile: none of it may end the host.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod audit;
mod clock;
pub mod counting;
pub mod file;
pub mod foreign;
mod grain;
pub mod inbox;
pub mod kubernetes;
mod listener;
pub mod log;
pub mod loss;
mod netlink;
pub mod observed;
pub mod registry;
pub mod rules;
mod sensors;
pub mod tree;

pub use counting::Counting;
pub use grain::ClockGrain;
pub use log::{EventLog, Judged, LogLimits, Page, Process, Recorded};
pub use loss::{Interest, Loss};
pub use observed::Observed;
pub use registry::{ArmOptions, Armed, arm};
pub use sensors::Sensors;
pub use tree::ProcessTree;

use foil_record::Attribution;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One recorded event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its place in the collector's log.
    pub sequence: u64,
    /// Nanoseconds since 1970, by the sensor's clock.
    pub at: u64,
    /// The collector's word for it, such as `execve`.
    pub kind: String,
    /// How it was tied to this run.
    pub attribution: Attribution,
    /// Seen only by Foil itself.
    pub own_observation: bool,
    /// The sensor's fields, in its names.
    pub fields: BTreeMap<String, String>,
}

/// Why absence proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Blindness {
    /// Events were lost.
    #[error("events were lost: {0}")]
    Lost(String),
    /// The run's own shield hides from it what the technique does.
    #[error("the shield may hide it: {0} (shield)")]
    Shield(String),
    /// The collector could not be armed, or has ended.
    #[error("the collector is not listening: {0}")]
    Dead(String),
}

/// Locks a mutex. One that a panic poisoned is taken all the same: what it guards is a log, and half an entry is no reason to
/// lose the rest.
fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
