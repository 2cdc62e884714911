//! A JSON value as flat fields, all of a bounded size: whoever writes it may be hostile.

use super::super::audit::parse::{shell_join, text};
use serde_json::Value;
use std::collections::BTreeMap;

/// Most fields of an event.
const MAX_FIELDS: usize = 512;
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
pub fn flatten(value: &Value, raw: &[u8]) -> BTreeMap<String, String> {
    let mut flat = Flat::default();
    flat.add("", value);
    let Flat { mut fields, incomplete, .. } = flat;
    fields.insert("raw".to_owned(), plain(raw, MAX_RAW));
    if incomplete {
        fields.insert("incomplete".to_owned(), "yes".to_owned());
    }
    fields
}

/// Bytes as text, at most `most` of them, without characters that would lie on a terminal.
pub fn plain(bytes: &[u8], most: usize) -> String {
    text(bytes.get(..most).unwrap_or(bytes))
}

#[derive(Default)]
struct Flat {
    fields: BTreeMap<String, String>,
    bytes: usize,
    incomplete: bool,
}

impl Flat {
    /// As deep as the parser lets anybody nest (128).
    fn add(&mut self, name: &str, value: &Value) {
        match value {
            Value::Null => {}
            Value::Bool(value) => self.put(name, &value.to_string()),
            Value::Number(value) => self.put(name, &value.to_string()),
            Value::String(value) => self.put(name, value),
            Value::Array(values) => {
                let words: Option<Vec<String>> = values.iter().map(word).collect();
                match words {
                    Some(words) => self.put(name, &shell_join(words.iter().map(String::as_bytes))),
                    None => values.iter().enumerate().for_each(|(n, value)| self.below(name, &n.to_string(), value)),
                }
            }
            Value::Object(values) => values.iter().for_each(|(key, value)| self.below(name, key, value)),
        }
    }

    fn below(&mut self, parent: &str, key: &str, value: &Value) {
        if self.fields.len() >= MAX_FIELDS || parent.len().saturating_add(key.len()) >= MAX_NAME {
            self.incomplete = true;
        } else if parent.is_empty() {
            self.add(key, value);
        } else {
            self.add(&format!("{parent}.{key}"), value);
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
        let (e, raw) = (("e", r"\x07"), ("raw", json));
        let expected = [("a.b.c", "1795298620821407465"), e, ("f", "1.5"), ("l.0.n", "true"), ("l.1", "s"), raw];
        assert_eq!(got[..6], expected);
        assert_eq!(got[6..], [("t", "x 'y z'")]);
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
