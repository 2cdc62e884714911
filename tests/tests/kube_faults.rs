//! Faults between Foil and the real API server, and `kill -9` at every boundary of the journal: after `foil cleanup` the cluster is
//! as it was, object by object.

use foil_journal::fault::POINTS;
use foil_tests::e2e::Bench;
use foil_tests::e2e_kube::{Cluster, bench, fire};
use foil_tests::e2e_proxy::{Fault, Proxy, Rule};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// Kinds that the calls below touch.
const KINDS: &str = "configmaps,secrets,serviceaccounts,pods,clusterroles";

fn calls() -> Value {
    json!([
        {"op": "create", "kind": "configmaps", "namespace": "NS", "object": {"kind": "ConfigMap", "metadata": {"name": "foil-RUN"}, "data": {"a": "1"}}},
        {"op": "patch", "kind": "configmaps", "namespace": "NS", "name": "theirs", "patch": {"data": {"a": null, "b": "2"}}},
        {"op": "create", "group": "rbac.authorization.k8s.io", "kind": "clusterroles", "object": {"kind": "ClusterRole", "metadata": {"name": "foil-RUN"}, "rules": []}},
        {"op": "create", "kind": "serviceaccounts", "namespace": "NS", "object": {"kind": "ServiceAccount", "metadata": {"name": "foil-RUN"}}},
        {"op": "token", "kind": "serviceaccounts", "namespace": "NS", "name": "foil-RUN", "seconds": 600},
        {"op": "delete", "kind": "configmaps", "namespace": "NS", "name": "foil-RUN"},
    ])
}

fn ready() -> Option<(Cluster, Bench, BTreeMap<String, Value>)> {
    let cluster = Cluster::new()?;
    let bench = bench();
    cluster.kubectl(&["-n", &cluster.namespace, "create", "configmap", "theirs", "--from-literal=a=1"]);
    let before = cluster.objects_of(KINDS);
    Some((cluster, bench, before))
}

fn runs(bench: &Bench) -> Vec<String> {
    bench.runs().iter().filter_map(|run| run["run"].as_str().map(str::to_owned)).collect()
}

#[test]
fn after_every_fault_the_cluster_is_as_before() {
    let Some((cluster, bench, before)) = ready() else { return };
    let proxy = Proxy::new(&cluster);
    cluster.environment_by(&bench, &proxy.kubeconfig, &format!("  namespace: {}\n", cluster.namespace));
    let faults = [
        ("late", Fault::Delay(Duration::from_secs(2)), 1),
        ("cut", Fault::Cut, 1),
        ("cut often", Fault::Cut, 3),
        ("answer lost", Fault::LoseAnswer, 1),
        ("answers lost", Fault::LoseAnswer, 2),
        ("conflict", Fault::Status(409, "Conflict"), 1),
        ("too many requests", Fault::Status(429, "TooManyRequests"), 2),
        ("internal error", Fault::Status(500, "InternalError"), 1),
        ("unavailable", Fault::Status(503, "ServiceUnavailable"), 2),
        ("forbidden", Fault::Status(403, "Forbidden"), 1),
        ("nonsense", Fault::Nonsense, 1),
    ];
    for (method, path) in [
        ("POST", "/configmaps"),
        ("PATCH", "/configmaps/theirs"),
        ("DELETE", "/"),
        ("GET", "/namespaces/foil-test"),
        ("POST", "/token"),
    ] {
        for (name, fault, times) in &faults {
            proxy.fail(&[Rule { method, path, times: *times, fault: fault.clone() }]);
            let (done, report) = fire(&bench, &calls());
            let when = format!("{name} of {method} {path}");
            assert!(matches!(done.code, Some(0 | 3 | 4)), "{when}: {report:#}");
            assert!(proxy.left() < *times, "{when}: no request failed");
            if done.code == Some(4) {
                // What could not be put back is said, and once the fault is over it can be.
                proxy.fail(&[]);
                bench.foil(&["cleanup"]).says(0, &[]);
            }
            cluster.is_as_of(KINDS, &before, &[report["run"].as_str().unwrap_or_default().to_owned()], &when);
        }
    }
}

#[test]
fn a_create_that_nobody_answered_is_not_forgotten_when_the_next_try_is_refused() {
    let Some((cluster, bench, before)) = ready() else { return };
    let proxy = Proxy::new(&cluster);
    cluster.environment_by(&bench, &proxy.kubeconfig, &format!("  namespace: {}\n", cluster.namespace));
    // It is made, nobody hears of it, no look at it gets through, and the second try is told that the name is taken.
    let rule = |method, fault, times| Rule { method, path: "/configmaps", times, fault };
    proxy.fail(&[rule("POST", Fault::LoseAnswer, 1), rule("GET", Fault::Cut, 8)]);
    let map = json!({"kind": "ConfigMap", "metadata": {"name": "foil-RUN"}});
    let (done, report) =
        fire(&bench, &json!([{"op": "create", "kind": "configmaps", "namespace": "NS", "object": map}]));
    assert_eq!((done.code, proxy.left()), (Some(0), 0), "{report:#}");
    assert!(foil_tests::e2e_kube::answers(&report)[0].contains("(cluster)"), "{report:#}");
    cluster.is_as_of(KINDS, &before, &[report["run"].as_str().unwrap().to_owned()], "after a create in doubt");
}

#[test]
fn after_kill_9_at_every_boundary_the_cluster_is_as_before() {
    let Some((cluster, bench, before)) = ready() else { return };
    cluster.environment(&bench, "");
    let calls = format!("calls={}", calls());
    let arguments = ["fire", "kube.wasm", "--with", calls.as_str()];
    bench.foil(&arguments).says(0, &["pass"]);
    let mut died = 0;
    for point in POINTS {
        for nth in 1.. {
            assert!(nth < 100, "{point} is passed without end");
            if bench.dies_at(point, nth, &arguments).is_none() {
                break;
            }
            died += 1;
            bench.foil(&["cleanup"]).says(0, &[]);
            cluster.is_as_of(KINDS, &before, &runs(&bench)[..1], &format!("{point}:{nth}"));
        }
    }
    assert!(died > 40, "it died {died} times only");
    println!("died {died} times");
}

#[test]
fn what_others_changed_since_is_left_alone() {
    let Some((cluster, bench, _)) = ready() else { return };
    cluster.environment(&bench, "");
    let calls = json!([
        {"op": "create", "kind": "configmaps", "namespace": "NS", "object": {"kind": "ConfigMap", "metadata": {"name": "foil-RUN"}}},
        {"op": "patch", "kind": "configmaps", "namespace": "NS", "name": "theirs", "patch": {"data": {"a": "2"}}},
    ]);
    let calls = format!("calls={calls}");
    // It dies when all is done, and before anything is undone.
    assert!(bench.dies_at("undo.start", 1, &["fire", "kube.wasm", "--with", &calls]).is_some());
    let run = runs(&bench)[0].clone();
    let map = format!("foil-{run}");
    cluster.kubectl(&["-n", &cluster.namespace, "patch", "configmap", "theirs", "-p", r#"{"data": {"c": "3"}}"#]);
    cluster.kubectl(&["-n", &cluster.namespace, "delete", "configmap", &map]);
    cluster.kubectl(&["-n", &cluster.namespace, "create", "configmap", &map]);
    bench.foil(&["cleanup"]).says(4, &["somebody else changed it since", "somebody else made another one"]);
    let theirs = cluster.object("configmap", "theirs").expect("there");
    assert_eq!((&theirs["data"]["a"], &theirs["data"]["c"]), (&json!("2"), &json!("3")));
    assert!(cluster.object("configmap", &map).is_some());
}
