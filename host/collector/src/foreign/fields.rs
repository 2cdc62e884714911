//! A JSON value as flat fields, all of a bounded size: whoever writes it may be hostile.

use super::super::audit::parse::{shell_join, text};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Most fields of an event.
const MAX_FIELDS: usize = 512;
/// Most values that are looked at on one level.
const MAX_LEVEL: usize = 4 * MAX_FIELDS;
/// Longest name, in bytes.
const MAX_NAME: usize = 256;
/// Longest value, in bytes.
const MAX_VALUE: usize = 16 << 10;
/// Names and values together, in bytes.
const MAX_TOTAL: usize = 128 << 10;
/// How much of the event as it came is kept, in bytes.
const MAX_RAW: usize = 2 << 10;

/// Flat fields: nested names are joined by dots, a list of plain values is written as a shell would take it, other lists are numbered
/// from 0; what is `null` is left out. `raw` is the beginning of the event as it came. What does not fit is left out, and `incomplete=yes`.
///
/// The outermost come first, and the shortest of those: a Kubernetes audit event has `verb` and `userAgent` beside a whole object.
pub fn flatten(value: &Value, raw: &[u8]) -> BTreeMap<String, String> {
    let mut flat = Flat::default();
    let mut level = vec![(String::new(), value)];
    while !level.is_empty() {
        level = flat.take(level);
    }
    let Flat { mut fields, incomplete, .. } = flat;
    fields.insert("raw".to_owned(), plain(raw, MAX_RAW));
    if incomplete {
        fields.insert("incomplete".to_owned(), "yes".to_owned());
    }
    fields
}

/// Bytes as text, at most `most` of them and as they are: rules look at them. Whoever shows it escapes it.
pub fn plain(bytes: &[u8], most: usize) -> String {
    let mut head = bytes.get(..most).unwrap_or(bytes);
    if head.len() < bytes.len()
        && let Some(cut) =
            head.utf8_chunks().last().map(|chunk| chunk.invalid().len()).filter(|cut| (1..4).contains(cut))
    {
        // Half a character at the end was whole before it was cut.
        head = head.get(..head.len().saturating_sub(cut)).unwrap_or(head);
    }
    text(head)
}

#[derive(Default)]
struct Flat {
    fields: BTreeMap<String, String>,
    bytes: usize,
    incomplete: bool,
}

impl Flat {
    /// Takes what is plain on a level, and returns what is nested in the rest of it. There are as many levels as the parser lets
    /// anybody nest (128).
    fn take<'a>(&mut self, level: Vec<(String, &'a Value)>) -> Vec<(String, &'a Value)> {
        if self.fields.len() >= MAX_FIELDS {
            self.incomplete = true;
            return Vec::new();
        }
        let (mut leaves, mut nested) = (Vec::new(), Vec::new());
        for (name, value) in level {
            match leaf(value) {
                Some(text) => leaves.push((name, text)),
                None => nested.push((name, value)),
            }
        }
        leaves.sort_by_key(|(_, text)| text.len());
        leaves.iter().for_each(|(name, text)| self.put(name, text));
        nested.sort_by_key(|(_, value)| width(value));
        let mut next = Vec::new();
        for (name, value) in nested {
            match value {
                Value::Array(values) => {
                    values.iter().enumerate().for_each(|(n, v)| self.below(&mut next, &name, &n.to_string(), v));
                }
                Value::Object(values) => values.iter().for_each(|(key, v)| self.below(&mut next, &name, key, v)),
                _ => {}
            }
        }
        next
    }

    fn below<'a>(&mut self, next: &mut Vec<(String, &'a Value)>, parent: &str, key: &str, value: &'a Value) {
        if next.len() >= MAX_LEVEL || parent.len().saturating_add(key.len()) >= MAX_NAME {
            self.incomplete = true;
        } else if !value.is_null() {
            let name = if parent.is_empty() { key.to_owned() } else { format!("{parent}.{key}") };
            next.push((name, value));
        }
    }

    fn put(&mut self, name: &str, value: &str) {
        let size = name.len().saturating_add(value.len().min(MAX_VALUE));
        if self.fields.len() >= MAX_FIELDS || self.bytes.saturating_add(size) > MAX_TOTAL {
            self.incomplete = true;
            return;
        }
        self.bytes = self.bytes.saturating_add(size);
        self.incomplete |= value.len() > MAX_VALUE;
        self.fields.insert(plain(name.as_bytes(), MAX_NAME), plain(value.as_bytes(), MAX_VALUE));
    }
}

