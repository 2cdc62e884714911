//! The launcher and the confinement of child processes. See [`api`] for what the rest of the host sees.
//!
//! Three kinds of process, one program: the **host** ([`client`]) asks the **launcher** ([`launcher`]) for a run, the
//! launcher forks an **init** ([`init`]) for it, and from then on host and init talk directly ([`protocol`]). What a level
//! is made of is in [`steps`].

// What a run left, and what its programs say, is hostile: none of it may end the host.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod api;
mod client;
pub mod file_op;
mod init;
pub mod launcher;
pub mod overlay;
mod protocol;
pub mod scene;
mod steps;
mod wire;

pub use api::{
    Birth, BirthLog, BirthStage, Bound, ChildLimits, Ending, ExecOutcome, ExecRequest, Identity, Launcher, RunSpec,
    ShieldError, ShieldedRun, Tree,
};
pub use file_op::{FileFailure, FileOp};
pub use init::{EFFECT_NAME, INIT_NAME};
pub use launcher::cgroup::{Cgroup, sweep as sweep_cgroups};
pub use launcher::{ARGUMENT as LAUNCHER_ARGUMENT, NAME as LAUNCHER_NAME};
pub use steps::landlock;
