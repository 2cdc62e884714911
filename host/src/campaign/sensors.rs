//! The collectors that links name: whether they exist, can be followed, and can hold what is looked for.

use super::experiment::Experiment;
use super::mistakes::PrepareError;
use crate::engine::bindings::types::{Parameter, Value};
use foil_collector::{audit, file, inbox, kubernetes, observed, rules};
use foil_manifest::{Capability, Manifest, ParameterType, pattern};
use foil_policy::Environment;
use foil_policy::sources::{FileFormat, FileSource};
use foil_text::Shown as _;
use foil_text::suggest::hint;
use std::collections::BTreeSet;
use std::path::Path;

/// The collectors that a check reads: those that its parameters name, else all that its manifest names.
pub(super) fn collectors(manifest: &Manifest, parameters: &[Parameter]) -> BTreeSet<String> {
    let names_one = |name: &str| manifest.parameters.get(name).is_some_and(is_collector);
    let named: BTreeSet<String> = parameters
        .iter()
        .filter(|parameter| names_one(&parameter.name))
        .filter_map(|parameter| match &parameter.value {
            Value::Text(name) => Some(name.clone()),
            _ => None,
        })
        .collect();
    if manifest.parameters.values().any(is_collector) {
        return named;
    }
    let scopes = manifest.capabilities.iter().filter_map(|capability| match capability {
        Capability::EventsRead(scope) => Some(scope.allow.iter().cloned()),
        _ => None,
    });
    scopes.flatten().filter(|name| !name.ends_with('*')).collect()
}

fn is_collector(declared: &foil_manifest::Parameter) -> bool {
    declared.kind == ParameterType::Collector
}

/// What is wrong with the collectors of a link, and with what is looked for in them. `allowed`: why the check may not read one.
pub(super) fn check(
    environment: &Environment,
    experiment: &Experiment,
    manifest: &Manifest,
    parameters: &[Parameter],
    collectors: &BTreeSet<String>,
    allowed: &dyn Fn(&str) -> Result<(), String>,
) -> Vec<PrepareError> {
    let mut wrong = Vec::new();
    let place = manifest.parameters.iter().find(|(_, declared)| is_collector(declared)).map(|(name, _)| name.as_str());
    for name in collectors {
        let missing = exists(environment, experiment, name, allowed);
        let denied = || allowed(name).map_err(|why| format!("{} may not read a collector: {why}", manifest.id));
        if let Err(why) = missing.and_then(|()| denied()) {
            let error = PrepareError::Wrong(why);
            wrong.push(match place {
                Some(parameter) => error.under(["with", parameter]),
                None => error.under(["check"]),
            });
        }
    }
    wrong.extend(unusable(environment, collectors));
    if wrong.is_empty() {
        wrong.extend(unfindable(environment, manifest, parameters, collectors));
    }
    wrong
}

/// Whether there is a collector of that name here.
fn exists(
    environment: &Environment,
    experiment: &Experiment,
    name: &str,
    allowed: &dyn Fn(&str) -> Result<(), String>,
) -> Result<(), String> {
    let sources = &environment.sources;
    if let Some(log) = name.strip_prefix(file::PREFIX) {
        if sources.files.contains_key(log) {
            return Ok(());
        }
        let all: Vec<String> = sources.files.keys().map(|log| format!("{}{log}", file::PREFIX)).collect();
        let hint = hint(name, all.iter().map(String::as_str));
        let all = if all.is_empty() { "none".to_owned() } else { all.join(", ") };
        return Err(format!("there is no collector `{}`{hint}: `files` of foil.yaml makes {all}", name.shown()));
    }
    match name {
        inbox::NAME if sources.inbox.is_none() => {
            Err("there is no collector `inbox`: name `inbox: { listen: 127.0.0.1:2801 }` in foil.yaml".to_owned())
        }
        rules::NAME if sources.rules.is_empty() && experiment.rules.is_empty() => Err(
            "there is no Sigma rule: name files or folders of rules under `rules`, in foil.yaml or in the experiment"
                .to_owned(),
        ),
        // Without a cluster the technique cannot run here; that is told as what it needs.
        audit::NAME | observed::NAME | inbox::NAME | kubernetes::NAME | rules::NAME => Ok(()),
        _ => {
            let files = sources.files.keys().map(|name| format!("{}{name}", file::PREFIX));
            let fixed = [audit::NAME, observed::NAME, inbox::NAME, kubernetes::NAME, rules::NAME].map(str::to_owned);
            let known: Vec<String> = fixed.into_iter().chain(files).filter(|name| allowed(name).is_ok()).collect();
            let hint = hint(name, known.iter().map(String::as_str));
            let known = known.join(", ");
            Err(format!("there is no collector `{}`{hint}: there are {known}", name.shown()))
        }
    }
}

