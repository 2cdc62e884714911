//! What a module says of itself and asks for, and how that travels inside the module's bytes.
//!
//! A manifest is *data*, read without running anything: a reviewer must be able to judge a module before the first of
//! its instructions runs. This crate therefore knows no engine. The host, the build and the fuzzers share it.

pub mod attack;
pub mod build;
pub mod capability;
pub mod component;
pub mod contract;
pub mod cover;
pub mod digest;
mod hidden;
pub mod ids;
pub mod imports;
pub mod inspect;
pub mod kube;
pub mod manifest;
pub mod parameter;
pub mod pattern;
pub mod refusal;
pub mod section;
pub mod tie;

pub use capability::{Capability, CapabilityName, ExecScope, Network, PathScope};
pub use digest::Digest;
pub use ids::{AttackId, ModuleId};
pub use imports::Imports;
pub use inspect::{Inspection, inspect};
pub use kube::{KubeRule, KubeScope, KubeVerb, PodScope};
pub use manifest::{Impact, Kind, Limits, Manifest, ShieldLevel};
pub use parameter::{Parameter, ParameterType, Shape};
pub use pattern::{CommandPattern, NamePattern, PathPattern};
pub use refusal::Refusal;
pub use tie::TiedBy;
