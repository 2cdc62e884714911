//! Experiments: what is expected, whether it happened, and which link is broken.
//!
//! `prepare` settles everything that can be settled without touching the target: modules, grants, permissions,
//! parameters, the target's identity. `plan` prints that; `run` does it.

mod arming;
pub mod attempts;
pub mod attest;
pub mod beside;
mod blank;
pub mod canary;
pub mod checks;
mod cluster;
pub mod document;
pub mod experiment;
mod imported;
mod interest;
mod look;
mod mistakes;
pub mod outputs;
pub mod parameters;
mod preflight;
mod prepare;
mod prepared;
pub mod references;
mod run;
mod scratch;
mod sensors;
pub mod sequence;
mod tie;
mod undo_host;
mod watch;

pub use blank::refused_report;
pub use experiment::Experiment;
pub use mistakes::{PrepareError, PrepareErrors};
pub use prepare::Preparation;
pub use prepared::{Prepared, PreparedLink};
pub use run::Host;
pub use undo_host::Machine;