/// The sources of `foil.yaml` that these collectors read and that cannot be used.
fn unusable(environment: &Environment, collectors: &BTreeSet<String>) -> Vec<PrepareError> {
    let sources = &environment.sources;
    let folder = Path::new(&environment.folder);
    let mut wrong = Vec::new();
    let read = |name: &str| collectors.contains(rules::NAME) || collectors.contains(&format!("{}{name}", file::PREFIX));
    for (name, source) in sources.files.iter().filter(|(name, _)| read(name)) {
        if let Err(why) = file::check(&folder.join(&source.path)) {
            let path = ["files", name, "path"].map(str::to_owned).into();
            wrong.push(PrepareError::Environment { path, why: format!("`files: {name}`: {why}") });
        }
    }
    if let Some(source) = sources.inbox.as_ref().filter(|_| collectors.contains(inbox::NAME))
        && let Err(why) = inbox::check(source, folder)
    {
        let path = ["inbox", "token-file"].map(str::to_owned).into();
        wrong.push(PrepareError::Environment { path, why: format!("{why:#}") });
    }
    wrong
}

/// Parameters that nothing in these collectors can ever match.
fn unfindable(
    environment: &Environment,
    manifest: &Manifest,
    parameters: &[Parameter],
    collectors: &BTreeSet<String>,
) -> Vec<PrepareError> {
    let only = |name: &str| collectors.len() == 1 && collectors.contains(name);
    let log =
        collectors.iter().next().filter(|_| collectors.len() == 1).and_then(|name| name.strip_prefix(file::PREFIX));
    let fields = log.and_then(|log| environment.sources.files.get(log)).and_then(fields);
    let mut wrong = Vec::new();
    for parameter in parameters {
        let why = match (manifest.parameters.get(&parameter.name).map(|declared| declared.kind), &parameter.value) {
            (Some(ParameterType::AuditEvents), Value::Text(kinds)) if only(observed::NAME) => {
                let execve = kinds.split(',').any(|kind| kind.trim() == observed::KIND);
                (!execve).then(|| format!("`{}` records `{}` only, not `{kinds}`", observed::NAME, observed::KIND))
            }
            (Some(ParameterType::Fields), Value::Texts(wanted)) => fields.as_ref().and_then(|there| {
                let name = |text: &String| pattern::field(text).map(|(name, _)| name.to_owned()).ok();
                let missing = wanted.iter().filter_map(name).find(|name| !there.contains(name))?;
                let hint = hint(&missing, there.iter().map(String::as_str));
                let all = there.iter().cloned().collect::<Vec<_>>().join(", ");
                Some(format!("a line of this log has no field `{}`{hint}; it has {all}", missing.shown()))
            }),
            _ => None,
        };
        wrong.extend(why.map(|why| {
            PrepareError::Wrong(format!("{}: `{}`: {why}", manifest.id, parameter.name))
                .under(["with", &parameter.name])
        }));
    }
    wrong
}

/// The fields that lines of a log have; `None` where the log itself says it.
fn fields(source: &FileSource) -> Option<BTreeSet<String>> {
    let groups = match source.format {
        FileFormat::Json => return None,
        FileFormat::Text => BTreeSet::new(),
        FileFormat::Regex => source.groups(),
    };
    Some(groups.into_iter().chain(["line".to_owned()]).collect())
}
