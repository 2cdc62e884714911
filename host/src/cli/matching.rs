//! The techniques that a pattern such as `linux.*` names, and what each of them is given.

use crate::campaign::parameters::from_command_line;
use crate::module::{Catalog, Filter, Module};
use anyhow::{anyhow, bail};
use foil_manifest::Kind;
use foil_text::{Shown as _, glob, suggest};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How many ids an error lists.
const MOST_LISTED: usize = 5;

/// Whether a technique's name is a pattern, and not an id or the path of a file.
pub(super) fn is_pattern(name: &str) -> bool {
    name.contains('*') && !name.contains('/') && !name.ends_with(".wasm") && !name.ends_with(".json")
}

/// Returns the techniques whose id, or one of whose aliases, matches the pattern, by id.
///
/// # Errors
/// None matches; the sentence names the nearest ids, and checks that match.
pub(super) fn techniques(catalog: &Catalog, pattern: &str) -> anyhow::Result<Vec<Module>> {
    let matches = |module: &Module| {
        let aliases = module.manifest.aliases.iter().map(String::as_str);
        std::iter::once(module.id()).chain(aliases).any(|name| glob::matches(pattern, name))
    };
    let (found, others): (Vec<Module>, Vec<Module>) =
        catalog.modules(&Filter::default()).into_iter().partition(matches);
    let is_technique = |module: &Module| module.manifest.kind == Kind::Technique;
    let (found, checks): (Vec<Module>, Vec<Module>) = found.into_iter().partition(is_technique);
    if !found.is_empty() {
        return Ok(found);
    }
    let shown = pattern.shown();
    if !checks.is_empty() {
        bail!("`{shown}` matches checks only ({}), and a check is not fired", listed(checks.iter().map(Module::id)));
    }
    let near = nearest(pattern, others.iter().filter(|module| is_technique(module)).map(Module::id));
    let near = if near.is_empty() { String::new() } else { format!("; the nearest are {}", listed(near.into_iter())) };
    bail!("no technique matches `{shown}`{near}; `foil list --kind technique` shows all")
}

/// The values of `--with` for each of the techniques: those that it has a parameter for.
///
/// # Errors
/// A value that is not `name=value` or is given twice, and a name that none of the techniques has.
pub(super) fn parameters(
    pattern: &str,
    modules: &[Module],
    given: &[String],
) -> anyhow::Result<Vec<BTreeMap<String, Value>>> {
    let name = |pair: &str| pair.split_once('=').map(|(name, _)| name.to_owned());
    for pair in given {
        let Some(name) = name(pair) else { bail!("`--with {}` must be name=value", pair.shown()) };
        let known: BTreeSet<&str> =
            modules.iter().flat_map(|module| module.manifest.parameters.keys()).map(String::as_str).collect();
        if !known.contains(name.as_str()) {
            let hint = suggest::hint(&name, known.iter().copied());
            let known = if known.is_empty() { "none".to_owned() } else { Vec::from_iter(known).join(", ") };
            bail!(
                "`--with {}=…`: no technique that matches `{}` has this parameter{hint}; they have: {known}",
                name.shown(),
                pattern.shown()
            );
        }
    }
    let of_module = |module: &Module| {
        let has = |pair: &&String| name(pair).is_some_and(|name| module.manifest.parameters.contains_key(&name));
        let own: Vec<String> = given.iter().filter(has).cloned().collect();
        from_command_line(&module.manifest, &own).map_err(|error| anyhow!(error))
    };
    modules.iter().map(of_module).collect()
}

/// The ids that have the most words near to those of the pattern.
fn nearest<'a>(pattern: &str, ids: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let words = |text: &str| -> Vec<String> {
        text.split(['*', '.', '-']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let wanted = words(pattern);
    let score = |id: &str| {
        let own = words(id);
        wanted.iter().filter(|word| suggest::nearest(word, own.iter().map(String::as_str)).is_some()).count()
    };
    let scored: Vec<(usize, &str)> = ids.map(|id| (score(id), id)).collect();
    let most = scored.iter().map(|(score, _)| *score).max().unwrap_or_default();
    scored.into_iter().filter(|(score, _)| *score > 0 && *score == most).map(|(_, id)| id).collect()
}

/// At most [`MOST_LISTED`] ids, and how many others there are.
fn listed<'a>(ids: impl Iterator<Item = &'a str>) -> String {
    let ids: Vec<String> = ids.map(|id| format!("`{id}`")).collect();
    let shown = ids.get(..MOST_LISTED).unwrap_or(&ids).join(", ");
    match ids.len().saturating_sub(MOST_LISTED) {
        0 => shown,
        others => format!("{shown} and {others} others"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_has_a_star_and_is_no_path() {
        assert!(is_pattern("linux.*") && is_pattern("*"));
        assert!(["linux.file-delete", "./*.wasm", "mods/*", "*.wasm", "*.json"].iter().all(|name| !is_pattern(name)));
    }

    #[test]
    fn only_techniques_match_and_the_nearest_are_named() {
        let catalog = Catalog::default();
        let ids = |pattern: &str| -> Vec<String> {
            techniques(&catalog, pattern).unwrap().iter().map(|module| module.id().to_owned()).collect()
        };
        let linux = ids("linux.*");
        assert!(linux.is_sorted() && linux.contains(&"linux.file-delete".into()), "{linux:?}");
        assert!(linux.iter().all(|id| id.starts_with("linux.") && id != "linux.audit-event"), "{linux:?}");
        for (pattern, word) in [
            ("linx.*", "the nearest are `linux."),
            ("*shdow*", "`linux.shadow-read`; "),
            ("linux.audit*", "checks only (`linux.audit-event`)"),
            ("qqq*", "no technique matches `qqq*`; `foil list"),
        ] {
            let error = techniques(&catalog, pattern).unwrap_err().to_string();
            assert!(error.contains(word), "{pattern}: {error}");
        }
    }

    #[test]
    fn a_parameter_goes_to_those_that_have_it() {
        let modules = techniques(&Catalog::default(), "linux.*").unwrap();
        let given = parameters("linux.*", &modules, &["method=rm".into()]).unwrap();
        let of = |id: &str| given[modules.iter().position(|module| module.id() == id).unwrap()].clone();
        assert_eq!(of("linux.file-delete").get("method"), Some(&"rm".into()));
        assert!(of("linux.system-info").is_empty());
        for (given, word) in [
            (&["metod=rm"][..], "do you mean `method`?"),
            (&["method"], "must be name=value"),
            (&["method=rm", "method=shred"], "given twice"),
        ] {
            let given: Vec<String> = given.iter().map(|pair| (*pair).to_owned()).collect();
            let error = parameters("linux.*", &modules, &given).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
