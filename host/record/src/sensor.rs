//! Whether a sensor was shown to be alive.

use schemars::JsonSchema;
use serde::Serialize;
use std::fmt;

/// What is known of a feed's sensor where a link saw nothing.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "proof")]
pub enum SensorProof {
    /// It noticed a canary.
    #[serde(rename_all = "kebab-case")]
    Answered {
        /// The collector.
        feed: String,
        /// How long it took, in milliseconds.
        after_ms: f64,
    },
    /// It did not.
    #[serde(rename_all = "kebab-case")]
    Silent {
        /// The collector.
        feed: String,
        /// What was to be noticed, and within which time.
        canary: String,
    },
    /// It says itself that it is not well, or does not answer.
    #[serde(rename_all = "kebab-case")]
    Unwell {
        /// The collector.
        feed: String,
        /// What it says.
        reason: String,
    },
    /// Nobody looked whether it is alive.
    #[serde(rename_all = "kebab-case")]
    None {
        /// The collector.
        feed: String,
        /// Why.
        reason: Unproved,
    },
}

impl SensorProof {
    /// Why an absence proves nothing, where it does not.
    pub fn blinds(&self) -> Option<String> {
        match self {
            Self::Silent { feed, canary } => {
                Some(format!("the sensor did not notice a canary either: `{feed}` had no event of {canary}"))
            }
            Self::Unwell { feed, reason } => Some(format!("the sensor of `{feed}` is not well: {reason}")),
            Self::Answered { .. } | Self::None { .. } => None,
        }
    }
}

/// Why nobody looked whether a sensor is alive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unproved {
    /// `foil.yaml` names no canary for this feed.
    NotConfigured,
    /// `foil.yaml` says that there is to be none.
    Declined,
    /// Its health endpoint answers, and no canary shows that events come.
    HealthOnly,
    /// The sensors are a cluster's: `kubernetes.canary` shows that they are alive.
    Cluster,
    /// A canary could not be made, in a sentence.
    Cannot(String),
}

impl fmt::Display for Unproved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConfigured => f.write_str("foil.yaml names no `canary` for it"),
            Self::Declined => f.write_str("foil.yaml says `canary: { make: none }`"),
            Self::HealthOnly => {
                f.write_str("`healthz` answers, but foil.yaml names no `canary` that shows that events come")
            }
            Self::Cluster => f.write_str("the technique `kubernetes.canary` shows whether a cluster's sensors are"),
            Self::Cannot(why) => write!(f, "a canary could not be made: {why}"),
        }
    }
}
