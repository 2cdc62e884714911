//! What a Sigma rule lacked that matched nothing.

use schemars::JsonSchema;
use serde::Serialize;

/// The event of a run that came nearest to what a rule asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Nearest {
    /// The rule's title.
    pub rule: String,
    /// The collector that recorded the event.
    pub collector: String,
    /// The event's place in that collector's log.
    pub sequence: u64,
    /// The event's kind.
    pub kind: String,
    /// How many items of the rule's detection it satisfies.
    pub satisfied: usize,
    /// How many items there are.
    pub items: usize,
    /// What it does not satisfy; at most three.
    pub unmatched: Vec<Unmatched>,
}

/// An item of a rule's detection that an event does not satisfy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Unmatched {
    /// The field; left out of a keyword, which may stand in any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What the event has there; left out where the field is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What the rule wants, such as `contains '-rf'`.
    pub wants: String,
}

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
