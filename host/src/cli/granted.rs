//! How a module stands with the grants, in two words.

use super::grants_file::judged;
use crate::module::Module;
use foil_policy::{Direction, GrantRefusal, Grants, compare};
use jiff::Timestamp;
use std::fmt;

/// How a module stands with the grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Granted {
    /// All that it asks for.
    Whole,
    /// Less than it asks for. The shield `open` alone does not count: it is never granted unless it is named.
    Narrowed,
    /// The module is not the one that was granted.
    Changed,
    /// The grant has ended.
    Expired,
    /// It was taken back.
    Revoked,
    /// Nobody granted it.
    Not,
    /// The grants cannot be read.
    Unknown,
}

impl Granted {
    /// How `module` stands with `grants` now; `None`: they cannot be read.
    pub fn of(module: &Module, grants: Option<&Grants>) -> Self {
        let Some(grants) = grants else { return Self::Unknown };
        match grants.find(&judged(module), Timestamp::now()) {
            Ok(grant) => {
                let mut changes = compare(grant, &module.manifest).into_iter();
                let less = changes.any(|change| {
                    change.direction == Direction::Added && !(change.key == "shield" && change.value == "open")
                });
                if less { Self::Narrowed } else { Self::Whole }
            }
            Err(GrantRefusal::NotGranted { .. }) => Self::Not,
            Err(GrantRefusal::Expired { .. }) => Self::Expired,
            Err(GrantRefusal::Revoked { .. }) => Self::Revoked,
            Err(GrantRefusal::Stale { .. }) => Self::Changed,
        }
    }
}

impl Granted {
    /// Whether the module may run at all.
    pub fn lets_run(self) -> bool {
        matches!(self, Self::Whole | Self::Narrowed)
    }
}

impl fmt::Display for Granted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Whole => "granted",
            Self::Narrowed => "narrowed",
            Self::Changed => "changed since",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Not => "not granted",
            Self::Unknown => "unknown",
        })
    }
}
