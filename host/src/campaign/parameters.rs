//! `with:` of an experiment, held against the parameters that a manifest declares.

use crate::engine::bindings::types::{Parameter, Value};
use foil_manifest::{Manifest, ParameterType};
use std::collections::BTreeMap;

/// The longest text of one parameter, in bytes.
const MAX_TEXT: usize = 64 << 10;

/// A parameter that is wrong.
#[derive(Debug)]
pub(super) struct Wrong {
    /// Its name, where it was given.
    pub given: Option<String>,
    /// A sentence that names the module and the parameter.
    pub why: String,
}

/// Given values and defaults, typed. `later`: what is to be filled in by a campaign is left out.
pub(super) fn resolve(
    manifest: &Manifest,
    with: &BTreeMap<String, serde_json::Value>,
    later: bool,
) -> Result<Vec<Parameter>, Wrong> {
    let id = &manifest.id;
    if let Some(unknown) = with.keys().find(|name| !manifest.parameters.contains_key(*name)) {
        let known: Vec<&str> = manifest.parameters.keys().map(String::as_str).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let why = format!("{id} has no parameter `{}`; it has: {known}", unknown.escape_debug());
        return Err(Wrong { given: Some(unknown.clone()), why });
    }
    let mut parameters = Vec::new();
    for (name, declared) in &manifest.parameters {
        let Some(value) = with.get(name).or(declared.default.as_ref()) else {
            if declared.required {
                return Err(Wrong {
                    given: None,
                    why: format!("{id} needs the parameter `{name}`: {}", declared.about),
                });
            }
            continue;
        };
        // What an earlier step of a campaign finds is put in, and looked at again, once it is known.
        if later && !super::outputs::of(value).is_empty() {
            continue;
        }
        let wrong = |why: String| Wrong { given: Some(name.clone()), why: format!("{id}: `{name}` is {value}; {why}") };
        if !declared.choices.is_empty() && !declared.choices.contains(value) {
            let choices: Vec<String> = declared.choices.iter().map(ToString::to_string).collect();
            return Err(wrong(format!("it must be one of {}", choices.join(", "))));
        }
        let value = typed(declared.kind, value).map_err(wrong)?;
        parameters.push(Parameter { name: name.clone(), value });
    }
    Ok(parameters)
}

fn typed(kind: ParameterType, value: &serde_json::Value) -> Result<Value, String> {
    let text = |value: &serde_json::Value| {
        let text = value.as_str().ok_or("it must be a string")?;
        if text.len() > MAX_TEXT || text.contains('\0') {
            return Err("a string has at most 64 KiB and no NUL");
        }
        Ok(text.to_owned())
    };
    Ok(match kind {
        ParameterType::String => Value::Text(text(value)?),
        ParameterType::Integer => Value::Integer(value.as_i64().ok_or("it must be a whole number")?),
        ParameterType::Number => Value::Number(value.as_f64().ok_or("it must be a number")?),
        ParameterType::Boolean => Value::Boolean(value.as_bool().ok_or("it must be true or false")?),
        ParameterType::Strings => {
            let list = value.as_array().ok_or("it must be a list of strings")?;
            Value::Texts(list.iter().map(text).collect::<Result<_, _>>()?)
        }
    })
}

/// `--with k=v` on the command line, read by the declared type.
pub fn from_command_line(manifest: &Manifest, given: &[String]) -> Result<BTreeMap<String, serde_json::Value>, String> {
    let mut with = BTreeMap::new();
    for pair in given {
        let (name, text) = pair.split_once('=').ok_or_else(|| format!("`--with {pair}` must be name=value"))?;
        let kind = manifest.parameters.get(name).map(|p| p.kind);
        let value = match kind {
            None | Some(ParameterType::String) => serde_json::Value::String(text.to_owned()),
            Some(ParameterType::Strings) => text.split(',').map(str::to_owned).collect(),
            Some(_) => serde_json::from_str(text).unwrap_or_else(|_| serde_json::Value::String(text.to_owned())),
        };
        if with.insert(name.to_owned(), value).is_some() {
            return Err(format!("`--with {name}=…` is given twice"));
        }
    }
    Ok(with)
}
