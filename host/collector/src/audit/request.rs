//! What an experiment may ask the kernel to record: data only, so that whoever reads experiments needs no collector.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an experiment asks to be recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RuleRequest {
    /// System calls by name, such as `execve`. Watches are not to be had: they do not fire through an overlay.
    pub syscalls: Vec<String>,
    /// Only those of this user (the real uid).
    pub uid: Option<u32>,
    /// Rules in `auditctl`'s language, such as `-a always,exit -S openat -F exit=-EACCES`.
    pub rules: Vec<String>,
}
