//! How a link was tied to the run: the events that it rests on, what is weak about them, and what arrived and does not count.

use crate::{Attribution, NotCounted};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// An event that a sighting rests on, as the host recorded it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct EvidenceEvent {
    /// The collector that recorded it.
    pub collector: String,
    /// Its place in the collector's log.
    pub sequence: u64,
    /// The collector's word for it, such as `execve` or `falco`.
    pub kind: String,
    /// When it happened, nanoseconds since 1970, by the sensor's clock.
    pub at: u64,
    /// How it was tied to this run.
    pub attribution: Attribution,
    /// Its fields, the first 64.
    pub fields: BTreeMap<String, String>,
}

/// What is weak about how a link was tied to the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Caution {
    /// Which weakness.
    pub kind: CautionKind,
    /// In a sentence, with what would mend it.
    pub text: String,
}

/// A weakness of a tie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CautionKind {
    /// By likeness: another process that does the same looks the same.
    Likeness,
    /// By time: whatever happened in the run's time would have done.
    TimeOnly,
    /// What the check saw outside of the collectors: its word, tied by time.
    CheckWord,
}

/// Events that the check would have taken, and that do not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Uncounted {
    /// How many.
    pub count: usize,
    /// There were more, which nobody counted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub at_least: bool,
    /// Why; where it says by how much time, of the nearest.
    #[serde(flatten)]
    pub why: NotCounted,
}

impl Uncounted {
    /// Puts together what does not count for the same reason, the reason that leaves most open first.
    pub fn group(reasons: impl IntoIterator<Item = NotCounted>) -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        for why in reasons {
            let same = |group: &&mut Self| std::mem::discriminant(&group.why) == std::mem::discriminant(&why);
            match groups.iter_mut().find(same) {
                Some(group) => {
                    *group = Self { count: group.count.saturating_add(1), why: group.why.min(why), at_least: false }
                }
                None => groups.push(Self { count: 1, why, at_least: false }),
            }
        }
        groups.sort_by_key(|group| group.why);
        groups
    }
}
