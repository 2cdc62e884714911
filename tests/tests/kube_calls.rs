//! Calls of a cluster: what they do, what is put back, what is refused before a request leaves.

use foil_tests::e2e_kube::{Cluster, answers, bench, fire, pod};
use serde_json::json;

#[test]
fn what_is_made_is_marked_and_gone_afterwards() {
    let Some(cluster) = Cluster::new() else { return };
    let bench = bench();
    cluster.environment(&bench, "");
    cluster.kubectl(&["-n", &cluster.namespace, "create", "configmap", "theirs", "--from-literal=a=1"]);
    let before = cluster.objects();
    let secret = json!({"kind": "Secret", "metadata": {"name": "foil-RUN-s"}, "stringData": {"password": "hunter2"}});
    let (done, report) = fire(
        &bench,
        &json!([
            {"op": "create", "kind": "pods", "namespace": "NS", "object": pod(&cluster, "foil-RUN-p")},
            {"op": "create", "kind": "secrets", "namespace": "NS", "object": secret},
            {"op": "get", "kind": "secrets", "namespace": "NS", "name": "foil-RUN-s"},
            {"op": "wait", "kind": "pods", "namespace": "NS", "name": "foil-RUN-p"},
            {"op": "exec", "namespace": "NS", "name": "foil-RUN-p", "program": "/bin/sh", "args": ["-c", "tty; echo $((6*7)); sleep 1; exit 3"], "tty": true},
            {"op": "exec", "namespace": "NS", "name": "foil-RUN-p", "program": "/bin/echo", "args": ["secret"], "discard": true},
            {"op": "exec", "namespace": "NS", "name": "foil-RUN-p", "program": "/no/such"},
            {"op": "patch", "kind": "configmaps", "namespace": "NS", "name": "theirs", "patch": {"data": {"a": "2", "b": "3"}}},
            {"op": "get", "kind": "configmaps", "namespace": "NS", "name": "theirs"},
            {"op": "delete", "kind": "configmaps", "namespace": "NS", "name": "theirs"},
            {"op": "create", "group": "rbac.authorization.k8s.io", "kind": "clusterroles", "object": {"kind": "ClusterRole", "metadata": {"name": "foil-RUN"}, "rules": []}},
            {"op": "delete", "group": "rbac.authorization.k8s.io", "kind": "clusterroles", "name": "foil-RUN"},
        ]),
    );
    assert_eq!(done.code, Some(0), "{report:#}");
    let said = answers(&report);
    let run = report["run"].as_str().unwrap();
    assert!(said[2].contains("7 bytes") || said[2].contains("12 bytes"), "{}", said[2]);
    assert!(!report.to_string().contains("aHVudGVyMg"), "a secret's value left the host");
    assert_eq!(said[4], "ok 3 /dev/pts/0\r\n42 (0 dropped)");
    assert_eq!(said[5], "ok 0  (7 dropped)");
    assert!(said[6].contains("the container has no /no/such"), "{}", said[6]);
    assert!(
        said[8].contains(r#""b":"3""#) && said[8].contains(&format!(r#""foil.dev/patched-by":"{run}""#)),
        "{}",
        said[8]
    );
    assert!(said[9].contains("this run did not make"), "{}", said[9]);
    assert_eq!(said[11], "ok deleted");
    cluster.is_as(&before, &[run.to_owned()], "after the run");
    let requests = cluster.audited(run);
    assert!(requests.iter().any(|r| r.starts_with("create /api/v1/namespaces/")), "{requests:#?}");
}
