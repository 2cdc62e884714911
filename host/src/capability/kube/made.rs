//! What a run makes: its marks, and what may not be in it.

use super::MAX_OBJECT;
use crate::engine::bindings::types::Error;
use foil_cluster::object::{RUN_LABEL, TEST_LABEL, merged};
use foil_cluster::{Address, Session};
use serde_json::{Map, Value, json};

/// Metadata that a module may give. Finalizers would keep an object from going, owners would have it go with something else.
const METADATA: [&str; 4] = ["name", "namespace", "labels", "annotations"];

/// Reads an object that a module wants made, and its name.
pub(super) fn parse(text: &str) -> Result<(Map<String, Value>, String), Error> {
    if text.len() > MAX_OBJECT {
        return Err(Error::Limit(format!("the object has {} bytes, more than {MAX_OBJECT}", text.len())));
    }
    let invalid = |why: &str| Error::Invalid(format!("the object: {why}"));
    let Ok(Value::Object(object)) = serde_json::from_str(text) else { return Err(invalid("it is no JSON object")) };
    let metadata = object.get("metadata").and_then(Value::as_object).ok_or_else(|| invalid("it has no `metadata`"))?;
    if let Some(key) = metadata.keys().find(|key| !METADATA.contains(&key.as_str())) {
        return Err(invalid(&format!("`metadata.{}` cannot be given", foil_text::visible(key, 40))));
    }
    let name =
        metadata.get("name").and_then(Value::as_str).ok_or_else(|| invalid("it has no `metadata.name`"))?.to_owned();
    Ok((object, name))
}

/// Makes it the run's: its kind and namespace as addressed, the run's labels, and on the run's node what makes pods.
pub(super) fn marked(mut object: Map<String, Value>, address: &Address, session: &Session) -> Result<Value, Error> {
    let run = session.run.as_ref().map(ToString::to_string).unwrap_or_default();
    let name = address.name.clone().unwrap_or_default();
    if run.is_empty() || !name.contains(&run) {
        return Err(Error::Invalid(format!(
            "the name of what a run makes has the run's id in it: `foil-{run}`, and not {name}"
        )));
    }
    let said = object.get("metadata").and_then(|m| m.get("namespace")).and_then(Value::as_str);
    if said.is_some_and(|said| Some(said) != address.namespace.as_deref()) {
        return Err(Error::Invalid("`metadata.namespace` is another namespace than the call's".into()));
    }
    object.insert("apiVersion".into(), address.api_version().into());
    let mut object = Value::Object(object);
    mark(&mut object, &run);
    for template in templates(address) {
        if let Some(template) = object.pointer_mut(template).filter(|template| template.is_object()) {
            mark(template, &run);
        }
    }
    if let (Some(node), Some(spec)) = (&session.node, pod_spec(address).and_then(|place| object.pointer_mut(place))) {
        pin(spec, node);
    }
    Ok(object)
}

/// The run's labels. A module cannot give them another value.
fn mark(object: &mut Value, run: &str) {
    *object = merged(object, &json!({ "metadata": { "labels": { RUN_LABEL: run, TEST_LABEL: "true" } } }));
}

/// Where objects describe the objects that controllers make of them.
fn templates(address: &Address) -> &'static [&'static str] {
    match (address.group.as_str(), address.plural.as_str()) {
        ("apps", "deployments" | "daemonsets" | "statefulsets" | "replicasets")
        | ("batch", "jobs")
        | ("", "replicationcontrollers") => &["/spec/template"],
        ("batch", "cronjobs") => &["/spec/jobTemplate", "/spec/jobTemplate/spec/template"],
        ("", "podtemplates") => &["/template"],
        _ => &[],
    }
}

fn pod_spec(address: &Address) -> Option<&'static str> {
    match (address.group.as_str(), address.plural.as_str()) {
        ("", "pods") => Some("/spec"),
        ("apps", "deployments" | "statefulsets" | "replicasets") | ("batch", "jobs") => Some("/spec/template/spec"),
        _ => None,
    }
}

/// On this node and no other, whatever its taints: by affinity, so that the scheduler still says where it does not fit.
fn pin(spec: &mut Value, node: &str) {
    let term = json!({ "matchFields": [{ "key": "metadata.name", "operator": "In", "values": [node] }] });
    let affinity = json!({ "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": [term] } } });
    if let Some(spec) = spec.as_object_mut() {
        spec.remove("nodeName");
        spec.insert("affinity".into(), affinity);
        spec.insert("tolerations".into(), json!([{ "operator": "Exists" }]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use foil_cluster::Cluster;
    use foil_policy::environment::parse as environment;
    use foil_text::RunId;
    use std::sync::Arc;

    fn session(node: Option<&str>) -> Session {
        let rule = environment("environment: x\nkubernetes: { context: a }\n").unwrap().cluster.unwrap();
        let cluster = Arc::new(Cluster::new(rule, std::path::Path::new("/")));
        Session::of_technique(cluster, &RunId::new(), node.map(str::to_owned))
    }

    fn made(session: &Session, plural: &str, group: &str, object: &Value) -> Result<Value, Error> {
        let (object, name) = parse(&object.to_string())?;
        let address = Address::new(group, "v1", plural, Some("ns"), Some(&name)).unwrap();
        marked(object, &address, session)
    }

    #[test]
    fn everything_bears_the_runs_marks() {
        let session = session(Some("node-7"));
        let run = session.run.clone().unwrap().to_string();
        let name = format!("foil-{run}");
        let pod = made(&session, "pods", "", &json!({"metadata": {"name": name, "labels": {"foil.dev/run": "other", "a": "b"}}, "spec": {"nodeName": "evil"}})).unwrap();
        assert_eq!(pod["metadata"]["labels"], json!({"foil.dev/run": run, "security-test": "true", "a": "b"}));
        assert!(pod["spec"].get("nodeName").is_none() && pod["spec"]["affinity"].to_string().contains("node-7"));
        let deployment = made(
            &session,
            "deployments",
            "apps",
            &json!({"metadata": {"name": name}, "spec": {"template": {"spec": {}}}}),
        )
        .unwrap();
        assert_eq!(deployment["spec"]["template"]["metadata"]["labels"]["foil.dev/run"], run.as_str());
        assert_eq!(deployment["apiVersion"], "apps/v1");
    }

    #[test]
    fn what_could_not_be_found_or_taken_away_again_is_refused() {
        let session = session(None);
        let name = format!("foil-{}", session.run.clone().unwrap());
        for object in [
            json!({"metadata": {"name": "plain"}}),
            json!({"metadata": {"generateName": name}}),
            json!({"metadata": {"name": name, "finalizers": ["x/y"]}}),
            json!({"metadata": {"name": name, "ownerReferences": []}}),
            json!({"metadata": {"name": name, "namespace": "other"}}),
            json!({"metadata": name}),
            json!([]),
        ] {
            assert!(made(&session, "configmaps", "", &object).is_err(), "{object}");
        }
    }
}
