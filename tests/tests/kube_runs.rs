//! Whole runs: the wrong cluster, namespaces of their own, two at once, other people's pods, identities, sweeping.

use foil_tests::e2e::Bench;
use foil_tests::e2e_kube::{Cluster, answers, bench, fire, pod};
use serde_json::{Value, json};
use std::time::Duration;

fn map(name: &str) -> Value {
    json!({"op": "create", "kind": "configmaps", "namespace": "NS", "object": {"kind": "ConfigMap", "metadata": {"name": name}}})
}

#[test]
fn nothing_is_done_to_another_cluster() {
    let Some(mut cluster) = Cluster::new() else { return };
    let bench = bench();
    cluster.uid = "00000000-0000-0000-0000-000000000000".into();
    cluster.environment(&bench, "");
    let (done, report) = fire(&bench, &json!([map("foil-RUN")]));
    assert_eq!(done.code, Some(3), "{report:#}");
    let reason = report["reason"].as_str().unwrap();
    assert!(reason.contains("another cluster") && reason.contains(&cluster.uid), "{reason}");
    let requests = cluster.audited(report["run"].as_str().unwrap());
    assert!(requests.is_empty(), "{requests:#?}");
    // Without a pinned UID nothing runs either; with a context that is not there it says so.
    let text = std::fs::read_to_string(bench.path("foil.yaml")).unwrap();
    bench.write("foil.yaml", &text.replace(&format!("  cluster: {}\n", cluster.uid), ""));
    fire(&bench, &json!([])).0.says(3, &["does not say which cluster"]);
    bench.write("foil.yaml", &text.replace("context: ", "context: no-such-"));
    fire(&bench, &json!([])).0.says(3, &["no-such-"]);
    bench.write("foil.yaml", "environment: none\n");
    fire(&bench, &json!([])).0.says(3, &["names none"]);
}

#[test]
fn an_undo_keeps_to_its_cluster() {
    let Some(mut cluster) = Cluster::new() else { return };
    let bench = bench();
    cluster.environment(&bench, "");
    let calls = format!("calls={}", json!([map("foil-RUN")]));
    assert!(bench.dies_at("undo.start", 1, &["fire", "kube.wasm", "--with", &calls]).is_some());
    let run = bench.last_run()["run"].as_str().unwrap().to_owned();
    // The context means another cluster by now: the journal says which one it was.
    let db = rusqlite::Connection::open(bench.path("state/journal.db")).unwrap();
    let wrong = "00000000-0000-0000-0000-000000000000";
    assert!(db.execute("UPDATE effects SET undo = replace(undo, ?1, ?2)", [cluster.uid.as_str(), wrong]).unwrap() > 0);
    bench.foil(&["cleanup"]).says(4, &["another cluster"]);
    assert!(cluster.object("configmap", &format!("foil-{run}")).is_some());
    db.execute("UPDATE effects SET undo = replace(undo, ?2, ?1)", [cluster.uid.as_str(), wrong]).unwrap();
    bench.foil(&["cleanup"]).says(0, &["1 undone"]);
    assert!(cluster.object("configmap", &format!("foil-{run}")).is_none());
    cluster.uid.clear();
}

#[test]
fn two_runs_at_once_keep_apart() {
    let Some(cluster) = Cluster::new() else { return };
    let bench = bench();
    cluster.environment(&bench, "");
    let before = cluster.objects_of("pods,configmaps");
    let calls = json!([
        {"op": "create", "kind": "pods", "namespace": "NS", "object": pod(&cluster, "foil-RUN")},
        {"op": "wait", "kind": "pods", "namespace": "NS", "name": "foil-RUN"},
        {"op": "exec", "namespace": "NS", "name": "foil-RUN", "program": "/bin/hostname"},
        {"op": "list", "kind": "pods", "namespace": "NS", "labels": "security-test=true"},
    ]);
    let calls = format!("calls={calls}");
    let mut two: Vec<_> =
        (0..2).map(|_| bench.spawn(&["fire", "kube.wasm", "--with", &calls, "--format", "json"])).collect();
    let mut runs = Vec::new();
    for live in &mut two {
        let done = live.ends_within(Duration::from_secs(90));
        let report = done.report();
        assert_eq!(done.code, Some(0), "{report:#}");
        let run = report["run"].as_str().unwrap().to_owned();
        assert_eq!(answers(&report)[2], format!("ok 0 foil-{run} (0 dropped)"));
        runs.push(run);
    }
    cluster.is_as_of("pods,configmaps", &before, &runs, "after both");
}

#[test]
fn a_run_may_have_a_namespace_of_its_own() {
    let Some(cluster) = Cluster::new() else { return };
    let bench = Bench::new();
    cluster.environment_by(&bench, cluster.kubeconfig(), "");
    let done = bench.foil(&["fire", "kubernetes.configmap-credentials", "--format", "json"]);
    let report = done.report();
    assert_eq!(done.code, Some(0), "{report:#}");
    let namespace = format!("foil-{}", report["run"].as_str().unwrap());
    assert_eq!(report["facts"]["namespace"], namespace.as_str());
    let undone = report["undo"]["effects"].to_string();
    assert!(undone.contains(&format!("create namespaces {namespace}")), "{undone}");
    assert!(!cluster.try_kubectl(&["get", "namespace", &namespace]).status.success());
}

