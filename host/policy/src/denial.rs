//! Why something was refused, in words.

use foil_manifest::CapabilityName;
use std::fmt;

/// The layer that refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// What the module's manifest asks for.
    Request,
    /// What the reviewer allowed.
    Grant,
    /// What the environment allows.
    Guardrail,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Request => "request",
            Self::Grant => "grant",
            Self::Guardrail => "guardrail",
        })
    }
}

/// Why a call was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{capability}: {rule}")]
pub struct Denial {
    /// The capability.
    pub capability: CapabilityName,
    /// The first layer that refused; others may refuse too.
    pub layer: Layer,
    /// The layer and the rule, in words; at most 512 bytes of printable characters whatever the guest sent.
    pub rule: String,
}

/// Why a module may not run here, or may not be granted so: a sentence that names the rule and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

/// Cuts a rule so that it stays within the documented bound.
pub(super) fn bounded(mut rule: String) -> String {
    const MAX: usize = 509;
    if rule.len() > MAX {
        rule.truncate(rule.floor_char_boundary(MAX));
        rule.push('…');
    }
    rule
}
