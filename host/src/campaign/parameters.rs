//! `with:` of an experiment, held against the parameters that a manifest declares.

use crate::engine::bindings::types::{Parameter, Value};
use foil_collector::audit::parse;
use foil_manifest::{Manifest, Parameter as Declared, ParameterType, Shape};
use foil_text::Shown as _;
use foil_text::suggest::hint;
use regex::RegexBuilder;
use std::collections::BTreeMap;

/// The largest that a regular expression may become once it is compiled, in bytes.
const MAX_REGEX: usize = 1 << 20;

/// A parameter that is wrong.
#[derive(Debug)]
pub(super) struct Wrong {
    /// Its name, where it was given.
    pub given: Option<String>,
    /// A sentence that names the module and the parameter.
    pub why: String,
}

/// Given values and defaults, typed. `later`: what is to be filled in by a campaign is left out.
///
/// # Errors
/// Every parameter that is wrong.
pub(super) fn resolve(
    manifest: &Manifest,
    with: &BTreeMap<String, serde_json::Value>,
    later: bool,
) -> Result<Vec<Parameter>, Vec<Wrong>> {
    let mut wrong: Vec<Wrong> = unknown(manifest, with).chain(undecided(manifest, with)).collect();
    let mut parameters = Vec::new();
    for (name, declared) in &manifest.parameters {
        let Some(value) = with.get(name).or(declared.default.as_ref()) else {
            if declared.required {
                let why = format!("{} needs the parameter `{name}`: {}", manifest.id, declared.about);
                wrong.push(Wrong { given: None, why });
            }
            continue;
        };
        // What an earlier step of a campaign finds is put in, and looked at again, once it is known.
        if later && !super::outputs::of(value).is_empty() {
            continue;
        }
        match check(declared, value) {
            Ok(()) => parameters
                .extend(typed(declared.kind.shape(), value).map(|value| Parameter { name: name.clone(), value })),
            Err(why) => {
                let why = format!("{}: `{name}` is {value}; {why}", manifest.id);
                wrong.push(Wrong { given: Some(name.clone()), why });
            }
        }
    }
    if wrong.is_empty() { Ok(parameters) } else { Err(wrong) }
}

/// The names that the manifest does not have.
fn unknown<'a>(
    manifest: &'a Manifest,
    with: &'a BTreeMap<String, serde_json::Value>,
) -> impl Iterator<Item = Wrong> + 'a {
    let known = || manifest.parameters.keys().map(String::as_str);
    with.keys().filter(|name| !manifest.parameters.contains_key(*name)).map(move |name| {
        let all: Vec<&str> = known().collect();
        let all = if all.is_empty() { "none".to_owned() } else { all.join(", ") };
        let (shown, hint) = (name.shown(), hint(name, known()));
        let why = format!("{} has no parameter `{shown}`{hint}; it has: {all}", manifest.id);
        Wrong { given: Some(name.clone()), why }
    })
}

/// None of the parameters is given of which one is needed.
fn undecided(manifest: &Manifest, with: &BTreeMap<String, serde_json::Value>) -> Option<Wrong> {
    let says = |name: &String| match with.get(name) {
        Some(serde_json::Value::Array(list)) => !list.is_empty(),
        other => other.is_some(),
    };
    if manifest.one_of.is_empty() || manifest.one_of.iter().any(says) {
        return None;
    }
    let names: Vec<String> = manifest.one_of.iter().map(|name| format!("`{name}`")).collect();
    let why = format!("{} needs at least one of {}: without, everything would match", manifest.id, names.join(", "));
    Some(Wrong { given: None, why })
}

/// Checks a value: what the manifest says of it, and what only the host knows.
fn check(declared: &Declared, value: &serde_json::Value) -> Result<(), String> {
    if !declared.choices.is_empty() && !declared.choices.contains(value) {
        let choices: Vec<String> = declared.choices.iter().map(ToString::to_string).collect();
        let names = declared.choices.iter().filter_map(serde_json::Value::as_str);
        let hint = value.as_str().map(|given| hint(given, names)).unwrap_or_default();
        return Err(format!("it must be one of {}{hint}", choices.join(", ")));
    }
    declared.check(value)?;
    let Some(text) = value.as_str() else { return Ok(()) };
    match declared.kind {
        ParameterType::AuditEvents => text.split(',').map(str::trim).try_for_each(event)?,
        ParameterType::Duration => foil_yaml::parse_span(text).map(drop)?,
        ParameterType::Regex => regex(text).map(drop)?,
        _ => {}
    }
    match &declared.form {
        Some(form) if !regex(&format!("^(?:{form})$"))?.is_match(text) => {
            Err(format!("it must have the form `{form}`"))
        }
        _ => Ok(()),
    }
}

/// Checks that there are audit events of that kind.
fn event(kind: &str) -> Result<(), String> {
    if parse::is_kind(kind) {
        return Ok(());
    }
    let kinds: Vec<String> = parse::kinds().collect();
    let hint = hint(kind, kinds.iter().map(String::as_str));
    Err(format!("`{}` is neither a system call nor an audit record{hint}", kind.shown()))
}

fn regex(text: &str) -> Result<regex::Regex, String> {
    RegexBuilder::new(text).size_limit(MAX_REGEX).build().map_err(|error| {
        let shown = error.to_string();
        // The last line says what is wrong; those above draw it.
        let why = shown.lines().last().unwrap_or_default().trim_start_matches("error: ");
        format!("`{text}` is not a regular expression that can be used: {why}")
    })
}

/// The value as a guest gets it; `None` where it has another shape.
fn typed(shape: Shape, value: &serde_json::Value) -> Option<Value> {
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    match shape {
        Shape::Text => text(value).map(Value::Text),
        Shape::Integer => value.as_i64().map(Value::Integer),
        Shape::Number => value.as_f64().map(Value::Number),
        Shape::Boolean => value.as_bool().map(Value::Boolean),
        Shape::Texts => value.as_array()?.iter().map(text).collect::<Option<_>>().map(Value::Texts),
    }
}

/// `--with k=v` on the command line, read by the declared type.
pub fn from_command_line(manifest: &Manifest, given: &[String]) -> Result<BTreeMap<String, serde_json::Value>, String> {
    let mut with = BTreeMap::new();
    for pair in given {
        let (name, text) = pair.split_once('=').ok_or_else(|| format!("`--with {pair}` must be name=value"))?;
        let shape = manifest.parameters.get(name).map(|declared| declared.kind.shape());
        let value = match shape {
            None | Some(Shape::Text) => serde_json::Value::String(text.to_owned()),
            Some(Shape::Texts) => text.split(',').map(str::to_owned).collect(),
            Some(_) => serde_json::from_str(text).unwrap_or_else(|_| serde_json::Value::String(text.to_owned())),
        };
        if with.insert(name.to_owned(), value).is_some() {
            return Err(format!("`--with {name}=…` is given twice"));
        }
    }
    Ok(with)
}
