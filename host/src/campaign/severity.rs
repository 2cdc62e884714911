//! How bad something is, in anybody's words.

use serde::Deserialize;

/// A severity, comparable across the scales of Sigma, Falco, syslog and SIEMs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, serde::Serialize, schemars::JsonSchema)]
#[schemars(with = "String")]
#[serde(try_from = "String", into = "String")]
pub enum Severity {
    /// `debug`.
    Debug,
    /// `informational`, `info`, `notice`.
    Informational,
    /// `low`.
    Low,
    /// `medium`, `moderate`, `warning`.
    Medium,
    /// `high`, `error`.
    High,
    /// `critical`, `alert`, `emergency`, `fatal`.
    Critical,
}

impl Severity {
    /// What a word means, in upper or lower case; `None` for a word that no scale has.
    pub fn of(word: &str) -> Option<Self> {
        Some(match word.trim().to_ascii_lowercase().as_str() {
            "debug" => Self::Debug,
            "informational" | "information" | "info" | "notice" => Self::Informational,
            "low" => Self::Low,
            "medium" | "moderate" | "warning" | "warn" => Self::Medium,
            "high" | "error" | "err" => Self::High,
            "critical" | "crit" | "alert" | "emergency" | "emerg" | "fatal" | "severe" => Self::Critical,
            _ => return None,
        })
    }

    /// Sigma's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl TryFrom<String> for Severity {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        Self::of(&word).ok_or_else(|| {
            format!("`{}` is no severity: informational, low, medium, high or critical", word.escape_debug())
        })
    }
}

impl From<Severity> for String {
    fn from(severity: Severity) -> Self {
        severity.word().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_comparable() {
        let of = |word| Severity::of(word).expect(word);
        assert!(of("Warning") < of("HIGH") && of("notice") < of("low") && of("Critical") == of("emergency"));
        assert_eq!(Severity::of("urgent-ish"), None);
    }
}
