//! Sigma rules, read and compiled. rsigma (`rsigma-parser`, `rsigma-eval`) parses and matches; here is what is Foil's own: events as
//! rules see them, mistakes in the words of people who write rules, and what rsigma 0.23 evaluates otherwise than the Sigma
//! specification 2.1 says (`authored` on the parsed rule, `repair` on the compiled form).
//!
//! Pure, and free of the rest of the host. Rules come from the operator or from a public collection, events from whoever can
//! make a sensor record something: neither may make this panic, recurse without bound or take long.

mod asked;
mod authored;
mod condition;
mod correlation;
mod document;
mod encode;
mod event;
mod expression;
mod filter;
mod misses;
mod repair;
mod rule;

pub use asked::Asked;
pub use correlation::{Correlation, Counted, MAX_WINDOW};
pub use document::Document;
pub use event::SigmaEvent;
pub use filter::Filter;
pub use misses::{Miss, Misses};
pub use rule::{Detection, Level, Logsource, Rule};

#[cfg(test)]
mod tests;
