//! Texts with wildcards.

use super::event::Value;
use super::expression::compile;
use regex::Regex;

/// Where in the value the text must stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Whole,
    Start,
    End,
    Anywhere,
}

impl Place {
    /// Does `needle` stand there in `text`?
    pub(super) fn holds(self, text: &str, needle: &str) -> bool {
        match self {
            Self::Whole => text == needle,
            Self::Start => text.starts_with(needle),
            Self::End => text.ends_with(needle),
            Self::Anywhere => text.contains(needle),
        }
    }
}

/// A text to look for.
#[derive(Debug)]
pub(super) struct Text {
    cased: bool,
    pattern: Pattern,
}

#[derive(Debug)]
enum Pattern {
    Plain(Place, String),
    /// With wildcards inside: linear in the value's length, whatever the pattern.
    Wild(Regex),
}

impl Text {
    /// Of a rule's text: `*` and `?` are wildcards, a backslash before one of these or before another backslash takes its
    /// meaning away, and any other backslash is just that.
    pub(super) fn new(text: &str, place: Place, cased: bool) -> Result<Self, String> {
        let text = if cased { text.to_owned() } else { text.to_lowercase() };
        let (mut place, mut parts) = (place, parts(&text));
        // A star at an end is a place: most patterns need no expression then.
        if parts.first() == Some(&Part::Any) {
            parts.remove(0);
            place = if matches!(place, Place::Whole | Place::End) { Place::End } else { Place::Anywhere };
        }
        if parts.last() == Some(&Part::Any) {
            parts.pop();
            place = if matches!(place, Place::Whole | Place::Start) { Place::Start } else { Place::Anywhere };
        }
        let pattern = match parts.as_slice() {
            [] => Pattern::Plain(place, String::new()),
            [Part::Literal(literal)] => Pattern::Plain(place, literal.clone()),
            _ => Pattern::Wild(expression(&parts, place)?),
        };
        Ok(Self { cased, pattern })
    }

    /// Of a text in which nothing is a wildcard.
    pub(super) fn literal(text: &str, place: Place, cased: bool) -> Self {
        let text = if cased { text.to_owned() } else { text.to_lowercase() };
        Self { cased, pattern: Pattern::Plain(place, text) }
    }

    /// Alternatives: those that may stand anywhere become one expression, which looks for all of them at once. Lists of dozens of
    /// keywords are what most of the time goes into.
    pub(super) fn alternatives(texts: Vec<Self>) -> Vec<Self> {
        const FEW: usize = 3;
        let anywhere =
            |text: &Self| matches!(&text.pattern, Pattern::Plain(Place::Anywhere, needle) if !needle.is_empty());
        let Some(cased) = texts.first().map(|text| text.cased) else { return texts };
        let needles = texts.iter().filter(|text| anywhere(text)).filter_map(|text| match &text.pattern {
            Pattern::Plain(_, needle) => Some(regex::escape(needle)),
            Pattern::Wild(_) => None,
        });
        let needles: Vec<String> = needles.collect();
        match compile(&needles.join("|"), "") {
            Ok(expression) if needles.len() > FEW => {
                let others = texts.into_iter().filter(|text| !anywhere(text));
                others.chain([Self { cased, pattern: Pattern::Wild(expression) }]).collect()
            }
            // Too many for one expression: one by one, then.
            _ => texts,
        }
    }

    /// The text itself, where it has no wildcard inside.
    pub(super) fn literal_part(&self) -> Option<&str> {
        match &self.pattern {
            Pattern::Plain(_, needle) => Some(needle),
            Pattern::Wild(_) => None,
        }
    }

    pub(super) fn matches(&self, value: &Value<'_>) -> bool {
        self.holds(if self.cased { &value.plain } else { value.lower() })
    }

    /// For names in a condition, which are matched as they stand.
    pub(super) fn holds(&self, text: &str) -> bool {
        match &self.pattern {
            Pattern::Plain(place, needle) => place.holds(text, needle),
            Pattern::Wild(expression) => expression.is_match(text),
        }
    }
}

#[derive(Debug, PartialEq)]
enum Part {
    Literal(String),
    /// `*`
    Any,
    /// `?`
    One,
}

fn parts(text: &str) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        let literal = match c {
            '*' => {
                if parts.last() != Some(&Part::Any) {
                    parts.push(Part::Any);
                }
                continue;
            }
            '?' => {
                parts.push(Part::One);
                continue;
            }
            '\\' => characters.next_if(|next| matches!(next, '*' | '?' | '\\')).unwrap_or('\\'),
            other => other,
        };
        match parts.last_mut() {
            Some(Part::Literal(text)) => text.push(literal),
            _ => parts.push(Part::Literal(literal.to_string())),
        }
    }
    parts
}

fn expression(parts: &[Part], place: Place) -> Result<Regex, String> {
    let mut source = String::from("(?s)");
    source.push_str(if matches!(place, Place::Whole | Place::Start) { r"\A" } else { "" });
    for part in parts {
        match part {
            Part::Literal(literal) => source.push_str(&regex::escape(literal)),
            Part::Any => source.push_str(".*"),
            Part::One => source.push('.'),
        }
    }
    source.push_str(if matches!(place, Place::Whole | Place::End) { r"\z" } else { "" });
    compile(&source, "")
}