/// How many values are right below this one.
fn width(value: &Value) -> usize {
    match value {
        Value::Array(values) => values.len(),
        Value::Object(values) => values.len(),
        _ => 0,
    }
}

/// The text of what is no object, nor a list that has one in it.
fn leaf(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(_) | Value::Bool(_) => Some(Cow::Owned(value.to_string())),
        Value::Array(values) => {
            let words: Vec<String> = values.iter().map(word).collect::<Option<_>>()?;
            Some(Cow::Owned(shell_join(words.iter().map(String::as_bytes))))
        }
        Value::Null | Value::Object(_) => None,
    }
}

/// A value that is one word of a list.
fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(value) => Some(value.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> BTreeMap<String, String> {
        flatten(&serde_json::from_str(text).unwrap(), text.as_bytes())
    }

    #[test]
    fn names_are_joined_and_lists_are_words_or_numbered() {
        let json =
            r#"{"a":{"b.c":1795298620821407465,"d":null},"t":["x","y z"],"l":[{"n":true},"s"],"f":1.5,"e":"\u0007"}"#;
        let fields = fields(json);
        let got: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let (e, raw) = (("e", "\u{7}"), ("raw", json));
        let expected = [("a.b.c", "1795298620821407465"), e, ("f", "1.5"), ("l.0.n", "true"), ("l.1", "s"), raw];
        assert_eq!(got[..6], expected);
        assert_eq!(got[6..], [("t", "x 'y z'")]);
    }

    #[test]
    fn what_an_audit_event_is_about_survives_the_object_in_it() {
        let labels: BTreeMap<String, String> = (0..3_000).map(|n| (format!("a{n}"), "x".repeat(40))).collect();
        let object = serde_json::json!({"metadata": {"annotations": labels}, "data": {"a": "y".repeat(200_000)}});
        let event = serde_json::json!({
            "annotations": {"authorization.k8s.io/decision": "allow", "big": "z".repeat(500_000)}, "auditID": "a-1",
            "objectRef": {"resource": "configmaps", "namespace": "n", "name": "foil-x", "subresource": "status"},
            "requestObject": object, "responseObject": object, "responseStatus": {"code": 201, "metadata": {}},
            "stage": "ResponseComplete", "user": {"username": "ann", "groups": ["a", "b"]},
            "userAgent": "foil/1 (run x)", "verb": "create",
        });
        let fields = fields(&event.to_string());
        for (name, value) in [
            ("auditID", "a-1"),
            ("objectRef.name", "foil-x"),
            ("objectRef.subresource", "status"),
            ("responseStatus.code", "201"),
            ("stage", "ResponseComplete"),
            ("user.username", "ann"),
            ("userAgent", "foil/1 (run x)"),
            ("verb", "create"),
            ("incomplete", "yes"),
        ] {
            assert_eq!(fields.get(name).map(String::as_str), Some(value), "{name}");
        }
    }

    #[test]
    fn values_are_as_they_were_said() {
        let fields = fields(r#"{"cmd":"sh\n\tcurl\u2028x\u202e","a\tb":["x\ty","z"]}"#);
        assert_eq!(fields["cmd"], "sh\n\tcurl\u{2028}x\u{202e}");
        assert_eq!(fields["a\tb"], "'x\ty' z");
        assert_eq!(plain("é".as_bytes(), 1), "", "half a character is none");
        assert_eq!(plain(b"a\xff", 9), "a\u{fffd}");
        assert_eq!(plain("aé".repeat(9).as_bytes(), 5), "aéa");
    }

    #[test]
    fn whatever_comes_stays_within_bounds() {
        let deep = format!("{}1{}", r#"{"abcdef":"#.repeat(120), "}".repeat(120));
        let wide = format!("{{{}}}", (0..5_000).map(|n| format!(r#""k{n}":{n}"#)).collect::<Vec<_>>().join(","));
        let long = format!(r#"{{"a":"{}é","b":1}}"#, "x".repeat(1 << 20));
        let heavy = (0..100).map(|n| format!(r#""k{n}":"{}""#, "y".repeat(9_000))).collect::<Vec<_>>();
        for json in [deep, wide, long, format!("{{{}}}", heavy.join(","))] {
            let fields = fields(&json);
            assert_eq!(fields.get("incomplete").map(String::as_str), Some("yes"));
            assert!(fields.len() <= MAX_FIELDS + 2);
            assert!(fields.iter().map(|(n, v)| n.len() + v.len()).sum::<usize>() < 2 * MAX_TOTAL);
        }
    }
}
