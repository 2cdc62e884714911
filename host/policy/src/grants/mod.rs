//! `grants.toml`: what reviewers allowed, to which bytes, until when. Kept in the operator's repository and reviewed there.

mod edit;
mod find;
mod parse;
mod when;

pub use edit::{revoke, with_grant};
pub use find::{GrantRefusal, present};
pub use parse::File;
pub use parse::parse;
pub use when::When;

use foil_manifest::{Capability, Digest, Impact, Limits, ModuleId, ShieldLevel};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest grants file that is read, in bytes: a thousand grants are a tenth of it.
pub const MAX_FILE: usize = 4 << 20;

/// What a grant is pinned to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pin {
    /// The SHA-256 of the module's bytes; any module.
    Bytes(Digest),
    /// The hash of what the reviewer judged; built-in modules only, whose bytes the binary vouches for.
    Judged(Digest),
    /// An imported script's own hash, and that of what was judged of its interpreter, whose bytes the binary vouches for: a new
    /// Foil does not stale it, and a changed script does.
    Script(Digest, Digest),
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(digest) => write!(f, "digest {digest}"),
            Self::Judged(digest) => write!(f, "judged {digest}"),
            Self::Script(script, interpreter) => write!(f, "script {script}, interpreter {interpreter}"),
        }
    }
}

/// That a grant was taken back. The entry stays, so that the file tells its history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// When.
    pub when: When,
    /// Who.
    pub who: String,
    /// Why.
    pub why: String,
}

/// One grant: what one reviewer allowed one module.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// The module.
    pub module: ModuleId,
    /// Which version of it.
    pub pin: Pin,
    /// When it was granted.
    pub granted: When,
    /// By whom.
    pub reviewer: String,
    /// Why.
    pub reason: String,
    /// Until when; a date counts to its end, in UTC.
    pub expires: Option<When>,
    /// Taken back.
    pub revoked: Option<Revocation>,
    /// Shields that may hold its children; empty: `confined`.
    pub shield: Vec<ShieldLevel>,
    /// The highest impact.
    pub impact: Option<Impact>,
    /// Limits that lower the host's.
    pub limits: Limits,
    /// What it may do.
    pub capabilities: Vec<Capability>,
}

/// A grants file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Grants {
    /// In the file's order; revoked ones too.
    pub list: Vec<Grant>,
}

/// An entry as it stands in the file.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [
    { "required": ["digest"], "not": { "required": ["judged"] } },
    { "required": ["judged"], "not": { "required": ["digest"] } },
    { "required": ["digest", "judged"], "properties": { "module": { "pattern": "^atomic\\." } } },
]))]
struct Entry {
    /// The module.
    module: ModuleId,
    /// The SHA-256 of its bytes; of an imported script's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
    /// The hash of what was judged, for built-in modules; beside `digest` of the script's interpreter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    judged: Option<Digest>,
    /// When it was granted.
    granted: When,
    /// By whom.
    #[schemars(length(min = 1))]
    reviewer: String,
    /// Why.
    #[schemars(length(min = 1))]
    reason: String,
    /// Until when; a date counts to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<When>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    shield: Vec<ShieldLevel>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    impact: Option<Impact>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revoked: Option<Revocation>,
    #[serde(default, skip_serializing_if = "is_default")]
    limits: Limits,
    #[serde(default, rename = "capability", skip_serializing_if = "Vec::is_empty")]
    capabilities: Vec<Capability>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl From<&Grant> for Entry {
    fn from(grant: &Grant) -> Self {
        let (digest, judged) = match grant.pin {
            Pin::Bytes(digest) => (Some(digest), None),
            Pin::Judged(digest) => (None, Some(digest)),
            Pin::Script(script, interpreter) => (Some(script), Some(interpreter)),
        };
        Self {
            module: grant.module.clone(),
            digest,
            judged,
            granted: grant.granted,
            reviewer: grant.reviewer.clone(),
            reason: grant.reason.clone(),
            expires: grant.expires,
            shield: grant.shield.clone(),
            impact: grant.impact,
            revoked: grant.revoked.clone(),
            limits: grant.limits,
            capabilities: grant.capabilities.iter().cloned().map(Capability::without_reason).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
