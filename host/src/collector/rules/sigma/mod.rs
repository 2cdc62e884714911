//! Sigma detections, compiled and evaluated. Semantics as in the Sigma specification 2.1: texts are compared without regard to
//! case unless `cased`, `*` and `?` are wildcards, several values of a field are alternatives unless `all`.
//!
//! Pure, and free of the rest of the host. Rules come from the operator or from a public collection, events from whoever can
//! make a sensor record something: neither may make this panic, recurse without bound or take long.

mod condition;
mod encode;
mod event;
mod expression;
mod field;
mod rule;
mod selection;
mod text;

pub use event::SigmaEvent;
pub use field::Asked;
pub use rule::{Level, Logsource, Rule};

#[cfg(test)]
mod tests;
