//! Identifiers that are checked once, where they enter.

use foil_text::{QUOTE, visible};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// An identifier was malformed; the text says what it must look like.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct IdError(String);

/// A module's name: `platform.name`, such as `linux.file-delete`.
///
/// Two or more dotted parts of lower-case letters, digits and dashes, each starting with a letter or digit; at most 80 bytes.
/// No tactic is part of it, since ATT&CK renames those. Imported tests are called as their authors call them, by ATT&CK id and
/// number: `atomic.T1059.004-1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = r"^([a-z0-9][a-z0-9-]*(\.[a-z0-9][a-z0-9-]*)+|atomic\.T[0-9]{4}(\.[0-9]{3})?-[0-9]{1,4})$", "maxLength" = 80))]
pub struct ModuleId(String);

impl ModuleId {
    /// The part before the first dot, such as `linux`.
    pub fn platform(&self) -> &str {
        self.0.split('.').next().unwrap_or_default()
    }

    /// Whether Foil itself works under ids like this one: `foil.*` (`foil.canary` in the journal, collectors), `interpreter.*` (what
    /// runs imported tests), and `atomic.*` (imported tests). No component from outside may have one.
    pub fn is_reserved(&self) -> bool {
        matches!(self.platform(), "foil" | "interpreter" | "atomic")
    }

    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ModuleId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        let part = |p: &str| {
            p.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
                && p.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        if text.len() <= 80 && text.contains('.') && text.split('.').all(part) || is_atomic(&text) {
            Ok(Self(text))
        } else {
            Err(IdError(format!(
                "`{}` is no module id: write `platform.name` in lower-case letters, digits and dashes, at most 80 bytes",
                visible(&text, QUOTE)
            )))
        }
    }
}

/// `atomic.T1059.004-1`.
fn is_atomic(text: &str) -> bool {
    let digits = |text: &str, most: usize| (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let parts = text.strip_prefix("atomic.T").and_then(|rest| rest.split_once('-'));
    parts.is_some_and(|(technique, number)| {
        let (technique, sub) = technique.split_once('.').unwrap_or((technique, "000"));
        technique.len() == 4 && digits(technique, 4) && sub.len() == 3 && digits(sub, 3) && digits(number, 4)
    })
}

impl std::str::FromStr for ModuleId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        text.to_owned().try_into()
    }
}

impl From<ModuleId> for String {
    fn from(id: ModuleId) -> Self {
        id.0
    }
}

impl fmt::Display for ModuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// An ATT&CK technique id that exists: `T1059` or `T1059.004` (<https://attack.mitre.org/>; the list is `data/attack.csv`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = r"^T[0-9]{4}(\.[0-9]{3})?$"))]
pub struct AttackId(String);

impl AttackId {
    /// The id, such as `T1059.004`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `self` is `other` or one of its sub-techniques.
    pub fn is_within(&self, other: &AttackId) -> bool {
        self == other || self.0.strip_prefix(other.as_str()).is_some_and(|rest| rest.starts_with('.'))
    }
}

impl TryFrom<String> for AttackId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        if crate::attack::name(&text).is_some() { Ok(Self(text)) } else { Err(IdError(crate::attack::unknown(&text))) }
    }
}

impl std::str::FromStr for AttackId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        text.to_owned().try_into()
    }
}

impl From<AttackId> for String {
    fn from(id: AttackId) -> Self {
        id.0
    }
}

impl fmt::Display for AttackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn module_ids_have_a_platform_and_a_name() {
        assert_eq!("linux.file-delete".parse::<ModuleId>().map(|i| i.platform().to_owned()), Ok("linux".to_owned()));
        for bad in ["linux", "Linux.x", "linux..x", ".x", "linux.-x", "linux/x.y", "linux.é", ""] {
            assert!(bad.parse::<ModuleId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn attack_ids_must_exist() {
        let sub: AttackId = "T1059.004".parse().expect("in the list");
        assert!(sub.is_within(&"T1059".parse().expect("in the list")));
        assert!(!sub.is_within(&"T1057".parse().expect("in the list")));
        assert!("T9999".parse::<AttackId>().is_err());
        let revoked = "T1562.012".parse::<AttackId>().expect_err("revoked").to_string();
        assert!(revoked.contains("it is T1685.004 (") && revoked.contains(" now"), "{revoked}");
    }
}
