//! A rule: what it says of itself, what it is about, and its detection.

use super::condition::Condition;
use super::event::SigmaEvent;
use super::field::Asked;
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
    filter: Option<IgnoredAny>,
    #[serde(default)]
    action: Option<IgnoredAny>,
    /// Where authors put it by mistake.
    #[serde(default)]
    condition: Option<IgnoredAny>,
    #[serde(default)]
    status: Option<String>,
}

impl Rule {
    /// Reads and compiles the rules of a file, a document each: what one cannot give does not cost the others. An error
    /// begins with line and column where there is a place.
    pub fn parse_file(text: &str) -> Vec<Result<Self, String>> {
        let documents = match crate::yaml::documents(text) {
            Ok(documents) => documents,
            Err(why) => return vec![Err(why)],
        };
        let [one] = documents.as_slice() else {
            if documents.is_empty() {
                return vec![Err("there is no rule in it".to_owned())];
            }
            let shares = |text: &String| crate::yaml::parse::<Source>(text).is_ok_and(|source| source.action.is_some());
            if documents.iter().any(shares) {
                let why = "`action` shares parts among the documents of a file, which Sigma has given up: write each rule whole";
                return vec![Err(why.to_owned())];
            }
            let named = |(number, text): (usize, &String)| {
                Self::parse(text).map_err(|why| format!("document {}: {why}", number.saturating_add(1)))
            };
            return documents.iter().enumerate().map(named).collect();
        };
        vec![Self::parse(one)]
    }

    /// Reads and compiles one rule.
    ///
    /// # Errors
    /// Why it cannot be evaluated; with line and column where it is no YAML.
    pub fn parse(text: &str) -> Result<Self, String> {
        let source: Source = crate::yaml::parse(text)?;
        let title = || {
            source.title.as_ref().map(|title| format!("`{}` is ", crate::engine::cut(title, 80))).unwrap_or_default()
        };
        if source.correlation.is_some() {
            return Err(format!(
                "{}a correlation, which is not supported: it needs the matches of other rules over time, which are not kept",
                title()
            ));
        }
        if source.filter.is_some() {
            return Err(format!(
                "{}a filter for other rules, which is not supported: exclude it in those rules",
                title()
            ));
        }
        if source.status.as_deref() == Some("unsupported") {
            return Err("its author says that it cannot be used (status: unsupported)".to_owned());
        }
        let title = source.title.filter(|title| !title.trim().is_empty()).ok_or("it has no title")?;
        let logsource = source.logsource.map(lower).filter(|l| *l != Logsource::default());
        let logsource = logsource.ok_or("it has no logsource: give `product` with `category` or `service`")?;
        let mut detection = source.detection.ok_or("it has no detection")?;
        let condition =
            detection.remove("condition").ok_or_else(|| misplaced(text, source.condition.is_some(), &detection))?;
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

    /// May it match an event of which `may` says whether it has a field with what is asked of it? `false`: never.
    pub fn may_match(&self, may: &dyn Fn(&Asked<'_>) -> bool) -> bool {
        self.condition.may_hold(&|number| self.selections.get(number).is_some_and(|selection| selection.may_hold(may)))
    }

    /// The fields that must be there together, for each way in which it may match; at most some hundred ways.
    pub fn asked_together(&self) -> Vec<Vec<Asked<'_>>> {
        const MOST: usize = 256;
        let of = |way: Vec<usize>| {
            let ways = way.into_iter().filter_map(|number| self.selections.get(number)).map(Selection::ways);
            ways.fold(vec![Vec::new()], |joined: Vec<Vec<Asked<'_>>>, further| {
                let all = joined.iter().flat_map(|way| further.iter().map(|more| [way.as_slice(), more].concat()));
                all.take(MOST).collect()
            })
        };
        self.condition.ways(MOST).into_iter().flat_map(of).take(MOST).collect()
    }

    /// The fields that must be there in some way.
    pub fn asked(&self) -> Vec<Asked<'_>> {
        self.selections.iter().flat_map(Selection::ways).flatten().collect()
    }

    /// Does it match?
    pub fn matches(&self, event: &SigmaEvent<'_>) -> bool {
        self.condition.holds(&|number| self.selections.get(number).is_some_and(|selection| selection.holds(event)))
    }
}

/// That there is no condition, and where one stands instead.
fn misplaced(text: &str, outside: bool, detection: &BTreeMap<String, Yaml>) -> String {
    let line = |path: &[&str]| {
        let path: Vec<String> = path.iter().map(|part| (*part).to_owned()).collect();
        let place = crate::yaml::locate(text, &path);
        place.and_then(|place| Some(place.split_once(':')?.0.to_owned())).unwrap_or_else(|| "?".to_owned())
    };
    if outside {
        let line = line(&["condition"]);
        return format!(
            "its detection has no condition; there is one at the top level, line {line}: indent it below `detection`"
        );
    }
    match detection.iter().find(|(_, selection)| selection.get("condition").is_some()) {
        Some((name, _)) => format!(
            "its detection has no condition; there is one inside the selection `{}`, line {}: move it out, beside the selection",
            crate::engine::cut(name, 80),
            line(&["detection", name, "condition"])
        ),
        None => "its detection has no condition: add one, such as `condition: selection`".to_owned(),
    }
}

fn lower(logsource: Logsource) -> Logsource {
    let low = |word: Option<String>| word.map(|w| w.trim().to_lowercase()).filter(|w| !w.is_empty());
    Logsource { product: low(logsource.product), category: low(logsource.category), service: low(logsource.service) }
}
