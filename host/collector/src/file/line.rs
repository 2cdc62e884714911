//! A line of a followed log becomes an event.

use super::super::foreign::{self, Internal, flatten, internal, plain, redact_audit, torn};
use super::super::{Recorded, clock};
use super::tail::without_zeros;
use foil_policy::sources::{FileFormat, FileSource};
use regex::Regex;
use regex::bytes::Regex as Head;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// How much of a line is kept in the field `line`, in bytes.
const MAX_TEXT: usize = 8 << 10;

/// The longest head before an object, in bytes.
const MAX_HEAD: usize = 1 << 10;

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

    /// Reads a line without its end.
    pub fn read(&self, line: &[u8]) -> Read {
        self.read_at(line, clock::realtime())
    }

    /// The same of a line that was written at this moment, nanoseconds since 1970.
    pub fn read_at(&self, line: &[u8], written: u64) -> Read {
        let line = bare(line);
        if line.is_empty() {
            return Read::default();
        }
        let (fields, unreadable) = match self.format {
            FileFormat::Json => json(line),
            FileFormat::Regex => (self.groups(line), false),
            FileFormat::Text => (Some(text(line)), false),
        };
        let internal = match self.format {
            FileFormat::Json => fields.as_ref().and_then(internal::of),
            FileFormat::Regex | FileFormat::Text => internal::of_text(line),
        };
        if internal.is_some() {
            return Read { internal, ..Read::default() };
        }
        Read { event: fields.map(|fields| self.recorded(fields, written)), unreadable, internal }
    }

    /// The event of a line whose beginning only is there.
    pub fn cut(&self, head: &[u8]) -> Recorded {
        self.recorded(noted(bare(head), "cut"), clock::realtime())
    }

    /// Whether a line without an end is whole all the same: only JSON says where it ends.
    pub fn is_whole(&self, line: &[u8]) -> bool {
        self.format == FileFormat::Json && object(payload(bare(line))).is_some()
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

/// What there is to a line.
#[derive(Debug, Default)]
pub struct Read {
    /// The event; `None` where the line is empty, does not match the pattern, or is no event.
    pub event: Option<Recorded>,
    /// What it says is not known, or not all of it: an absence proves nothing.
    pub unreadable: bool,
    /// It is a message of Falco's about itself.
    pub internal: Option<Internal>,
}

fn bare(line: &[u8]) -> &[u8] {
    let line = without_zeros(line).trim_ascii();
    // A byte order mark, as some programs begin a file with.
    line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line).trim_ascii()
}

/// The fields of a line that should be a JSON object, and whether it is not.
fn json(line: &[u8]) -> (Option<BTreeMap<String, String>>, bool) {
    let within = payload(line);
    if let Some(value) = object(within) {
        return (Some(fields(value, within)), false);
    }
    // What can be read of it counts where it is found. Bytes that are not UTF-8 were replaced, so nothing is proved by an absence.
    match object(String::from_utf8_lossy(within).as_bytes()) {
        Some(value) => (Some(fields(value, within)), true),
        None => (Some(noted(line, "unparsed")), true),
    }
}

/// The fields of an object, without the secrets of an API server's audit.
fn fields(mut value: Value, line: &[u8]) -> BTreeMap<String, String> {
    if redact_audit(&mut value) { flatten(&value, value.to_string().as_bytes()) } else { flatten(&value, line) }
}

/// What a shipper put before the object: a container runtime's or syslog's head. Two forms only, each to its end: what stands anywhere
/// else in a line may be of whoever caused it.
static HEAD: LazyLock<Option<Head>> = LazyLock::new(|| {
    let time = r"(?:\d{4}-\d\d-\d\dT[0-9:.,]+(?:Z|[+-]\d\d:?\d\d)?|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d)";
    let tag = r"[\w./-]{1,64}(?:\[[\w.-]{1,20}\])?: ?(?:@cee: ?)?";
    let structured = r"(?:-|(?:\[[^\]]*\])+) (?:\xEF\xBB\xBF)?(?:@cee: ?)?";
    let head = format!(
        r"(?-u)^(?:{time} (?:stdout|stderr) F |(?:<\d{{1,3}}>)?{time} (?:[\w.:-]{{1,255}} )?{tag}|<\d{{1,3}}>1 {time} \S+ \S+ \S+ \S+ {structured})\{{"
    );
    Head::new(&head).ok()
});

