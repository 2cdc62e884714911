//! `rules`: Sigma rules, evaluated over the events of the run's other collectors. A match is an event of this collector's log; it
//! proves that a rule's logic fits what was recorded, and not that anybody was alerted.
//!
//! `sigma` reads and compiles rules (rsigma parses and matches), `set` holds all of an environment, `events` knows what recorded events
//! look like to them, `evaluation` follows the feeds of a run. `correlator` counts matches over a run, `history` over the steps of a
//! campaign; `nearest` tells what a rule that did not match lacked.

mod correlator;
mod evaluation;
mod events;
mod files;
mod graph;
mod history;
mod nearest;
mod set;
mod sigma;
mod tally;

pub use correlator::Correlator;
pub use evaluation::{Correlating, Evaluation};
pub use events::Programs;
pub use history::History;
pub use nearest::Lacking;
pub use set::{Loaded, Plan, Problem, RuleSet};
pub use sigma::{Level, Logsource, Rule};

/// Its name.
pub const NAME: &str = "rules";

/// The collectors that rules are evaluated over. `files`: the names of the followed logs.
pub fn feeds<'a>(files: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    let files = files.into_iter().map(|name| format!("{}{name}", super::file::PREFIX));
    std::iter::once(super::audit::NAME.to_owned()).chain(files).collect()
}

#[cfg(test)]
mod tests;
