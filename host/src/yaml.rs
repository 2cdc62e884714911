//! YAML as Foil reads it: strict, within budgets, and with errors that begin with where they are.

use serde::de::DeserializeOwned;

/// Reads one document.
///
/// # Errors
/// `line:column: what`, for what is no YAML, unknown and duplicate keys, wrong types, and files that go beyond the budgets.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_saphyr::from_str_with_options(text, options()).map_err(|error| sentence(&error))
}

/// Small budgets: a file is some pages, and a few nested aliases can stand for gigabytes.
fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 100_000,
            max_nodes: 50_000,
            max_depth: 16,
            max_documents: 1,
            max_aliases: 100,
            max_anchors: 100,
            max_merge_keys: 0,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 10_000,
            max_replay_stack_depth: 4,
        },
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::Error,
        strict_booleans: true,
        with_snippet: false,
    }
}

fn sentence(error: &serde_saphyr::Error) -> String {
    let error = error.without_snippet();
    let (line, column) = error.location().map_or((1, 1), |l| (l.line(), l.column()));
    let text = error.to_string();
    // The library adds the place at the end as well.
    let text = text.split(" at line ").next().unwrap_or_default();
    format!("{line}:{column}: {text}")
}