#[test]
fn other_peoples_pods_are_entered_only_where_they_are_named() {
    let Some(cluster) = Cluster::new() else { return };
    let bench = bench();
    cluster.apply(&format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{ name: theirs, namespace: {} }}\nspec:\n  terminationGracePeriodSeconds: 1\n  containers: [{{ name: main, image: {}, command: [/bin/sleep, '600'] }}]\n",
        cluster.namespace, cluster.image
    ));
    cluster.kubectl(&["-n", &cluster.namespace, "wait", "--for=condition=Ready", "pod/theirs", "--timeout=60s"]);
    let calls = |args: Value, seconds: u64| json!([{"op": "exec", "namespace": "NS", "name": "theirs", "program": "/bin/sh", "args": args, "seconds": seconds}]);
    cluster.environment(&bench, "");
    let (_, report) = fire(&bench, &calls(json!(["-c", "echo hello"]), 20));
    assert!(answers(&report)[0].contains("neither this run's nor named"), "{report:#}");
    cluster.environment(&bench, &format!("  pods: [{}/their*]\n", cluster.namespace));
    let (done, report) = fire(&bench, &calls(json!(["-c", "echo hello"]), 20));
    assert_eq!((done.code, answers(&report)[0].as_str()), (Some(0), "ok 0 hello (0 dropped)"));
    assert!(report["undo"]["effects"].to_string().contains("it ended by itself"), "{report:#}");
    // One that does not end is residue until its pod is gone.
    let (done, report) = fire(&bench, &calls(json!(["-c", "sleep 300"]), 1));
    assert_eq!(done.code, Some(4), "{report:#}");
    assert!(answers(&report)[0].contains("time-out"), "{report:#}");
    bench.foil(&["cleanup"]).says(4, &["may still run in"]);
    cluster.kubectl(&["-n", &cluster.namespace, "delete", "pod", "theirs"]);
    bench.foil(&["cleanup"]).says(0, &["1 undone"]);
}

#[test]
fn a_technique_can_act_as_somebody_else() {
    let Some(cluster) = Cluster::new() else { return };
    let bench = bench();
    let who = format!("system:serviceaccount:{}:default", cluster.namespace);
    cluster.environment(&bench, &format!("  impersonate: {{ user: '{who}' }}\n"));
    let fired = bench.foil(&[
        "fire",
        "kube.wasm",
        "--with",
        &format!("calls={}", json!([map("foil-RUN")])),
        "--with",
        "stop=true",
        "--format",
        "json",
    ]);
    let report = fired.report();
    // What stops that identity is a control of the cluster, and no lack of Foil's.
    assert_eq!((fired.code, report["verdict"].as_str()), (Some(0), Some("blocked")), "{report:#}");
    assert!(report["reason"].as_str().unwrap().contains(&who), "{report:#}");
    cluster.kubectl(&[
        "-n",
        &cluster.namespace,
        "create",
        "rolebinding",
        "edit",
        "--clusterrole=edit",
        &format!("--serviceaccount={}:default", cluster.namespace),
    ]);
    let (done, report) = fire(&bench, &json!([map("foil-RUN")]));
    assert_eq!(done.code, Some(0), "{report:#}");
    assert_eq!(answers(&report).len(), 1);
    // Nobody by name, and somebody by group.
    cluster.environment(&bench, "  impersonate: { user: foil-e2e-nobody, groups: [foil-e2e, 'system:masters'] }\n");
    let (_, report) = fire(&bench, &json!([map("foil-RUN")]));
    assert!(answers(&report)[0].starts_with("ok "), "{report:#}");
}

#[test]
fn a_control_of_the_cluster_that_refuses_blocks_the_technique() {
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
    let done = bench.foil(&["fire", "kubernetes.privileged-pod", "--format", "json"]);
    let report = done.report();
    assert_eq!(report["verdict"], "blocked", "{report:#}");
    assert!(report["reason"].as_str().unwrap().contains("exceeded quota"), "{report:#}");
}

#[test]
fn ctrl_c_in_the_middle_leaves_nothing() {
    let Some(cluster) = Cluster::new() else { return };
    let bench = bench();
    cluster.environment(&bench, "");
    let before = cluster.objects_of("pods,configmaps");
    let calls = json!([
        {"op": "create", "kind": "pods", "namespace": "NS", "object": pod(&cluster, "foil-RUN")},
        {"op": "wait", "kind": "pods", "namespace": "NS", "name": "foil-RUN"},
        {"op": "exec", "namespace": "NS", "name": "foil-RUN", "program": "/bin/sleep", "args": ["50"]},
    ]);
    let mut live = bench.spawn(&["fire", "kube.wasm", "--with", &format!("calls={calls}"), "--format", "json"]);
    let running = || {
        let pods = cluster.objects_of("pods");
        pods.keys().any(|key| key.contains(&cluster.namespace))
    };
    foil_tests::e2e::until(Duration::from_secs(30), "the pod is there", running);
    std::thread::sleep(Duration::from_secs(2));
    live.signal(nix_interrupt());
    let done = live.ends_within(Duration::from_secs(60));
    let report = done.report();
    assert_eq!((done.code, report["verdict"].as_str()), (Some(3), Some("inconclusive")), "{report:#}");
    cluster.is_as_of("pods,configmaps", &before, &[report["run"].as_str().unwrap().to_owned()], "after Ctrl-C");
}

fn nix_interrupt() -> nix::sys::signal::Signal {
    nix::sys::signal::Signal::SIGINT
}
