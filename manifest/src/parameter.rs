//! Parameters: what a manifest declares of each, and which values it admits.
//!
//! The host knows more than a manifest can say, such as which system calls and which collectors there are. It checks that
//! beside what is here.

use crate::ids::AttackId;
use crate::pattern;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

/// The longest text of one parameter, in bytes.
pub const MAX_TEXT: usize = 64 << 10;

/// A parameter's type: what its value is, and so what is checked before anything runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ParameterType {
    /// Text without NUL, at most 64 KiB.
    String,
    /// A signed 64-bit integer.
    Integer,
    /// A finite 64-bit float.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A list of strings.
    Strings,
    /// Text: kinds of audit events, which are names of system calls or of audit records, separated by commas.
    AuditEvents,
    /// Text: the full name of a collector, such as `file.falco`. The check reads that one: it is armed, and its blindness alone
    /// counts.
    Collector,
    /// Text: the id of a Sigma rule or a pattern of its title. A rule must fit that something here feeds.
    SigmaRule,
    /// Text: the name of a cluster's node. `foil run --each-node` sets it. What another node's sensor lost does not blind the check.
    Node,
    /// Text: the kind of event that the check looks for, such as `alertmanager`. What the inbox lost of other kinds does not blind it.
    EventKind,
    /// A list: patterns of an event's fields, each as `NAME=PATTERN`.
    Fields,
    /// Text: a pattern that is not empty.
    Pattern,
    /// Text: a pattern of absolute paths.
    PathPattern,
    /// Text: an absolute path without `.`, `..` or empty parts.
    Path,
    /// Text: a pattern of a rule's tag. One that has the form of an ATT&CK id must be one.
    Tag,
    /// Text: an ATT&CK id.
    AttackId,
    /// A list: ATT&CK ids; of a check those of the technique where an experiment gives none.
    AttackIds,
    /// Text: the GUID of an Atomic Red Team test; of a check that of the imported test that is run where an experiment gives none.
    AtomicTest,
    /// Text: a length of time, such as `30s` or `1h 30m`.
    Duration,
    /// Text: a regular expression.
    Regex,
    /// Text: the name of a Kubernetes object.
    KubeName,
    /// Text: a Kubernetes label selector that is not empty.
    Selector,
}

/// What a value of some type is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Text.
    Text,
    /// A signed 64-bit integer.
    Integer,
    /// A finite 64-bit float.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A list of texts.
    Texts,
}

impl ParameterType {
    /// What its values are made of.
    pub fn shape(self) -> Shape {
        match self {
            Self::Integer => Shape::Integer,
            Self::Number => Shape::Number,
            Self::Boolean => Shape::Boolean,
            Self::Strings | Self::Fields | Self::AttackIds => Shape::Texts,
            Self::String
            | Self::AuditEvents
            | Self::Collector
            | Self::SigmaRule
            | Self::Node
            | Self::EventKind
            | Self::Pattern
            | Self::PathPattern
            | Self::Path
            | Self::Tag
            | Self::AttackId
            | Self::AtomicTest
            | Self::Duration
            | Self::Regex
            | Self::KubeName
            | Self::Selector => Shape::Text,
        }
    }
}

/// A parameter that an experiment may set by `with`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: ParameterType,
    /// What it is, for people.
    pub about: String,
    /// Taken where an experiment gives none; a parameter without default that is not `required` is simply absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// An experiment must give it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// The values that are allowed; empty: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Value>,
    /// The least value; of text and lists the least length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<Number>,
    /// The greatest value; of text and lists the greatest length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Number>,
    /// A regular expression that the whole text must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<String>,
}

impl Parameter {
    /// A parameter of which only the type is said.
    pub fn new(kind: ParameterType, about: impl Into<String>) -> Self {
        Self {
            kind,
            about: about.into(),
            default: None,
            required: false,
            choices: Vec::new(),
            min: None,
            max: None,
            form: None,
        }
    }

