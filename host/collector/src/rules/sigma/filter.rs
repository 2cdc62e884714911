//! Filters: what is excluded from other rules. rsigma knows a rule by its id or title only, and its `1 of *` would take a filter's
//! selections for the rule's own, so that Foil applies them itself.

use super::document::{one_line, repaired};
use super::rule::{Head, Logsource};
use rsigma_ir::{IrCondition, IrDetection, IrRule, LowerOptions};
use rsigma_parser::{FilterRule, FilterRuleTarget};
use std::collections::HashMap;

/// What is excluded from other rules.
#[derive(Debug)]
pub struct Filter {
    /// Its title.
    pub title: String,
    rules: FilterRuleTarget,
    logsource: Option<Logsource>,
    detections: HashMap<String, IrDetection>,
    condition: IrCondition,
}

impl Filter {
    /// `parsed`: with selections and conditions that were settled.
    ///
    /// # Errors
    /// What cannot be evaluated.
    pub(super) fn new(title: String, parsed: FilterRule, logsource: Option<Logsource>) -> Result<Self, String> {
        let options = LowerOptions::default();
        let lowered = parsed.detection.named.iter().map(|(name, detection)| {
            let lowered = rsigma_ir::lower::lower_detection(detection, &options);
            Ok((name.clone(), lowered.map_err(|error| one_line(&error.to_string()))?))
        });
        let detections = repaired(lowered.collect::<Result<_, String>>()?)?;
        let conditions =
            rsigma_ir::lower_conditions(&parsed.detection).map_err(|error| one_line(&error.to_string()))?;
        Ok(Self { title, rules: parsed.rules, logsource, detections, condition: IrCondition::Or(conditions) })
    }

    /// Returns the rules that it names, by id or name; `None`: it is about all rules of its log source.
    pub fn names(&self) -> Option<&[String]> {
        match &self.rules {
            FilterRuleTarget::Any => None,
            FilterRuleTarget::Specific(names) => Some(names),
        }
    }

    pub(super) fn is_about(&self, head: &Head, logsource: &Logsource) -> bool {
        let named = self.names().is_none_or(|names| names.iter().any(|name| head.is_called(name)));
        named && self.logsource.as_ref().is_none_or(|own| own.covers(logsource))
    }

    pub(super) fn apply(&self, rule: &mut IrRule, number: usize) {
        // A selection's name has no space: none of the rule's own is replaced. The number tells filters of one title apart.
        let own = |name: &str| format!("{name} of filter {}, {}", number.saturating_add(1), self.title);
        for (name, detection) in &self.detections {
            rule.detections.insert(own(name), detection.clone());
        }
        let condition = renamed(&self.condition, &own);
        for part in &mut rule.conditions {
            *part = IrCondition::And(vec![part.clone(), condition.clone()]);
        }
    }
}

fn renamed(condition: &IrCondition, own: &dyn Fn(&str) -> String) -> IrCondition {
    let all = |parts: &[IrCondition]| parts.iter().map(|part| renamed(part, own)).collect();
    match condition {
        IrCondition::Detection(name) => IrCondition::Detection(own(name)),
        IrCondition::And(parts) => IrCondition::And(all(parts)),
        IrCondition::Or(parts) => IrCondition::Or(all(parts)),
        IrCondition::Not(inner) => IrCondition::Not(Box::new(renamed(inner, own))),
        selector @ IrCondition::Selector { .. } => selector.clone(),
    }
}
