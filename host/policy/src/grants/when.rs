//! A day or a moment.

use jiff::tz::TimeZone;
use jiff::{Timestamp, civil::Date};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A day (`2027-01-31`, in UTC) or a moment (`2027-01-31T12:00:00Z`, RFC 3339).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// A whole day.
    Day(Date),
    /// A moment.
    Moment(Timestamp),
}

impl When {
    /// The first moment of it.
    pub fn start(self) -> Timestamp {
        match self {
            Self::Day(day) => day.to_zoned(TimeZone::UTC).map_or(Timestamp::MAX, |z| z.timestamp()),
            Self::Moment(moment) => moment,
        }
    }

    /// The first moment after it: where something that counts until then has ended. A date beyond what can be
    /// computed is taken to be over, so that a strange file never makes a grant eternal.
    pub fn end(self) -> Timestamp {
        match self {
            Self::Day(day) => {
                day.tomorrow().and_then(|next| next.to_zoned(TimeZone::UTC)).map_or(Timestamp::MIN, |z| z.timestamp())
            }
            Self::Moment(moment) => moment,
        }
    }
}

impl std::str::FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A day has ten characters; jiff would also take the day out of a longer text.
        let when = if text.len() == 10 { text.parse().map(Self::Day) } else { text.parse().map(Self::Moment) };
        when.map_err(|_| {
            format!(
                "{} is neither a day such as 2027-01-31 nor a moment such as 2027-01-31T12:00:00Z",
                foil_text::quote(text)
            )
        })
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day(day) => f.pad(&day.to_string()),
            Self::Moment(moment) => f.pad(&moment.to_string()),
        }
    }
}

impl Serialize for When {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // People write dates in TOML with and without quotes; both are meant.
        let text = match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => text,
            toml::Value::Datetime(time) => time.to_string(),
            other => return Err(serde::de::Error::custom(format!("expected a date, found {}", other.type_str()))),
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for When {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "When".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A day (`2027-01-31`, in UTC) or a moment (`2027-01-31T12:00:00Z`, RFC 3339).",
            "type": "string",
            "pattern": r"^\d{4}-\d{2}-\d{2}([Tt ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?([Zz]|[+-]\d{2}:?\d{2}))?$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_counts_to_its_end() {
        let day: When = "2027-01-31".parse().expect("a day");
        assert_eq!(day.start().to_string(), "2027-01-31T00:00:00Z");
        assert_eq!(day.end().to_string(), "2027-02-01T00:00:00Z");
        let moment: When = "2027-01-31T12:00:00+01:00".parse().expect("a moment");
        assert_eq!(moment.end().to_string(), "2027-01-31T11:00:00Z");
        for bad in ["", "soon", "2027-13-01", "2027-01-31T12:00:00", "20270131", "2027-01-31 "] {
            assert!(bad.parse::<When>().is_err(), "{bad}");
        }
        assert_eq!("9999-12-31".parse::<When>().map(When::end), Ok(Timestamp::MIN));
    }
}
