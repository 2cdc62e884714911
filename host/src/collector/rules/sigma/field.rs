//! One line of a selection: `Image|endswith: [/rm, /shred]`.

use super::encode;
use super::event::{SigmaEvent, Value};
use super::expression;
use super::text::{Place, Text};
use regex::Regex;
use serde_json::Value as Yaml;
use std::net::IpAddr;

/// A field and what it must be.
#[derive(Debug)]
pub(super) struct Field {
    name: String,
    /// `all`: every value must match, not just one.
    all: bool,
    /// `neq`: none may match.
    negated: bool,
    tests: Vec<Test>,
}

#[derive(Debug)]
enum Test {
    Text(Text),
    Regex(Regex),
    Network(IpAddr, u8),
    Number(Order, f64),
    /// Another field of the same event.
    Field(String, Place, bool),
    Exists(bool),
}

#[derive(Debug, Clone, Copy)]
enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What stands behind the field's name.
#[derive(Debug, Default)]
struct Modifiers<'a> {
    all: bool,
    negated: bool,
    cased: bool,
    /// `contains`, `re`, `cidr`, `lt` … : at most one.
    how: Option<&'a str>,
    /// `base64`, `base64offset`, `windash`: at most one.
    encoding: Option<&'a str>,
    wide: Option<&'a str>,
    regex_flags: String,
}

impl<'a> Modifiers<'a> {
    fn parse(words: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let mut modifiers = Self::default();
        for word in words {
            let slot = match word {
                "all" => {
                    modifiers.all = true;
                    continue;
                }
                "neq" => {
                    modifiers.negated = true;
                    continue;
                }
                "cased" => {
                    modifiers.cased = true;
                    continue;
                }
                "i" | "m" | "s" if modifiers.how == Some("re") => {
                    modifiers.regex_flags.push_str(word);
                    continue;
                }
                // A reference may be combined with a place, in either order.
                "contains" | "startswith" | "endswith" if modifiers.how == Some("fieldref") => &mut modifiers.encoding,
                "fieldref" if matches!(modifiers.how, Some("contains" | "startswith" | "endswith")) => {
                    modifiers.encoding = modifiers.how.take();
                    &mut modifiers.how
                }
                "contains" | "startswith" | "endswith" | "re" | "cidr" | "lt" | "lte" | "gt" | "gte" | "exists"
                | "fieldref" => &mut modifiers.how,
                "base64" | "base64offset" | "windash" => &mut modifiers.encoding,
                "utf16" | "utf16le" | "utf16be" | "wide" => &mut modifiers.wide,
                _ => return Err(format!("the modifier `{word}` cannot be evaluated")),
            };
            if let Some(other) = slot.replace(word) {
                return Err(format!("the modifiers `{other}` and `{word}` exclude each other"));
            }
        }
        if modifiers.wide.is_some() && !matches!(modifiers.encoding, Some("base64" | "base64offset")) {
            return Err("`utf16` and `wide` need `base64` or `base64offset`".to_owned());
        }
        Ok(modifiers)
    }

