//! A rule: what it says of itself, what it is about, and its detection.

use super::condition::Condition;
use super::event::SigmaEvent;
use super::selection::Selection;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value as Yaml;
use std::collections::BTreeMap;

/// Most selections of a rule.
const MAX_SELECTIONS: usize = 256;

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

impl std::fmt::Display for Logsource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let named = [("product", &self.product), ("category", &self.category), ("service", &self.service)];
        let parts = named.iter().filter_map(|(name, value)| value.as_ref().map(|value| format!("{name} {value}")));
        f.write_str(&parts.collect::<Vec<_>>().join(", "))
    }
}

/// A rule, ready to be evaluated.
#[derive(Debug)]
pub struct Rule {
    /// A UUID, where it has one.
    pub id: Option<String>,
    /// What it detects.
    pub title: String,
    /// How bad that is.
    pub level: Level,
    /// Such as `attack.t1070.004`.
    pub tags: Vec<String>,
    /// Which events it is about.
    pub logsource: Logsource,
    selections: Vec<Selection>,
    condition: Condition,
}

/// A rule's text. Sigma allows other keys: they are the author's.
#[derive(Deserialize)]
struct Source {
    title: Option<String>,
    id: Option<String>,
    #[serde(default)]
    level: Option<Level>,
    #[serde(default)]
    tags: Option<Vec<String>>,
    logsource: Option<Logsource>,
    detection: Option<BTreeMap<String, Yaml>>,
    #[serde(default)]
    correlation: Option<IgnoredAny>,
    #[serde(default)]
    status: Option<String>,
}

impl Rule {
    /// Reads and compiles one rule.
    ///
    /// # Errors
    /// Why it cannot be evaluated; with line and column where it is no YAML.
    pub fn parse(text: &str) -> Result<Self, String> {
        let source: Source = crate::yaml::parse(text)?;
        if source.correlation.is_some() {
            return Err("a correlation needs the matches of other rules over time, which are not kept".to_owned());
        }
        if source.status.as_deref() == Some("unsupported") {
            return Err("its author says that it cannot be used (status: unsupported)".to_owned());
        }
        let title = source.title.filter(|title| !title.trim().is_empty()).ok_or("it has no title")?;
        let logsource = source.logsource.map(lower).filter(|l| *l != Logsource::default());
        let logsource = logsource.ok_or("it has no logsource: give `product` with `category` or `service`")?;
        let mut detection = source.detection.ok_or("it has no detection")?;
        let condition = detection.remove("condition").ok_or("its detection has no condition")?;
        if detection.contains_key("timeframe") {
            return Err("`timeframe` asks for events over time, which is a correlation".to_owned());
        }
        if detection.len() > MAX_SELECTIONS {
            return Err(format!("it has more than {MAX_SELECTIONS} selections"));
        }
        let names: Vec<String> = detection.keys().cloned().collect();
        let selection =
            |(name, value): (&String, &Yaml)| Selection::new(value).map_err(|why| format!("selection `{name}`: {why}"));
        let selections = detection.iter().map(selection).collect::<Result<_, _>>()?;
        let condition = match condition {
            Yaml::String(text) => Condition::parse(&text, &names)?,
            // Several conditions: any of them.
            Yaml::Array(list) if !list.is_empty() => {
                let texts = list.iter().map(|item| item.as_str().ok_or("a condition is a text"));
                let parts = texts.map(|text| Condition::parse(text?, &names)).collect::<Result<_, String>>()?;
                Condition::Any(parts)
            }
            _ => return Err("its condition is no text".to_owned()),
        };
        let (id, level, tags) = (source.id, source.level.unwrap_or_default(), source.tags.unwrap_or_default());
        Ok(Self { id, title, level, tags, logsource, selections, condition })
    }

    /// Does it match?
    pub fn matches(&self, event: &SigmaEvent<'_>) -> bool {
        self.condition.holds(&|number| self.selections.get(number).is_some_and(|selection| selection.holds(event)))
    }
}

fn lower(logsource: Logsource) -> Logsource {
    let low = |word: Option<String>| word.map(|w| w.trim().to_lowercase()).filter(|w| !w.is_empty());
    Logsource { product: low(logsource.product), category: low(logsource.category), service: low(logsource.service) }
}
