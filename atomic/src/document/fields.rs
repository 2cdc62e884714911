//! A map of which every key is known, taken apart field by field.

use super::tree::{Node, Value};
use super::{Mistake, mistake};

pub(super) struct Fields {
    /// What the map is, for sentences.
    of: &'static str,
    /// The map, for mistakes that have no smaller place.
    pub(super) place: (u64, u64),
    entries: Vec<(String, Node)>,
}

pub(super) fn place(node: &Node) -> (u64, u64) {
    (node.referenced.line(), node.referenced.column())
}

impl Fields {
    /// Unknown keys, and keys that stand twice, are mistakes.
    pub(super) fn of(node: Node, of: &'static str, known: &[&str]) -> Result<Self, Mistake> {
        let at = place(&node);
        let mut entries: Vec<(String, Node)> = Vec::new();
        for (key, value) in map(node, of)? {
            let key_at = (key.referenced.line(), key.referenced.column());
            let key = key.value;
            if !known.contains(&key.as_str()) {
                return mistake(key_at, format!("{of} has no key `{key}`: it may have {}", known.join(", ")));
            }
            if entries.iter().any(|(earlier, _)| *earlier == key) {
                return mistake(key_at, format!("`{key}` stands twice in {of}: leave one"));
            }
            entries.push((key, value));
        }
        Ok(Self { of, place: at, entries })
    }

    /// The field, also where it says `null`.
    pub(super) fn take(&mut self, key: &str) -> Option<Node> {
        self.entries.iter().position(|(name, _)| name == key).map(|at| self.entries.swap_remove(at).1)
    }

    /// The field; `null` is as if it were not there.
    pub(super) fn given(&mut self, key: &str) -> Option<Node> {
        self.take(key).filter(|node| !matches!(node.value, Value::Null))
    }

    pub(super) fn need(&mut self, key: &str) -> Result<Node, Mistake> {
        self.take(key).map_or_else(|| mistake(self.place, format!("{} has no `{key}`: add it", self.of)), Ok)
    }

    /// A text that says something.
    pub(super) fn text(&mut self, key: &str) -> Result<Text, Mistake> {
        let text = text(self.need(key)?, key)?;
        if text.value.trim().is_empty() { mistake(text.place, format!("`{key}` is empty")) } else { Ok(text) }
    }

    /// A text, where there is one that says something.
    pub(super) fn optional(&mut self, key: &str) -> Result<Option<Text>, Mistake> {
        let text = self.given(key).map(|node| text(node, key)).transpose()?;
        Ok(text.filter(|text| !text.value.trim().is_empty()))
    }

    pub(super) fn flag(&mut self, key: &str) -> Result<bool, Mistake> {
        match self.take(key) {
            None => Ok(false),
            Some(node) => match &node.value {
                Value::Plain(value) if value == "true" => Ok(true),
                Value::Plain(value) if value == "false" => Ok(false),
                _ => mistake(place(&node), format!("`{key}` is `true` or `false`")),
            },
        }
    }
}

/// A text and where it stands.
pub(super) struct Text {
    pub(super) value: String,
    pub(super) place: (u64, u64),
}

pub(super) fn text(node: Node, key: &str) -> Result<Text, Mistake> {
    let at = place(&node);
    match node.value {
        Value::Text(value) => Ok(Text { value, place: at }),
        Value::Plain(value) => mistake(at, format!("`{key}` is a text, and `{value}` is none: put it in quotes")),
        _ => mistake(at, format!("`{key}` is a text")),
    }
}

pub(super) fn map(node: Node, what: &str) -> Result<Vec<(serde_saphyr::Spanned<String>, Node)>, Mistake> {
    let at = place(&node);
    let Value::Map(entries) = node.value else { return mistake(at, format!("{what} is a map of keys and values")) };
    Ok(entries)
}

pub(super) fn list(node: Node, key: &str) -> Result<Vec<Node>, Mistake> {
    let at = place(&node);
    let Value::List(items) = node.value else { return mistake(at, format!("`{key}` is a list")) };
    Ok(items)
}
