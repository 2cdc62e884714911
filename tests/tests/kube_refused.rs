//! A refusal by the cluster says that the technique is prevented only where it met the technique's own act.

use foil_tests::e2e::Bench;
use foil_tests::e2e_api::{self, UID};
use foil_tests::e2e_kube::Cluster;
use serde_json::{Value, json};
use std::time::Duration;

/// An API server that lets everybody do everything and whose quota is full.
fn full(method: &str, path: &str, _: &[u8]) -> (u16, Value) {
    match (method, path) {
        (_, "/api/v1/namespaces/kube-system") => (200, json!({"metadata": {"name": "kube-system", "uid": UID}})),
        ("POST", path) if path.contains("selfsubjectaccessreviews") => (201, json!({"status": {"allowed": true}})),
        ("POST", _) => {
            let message =
                "pods \"x\" is forbidden: exceeded quota: none, requested: pods=1, used: pods=0, limited: pods=0";
            (403, json!({"kind": "Status", "reason": "Forbidden", "message": message, "code": 403}))
        }
        _ => (404, json!({"kind": "Status", "reason": "NotFound", "message": "no", "code": 404})),
    }
}

/// A technique whose warm-up makes a pod was not tried; one whose act is the pod was prevented.
fn judged_apart(bench: &Bench) {
    for technique in ["kubernetes.canary", "kubernetes.pod-shell", "kubernetes.pod-token-read"] {
        for outcome in ["either", "prevented", "detected"] {
            bench.write("warm.yaml", &format!("experiment: warm\ntechnique: {technique}\noutcome: {outcome}\n"));
            let done = bench.foil(&["run", "warm.yaml", "--format", "json"]);
            let report = done.report();
            assert_eq!((done.code, report["verdict"].as_str()), (Some(3), Some("inconclusive")), "{report:#}");
            let reason = report["reason"].as_str().expect("text");
            assert!(reason.contains("exceeded quota") && reason.contains("not tried"), "{reason}");
        }
    }
    let done = bench.foil(&["fire", "kubernetes.privileged-pod", "--format", "json"]);
    let report = done.report();
    assert_eq!((done.code, report["verdict"].as_str()), (Some(0), Some("blocked")), "{report:#}");
}

#[test]
fn a_full_quota_of_a_fake_api() {
    let bench = Bench::new();
    e2e_api::environment(&bench, e2e_api::serve(full), "");
    judged_apart(&bench);
}

#[test]
fn a_full_quota_of_a_real_cluster() {
    let Some(cluster) = Cluster::new() else { return };
    let bench = Bench::new();
    cluster.environment(&bench, "");
    cluster.apply(&format!(
        "apiVersion: v1\nkind: ResourceQuota\nmetadata: {{ name: none, namespace: {} }}\nspec: {{ hard: {{ pods: '0' }} }}\n",
        cluster.namespace
    ));
    // The quota counts from when its controller has seen it.
    foil_tests::e2e::until(Duration::from_secs(20), "the quota holds", || {
        cluster.object("resourcequota", "none").is_some_and(|q| q["status"]["hard"]["pods"] == "0")
    });
    judged_apart(&bench);
}

/// Since 1.22 an API server passes nothing on to a node with a loopback or link-local address.
#[test]
fn a_node_that_the_api_server_may_not_reach_is_no_defence() {
    let answer = |method: &str, path: &str, _: &[u8]| match (method, path) {
        (_, "/api/v1/namespaces/kube-system") => (200, json!({"metadata": {"name": "kube-system", "uid": UID}})),
        ("POST", path) if path.contains("selfsubjectaccessreviews") => (201, json!({"status": {"allowed": true}})),
        ("GET", path) if path.contains("/nodes/one/proxy/") => {
            let message = "address not allowed";
            (400, json!({"kind": "Status", "reason": "BadRequest", "message": message, "code": 400}))
        }
        ("GET", path) if path.starts_with("/api/v1/nodes") => {
            let one = json!({"metadata": {"name": "one", "uid": "1"}});
            (200, json!({"kind": "NodeList", "apiVersion": "v1", "metadata": {}, "items": [one]}))
        }
        _ => (404, json!({"kind": "Status", "reason": "NotFound", "message": "no", "code": 404})),
    };
    let bench = Bench::new();
    e2e_api::environment(&bench, e2e_api::serve(answer), "");
    for outcome in ["either", "prevented", "detected"] {
        bench.write(
            "node.yaml",
            &format!("experiment: node\ntechnique: kubernetes.nodes-proxy\nwith: {{ as: foil }}\noutcome: {outcome}\n"),
        );
        let done = bench.foil(&["run", "node.yaml", "--format", "json"]);
        let report = done.report();
        assert_eq!((done.code, report["verdict"].as_str()), (Some(3), Some("inconclusive")), "{report:#}");
        let reason = report["reason"].as_str().expect("text");
        assert!(reason.contains("give the node an address of its own"), "{reason}");
    }
}
