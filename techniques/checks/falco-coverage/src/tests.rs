use super::*;
use foil_sdk::{Value, fake};
use serde_json::json;

const FALCO: Option<&str> = Some("falco");

/// A cluster with these nodes, a DaemonSet of Falco's at revision `b`, and a pod of it on every node.
fn host(nodes: &[&str]) -> fake::Host {
    let host = fake::Host::for_check(include_str!("../check.toml"));
    host.cluster();
    for name in nodes {
        node(&host, name, json!({}), "2020-01-01T00:00:00Z");
        pod(&host, name, "True", "b");
    }
    let set = json!({
        "metadata": {"name": "falco", "uid": "set", "generation": 2}, "status": {"observedGeneration": 2},
        "spec": {"template": {"metadata": {"labels": {"app.kubernetes.io/name": "falco"}}, "spec": {"tolerations": [{"key": "gpu", "operator": "Exists"}, {"key": "a", "value": "b", "effect": "NoSchedule"}]}}},
    });
    host.object(&Kind::new("apps", "v1", "daemonsets"), FALCO, set);
    for (hash, revision) in [("a", 9), ("b", 10)] {
        let revision = json!({"metadata": {"name": format!("falco-{hash}"), "labels": {"controller-revision-hash": hash},
            "ownerReferences": [{"kind": "DaemonSet", "uid": "set"}]}, "revision": revision});
        host.object(&Kind::new("apps", "v1", "controllerrevisions"), FALCO, revision);
    }
    host
}

fn node(host: &fake::Host, name: &str, spec: serde_json::Value, born: &str) {
    host.object(
        &Kind::core("nodes"),
        None,
        json!({"metadata": {"name": name, "creationTimestamp": born}, "spec": spec}),
    );
}

fn pod(host: &fake::Host, node: &str, ready: &str, hash: &str) {
    let object = json!({
        "metadata": {"name": format!("falco-{node}"), "labels": {"controller-revision-hash": hash},
            "ownerReferences": [{"kind": "DaemonSet", "uid": "set"}]},
        "spec": {"nodeName": node}, "status": {"conditions": [{"type": "Ready", "status": ready}]},
    });
    host.object(&Kind::core("pods"), FALCO, object);
}

fn remark(host: &fake::Host) -> String {
    let seen = host.probe::<FalcoCoverage>(&[], 0).unwrap();
    assert!(seen.sightings.is_empty(), "{seen:?}");
    seen.remark.expect("a remark")
}

fn sighting(host: &fake::Host, query: &[(&str, Value)]) -> String {
    let seen = host.probe::<FalcoCoverage>(query, 0).unwrap();
    assert_eq!((seen.sightings.len(), &seen.remark), (1, &None), "{seen:?}");
    seen.sightings[0].summary.clone()
}

#[test]
fn every_node_with_a_ready_and_new_pod_is_covered() {
    assert_eq!(sighting(&host(&["n1", "n2"]), &[]), "2 of 2 nodes (100.0 %)");
}

#[test]
fn nodes_that_are_not_are_named_with_the_reason() {
    let host = host(&["n1", "n2", "n3", "n4"]);
    pod(&host, "n2", "False", "b");
    pod(&host, "n3", "True", "a");
    node(&host, "n5", json!({"taints": [{"key": "storage", "effect": "NoExecute"}]}), "2020-01-01T00:00:00Z");
    let line = "2 of 5 nodes (40.0 %); not on n2 (not ready), n3 (out of date), n5 (no pod); 1 with a taint that its DaemonSet \
                does not tolerate";
    assert_eq!(remark(&host), line);
    assert_eq!(sighting(&host, &[("at-least", 40.0.into())]), line);
}