    /// Checks a value as far as a manifest can tell: its shape, its bounds, and the syntax of its type.
    ///
    /// # Errors
    /// What the value must be, as the end of a sentence: "it must be a whole number".
    pub fn check(&self, value: &Value) -> Result<(), String> {
        let wrong = |what: &str| Err(format!("it must be {what}"));
        match self.kind.shape() {
            Shape::Integer if !value.is_i64() => return wrong("a whole number"),
            Shape::Number if !value.is_number() => return wrong("a number"),
            Shape::Boolean if !value.is_boolean() => return wrong("true or false"),
            Shape::Text => syntax(self.kind, text(value)?)?,
            Shape::Texts => {
                let list = value.as_array().ok_or("it must be a list of strings")?;
                list.iter().try_for_each(|item| syntax(self.kind, text(item)?))?;
            }
            Shape::Integer | Shape::Number | Shape::Boolean => {}
        }
        self.bounds(value)
    }

    /// Whether the value lies between `min` and `max`.
    fn bounds(&self, value: &Value) -> Result<(), String> {
        let (size, unit) = match value {
            Value::String(text) => (text.chars().count() as f64, " characters"),
            Value::Array(list) => (list.len() as f64, " entries"),
            other => (other.as_f64().unwrap_or_default(), ""),
        };
        let of = |bound: &Option<Number>| bound.as_ref().and_then(Number::as_f64);
        let (min, max) = (of(&self.min), of(&self.max));
        if min.is_none_or(|min| size >= min) && max.is_none_or(|max| size <= max) {
            return Ok(());
        }
        let has = if unit.is_empty() { "it must be" } else { "it must have" };
        let shown = |bound: &Option<Number>| bound.as_ref().map(ToString::to_string).unwrap_or_default();
        Err(match (min, max) {
            (Some(_), Some(_)) => format!("{has} {} to {}{unit}", shown(&self.min), shown(&self.max)),
            (Some(min), None) if min == 1.0 && !unit.is_empty() => "it must not be empty".to_owned(),
            (Some(_), None) => format!("{has} at least {}{unit}", shown(&self.min)),
            _ => format!("{has} at most {}{unit}", shown(&self.max)),
        })
    }

    /// What a manifest may not say of a parameter.
    pub(crate) fn check_declaration(&self) -> Result<(), String> {
        if self.required && self.default.is_some() {
            return Err("it is required, so its default is never taken".to_owned());
        }
        if self.form.is_some() && self.kind.shape() != Shape::Text {
            return Err("`form` is for text only".to_owned());
        }
        if (self.min.is_some() || self.max.is_some()) && self.kind.shape() == Shape::Boolean {
            return Err("`min` and `max` are not for true and false".to_owned());
        }
        let values = self.default.iter().chain(&self.choices);
        values.into_iter().try_for_each(|value| self.check(value).map_err(|why| format!("{value}: {why}")))
    }
}

fn text(value: &Value) -> Result<&str, String> {
    let text = value.as_str().ok_or("it must be a string")?;
    if text.len() > MAX_TEXT || text.contains('\0') {
        return Err("a string has at most 64 KiB and no NUL".to_owned());
    }
    Ok(text)
}

