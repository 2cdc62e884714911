//! The chain that an experiment expects.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Hops of a detection chain, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Hop {
    /// A sensor recorded it.
    Telemetry,
    /// A rule's logic matches what was recorded.
    Rule,
    /// It is searchable.
    Ingestion,
    /// An alert exists.
    Detection,
    /// The alert was routed.
    Alert,
    /// A human was called.
    Page,
    /// What is to be done about it is there.
    Runbook,
}

impl std::fmt::Display for Hop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Telemetry => "telemetry",
            Self::Rule => "rule",
            Self::Ingestion => "ingestion",
            Self::Detection => "detection",
            Self::Alert => "alert",
            Self::Page => "page",
            Self::Runbook => "runbook",
        })
    }
}

/// What is to happen to the technique.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It is detected, or prevented.
    #[default]
    Either,
    /// It is detected: a control that prevents it is a failure, since the detection was not put to the test.
    Detected,
    /// It is prevented: that it ran is a failure.
    Prevented,
}
