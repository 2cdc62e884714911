//! What a rule asks an event for, to tell which rules can never match what a log source records.

use super::event::{SigmaEvent, plain_name};
use rsigma_eval::event::EventValue;
use rsigma_eval::matcher::GroupMode;
use rsigma_eval::{CompiledDetection, CompiledDetectionItem, CompiledMatcher};

/// A field that an event must have for a selection to hold, and what is asked of it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    name: &'a str,
    matcher: &'a CompiledMatcher,
}

impl<'a> Asked<'a> {
    /// `None` where the event may do without the field.
    fn of(item: &'a CompiledDetectionItem) -> Option<Self> {
        let name = item.field.as_deref()?;
        let may_be_absent = matches!(item.matcher, CompiledMatcher::Null) || item.exists == Some(false);
        (!may_be_absent).then_some(Self { name, matcher: &item.matcher })
    }

    /// Returns the field's name.
    pub fn name(&self) -> std::borrow::Cow<'a, str> {
        plain_name(self.name)
    }

    /// Returns whether the field may have this value.
    pub fn admits(&self, value: &str) -> bool {
        // What is compared with another field may be anything.
        has_reference(self.matcher)
            || self.matcher.matches(&EventValue::Str(value.into()), &SigmaEvent::new([(self.name, value.into())]))
    }

    /// Returns whether a hexadecimal number may be what is asked for.
    pub fn admits_hexadecimal(&self) -> bool {
        hexadecimal(self.matcher)
    }
}

fn has_reference(matcher: &CompiledMatcher) -> bool {
    match matcher {
        CompiledMatcher::FieldRef { .. } => true,
        CompiledMatcher::Not(inner) => has_reference(inner),
        CompiledMatcher::AnyOf(all) | CompiledMatcher::AllOf(all) => all.iter().any(has_reference),
        _ => false,
    }
}

fn hexadecimal(matcher: &CompiledMatcher) -> bool {
    let is_hexadecimal = |text: &String| text.bytes().all(|b| b.is_ascii_hexdigit());
    match matcher {
        CompiledMatcher::Exact { value, .. }
        | CompiledMatcher::Contains { value, .. }
        | CompiledMatcher::StartsWith { value, .. }
        | CompiledMatcher::EndsWith { value, .. } => is_hexadecimal(value),
        CompiledMatcher::AhoCorasickSet { needles, .. } => needles.iter().any(is_hexadecimal),
        CompiledMatcher::Cidr(_) | CompiledMatcher::Null => false,
        CompiledMatcher::AnyOf(all) | CompiledMatcher::CaseInsensitiveGroup { children: all, mode: GroupMode::Any } => {
            all.iter().any(hexadecimal)
        }
        CompiledMatcher::AllOf(all) | CompiledMatcher::CaseInsensitiveGroup { children: all, .. } => {
            all.iter().all(hexadecimal)
        }
        _ => true,
    }
}

/// Returns whether a selection may hold, where `may` says it of its fields.
pub(super) fn may_hold(detection: &CompiledDetection, may: &dyn Fn(&Asked<'_>) -> bool) -> bool {
    match detection {
        CompiledDetection::AllOf(items) => items.iter().filter_map(Asked::of).all(|asked| may(&asked)),
        CompiledDetection::AnyOf(all) => all.iter().any(|detection| may_hold(detection, may)),
        CompiledDetection::And(all) => all.iter().all(|detection| may_hold(detection, may)),
        _ => true,
    }
}

/// Returns the fields that must be there together, for each way in which a selection may hold. Ways beyond `most` are left out.
pub(super) fn ways(detection: &CompiledDetection, most: usize) -> Vec<Vec<Asked<'_>>> {
    match detection {
        CompiledDetection::AllOf(items) => vec![items.iter().filter_map(Asked::of).collect()],
        CompiledDetection::AnyOf(all) => all.iter().flat_map(|detection| ways(detection, most)).take(most).collect(),
        CompiledDetection::And(all) => together(all.iter().map(|detection| ways(detection, most)), most),
        _ => vec![Vec::new()],
    }
}

/// Returns each way of the first with each way of the second, and so on.
pub(super) fn together<'a>(all: impl Iterator<Item = Vec<Vec<Asked<'a>>>>, most: usize) -> Vec<Vec<Asked<'a>>> {
    all.fold(vec![Vec::new()], |known: Vec<Vec<Asked<'a>>>, further| {
        let joined = known.iter().flat_map(|way| further.iter().map(|more| [way.as_slice(), more].concat()));
        joined.take(most).collect()
    })
}
