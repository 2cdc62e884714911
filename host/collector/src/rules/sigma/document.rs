//! The documents of a rule file: rules, correlations and filters. rsigma parses them; mistakes that it passes over are found here.

use super::authored;
use super::condition;
use super::correlation::{Correlation, CorrelationSource};
use super::filter::Filter;
use super::repair;
use super::rule::{Draft, Head, Level, Logic, Logsource, Rule};
use rsigma_ir::{IrRule, LowerOptions};
use rsigma_parser::{Detections, SigmaCollection, SigmaRule};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value as Yaml;
use std::collections::BTreeMap;

/// Most selections of a rule.
const MAX_SELECTIONS: usize = 256;

/// A document of a rule file.
#[derive(Debug)]
pub enum Document {
    /// A detection rule. It is compiled once all filters are known.
    Rule(Box<Draft>),
    /// A correlation of other rules' matches.
    Correlation(Box<Rule>),
    /// What is excluded from other rules.
    Filter(Box<Filter>),
}

/// A document's text. Sigma allows other keys: they are the author's.
#[derive(Deserialize)]
struct Source {
    title: Option<String>,
    id: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    level: Option<Level>,
    #[serde(default)]
    tags: Option<Vec<String>>,
    logsource: Option<Logsource>,
    detection: Option<BTreeMap<String, Yaml>>,
    #[serde(default)]
    correlation: Option<CorrelationSource>,
    #[serde(default)]
    filter: Option<BTreeMap<String, Yaml>>,
    #[serde(default)]
    action: Option<IgnoredAny>,
    /// Where authors put it by mistake.
    #[serde(default)]
    condition: Option<IgnoredAny>,
    #[serde(default)]
    status: Option<String>,
}

