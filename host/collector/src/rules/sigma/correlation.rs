//! Correlations: rules over matches of other rules within a span of time. rsigma compiles them and judges a window; which matches
//! belong to a window is told by [`Correlator`](crate::rules::Correlator), since rsigma's engine forgets which events they were.

use super::document::one_line;
use super::event::{FirstValues, SigmaEvent};
use rsigma_eval::{CompiledCorrelation, GroupKey, WindowState};
use rsigma_parser::{ConditionExpr, ConditionOperator, CorrelationRule, CorrelationType, WindowMode};
use serde::Deserialize;
use serde_json::Value as Yaml;
use std::collections::HashSet;
use std::time::Duration;

/// Most matches of a group that are kept, and so the highest count that a correlation may ask for.
pub const MAX_WINDOW: usize = 2048;

/// Most rules that a correlation refers to.
const MAX_REFERENCES: usize = 64;

/// What rsigma does not tell of a correlation's text.
#[derive(Debug, Deserialize)]
pub(super) struct CorrelationSource {
    #[serde(default)]
    condition: Option<Yaml>,
    /// Beside the condition, where older rules have it.
    #[serde(default)]
    field: Option<Yaml>,
    #[serde(default)]
    rules: Option<Yaml>,
}

/// A correlation, compiled.
#[derive(Debug)]
pub struct Correlation {
    compiled: CompiledCorrelation,
}

/// A match that a correlation counts.
pub trait Counted {
    /// Returns whether it may have come after the other, or is of the same event.
    fn may_follow(&self, other: &Self) -> bool;
    /// Which of the correlation's references it is a match of.
    fn reference(&self) -> usize;
    /// What [`Correlation::value`] said of it.
    fn value(&self) -> &str;
}

impl Correlation {
    /// # Errors
    /// What cannot be evaluated: window modes that are not Sigma's, counts beyond [`MAX_WINDOW`], a count of values without a field.
    pub(super) fn new(parsed: CorrelationRule, source: &CorrelationSource) -> Result<Self, String> {
        if parsed.window != WindowMode::Sliding {
            return Err("only sliding windows are Sigma: leave out `window` and `gap`".to_owned());
        }
        let mut compiled =
            rsigma_eval::correlation::compile_correlation(&parsed).map_err(|error| one_line(&error.to_string()))?;
        let named = match &source.rules {
            Some(Yaml::Array(rules)) => rules.len(),
            _ => compiled.rule_refs.len(),
        };
        if compiled.rule_refs.is_empty() || named != compiled.rule_refs.len() {
            return Err("its `rules` are not a list of ids or names of rules".to_owned());
        }
        if named > MAX_REFERENCES {
            return Err(format!("it refers to more than {MAX_REFERENCES} rules"));
        }
        if compiled.timespan_secs == 0 {
            return Err("its `timespan` is 0: give one such as `5m`".to_owned());
        }
        let temporal =
            matches!(compiled.correlation_type, CorrelationType::Temporal | CorrelationType::TemporalOrdered);
        if temporal && source.condition.is_none() {
            // rsigma takes one of the rules for enough; the specification asks for all.
            #[allow(clippy::cast_precision_loss, reason = "at most 64")]
            let all = compiled.rule_refs.len() as f64;
            compiled.condition.predicates = vec![(ConditionOperator::Gte, all)];
        }
        if let Some(condition) = &compiled.extended_expr {
            known(condition, &compiled.rule_refs)?;
        }
        #[allow(clippy::cast_precision_loss, reason = "a small number")]
        let most = MAX_WINDOW as f64;
        let counts = matches!(compiled.correlation_type, CorrelationType::EventCount | CorrelationType::ValueCount);
        if counts && compiled.condition.predicates.iter().any(|(_, count)| *count > most) {
            return Err(format!("it counts beyond {MAX_WINDOW}, which is the most that is kept"));
        }
        if !temporal && compiled.correlation_type != CorrelationType::EventCount && compiled.condition.field.is_none() {
            let beside = source.field.as_ref().map(|field| match field {
                Yaml::Array(names) => names.iter().filter_map(Yaml::as_str).map(str::to_owned).collect(),
                name => name.as_str().map(str::to_owned).into_iter().collect::<Vec<_>>(),
            });
            let beside = beside.filter(|names| !names.is_empty());
            compiled.condition.field = Some(beside.ok_or("its condition has no `field`, whose values it counts")?);
        }
        Ok(Self { compiled })
    }

