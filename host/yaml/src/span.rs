//! Lengths of time, as files say them.

use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

/// A length of time, as `500ms`, `30s`, `5m` or `1h 30m`; from a millisecond to a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(extend("pattern" = r"^(\d+(\.\d+)?\s*(milli(s|seconds?)|msecs?|ms|hours?|hrs?|h|minutes?|mins?|m|seconds?|secs?|s)[\s,]*)+$"))]
pub struct Span(Duration);

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse(&text).map(Self)
    }
}

/// Reads a length of time.
///
/// # Errors
/// A sentence: it is not one, or too short or too long.
pub fn parse(text: &str) -> Result<Duration, String> {
    text.parse::<jiff::SignedDuration>()
        .ok()
        .and_then(|span| Duration::try_from(span).ok())
        .filter(|span| (Duration::from_millis(1)..=Duration::from_secs(86_400)).contains(span))
        .ok_or_else(|| format!("`{text}` is no length of time between 1ms and 24h: write 500ms, 30s, 5m or 1h 30m"))
}

impl Span {
    /// The length itself.
    pub fn duration(self) -> Duration {
        self.0
    }
}