impl Document {
    /// Reads a file's documents. What is wrong with one does not cost the others.
    ///
    /// # Errors
    /// For each document why it cannot be evaluated, with line and column where there is a place.
    pub fn parse_file(text: &str) -> Vec<Result<Self, String>> {
        let documents = match foil_yaml::documents(text) {
            Ok(documents) => documents,
            Err(why) => return vec![Err(why)],
        };
        let [one] = documents.as_slice() else {
            if documents.is_empty() {
                return vec![Err("there is no rule in it".to_owned())];
            }
            let shares = |text: &String| foil_yaml::parse::<Source>(text).is_ok_and(|source| source.action.is_some());
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

    /// Reads one document.
    ///
    /// # Errors
    /// Why it cannot be evaluated; with line and column where it is not YAML.
    pub fn parse(text: &str) -> Result<Self, String> {
        let source: Source = foil_yaml::parse(text)?;
        if source.status.as_deref() == Some("unsupported") {
            return Err("its author says that it cannot be used (status: unsupported)".to_owned());
        }
        let head = Head {
            id: source.id.clone(),
            name: source.name.clone(),
            title: source.title.clone().filter(|title| !title.trim().is_empty()).ok_or("it has no title")?,
            level: source.level.unwrap_or_default(),
            tags: source.tags.clone().unwrap_or_default(),
        };
        let logsource = source.logsource.clone().map(Logsource::lower).filter(|l| *l != Logsource::default());
        if let Some(correlation) = &source.correlation {
            let parsed = parsed(text)?.correlations.pop().ok_or_else(nothing)?;
            let correlation = Correlation::new(parsed, correlation)?;
            return Ok(Self::Correlation(Box::new(Rule::new(head, Logic::Correlation(Box::new(correlation))))));
        }
        if let Some(filter) = &source.filter {
            let selections = filter.keys().filter(|key| *key != "rules");
            check(filter, selections)?;
            let mut parsed = parsed(text)?.filters.pop().ok_or_else(nothing)?;
            settle(&mut parsed.detection)?;
            return Filter::new(head.title, parsed, logsource).map(|filter| Self::Filter(Box::new(filter)));
        }
        let logsource = logsource.ok_or("it has no logsource: give `product` with `category` or `service`")?;
        let detection = source.detection.as_ref().ok_or("it has no detection")?;
        if !detection.contains_key("condition") {
            return Err(misplaced(text, source.condition.is_some(), detection));
        }
        check(detection, detection.keys())?;
        let parsed = parsed(text)?.rules.pop().ok_or_else(nothing)?;
        Ok(Self::Rule(Box::new(Draft::new(head, logsource, lowered(parsed)?))))
    }
}

fn nothing() -> String {
    "there is no rule in it".to_owned()
}

/// Reads a document as rsigma does.
fn parsed(text: &str) -> Result<SigmaCollection, String> {
    let collection = rsigma_parser::parse_sigma_yaml(text).map_err(|error| one_line(&error.to_string()))?;
    // Of these rsigma goes on without what it could not read.
    match collection.errors.first() {
        Some(error) => Err(one_line(error)),
        None => Ok(collection),
    }
}

/// What an error of rsigma's says, without the drawing of where.
pub(super) fn one_line(error: &str) -> String {
    let first = error.lines().next().unwrap_or_default().trim_end_matches([' ', ':', '>', '-']);
    let last = error.lines().next_back().unwrap_or_default().trim_start_matches([' ', '=']);
    let text = if error.lines().count() > 1 { format!("{first}: {last}") } else { error.to_owned() };
    foil_text::cut(&text, 300)
}

/// Checks what rsigma does not.
fn check<'a>(detection: &BTreeMap<String, Yaml>, names: impl Iterator<Item = &'a String>) -> Result<(), String> {
    if detection.contains_key("timeframe") {
        return Err(
            "`timeframe` asks for events over time, which Sigma has given up: write a correlation rule".to_owned()
        );
    }
    if names.count() > MAX_SELECTIONS {
        return Err(format!("it has more than {MAX_SELECTIONS} selections"));
    }
    let selections = detection.iter().filter(|(name, _)| !matches!(name.as_str(), "condition" | "rules"));
    for (name, selection) in selections {
        plain_values(selection).map_err(|why| of_selection(name, &why))?;
    }
    match detection.get("condition") {
        None => Err("it has no condition: add one, such as `condition: selection`".to_owned()),
        Some(Yaml::String(text)) => condition::check(text),
        // Several conditions: any of them.
        Some(Yaml::Array(list)) if !list.is_empty() => {
            list.iter().try_for_each(|item| condition::check(item.as_str().ok_or("a condition is a text")?))
        }
        Some(_) => Err("its condition is not a text".to_owned()),
    }
}

/// Checks that what a field must be is a value or a list of values. rsigma takes a map for a text.
fn plain_values(selection: &Yaml) -> Result<(), String> {
    let wrong = |value: &Yaml| match value {
        Yaml::Object(_) => Some("a map"),
        Yaml::Array(_) => Some("a list"),
        _ => None,
    };
    match selection {
        Yaml::Array(items) => items.iter().try_for_each(|item| match item {
            Yaml::Array(_) => Err("a list inside of a list is not Sigma".to_owned()),
            item => plain_values(item),
        }),
        Yaml::Object(fields) => fields.iter().try_for_each(|(field, value)| {
            let inner = match value {
                Yaml::Array(values) => values.iter().find_map(wrong),
                value => wrong(value),
            };
            match inner {
                Some(what) => Err(format!("field `{}`: its value is {what}", foil_text::cut(field, 80))),
                None => Ok(()),
            }
        }),
        _ => Ok(()),
    }
}

/// Puts selections and conditions into the words that rsigma evaluates as specified.
fn settle(detections: &mut Detections) -> Result<(), String> {
    let mut names: Vec<String> = detections.named.keys().cloned().collect();
    names.sort();
    for name in &names {
        let Some(detection) = detections.named.get_mut(name) else { continue };
        authored::detection(detection).map_err(|why| of_selection(name, &why))?;
    }
    for condition in &mut detections.conditions {
        *condition = condition::resolve(condition, &names)?;
    }
    Ok(())
}

fn of_selection(name: &str, why: &str) -> String {
    format!("selection `{}`: {why}", foil_text::cut(name, 80))
}

fn lowered(mut rule: SigmaRule) -> Result<IrRule, String> {
    settle(&mut rule.detection)?;
    let mut ir =
        rsigma_ir::lower_rule(&rule, &LowerOptions::default()).map_err(|error| one_line(&error.to_string()))?;
    ir.detections = repaired(std::mem::take(&mut ir.detections))?;
    Ok(ir)
}

/// Rewrites what rsigma evaluates otherwise than specified.
pub(super) fn repaired(
    detections: std::collections::HashMap<String, rsigma_ir::IrDetection>,
) -> Result<std::collections::HashMap<String, rsigma_ir::IrDetection>, String> {
    // In order, so that of several mistakes the same one is told each time.
    let detections: BTreeMap<_, _> = detections.into_iter().collect();
    let each = detections.into_iter().map(|(name, detection)| {
        let repaired = repair::detection(detection).map_err(|why| of_selection(&name, &why))?;
        Ok((name, repaired))
    });
    each.collect()
}

/// That there is no condition, and where one stands instead.
fn misplaced(text: &str, outside: bool, detection: &BTreeMap<String, Yaml>) -> String {
    let line = |path: &[&str]| {
        let path: Vec<String> = path.iter().map(|part| (*part).to_owned()).collect();
        let place = foil_yaml::locate(text, &path);
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
            foil_text::cut(name, 80),
            line(&["detection", name, "condition"])
        ),
        None => "its detection has no condition: add one, such as `condition: selection`".to_owned(),
    }
}