    /// Returns the rules that it refers to, by id or name.
    pub fn references(&self) -> &[String] {
        &self.compiled.rule_refs
    }

    /// Returns the span of time that its matches must lie within.
    pub fn timespan(&self) -> Duration {
        Duration::from_secs(self.compiled.timespan_secs)
    }

    /// Returns the word for its type, such as `event_count`.
    pub fn kind(&self) -> &'static str {
        self.compiled.correlation_type.as_str()
    }

    /// Returns whether it needs a match of each rule that it refers to.
    pub fn needs_all(&self) -> bool {
        match self.compiled.correlation_type {
            CorrelationType::Temporal if self.compiled.extended_expr.is_some() => false,
            // Fewer of them are not enough.
            CorrelationType::Temporal => (0_u8..)
                .take(self.compiled.rule_refs.len())
                .all(|fewer| !self.compiled.condition.check(f64::from(fewer))),
            CorrelationType::TemporalOrdered => true,
            _ => false,
        }
    }

    /// Returns whether a match that was dropped from a full window leaves the answer as it is.
    pub fn is_exact_when_full(&self) -> bool {
        let least = |(operator, _): &(ConditionOperator, f64)| {
            matches!(operator, ConditionOperator::Gt | ConditionOperator::Gte)
        };
        self.compiled.correlation_type == CorrelationType::EventCount
            && self.compiled.condition.predicates.iter().all(least)
    }

    /// Returns the group that an event belongs to; `None` where it lacks a field of `group-by`. `names`: what the rule that it
    /// matched is called.
    pub fn group(&self, event: &SigmaEvent<'_>, names: &[&str]) -> Option<GroupKey> {
        let key = GroupKey::extract(&FirstValues(event), &self.compiled.group_by, names);
        key.0.iter().all(Option::is_some).then_some(key)
    }

    /// Returns the group that a match of another correlation belongs to.
    pub fn group_of(&self, lower: &Self, key: &GroupKey) -> Option<GroupKey> {
        let key = GroupKey::from_pairs(&key.to_pairs(&lower.compiled.group_by), &self.compiled.group_by);
        key.0.iter().all(Option::is_some).then_some(key)
    }

    /// Returns a group in words, such as `User=root`; empty where there is one group only.
    pub fn group_text(&self, key: &GroupKey) -> String {
        let pairs = key.to_pairs(&self.compiled.group_by);
        let pairs = pairs.iter().map(|(name, value)| format!("{name}={value}"));
        foil_text::cut(&pairs.collect::<Vec<_>>().join(", "), 1024)
    }

    /// Returns what is counted of an event: the values of its fields; empty where events are counted. `None` where it lacks a field.
    pub fn value(&self, event: &SigmaEvent<'_>) -> Option<String> {
        let Some(fields) = &self.compiled.condition.field else { return Some(String::new()) };
        let values = fields.iter().map(|field| event.first(field)).collect::<Option<Vec<_>>>()?;
        // A separator that does not stand in logs.
        Some(values.join("\u{1f}"))
    }

    /// Returns the number that the condition compares where it holds for these matches, oldest first.
    pub fn holds<'a, C: Counted + 'a>(&self, window: impl Iterator<Item = &'a C> + Clone) -> Option<f64> {
        let CompiledCorrelation { correlation_type, rule_refs, condition, extended_expr, .. } = &self.compiled;
        let mut state = WindowState::new_for(*correlation_type);
        let mut seen = vec![false; rule_refs.len()];
        for counted in window.clone() {
            match correlation_type {
                CorrelationType::EventCount => state.push_event_count(0),
                CorrelationType::ValueCount => state.push_value_count(0, counted.value().to_owned()),
                CorrelationType::Temporal | CorrelationType::TemporalOrdered => {
                    // That it was there is enough, and each is asked for once.
                    let first = seen.get_mut(counted.reference()).is_some_and(|seen| !std::mem::replace(seen, true));
                    if let Some(reference) = rule_refs.get(counted.reference()).filter(|_| first) {
                        state.push_temporal(0, reference);
                    }
                }
                _ => state.push_numeric(0, counted.value().trim().parse().unwrap_or(f64::NAN)),
            }
        }
        // rsigma tries all orders, which takes the number of matches to the power of that of the rules.
        let kind = match correlation_type {
            CorrelationType::TemporalOrdered if in_order(window, rule_refs.len()) < rule_refs.len() => return None,
            CorrelationType::TemporalOrdered => CorrelationType::Temporal,
            other => *other,
        };
        state.check_condition(condition, kind, rule_refs, extended_expr.as_ref())
    }

    /// Returns how much of what its condition asks for is in a window, oldest first: how many events, values or rules; events where it
    /// compares something else.
    pub fn progress<'a, C: Counted + 'a>(&self, window: impl Iterator<Item = &'a C> + Clone) -> usize {
        match self.compiled.correlation_type {
            CorrelationType::ValueCount => window.map(Counted::value).collect::<HashSet<_>>().len(),
            CorrelationType::Temporal => window.map(Counted::reference).collect::<HashSet<_>>().len(),
            CorrelationType::TemporalOrdered => in_order(window, self.compiled.rule_refs.len()),
            _ => window.count(),
        }
    }

    /// Returns what its condition asks for, such as `gte 100`, as Sigma writes it.
    pub fn wants(&self) -> String {
        if self.compiled.extended_expr.is_some() {
            return "what its condition says of the rules".to_owned();
        }
        let predicates = self.compiled.condition.predicates.iter().map(|(operator, number)| {
            let operator = match operator {
                ConditionOperator::Lt => "lt",
                ConditionOperator::Lte => "lte",
                ConditionOperator::Gt => "gt",
                ConditionOperator::Gte => "gte",
                ConditionOperator::Eq => "eq",
                ConditionOperator::Neq => "neq",
            };
            format!("{operator} {number}")
        });
        predicates.collect::<Vec<_>>().join(", ")
    }
}