#[test]
fn taints_are_tolerated_as_the_scheduler_does() {
    let host = host(&[]);
    let taints = [
        ("n1", json!({"key": "gpu", "value": "x", "effect": "NoSchedule"}), true),
        ("n2", json!({"key": "a", "value": "b", "effect": "NoSchedule"}), true),
        ("n3", json!({"key": "a", "value": "b", "effect": "NoExecute"}), false),
        ("n4", json!({"key": "a", "value": "c", "effect": "NoSchedule"}), false),
        ("n5", json!({"key": "z", "effect": "PreferNoSchedule"}), true),
        ("n6", json!({"key": "node.kubernetes.io/disk-pressure", "effect": "NoSchedule"}), true),
        ("n7", json!({"key": "node.kubernetes.io/network-unavailable", "effect": "NoSchedule"}), false),
    ];
    for (name, taint, _) in &taints {
        node(&host, name, json!({"taints": [taint]}), "2020-01-01T00:00:00Z");
        pod(&host, name, "True", "b");
    }
    let not = taints.iter().filter(|(_, _, tolerated)| !tolerated).count();
    assert!(sighting(&host, &[]).contains(&format!("; {not} with a taint")));
}

#[test]
fn new_and_cordoned_nodes_are_counted_apart() {
    let host = host(&["n1"]);
    node(&host, "cordoned", json!({"unschedulable": true}), "2020-01-01T00:00:00Z");
    node(&host, "young", json!({}), "2200-01-01T00:00:00Z");
    assert_eq!(sighting(&host, &[]), "1 of 1 nodes (100.0 %); 1 cordoned; 1 new; 1 of the new without");
    node(&host, "young", json!({}), "2020-01-01T00:00:00Z");
    assert!(remark(&host).contains("not on young (no pod)"));
}

#[test]
fn a_change_that_is_not_taken_up_makes_every_pod_old() {
    let host = host(&["n1"]);
    let set =
        json!({"metadata": {"name": "falco", "uid": "set", "generation": 3}, "status": {"observedGeneration": 2}});
    host.object(&Kind::new("apps", "v1", "daemonsets"), FALCO, set);
    assert!(remark(&host).starts_with("0 of 1 nodes (0.0 %); not on n1 (out of date)"));
}

#[test]
fn a_cluster_without_falco_is_told_where_it_was_looked_for() {
    let host = fake::Host::for_check(include_str!("../check.toml"));
    host.cluster();
    node(&host, "n1", json!({}), "2020-01-01T00:00:00Z");
    let line = remark(&host);
    assert!(
        line.contains("n1 (no pod)")
            && line.contains("there is no Falco")
            && line.contains("`app.kubernetes.io/name=falco` in the namespace falco"),
        "{line}"
    );
}

#[test]
fn a_cluster_whose_every_node_has_a_taint_is_not_one_without_falco() {
    let host = host(&[]);
    for name in ["n1", "n2"] {
        node(&host, name, json!({"taints": [{"key": "storage", "effect": "NoSchedule"}]}), "2020-01-01T00:00:00Z");
    }
    let line = remark(&host);
    assert!(line.contains("2 with a taint that its DaemonSet does not tolerate"), "{line}");
    assert!(
        line.ends_with("its DaemonSet falco has no pod on any node") && !line.contains("there is no Falco"),
        "{line}"
    );
}

#[test]
fn pods_that_are_not_ready_are_there() {
    let host = host(&["n1", "n2"]);
    for name in ["n1", "n2"] {
        pod(&host, name, "False", "b");
    }
    assert_eq!(remark(&host), "0 of 2 nodes (0.0 %); not on n1 (not ready), n2 (not ready)");
}

#[test]
fn what_cannot_be_looked_at_is_an_error_and_no_absence() {
    assert!(matches!(host(&[]).probe::<FalcoCoverage>(&[], 0), Err(Error::Other(_))));
    let denied = host(&["n1"]);
    denied.deny("kube-read");
    assert!(matches!(denied.probe::<FalcoCoverage>(&[], 0), Err(Error::Denied(_))));
    for wrong in [("at-least", Value::from(101.0)), ("selector", " ".into())] {
        assert!(matches!(host(&["n1"]).probe::<FalcoCoverage>(&[wrong], 0), Err(Error::Invalid(_))));
    }
}