    fn tests(&self, value: &Yaml) -> Result<Vec<Test>, String> {
        let text = match value {
            Yaml::String(text) => text.clone(),
            Yaml::Number(number) => number.to_string(),
            Yaml::Bool(truth) => truth.to_string(),
            Yaml::Null if self.how.is_none() => return Ok(vec![Test::Exists(false)]),
            _ => {
                return Err(format!(
                    "`{}` is no text, number or truth value",
                    crate::engine::cut(&value.to_string(), 80)
                ));
            }
        };
        let number = || text.parse::<f64>().map_err(|_| format!("`{text}` is no number"));
        let order = |order| Ok(vec![Test::Number(order, number()?)]);
        let place = match self.how {
            None => Place::Whole,
            Some("contains") => Place::Anywhere,
            Some("startswith") => Place::Start,
            Some("endswith") => Place::End,
            Some("lt") => return order(Order::Less),
            Some("lte") => return order(Order::LessOrEqual),
            Some("gt") => return order(Order::Greater),
            Some("gte") => return order(Order::GreaterOrEqual),
            Some("re") => return Ok(vec![Test::Regex(expression::of_rule(&text, &self.regex_flags)?)]),
            Some("cidr") => return network(&text).map(|test| vec![test]),
            Some("exists") => {
                let truth = text.parse().map_err(|_| format!("`exists` takes true or false, not `{text}`"))?;
                return Ok(vec![Test::Exists(truth)]);
            }
            Some(_) => {
                let place = match self.encoding {
                    None => Place::Whole,
                    Some("contains") => Place::Anywhere,
                    Some("startswith") => Place::Start,
                    Some(_) => Place::End,
                };
                return Ok(vec![Test::Field(text, place, self.cased)]);
            }
        };
        let encoded = |texts: Vec<String>| {
            Ok(texts.iter().map(|text| Test::Text(Text::literal(text, place, self.cased))).collect())
        };
        let bytes = || encode::bytes(&text, self.wide);
        match self.encoding {
            Some("base64") => encoded(vec![encode::base64(&bytes())]),
            Some("base64offset") => encoded(encode::base64_offsets(&bytes())),
            Some(_) => {
                encode::windash(&text)?.iter().map(|text| Text::new(text, place, self.cased).map(Test::Text)).collect()
            }
            None => Ok(vec![Test::Text(Text::new(&text, place, self.cased)?)]),
        }
    }
}

/// The first `%name%` of a value or a list of them.
fn placeholder(value: &Yaml) -> Option<&str> {
    match value {
        Yaml::Array(values) => values.iter().find_map(placeholder),
        Yaml::String(text) => {
            let from = text.find('%')?;
            let inner = text.get(from.saturating_add(1)..)?;
            let length = inner.find('%').filter(|length| *length > 0)?;
            text.get(from..from.saturating_add(length).saturating_add(2))
        }
        _ => None,
    }
}

fn network(text: &str) -> Result<Test, String> {
    let no_network = || format!("`{text}` is no network: write ADDRESS/PREFIX");
    let (address, prefix) = text.split_once('/').ok_or_else(no_network)?;
    let address: IpAddr = address.parse().map_err(|_| no_network())?;
    let prefix: u8 = prefix.parse().map_err(|_| no_network())?;
    if prefix > if address.is_ipv4() { 32 } else { 128 } {
        Err(no_network())
    } else {
        Ok(Test::Network(address, prefix))
    }
}

impl Field {
    /// Of a key such as `Image|endswith` and its value.
    pub(super) fn new(key: &str, value: &Yaml) -> Result<Self, String> {
        let mut words = key.split('|');
        let name = words.next().unwrap_or_default().to_owned();
        let expands = key.split('|').skip(1).any(|word| word == "expand");
        if expands && let Some(placeholder) = placeholder(value) {
            return Err(format!(
                "field `{key}`: the modifier `expand` asks for what `{}` stands for, which Foil is not told: write the values \
                 into the rule",
                crate::engine::cut(placeholder, 80)
            ));
        }
        let modifiers =
            Modifiers::parse(words.filter(|word| *word != "expand")).map_err(|why| format!("field `{key}`: {why}"))?;
        let values = match value {
            Yaml::Array(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        if values.is_empty() {
            return Err(format!("field `{key}` has no value"));
        }
        // One text that is encoded in several ways is one text: `all` asks for each of the rule's own.
        if modifiers.all && values.len() > 1 && matches!(modifiers.encoding, Some("base64offset" | "windash")) {
            return Err(format!("field `{key}`: `all` cannot be evaluated over several encoded texts"));
        }
        let mut tests = Vec::with_capacity(values.len());
        for value in values {
            tests.extend(modifiers.tests(value).map_err(|why| format!("field `{key}`: {why}"))?);
        }
        let all = modifiers.all && values.len() > 1;
        if !all {
            let (texts, mut others): (Vec<Text>, Vec<Test>) = split(tests);
            others.extend(Text::alternatives(texts).into_iter().map(Test::Text));
            tests = others;
        }
        Ok(Self { name, all, negated: modifiers.negated, tests })
    }

    /// What is asked for, where the field must be there.
    pub(super) fn asked(&self) -> Option<Asked<'_>> {
        let may_be_absent = self.negated || self.tests.iter().any(|test| matches!(test, Test::Exists(false)));
        (!self.name.is_empty() && !may_be_absent).then_some(Asked(self))
    }

    pub(super) fn holds(&self, event: &SigmaEvent<'_>) -> bool {
        let values = if self.name.is_empty() { None } else { Some(event.get(&self.name)) };
        let holds = |test: &Test| match (test, &values) {
            (Test::Exists(wanted), Some(values)) => values.clone().next().is_some() == *wanted,
            (test, Some(values)) => values.clone().any(|value| test.holds(value, event)),
            // A key without a name (`|all`) is about the whole event.
            (test, None) => event.values().any(|value| test.holds(value, event)),
        };
        let found = if self.all { self.tests.iter().all(holds) } else { self.tests.iter().any(holds) };
        found != self.negated
    }
}

/// A field that an event must have for a selection to hold, and what is asked of it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a>(&'a Field);

impl<'a> Asked<'a> {
    /// Its name.
    pub fn name(&self) -> &'a str {
        &self.0.name
    }