/// Returns how many of the references have a match each, none before that of the reference before it.
fn in_order<'a, C: Counted + 'a>(window: impl Iterator<Item = &'a C> + Clone, references: usize) -> usize {
    let mut last: Option<&C> = None;
    let follows = |reference: &usize| {
        let mut of = window.clone().filter(|counted| counted.reference() == *reference);
        let found = of.find(|counted| last.is_none_or(|last| counted.may_follow(last)));
        last = found.or(last);
        found.is_some()
    };
    (0..references).take_while(follows).count()
}

/// That a condition names references only.
fn known(condition: &ConditionExpr, references: &[String]) -> Result<(), String> {
    match condition {
        ConditionExpr::Identifier(name) if references.contains(name) => Ok(()),
        ConditionExpr::Identifier(name) => Err(format!(
            "its condition names `{}`, which is not among its `rules`: there are {}",
            foil_text::cut(name, 80),
            foil_text::cut(&references.join(", "), 200)
        )),
        ConditionExpr::And(parts) | ConditionExpr::Or(parts) => {
            parts.iter().try_for_each(|part| known(part, references))
        }
        ConditionExpr::Not(inner) => known(inner, references),
        ConditionExpr::Selector { .. } => Err("its condition has a selector: name the rules".to_owned()),
    }
}