fn payload(line: &[u8]) -> &[u8] {
    if line.first() == Some(&b'{') {
        return line;
    }
    let start = line.get(..MAX_HEAD).unwrap_or(line);
    let end = HEAD.as_ref().and_then(|head| Some(head.find(start)?.end().saturating_sub(1)));
    end.and_then(|end| line.get(end..)).unwrap_or(line)
}

fn object(line: &[u8]) -> Option<Value> {
    serde_json::from_slice(line).ok().filter(Value::is_object)
}

fn text(line: &[u8]) -> BTreeMap<String, String> {
    BTreeMap::from([("line".to_owned(), plain(line, MAX_TEXT))])
}

fn noted(line: &[u8], note: &str) -> BTreeMap<String, String> {
    let mut fields = text(torn(line));
    fields.insert(note.to_owned(), "yes".to_owned());
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(format: FileFormat, pattern: Option<&str>, line: &[u8]) -> Option<BTreeMap<String, String>> {
        let pattern = pattern.map(ToOwned::to_owned);
        let source = FileSource { path: "/x".into(), format, pattern, ..FileSource::default() };
        Lines::of(&source).unwrap().read(line).event.map(|event| event.fields)
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
            assert!(Lines::json().read(line).unreadable);
        }
    }

    #[test]
    fn a_byte_order_mark_and_a_shippers_head_are_passed_over() {
        let object = r#"{"a":{"b":1}}"#;
        for head in [
            "\u{feff}",
            "2026-11-28T10:00:00.946068858Z stdout F ",
            "2026-11-28T10:00:00.946068858+01:00 stderr F ",
            "Nov 28 10:00:00 web1 falco[812]: ",
            "Nov  8 10:00:00 falco: ",
            "<134>Nov 28 10:00:00 web1 falco: @cee: ",
            "2026-11-28T10:00:00.946068+00:00 web1 falco[812]: ",
            "<134>1 2026-11-28T10:00:00.946Z web1 falco 812 - - ",
            "<134>1 2026-11-28T10:00:00.946Z web1 falco 812 id [x@1 a=\"b\"] \u{feff}",
        ] {
            let line = format!("{head}{object}");
            let read = Lines::json().read(line.as_bytes());
            assert!(!read.unreadable && Lines::json().is_whole(line.as_bytes()), "{head}");
            let fields = read.event.unwrap().fields;
            assert_eq!((fields["a.b"].as_str(), fields["raw"].as_str()), ("1", object), "{head}");
        }
        for other in [
            "2026-11-28T10:00:00.946068858Z stdout P ",
            "10:00:00.1: Notice ",
            "Nov 28 10:00:00 web1 sudo: ann : COMMAND=/bin/echo ",
            "x",
        ] {
            let read = Lines::json().read(format!("{other}{object}").as_bytes());
            assert!(read.unreadable && read.event.unwrap().fields["unparsed"] == "yes", "{other}");
        }
    }

    #[test]
    fn what_is_not_utf8_counts_where_it_is_found_and_blinds() {
        let read = Lines::json().read(b"{\"rule\":\"x\",\"cmd\":\"a\xff\"}");
        assert!(read.unreadable && read.event.unwrap().fields["rule"] == "x");
    }

    #[test]
    fn a_message_of_falcos_about_itself_is_no_event() {
        let line =
            br#"{"rule":"Falco internal: syscall event drop","output_fields":{"n_drops":"4"},"priority":"Debug"}"#;
        let read = Lines::json().read(line);
        assert!(read.event.is_none() && !read.unreadable && matches!(read.internal, Some(Internal::Lost(_))));
        let source = FileSource {
            path: "/x".into(),
            format: FileFormat::Regex,
            pattern: Some("^b".into()),
            ..FileSource::default()
        };
        let text = b"1: Debug Falco internal: syscall event drop. 4 system calls dropped in last second.";
        assert!(matches!(Lines::of(&source).unwrap().read(text).internal, Some(Internal::Lost(_))));
    }
}
