//! A line of a followed log becomes an event.

use super::super::foreign::{self, flatten, plain};
use super::super::{Recorded, clock};
use super::tail::without_zeros;
use crate::policy::sources::{FileFormat, FileSource};
use regex::Regex;
use serde_json::Value;
use std::collections::BTreeMap;

/// How much of a line is kept in the field `line`, in bytes.
const MAX_TEXT: usize = 8 << 10;

/// The kind of these events.
const KIND: &str = "line";

/// How the lines of one source are read.
#[derive(Debug)]
pub struct Lines {
    format: FileFormat,
    pattern: Option<Regex>,
    time: Option<String>,
}

impl Lines {
    /// # Errors
    /// A sentence about the pattern.
    pub fn of(source: &FileSource) -> Result<Self, String> {
        Ok(Self { format: source.format, pattern: source.regex()?, time: source.time.clone() })
    }

    /// JSON, with the time where sensors mostly have it.
    pub fn json() -> Self {
        Self { format: FileFormat::Json, pattern: None, time: None }
    }

    /// The event of a line without its end; `None` where it is empty, or does not match the pattern.
    pub fn event(&self, line: &[u8]) -> Option<Recorded> {
        self.event_at(line, clock::realtime())
    }

    /// The same of a line that was written at this moment, nanoseconds since 1970.
    pub fn event_at(&self, line: &[u8], written: u64) -> Option<Recorded> {
        let line = bare(line);
        if line.is_empty() {
            return None;
        }
        let fields = match self.format {
            FileFormat::Json => object(line).map_or_else(
                // Not dropped silently: a sensor's start-up banner, or a line that was torn.
                || noted(line, "unparsed"),
                |value| flatten(&value, line),
            ),
            FileFormat::Regex => self.groups(line)?,
            FileFormat::Text => text(line),
        };
        Some(self.recorded(fields, written))
    }

    /// The event of a line whose beginning only is there.
    pub fn cut(&self, head: &[u8]) -> Recorded {
        self.recorded(noted(bare(head), "cut"), clock::realtime())
    }

    /// Whether a line without an end is whole all the same: only JSON says where it ends.
    pub fn is_whole(&self, line: &[u8]) -> bool {
        self.format == FileFormat::Json && object(bare(line)).is_some()
    }

    fn recorded(&self, fields: BTreeMap<String, String>, written: u64) -> Recorded {
        foreign::event(KIND, fields, self.time.as_deref(), written)
    }

    fn groups(&self, line: &[u8]) -> Option<BTreeMap<String, String>> {
        let pattern = self.pattern.as_ref()?;
        let whole = String::from_utf8_lossy(line);
        let captures = pattern.captures(&whole)?;
        let mut fields = text(line);
        for name in pattern.capture_names().flatten() {
            if let Some(found) = captures.name(name) {
                fields.insert(name.to_owned(), plain(found.as_str().as_bytes(), MAX_TEXT));
            }
        }
        Some(fields)
    }
}

fn bare(line: &[u8]) -> &[u8] {
    without_zeros(line).trim_ascii()
}

fn object(line: &[u8]) -> Option<Value> {
    serde_json::from_slice(line).ok().filter(Value::is_object)
}

fn text(line: &[u8]) -> BTreeMap<String, String> {
    BTreeMap::from([("line".to_owned(), plain(line, MAX_TEXT))])
}

fn noted(line: &[u8], note: &str) -> BTreeMap<String, String> {
    let mut fields = text(line);
    fields.insert(note.to_owned(), "yes".to_owned());
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(format: FileFormat, pattern: Option<&str>, line: &[u8]) -> Option<BTreeMap<String, String>> {
        let pattern = pattern.map(ToOwned::to_owned);
        let source = FileSource { path: "/x".into(), format, pattern, time: None };
        Lines::of(&source).unwrap().event(line).map(|event| event.fields)
    }

    #[test]
    fn each_format_has_its_fields() {
        let fields = event(FileFormat::Json, None, b"\0\0 {\"a\":{\"b\":1}}\r").unwrap();
        assert_eq!((fields["a.b"].as_str(), fields["raw"].as_str()), ("1", r#"{"a":{"b":1}}"#));
        let fields =
            event(FileFormat::Regex, Some(r"user=(?<user.name>\w+)(?: from (?<ip>\S+))?"), b"x user=ann").unwrap();
        assert_eq!(
            (fields["user.name"].as_str(), fields["line"].as_str(), fields.get("ip")),
            ("ann", "x user=ann", None)
        );
        assert_eq!(event(FileFormat::Regex, Some("^b"), b"abc"), None);
        // As it stands: rules look at it.
        assert_eq!(event(FileFormat::Text, None, b"a\x07\tb\xff").unwrap()["line"], "a\u{7}\tb\u{fffd}");
        for empty in [&b""[..], b" \r", b"\0\0\0"] {
            assert_eq!(event(FileFormat::Text, None, empty), None);
        }
    }

    #[test]
    fn what_is_no_object_is_kept_and_said_to_be_so() {
        for line in [&b"Events detected: 0"[..], b"[1]", b"{\"torn\":", b"\x7fELF\x02\xff\xfe"] {
            let fields = event(FileFormat::Json, None, line).unwrap();
            assert_eq!(fields["unparsed"], "yes");
        }
    }
}
