//! Request ∩ grant ∩ guardrail -> decision. Pure: no I/O, no async, knows nobody.
//!
//! Three layers say what a module may do: what it asks for itself (request), what a reviewer allowed (grant), and what
//! the operator allows at all in this environment (guardrail). A call is allowed where each of them, alone, allows it;
//! nothing is ever computed by comparing patterns with each other, so there is no clever step to get wrong. Only the
//! literal path lists of `exec`, which Landlock and mounts need before the first call, are intersected: by prefix.
//!
//! | file | question |
//! |---|---|
//! | `permission` | may this call be made? |
//! | `children` | what may the children of a run touch? |
//! | `limits` | how much of everything? |
//! | `shield` | which shield holds the children? |
//! | `authorise` | may this module run here at all, and how? |
//! | `grants` | what did a reviewer allow? (`grants.toml`) |
//! | `environment` | what does the operator allow? (`foil.yaml`) |
//! | `narrow`, `compare`, `versions`, `warn`, `hazard` | what a reviewer needs: grant less, see what changed, see what is dangerous |

// A module's request is hostile until it is granted: nothing in it may end the host.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod authorise;
mod children;
pub mod cluster;
mod compare;
mod denial;
pub mod environment;
mod folders;
pub mod grants;
mod hazard;
mod judged;
mod limits;
mod narrow;
mod paths;
mod permission;
mod shield;
pub mod sources;
mod versions;
mod warn;
pub mod windows;

pub use authorise::{Authorised, Case, authorise};
pub use children::ChildScope;
pub use cluster::ClusterRule;
pub use compare::{Change, Direction, compare};
pub use denial::{Denial, Layer, Refusal};
pub use environment::Environment;
pub use folders::{covering_rule, path_covers_own};
pub use grants::{Grant, GrantRefusal, Grants, Pin};
pub use hazard::{Hazard, Risk};
pub use judged::Judged;
pub use limits::{EffectiveLimits, HARD_MAXIMA, UNDOABLE_FILE};
pub use narrow::{Narrowing, narrow};
pub use permission::{Exactness, Permission};
pub use shield::choose_shield;
pub use versions::{Difference, Effect, versions};
pub use warn::{Warning, interface_name, warnings};

#[cfg(test)]
mod properties;
