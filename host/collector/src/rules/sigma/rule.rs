//! A rule: what it says of itself, what it is about, and its logic.

use super::asked::{self, Asked};
use super::condition;
use super::correlation::Correlation;
use super::document::{Document, one_line};
use super::event::SigmaEvent;
use super::filter::Filter;
use rsigma_eval::CompiledRule;
use rsigma_ir::IrRule;
use serde::Deserialize;

/// How bad a match is. A rule that does not say so is `informational`, so that it never passes for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nobody need look.
    #[default]
    Informational,
    /// Notable where there are many.
    Low,
    /// To be looked at now and then.
    Medium,
    /// To be looked at soon.
    High,
    /// To be looked at now.
    Critical,
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        })
    }
}

/// Which events a rule is about, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Deserialize)]
pub struct Logsource {
    /// Such as `linux`.
    pub product: Option<String>,
    /// Such as `process_creation`.
    pub category: Option<String>,
    /// Such as `auditd`.
    pub service: Option<String>,
}

impl Logsource {
    pub(super) fn lower(self) -> Self {
        let low = |word: Option<String>| word.map(|w| w.trim().to_lowercase()).filter(|w| !w.is_empty());
        Self { product: low(self.product), category: low(self.category), service: low(self.service) }
    }

    /// Returns whether all that this says is so of the other, which may say more.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let fits = |own: &Option<String>, other: &Option<String>| own.is_none() || own == other;
        fits(&self.product, &other.product)
            && fits(&self.category, &other.category)
            && fits(&self.service, &other.service)
    }
}

impl std::fmt::Display for Logsource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let named = [("product", &self.product), ("category", &self.category), ("service", &self.service)];
        let parts = named.iter().filter_map(|(name, value)| value.as_ref().map(|value| format!("{name} {value}")));
        f.write_str(&parts.collect::<Vec<_>>().join(", "))
    }
}

/// What a rule says of itself.
#[derive(Debug)]
pub struct Head {
    /// A UUID, where it has one.
    pub id: Option<String>,
    /// What correlations call it, where it has one.
    pub name: Option<String>,
    /// What it detects.
    pub title: String,
    /// How bad that is.
    pub level: Level,
    /// Such as `attack.t1070.004`.
    pub tags: Vec<String>,
}

impl Head {
    /// Returns whether a correlation or a filter that says `reference` means this rule.
    pub fn is_called(&self, reference: &str) -> bool {
        self.id.as_ref().is_some_and(|id| id.eq_ignore_ascii_case(reference)) || self.name.as_deref() == Some(reference)
    }
}

/// What a rule matches.
#[derive(Debug)]
pub enum Logic {
    /// Events.
    Detection(Box<Detection>),
    /// Matches of other rules.
    Correlation(Box<Correlation>),
}

/// The logic of a rule over single events.
#[derive(Debug)]
pub struct Detection {
    /// Which events it is about.
    pub logsource: Logsource,
    /// As rsigma evaluates it.
    pub compiled: CompiledRule,
}

/// A rule, ready to be evaluated.
#[derive(Debug)]
pub struct Rule {
    /// What it says of itself.
    pub head: Head,
    /// What it matches.
    pub logic: Logic,
}

/// A detection rule before filters are applied to it.
#[derive(Debug)]
pub struct Draft {
    /// What it says of itself.
    pub head: Head,
    logsource: Logsource,
    ir: IrRule,
}

impl Draft {
    pub(super) fn new(head: Head, logsource: Logsource, ir: IrRule) -> Self {
        Self { head, logsource, ir }
    }

    /// Excludes what a filter says. `number`: tells the filters of a rule apart.
    pub fn exclude(&mut self, filter: &Filter, number: usize) {
        if filter.is_about(&self.head, &self.logsource) {
            filter.apply(&mut self.ir, number);
        }
    }

    /// Compiles the rule.
    ///
    /// # Errors
    /// Why rsigma cannot evaluate it.
    pub fn compile(self) -> Result<Rule, String> {
        let compiled = rsigma_eval::compile_to_compiled(&self.ir).map_err(|error| one_line(&error.to_string()))?;
        let detection = Detection { logsource: self.logsource, compiled };
        Ok(Rule::new(self.head, Logic::Detection(Box::new(detection))))
    }
}

/// Most ways in which a rule may match that are looked at.
const MOST: usize = 256;

impl Rule {
    pub(super) fn new(head: Head, logic: Logic) -> Self {
        Self { head, logic }
    }

    /// Reads and compiles a detection rule.
    ///
    /// # Errors
    /// Why it cannot be evaluated; with line and column where it is not YAML.
    pub fn parse(text: &str) -> Result<Self, String> {
        match Document::parse(text)? {
            Document::Rule(draft) => draft.compile(),
            Document::Correlation(_) | Document::Filter(_) => Err("it is not a rule over single events".to_owned()),
        }
    }

    /// Returns the logic of a rule over single events.
    pub fn detection(&self) -> Option<&Detection> {
        match &self.logic {
            Logic::Detection(detection) => Some(detection),
            Logic::Correlation(_) => None,
        }
    }

    /// Returns the logic of a rule over matches of other rules.
    pub fn correlation(&self) -> Option<&Correlation> {
        match &self.logic {
            Logic::Correlation(correlation) => Some(correlation),
            Logic::Detection(_) => None,
        }
    }
}

impl Detection {
    /// Returns whether an event matches. [`RuleSet`](crate::rules::RuleSet) asks many rules at once.
    pub fn matches(&self, event: &SigmaEvent<'_>) -> bool {
        rsigma_eval::evaluate_rule(&self.compiled, event).is_some()
    }

    /// Returns whether it may match an event of which `may` says whether that has a field with what is asked of it.
    pub fn may_match(&self, may: &dyn Fn(&Asked<'_>) -> bool) -> bool {
        let selection =
            |name: &str| self.compiled.detections.get(name).is_some_and(|found| asked::may_hold(found, may));
        self.compiled.conditions.iter().any(|condition| condition::may_hold(condition, &selection))
    }

    /// Returns the fields that must be there together, for each way in which it may match; at most some hundred ways.
    pub fn asked_together(&self) -> Vec<Vec<Asked<'_>>> {
        let of = |way: Vec<&str>| {
            let selections = way.into_iter().filter_map(|name| self.compiled.detections.get(name));
            asked::together(selections.map(|found| asked::ways(found, MOST)), MOST)
        };
        let ways = self.compiled.conditions.iter().flat_map(|condition| condition::ways(condition, MOST));
        ways.flat_map(of).take(MOST).collect()
    }

    /// Returns the fields that must be there in some way.
    pub fn asked(&self) -> Vec<Asked<'_>> {
        self.compiled.detections.values().flat_map(|found| asked::ways(found, MOST)).flatten().collect()
    }
}
