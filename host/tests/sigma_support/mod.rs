//! What the tests of Sigma rules share.

#![allow(dead_code, reason = "no test uses all of it")]

use foil_collector::rules::{Programs, RuleSet};
use foil_collector::{Event, audit};
use std::path::{Path, PathBuf};

/// `examples/rules`, each of which must be readable.
pub fn examples() -> RuleSet {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/rules");
    let rules = RuleSet::read(&[folder]).expect("the rules of the examples");
    assert_eq!(rules.problems(), []);
    rules
}

/// The names of the files, without `.yml`, whose rules match one of a run's events, in the order that they came in.
pub fn matching(rules: &RuleSet, events: &[Event]) -> Vec<String> {
    let (plan, mut programs) = (rules.plan(audit::NAME), Programs::default());
    let mut names = Vec::new();
    for event in events {
        names.extend(rules.matching(event, &plan, &programs).iter().map(|loaded| loaded.file_name()));
        programs.note(event);
    }
    let stem = |name: String| PathBuf::from(name).with_extension("").display().to_string();
    let mut names: Vec<String> = names.into_iter().map(stem).collect();
    names.sort();
    names.dedup();
    names
}
