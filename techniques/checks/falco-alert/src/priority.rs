//! Falco's priorities.

/// Highest first; Falco numbers them in this order, from 0.
pub const PRIORITIES: [&str; 8] =
    ["emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug"];

/// A priority as an alert says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Priority {
    /// One of Falco's: its place, 0 being the highest.
    Known(usize),
    /// A word that Falco does not have, or none. It may be anything, so it is no reason to pass over an alert.
    Unknown,
}

impl Priority {
    /// Of a word in small letters or capitals, short or long, or of a number as syslog has them.
    pub fn of(word: &str) -> Self {
        let word = word.trim().to_ascii_lowercase();
        let known = match word.as_str() {
            "emerg" | "panic" => "emergency",
            "crit" => "critical",
            "err" => "error",
            "warn" => "warning",
            "info" | "information" => "informational",
            other => other,
        };
        let number = word.parse().ok().filter(|place| *place < PRIORITIES.len());
        PRIORITIES.iter().position(|name| *name == known).or(number).map_or(Self::Unknown, Self::Known)
    }

    /// It is `lowest` or above, as far as is known.
    pub fn is_at_least(&self, lowest: usize) -> bool {
        match self {
            Self::Known(place) => *place <= lowest,
            Self::Unknown => true,
        }
    }

    /// The word for a severity: the alert's own, or Falco's name where the alert gives a number.
    pub fn word(&self, said: &str) -> String {
        match self {
            Self::Known(place) if said.trim().bytes().all(|b| b.is_ascii_digit()) => {
                PRIORITIES.get(*place).map_or_else(|| said.to_owned(), |name| (*name).to_owned())
            }
            _ => said.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_any_case_and_numbers() {
        for (word, place) in [
            ("Informational", 6),
            ("INFO", 6),
            ("info", 6),
            ("Warning", 4),
            ("WARN", 4),
            ("warn", 4),
            ("NOTICE", 5),
            ("crit", 2),
            ("Err", 3),
            ("emerg", 0),
            ("5", 5),
            (" debug ", 7),
        ] {
            assert_eq!(Priority::of(word), Priority::Known(place), "{word}");
        }
        for word in ["Catastrophic", "", "8", "-1", "loud"] {
            assert_eq!(Priority::of(word), Priority::Unknown, "{word}");
            assert!(Priority::of(word).is_at_least(0));
        }
        assert_eq!((Priority::of("5").word("5"), Priority::of("INFO").word("INFO")), ("notice".into(), "INFO".into()));
        assert_eq!(Priority::of("Catastrophic").word("Catastrophic"), "Catastrophic");
    }
}