/// Checks one text against the syntax of its type.
fn syntax(kind: ParameterType, text: &str) -> Result<(), String> {
    let must = |holds: bool, what: &str| if holds { Ok(()) } else { Err(format!("it must be {what}")) };
    match kind {
        ParameterType::Fields => pattern::field(text).map(drop),
        ParameterType::Pattern => must(!text.trim().is_empty(), "a pattern that is not empty"),
        ParameterType::PathPattern => must(
            text.starts_with('/') || text.starts_with("**"),
            "a pattern of an absolute path: begin it with `/`, or with `**/` for any folder (`*` and `?` do not match `/`)",
        ),
        ParameterType::Path => must(pattern::is_plain_path(text), "an absolute path without `.`, `..` or empty parts"),
        ParameterType::Tag => {
            must(!text.trim().is_empty(), "a pattern that is not empty")?;
            match attack_id(text) {
                Some(id) if crate::attack::name(&id).is_none() => Err(format!(
                    "there is no ATT&CK technique {id}; where a rule has this tag all the same, write `{text}*`"
                )),
                _ => Ok(()),
            }
        }
        ParameterType::AttackId | ParameterType::AttackIds => {
            AttackId::try_from(text.to_owned()).map(drop).map_err(|error| error.to_string())
        }
        ParameterType::Node | ParameterType::KubeName => must(
            is_kube_name(text),
            "the name of a Kubernetes object: 1 to 253 small letters, digits, `-` and `.`, with a letter or digit at both ends",
        ),
        ParameterType::AtomicTest => must(is_guid(text), "a GUID, such as `812c3ab8-94b0-4698-a9bf-9420af23ce24`"),
        ParameterType::Selector => {
            must(is_selector(text), "a label selector, such as `app.kubernetes.io/name=falco` or `tier in (a, b)`")
        }
        // These need what only the host knows.
        ParameterType::AuditEvents | ParameterType::Collector | ParameterType::SigmaRule => {
            must(!text.trim().is_empty(), "a name that is not empty")
        }
        ParameterType::Duration | ParameterType::Regex => must(!text.is_empty(), "text that is not empty"),
        ParameterType::String
        | ParameterType::EventKind
        | ParameterType::Strings
        | ParameterType::Integer
        | ParameterType::Number
        | ParameterType::Boolean => Ok(()),
    }
}

/// The ATT&CK id that a tag has the form of, such as `T1070.004` in `attack.t1070.004`.
fn attack_id(tag: &str) -> Option<String> {
    let tag = tag.to_ascii_uppercase();
    let id = tag.strip_prefix("ATTACK.").unwrap_or(&tag);
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    let (main, sub) = id.strip_prefix('T')?.split_once('.').map_or((id.get(1..)?, None), |(m, s)| (m, Some(s)));
    (digits(main, 4) && sub.is_none_or(|sub| digits(sub, 3))).then(|| id.to_owned())
}

/// Five groups of hexadecimal digits.
fn is_guid(text: &str) -> bool {
    let is_group =
        |(group, length): (&str, usize)| group.len() == length && group.bytes().all(|b| b.is_ascii_hexdigit());
    text.split('-').count() == 5 && text.split('-').zip([8, 4, 4, 4, 12]).all(is_group)
}

fn is_kube_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (1..=253).contains(&text.len())
        && text.chars().all(|c| plain(c) || matches!(c, '-' | '.'))
        && text.starts_with(plain)
        && text.ends_with(plain)
}

/// Requirements separated by commas: `key`, `!key`, `key=value`, `key!=value`, `key in (a, b)`, `key notin (a, b)`.
fn is_selector(text: &str) -> bool {
    let name = |text: &str| {
        let text = text.trim();
        let alphanumeric = |c: char| c.is_ascii_alphanumeric();
        let plain = |c: char| alphanumeric(c) || matches!(c, '-' | '_' | '.' | '/');
        !text.is_empty() && text.chars().all(plain) && text.starts_with(alphanumeric) && text.ends_with(alphanumeric)
    };
    let value = |text: &str| text.trim().is_empty() || name(text);
    let mut rest = text.trim();
    if rest.is_empty() {
        return false;
    }
    loop {
        // A comma within parentheses separates values.
        let mut depth = 0_i32;
        let end = rest.find(|c: char| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            c == ',' && depth == 0
        });
        let (requirement, after) = match end {
            Some(at) => (rest.get(..at).unwrap_or_default(), rest.get(at + 1..)),
            None => (rest, None),
        };
        let set = requirement.split_once('(').map(|(before, values)| {
            let mut words = before.split_whitespace();
            words.next().is_some_and(name)
                && matches!(words.next(), Some("in" | "notin"))
                && words.next().is_none()
                && values.trim_end().strip_suffix(')').is_some_and(|list| list.split(',').all(value))
        });
        let good = set.unwrap_or_else(|| {
            match requirement.split_once("!=").or_else(|| requirement.split_once("==")).or(requirement.split_once('='))
            {
                Some((key, wanted)) => name(key) && value(wanted),
                None => name(requirement.trim().trim_start_matches('!')),
            }
        });
        match after {
            _ if !good => return false,
            Some(after) => rest = after,
            None => return true,
        }
    }
}

#[cfg(test)]
mod tests;
