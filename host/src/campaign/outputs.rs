//! `{step.fact}`: what an earlier step of a campaign found, in the parameters of a later one. `{{step.fact}}` stands for the
//! text `{step.fact}` itself.

use super::experiment::Experiment;
use serde_json::Value;
use std::collections::BTreeMap;

/// What each step found, by step and fact.
pub type Facts = BTreeMap<String, BTreeMap<String, String>>;

/// The references in a value.
pub fn of(value: &Value) -> Vec<(String, String)> {
    match value {
        Value::String(text) => pieces(text).into_iter().filter_map(|piece| piece.reference).collect(),
        Value::Array(list) => list.iter().flat_map(of).collect(),
        _ => Vec::new(),
    }
}

/// The references in an experiment.
pub fn of_experiment(experiment: &Experiment) -> Vec<(String, String)> {
    placed(experiment).into_iter().map(|reference| (reference.step, reference.fact)).collect()
}

/// A reference, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Keys and numbers, from the experiment down.
    pub path: Vec<String>,
    /// The step that is named.
    pub step: String,
    /// Its fact.
    pub fact: String,
}

/// The references in an experiment, with their places.
pub fn placed(experiment: &Experiment) -> Vec<Placed> {
    let own = experiment.with.iter().map(|with| (Vec::new(), with));
    let control = experiment.control.iter().flat_map(|control| &control.with);
    let control = control.map(|with| (vec!["control".to_owned()], with));
    let links = experiment.expect.iter().enumerate().flat_map(|(number, link)| {
        link.with.iter().map(move |with| (vec!["expect".to_owned(), number.to_string()], with))
    });
    let all = own.chain(control).chain(links);
    let references = all.flat_map(|(above, (name, value))| {
        let path = [above, vec!["with".to_owned(), name.clone()]].concat();
        of(value).into_iter().map(move |(step, fact)| Placed { path: path.clone(), step, fact })
    });
    references.collect()
}

/// Fills in what is known. References to steps that `facts` does not name stay as they stand.
///
/// # Errors
/// A sentence where a step gave no such fact.
pub fn fill(value: &Value, facts: &Facts) -> Result<Value, String> {
    match value {
        Value::String(text) => {
            let mut filled = String::with_capacity(text.len());
            for Piece { text, reference, literal } in pieces(text) {
                if literal {
                    filled.push_str(text.get(1..text.len().saturating_sub(1)).unwrap_or(text));
                    continue;
                }
                match reference.and_then(|(step, fact)| facts.get(&step).map(|known| (step, fact, known))) {
                    None => filled.push_str(text),
                    Some((step, fact, known)) => {
                        let value = known.get(&fact).ok_or_else(|| {
                            let there: Vec<&str> = known.keys().map(String::as_str).collect();
                            let there = if there.is_empty() { "nothing".to_owned() } else { there.join(", ") };
                            format!("the step `{step}` gave no `{fact}`; it gave {there}")
                        })?;
                        filled.push_str(value);
                    }
                }
            }
            Ok(Value::String(filled))
        }
        Value::Array(list) => list.iter().map(|value| fill(value, facts)).collect(),
        other => Ok(other.clone()),
    }
}

/// Fills in all parameters of an experiment.
pub fn fill_experiment(experiment: &Experiment, facts: &Facts) -> Result<Experiment, String> {
    let all = |with: &BTreeMap<String, Value>| -> Result<BTreeMap<String, Value>, String> {
        with.iter().map(|(name, value)| Ok((name.clone(), fill(value, facts)?))).collect()
    };
    let mut filled = experiment.clone();
    filled.with = all(&experiment.with)?;
    if let Some(control) = &mut filled.control {
        control.with = all(&control.with)?;
    }
    for link in &mut filled.expect {
        link.with = all(&link.with)?;
    }
    Ok(filled)
}

/// A part of a text: `{step.fact}`, `{{step.fact}}`, or what lies between such.
struct Piece<'a> {
    text: &'a str,
    reference: Option<(String, String)>,
    /// It stands for itself, less the outer braces.
    literal: bool,
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let (before, from) = rest.split_at(open);
        let Some(close) = from.find('}') else { break };
        let doubled = from.starts_with("{{") && from.get(close..).is_some_and(|end| end.starts_with("}}"));
        let (inside, after) = from.split_at(close.saturating_add(if doubled { 2 } else { 1 }));
        let name = inside.trim_start_matches('{').trim_end_matches('}');
        let plain =
            |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        let reference = name
            .split_once('.')
            .filter(|(step, fact)| plain(step) && plain(fact))
            .map(|(step, fact)| (step.to_owned(), fact.to_owned()));
        pieces.push(Piece { text: before, reference: None, literal: false });
        let literal = doubled && reference.is_some();
        pieces.push(Piece { text: inside, reference: reference.filter(|_| !doubled), literal });
        rest = after;
    }
    pieces.push(Piece { text: rest, reference: None, literal: false });
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_known_is_filled_in_and_nothing_else_is_touched() {
        let facts = Facts::from([("plant".into(), BTreeMap::from([("path".into(), "/etc/{x.y}".into())]))]);
        let fill = |value: Value| super::fill(&value, &facts);
        assert_eq!(fill(json!("a {plant.path} b")), Ok(json!("a /etc/{x.y} b")));
        assert_eq!(
            fill(json!(["{plant.path}", 3, "{scratch}/{run}"])),
            Ok(json!(["/etc/{x.y}", 3, "{scratch}/{run}"]))
        );
        for same in ["{", "}", "{}", "{.}", "{a.}", "{other.path}", "{plant.path", "{{plant.path"] {
            assert_eq!(fill(json!(same)), Ok(json!(same)), "{same}");
        }
        assert_eq!(fill(json!("{{plant.path}} {{other.x}}")), Ok(json!("{plant.path} {other.x}")));
        assert!(of(&json!("{{plant.path}} {{ plant.path }} {}")).is_empty());
        assert!(fill(json!("{plant.mode}")).is_err_and(|why| why.contains("it gave path")));
    }
}
