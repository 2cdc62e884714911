//! How bad something is, in anybody's words.

use foil_text::Shown as _;
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
            "critical" | "crit" | "alert" | "emergency" | "emerg" | "panic" | "fatal" | "severe" => Self::Critical,
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

/// What a sighting says of its severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// A word that a scale has.
    Known(Severity),
    /// A word that none has: it is shown, and is never enough where a least severity is asked for.
    Unknown,
    /// Nothing.
    Unsaid,
}

impl Weight {
    /// Of the source's own word.
    pub fn of(word: Option<&str>) -> Self {
        match word.map(|word| (word.trim(), Severity::of(word))) {
            None | Some(("", _)) => Self::Unsaid,
            Some((_, Some(severity))) => Self::Known(severity),
            Some((_, None)) => Self::Unknown,
        }
    }

    /// It is `least` or above for certain.
    pub fn is_at_least(self, least: Severity) -> bool {
        matches!(self, Self::Known(severity) if severity >= least)
    }

    /// Why it is not enough. `word`: the source's own, fit to be shown.
    pub fn too_little(self, word: &str, least: Severity) -> String {
        let least = least.word();
        match self {
            Self::Known(_) => format!("it was seen with the severity {word}, and at least {least} was asked for"),
            Self::Unknown => format!(
                "it was seen with the severity `{word}`, a word that no scale has, and at least {least} was asked for"
            ),
            Self::Unsaid => format!("it was seen without a severity, and at least {least} was asked for"),
        }
    }
}

impl TryFrom<String> for Severity {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        Self::of(&word)
            .ok_or_else(|| format!("`{}` is no severity: informational, low, medium, high or critical", word.shown()))
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
        assert_eq!((Severity::of("urgent-ish"), Severity::of("INFO")), (None, Severity::of("Informational")));
    }

    #[test]
    fn a_word_that_no_scale_has_is_never_enough_and_is_shown() {
        let unknown = Weight::of(Some("Catastrophic"));
        assert_eq!((unknown, Weight::of(Some(" "))), (Weight::Unknown, Weight::Unsaid));
        assert_eq!((Weight::of(None), Weight::of(Some("WARN"))), (Weight::Unsaid, Weight::Known(Severity::Medium)));
        assert!(!unknown.is_at_least(Severity::Debug) && Weight::of(Some("Error")).is_at_least(Severity::High));
        assert!(
            unknown.too_little("Catastrophic", Severity::High).contains("`Catastrophic`, a word that no scale has")
        );
    }
}
