//! A fake host that holds the module to its manifest.

use super::calls::Subject;
use super::cluster::Asked;
use super::host::Host;
use crate::__bindings::host::types::{Denial, Error as WireError, Parameter};
use crate::{Cluster, Context, Error, Fact, Result, Value};
use foil_manifest::kube::{KubeCall, Mismatch};
use foil_manifest::pattern::{Variables, names_collector};
use foil_manifest::{Capability, Kind, KubeVerb, Manifest};

impl Host {
    /// A fake host for the technique with this manifest: `Host::for_technique(include_str!("../technique.toml"))`.
    ///
    /// # Panics
    /// Where the manifest is wrong, with the reason that `foil build` would give.
    pub fn for_technique(manifest: &str) -> Self {
        Self::for_manifest(manifest, Kind::Technique)
    }

    /// A fake host for the check with this manifest: `Host::for_check(include_str!("../check.toml"))`.
    ///
    /// # Panics
    /// Where the manifest is wrong, with the reason that `foil build` would give.
    pub fn for_check(manifest: &str) -> Self {
        Self::for_manifest(manifest, Kind::Check)
    }

    fn for_manifest(manifest: &str, kind: Kind) -> Self {
        let manifest = Manifest::from_toml(manifest, kind).unwrap_or_else(|error| panic!("{error}"));
        let host = Self::new();
        host.0.borrow_mut().manifest = Some(manifest);
        host
    }
}

fn variables(context: &Context) -> Variables {
    let of_cluster =
        |of: fn(&Cluster) -> &String| context.cluster.as_ref().map(|cluster| of(cluster).clone()).unwrap_or_default();
    Variables {
        run: context.run_id.clone(),
        scratch: context.scratch.clone(),
        namespace: of_cluster(|cluster| &cluster.namespace),
        image: of_cluster(|cluster| &cluster.image),
    }
}

/// Whether the manifest asks for this of a cluster; the reason where not.
pub(super) fn allows_kube(
    manifest: &Manifest,
    context: &Context,
    asked: &Asked<'_>,
) -> std::result::Result<(), String> {
    let verb: KubeVerb = asked.verb.parse()?;
    let kind = (asked.kind.group.as_str(), asked.kind.version.as_str(), asked.kind.plural.as_str());
    let call = KubeCall {
        subresource: asked.subresource,
        path: asked.path,
        command: asked.command,
        object: asked.object,
        ..KubeCall::new(verb, kind).of(asked.namespace, asked.name)
    };
    let variables = variables(context);
    let scopes = manifest.capabilities.iter().filter(|c| c.name() == verb.capability());
    let mut nearest: Option<Mismatch> = None;
    for rule in scopes.flat_map(Capability::kube_rules) {
        match rule.mismatch(&call, &variables) {
            None => return Ok(()),
            Some(found) if nearest.as_ref().is_none_or(|best| found.fitted > best.fitted) => nearest = Some(found),
            Some(_) => {}
        }
    }
    let why = nearest.map(|found| format!(": {}", found.why)).unwrap_or_default();
    Err(format!("the manifest of {} does not ask for `{call}`{why}", manifest.id))
}

/// Whether the manifest asks for this.
pub(super) fn allows(
    manifest: &Manifest,
    context: &Context,
    subject: &Subject<'_>,
) -> std::result::Result<(), WireError> {
    let variables = variables(context);
    let mut asked = manifest.capabilities.iter().filter(|c| c.name().interface() == subject.capability());
    let fits = match subject {
        Subject::Exec(call) => asked.any(|c| {
            matches!(c, Capability::Exec(scope)
                if scope.allow.iter().any(|p| p.matches(&call.program, &call.args, &variables))
                && call.env.iter().all(|(name, _)| scope.env.contains(name)))
        }),
        Subject::Read(path) | Subject::Write(path) => asked.any(|c| {
            matches!(c, Capability::FilesRead(scope) | Capability::FilesWrite(scope)
                if scope.allow.iter().any(|p| p.matches(path, &variables)))
        }),
        Subject::Collector(name) => {
            asked.any(|c| matches!(c, Capability::EventsRead(scope) if scope.allow.iter().any(|rule| names_collector(rule, name))))
        }
        Subject::Serve => asked.next().is_some(),
    };
    if fits {
        return Ok(());
    }
    let rule = format!("the manifest of {} does not ask for `{}`", manifest.id, subject.text());
    Err(WireError::Denied(Denial { capability: subject.capability().to_owned(), rule }))
}

/// Checks the given parameters against the declared ones and adds the defaults.
pub(super) fn complete(manifest: &Manifest, mut given: Vec<Parameter>) -> Result<Vec<Parameter>> {
    let invalid = |text: String| Err(Error::Invalid(text));
    for parameter in &given {
        let Some(declared) = manifest.parameters.get(&parameter.name) else {
            return invalid(format!("the manifest declares no parameter `{}`", parameter.name));
        };
        let value = json(&parameter.value);
        if let Err(why) = declared.check(&value) {
            return invalid(format!("parameter `{}`: {value}; {why}", parameter.name));
        }
        if !declared.choices.is_empty() && !declared.choices.contains(&value) {
            return invalid(format!("parameter `{}`: {value} is none of its choices", parameter.name));
        }
    }
    for (name, declared) in &manifest.parameters {
        if given.iter().any(|p| p.name == *name) {
            continue;
        }
        match &declared.default {
            Some(default) => given.push(Parameter { name: name.clone(), value: value(default) }),
            None if declared.required => return invalid(format!("parameter `{name}` is required")),
            None => {}
        }
    }
    Ok(given)
}

/// Checks that a technique reports no fact that its manifest does not declare, where it declares any.
pub(super) fn declared_facts(manifest: &Manifest, facts: &[Fact]) -> Result<()> {
    let Some(declared) = &manifest.facts else { return Ok(()) };
    match facts.iter().find(|fact| !declared.contains_key(&fact.name)) {
        Some(fact) => Err(Error::Invalid(format!("the manifest declares no fact `{}`", fact.name))),
        None => Ok(()),
    }
}

fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Text(text) => text.as_str().into(),
        Value::Integer(integer) => (*integer).into(),
        Value::Number(number) => (*number).into(),
        Value::Boolean(boolean) => (*boolean).into(),
        Value::Texts(texts) => texts.as_slice().into(),
    }
}

/// A default, which the manifest's own check has found to be of its type.
fn value(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Bool(boolean) => (*boolean).into(),
        serde_json::Value::Array(texts) => {
            Value::Texts(texts.iter().filter_map(|t| t.as_str()).map(ToOwned::to_owned).collect())
        }
        serde_json::Value::String(text) => text.as_str().into(),
        number => number.as_i64().map_or_else(|| number.as_f64().unwrap_or_default().into(), Into::into),
    }
}
