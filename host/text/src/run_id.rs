//! The id of a run, which the host (never the guest) stamps on all that the run does.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A ULID in lower case: 26 characters that sort by time, safe in file names, labels and tags.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(String);

impl RunId {
    /// A new one.
    #[allow(clippy::new_without_default, reason = "each one is different")]
    pub fn new() -> Self {
        Self(ulid::Ulid::generate().to_string().to_lowercase())
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RunId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let plain = text.len() == 26 && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if plain { Ok(Self(text)) } else { Err(format!("`{text}` is no run id: it has 26 letters and digits")) }
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
