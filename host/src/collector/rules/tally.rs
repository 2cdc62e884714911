//! How far a correlation got that did not match.

use super::correlator::Correlator;
use super::set::Loaded;
use super::sigma::Correlation;
use foil_text::cut;
use schemars::JsonSchema;
use serde::Serialize;

/// How far a correlation got that a link names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Tally {
    /// The correlation's title.
    pub rule: String,
    /// Its type, such as `event_count`.
    pub kind: String,
    /// The most that one group had within the span: events, values, or rules (of `temporal_ordered`, in their order).
    pub counted: usize,
    /// What its condition asks for, such as `gte 100`.
    pub wants: String,
    /// Seconds.
    pub span: u64,
    /// That group, such as `User=root`; empty where there is one group only.
    pub group: String,
    /// Matches that were not counted, since they lack a field that it groups by or counts.
    pub incomplete: u64,
}

impl Tally {
    pub(super) fn of(number: usize, loaded: &Loaded, correlation: &Correlation, correlator: &Correlator) -> Self {
        let (counted, group) = correlator.fullest(number, correlation).unwrap_or_default();
        Self {
            rule: cut(&loaded.rule.head.title, 200),
            kind: correlation.kind().to_owned(),
            counted,
            wants: cut(&correlation.wants(), 200),
            span: correlation.timespan().as_secs(),
            group,
            incomplete: correlator.incomplete(number),
        }
    }
}