    /// This value is one that it may have.
    pub fn admits(&self, value: &str) -> bool {
        let event = SigmaEvent::new([(self.name(), value.into())]);
        // What is compared with another field may be anything.
        self.0.tests.iter().any(|test| matches!(test, Test::Field(..))) || self.0.holds(&event)
    }

    /// A hexadecimal number may be what is asked for.
    pub fn admits_hexadecimal(&self) -> bool {
        self.0.tests.iter().any(|test| match test {
            Test::Text(text) => {
                text.literal_part().is_none_or(|literal| literal.bytes().all(|b| b.is_ascii_hexdigit()))
            }
            Test::Regex(_) | Test::Number(..) | Test::Field(..) | Test::Exists(_) => true,
            Test::Network(..) => false,
        })
    }
}

fn split(tests: Vec<Test>) -> (Vec<Text>, Vec<Test>) {
    let (mut texts, mut others) = (Vec::new(), Vec::new());
    for test in tests {
        match test {
            Test::Text(text) => texts.push(text),
            other => others.push(other),
        }
    }
    (texts, others)
}

impl Test {
    fn holds(&self, value: &Value<'_>, event: &SigmaEvent<'_>) -> bool {
        match self {
            Self::Text(text) => text.matches(value),
            Self::Regex(expression) => expression.is_match(&value.plain),
            Self::Network(network, prefix) => {
                value.plain.parse().is_ok_and(|address| inside(address, *network, *prefix))
            }
            Self::Number(order, limit) => value.plain.trim().parse::<f64>().is_ok_and(|number| match order {
                Order::Less => number < *limit,
                Order::LessOrEqual => number <= *limit,
                Order::Greater => number > *limit,
                Order::GreaterOrEqual => number >= *limit,
            }),
            Self::Field(name, place, cased) => event.get(name).any(|other| {
                // An empty text stands at the beginning and the end of every other, which says nothing.
                let says = *place == Place::Whole || !other.plain.is_empty();
                says && if *cased {
                    place.holds(&value.plain, &other.plain)
                } else {
                    place.holds(value.lower(), other.lower())
                }
            }),
            // Asked of the event, in `Field::holds`.
            Self::Exists(_) => false,
        }
    }
}

/// An IPv4 address inside of IPv6 (`::ffff:1.2.3.4`) is that address.
fn inside(address: IpAddr, network: IpAddr, prefix: u8) -> bool {
    let bits = |address: IpAddr| match address.to_canonical() {
        IpAddr::V4(v4) => (4, u128::from(v4.to_bits()) << 96),
        IpAddr::V6(v6) => (6, v6.to_bits()),
    };
    let ((family, a), (wanted, b)) = (bits(address), bits(network));
    family == wanted && (a ^ b).checked_shr(128u32.saturating_sub(u32::from(prefix))).unwrap_or(0) == 0
}
