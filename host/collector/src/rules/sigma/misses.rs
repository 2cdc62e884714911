//! Which parts of a rule an event satisfies, and which it does not.

use super::event::{SigmaEvent, plain_name};
use super::rule::Detection;
use rsigma_eval::event::{Event as _, EventValue};
use rsigma_eval::matcher::GroupMode;
use rsigma_eval::{CompiledDetection, CompiledDetectionItem, CompiledMatcher};
use rsigma_parser::ConditionExpr;
use std::collections::HashMap;

/// Most alternatives that are named.
const MAX_NAMED: usize = 3;

/// What an event satisfies of a rule.
#[derive(Debug, Default)]
pub struct Misses {
    /// How many items.
    pub satisfied: usize,
    /// The others.
    pub missing: Vec<Miss>,
}

/// An item that an event does not satisfy.
#[derive(Debug)]
pub struct Miss {
    /// The field; `None`: any.
    pub field: Option<String>,
    /// What the event has there.
    pub value: Option<String>,
    /// What the rule wants.
    pub wants: String,
}

impl Misses {
    fn of(satisfied: bool, miss: impl FnOnce() -> Miss) -> Self {
        match satisfied {
            true => Self { satisfied: 1, missing: Vec::new() },
            false => Self { satisfied: 0, missing: vec![miss()] },
        }
    }

    fn sum(all: impl Iterator<Item = Self>) -> Self {
        all.fold(Self::default(), |mut sum, more| {
            sum.satisfied = sum.satisfied.saturating_add(more.satisfied);
            sum.missing.extend(more.missing);
            sum
        })
    }

    /// The alternative that lacks the least.
    fn best(all: impl Iterator<Item = Self>) -> Self {
        all.min_by_key(|misses| (misses.missing.len(), std::cmp::Reverse(misses.satisfied))).unwrap_or_default()
    }
}

impl Detection {
    /// Returns what an event satisfies of the rule, and what not.
    pub fn misses(&self, event: &SigmaEvent<'_>) -> Misses {
        Misses::best(self.compiled.conditions.iter().map(|part| condition(part, &self.compiled.detections, event)))
    }
}

fn condition(part: &ConditionExpr, detections: &HashMap<String, CompiledDetection>, event: &SigmaEvent<'_>) -> Misses {
    let of = |part| condition(part, detections, event);
    match part {
        ConditionExpr::Identifier(name) => {
            detections.get(name).map(|found| detection(found, event)).unwrap_or_default()
        }
        ConditionExpr::And(parts) => Misses::sum(parts.iter().map(of)),
        ConditionExpr::Or(parts) => Misses::best(parts.iter().map(of)),
        ConditionExpr::Not(inner) if of(inner).missing.is_empty() => excluded(inner, detections, event),
        ConditionExpr::Not(_) | ConditionExpr::Selector { .. } => Misses::default(),
    }
}

/// The event is one that the rule excludes: what it has is what should not be there.
fn excluded(inner: &ConditionExpr, detections: &HashMap<String, CompiledDetection>, event: &SigmaEvent<'_>) -> Misses {
    let name = first(inner, detections, event).unwrap_or("a selection");
    let field = detections.get(name).and_then(field).map(|field| plain_name(field).into_owned());
    let value = field.as_ref().and_then(|field| shown(event, field));
    let wants = format!("not to be excluded by `{}`", foil_text::cut(name, 80));
    Misses { satisfied: 0, missing: vec![Miss { field, value, wants }] }
}

/// The first selection of a condition that holds.
fn first<'a>(
    part: &'a ConditionExpr,
    detections: &HashMap<String, CompiledDetection>,
    event: &SigmaEvent<'_>,
) -> Option<&'a str> {
    match part {
        ConditionExpr::Identifier(name) => {
            detections.get(name).is_some_and(|found| detection(found, event).missing.is_empty()).then_some(name)
        }
        ConditionExpr::And(parts) | ConditionExpr::Or(parts) => {
            parts.iter().find_map(|part| first(part, detections, event))
        }
        ConditionExpr::Not(_) | ConditionExpr::Selector { .. } => None,
    }
}

/// A field that a selection asks for.
fn field(detection: &CompiledDetection) -> Option<&str> {
    match detection {
        CompiledDetection::AllOf(items) => items.iter().find_map(|item| item.field.as_deref()),
        CompiledDetection::AnyOf(all) | CompiledDetection::And(all) => all.iter().find_map(field),
        _ => None,
    }
}

fn detection(part: &CompiledDetection, event: &SigmaEvent<'_>) -> Misses {
    match part {
        CompiledDetection::AllOf(items) => Misses::sum(items.iter().map(|part| item(part, event))),
        CompiledDetection::AnyOf(all) => Misses::best(all.iter().map(|part| detection(part, event))),
        CompiledDetection::And(all) => Misses::sum(all.iter().map(|part| detection(part, event))),
        CompiledDetection::Keywords(matcher) => {
            Misses::of(matcher.matches_keyword(event), || Miss { field: None, value: None, wants: wants(matcher) })
        }
        _ => Misses::default(),
    }
}

fn item(item: &CompiledDetectionItem, event: &SigmaEvent<'_>) -> Misses {
    let Some(name) = item.field.as_deref() else {
        let miss = || Miss { field: None, value: None, wants: wants(&item.matcher) };
        return Misses::of(item.matcher.matches_keyword(event), miss);
    };
    let value = event.get_field(name);
    let field = plain_name(name);
    let miss = |matcher: &CompiledMatcher| Miss {
        field: Some(field.to_string()),
        value: shown(event, &field),
        wants: wants(matcher),
    };
    let holds = |matcher: &CompiledMatcher| match (&value, item.exists) {
        (value, Some(wanted)) => value.is_some() == wanted,
        (Some(value), None) => matcher.matches(value, event),
        (None, None) => matches!(matcher, CompiledMatcher::Null),
    };
    match &item.matcher {
        // Of `contains|all: [a, b]` what is there counts, and what is not is named.
        CompiledMatcher::AllOf(all) => Misses::sum(all.iter().map(|part| Misses::of(holds(part), || miss(part)))),
        matcher => Misses::of(holds(matcher), || miss(matcher)),
    }
}

fn shown(event: &SigmaEvent<'_>, field: &str) -> Option<String> {
    match event.get_field(field)? {
        EventValue::Array(all) => {
            let texts = all.iter().filter_map(|value| value.as_str().map(std::borrow::Cow::into_owned));
            Some(texts.collect::<Vec<_>>().join(", "))
        }
        one => one.as_str().map(std::borrow::Cow::into_owned),
    }
}

/// What a rule wants, in words.
fn wants(matcher: &CompiledMatcher) -> String {
    let quoted = |text: &str| format!("'{}'", foil_text::cut(text, 120));
    let one_of = |all: &mut dyn Iterator<Item = String>, count: usize, word: &str| {
        let named = all.take(MAX_NAMED).collect::<Vec<_>>().join(word);
        match count.saturating_sub(MAX_NAMED) {
            0 => named,
            more => format!("{named}{word}{more} more"),
        }
    };
    match matcher {
        CompiledMatcher::Exact { value, .. } => quoted(value),
        CompiledMatcher::Contains { value, .. } => format!("contains {}", quoted(value)),
        CompiledMatcher::StartsWith { value, .. } => format!("startswith {}", quoted(value)),
        CompiledMatcher::EndsWith { value, .. } => format!("endswith {}", quoted(value)),
        CompiledMatcher::Regex(expression) => format!("re {}", quoted(expression.as_str())),
        CompiledMatcher::AhoCorasickSet { needles, .. } => {
            format!("contains {}", one_of(&mut needles.iter().map(|needle| quoted(needle)), needles.len(), " or "))
        }
        CompiledMatcher::RegexSetMatch { set, .. } => {
            format!("re {}", one_of(&mut set.patterns().iter().map(|source| quoted(source)), set.len(), " or "))
        }
        CompiledMatcher::Null => "no such field".to_owned(),
        CompiledMatcher::Exists(true) => "the field".to_owned(),
        CompiledMatcher::Exists(false) => "no such field".to_owned(),
        CompiledMatcher::FieldRef { field, .. } => format!("what `{}` has", plain_name(field)),
        CompiledMatcher::Not(inner) => format!("not {}", wants(inner)),
        CompiledMatcher::AllOf(all) | CompiledMatcher::CaseInsensitiveGroup { children: all, mode: GroupMode::All } => {
            one_of(&mut all.iter().map(wants), all.len(), " and ")
        }
        CompiledMatcher::AnyOf(all) | CompiledMatcher::CaseInsensitiveGroup { children: all, .. } => {
            one_of(&mut all.iter().map(wants), all.len(), " or ")
        }
        other => other.describe().pattern.unwrap_or_else(|| "another value".to_owned()),
    }
}
