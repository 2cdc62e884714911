//! Falco's alerts from pods' logs, and requests from the API server's audit log, on a real cluster. There is no Falco in it: a pod
//! that is labelled so writes to its log what the test has it say, as the run's technique.

use foil_tests::e2e::Bench;
use foil_tests::e2e_kube::{Cluster, bench, pod};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The shape of an alert of Falco's about the run's pod, as one line.
const ALERT: &str = r#"{"hostname":"elsewhere","output":"Warning Sensitive file opened | k8s_pod_name=foil-RUN-p","output_fields":{"container.name":"main","evt.type":"openat","fd.name":"/etc/shadow","k8s.ns.name":"NS","k8s.pod.name":"foil-RUN-p","proc.cmdline":"cat /etc/shadow"},"priority":"Warning","rule":"Read sensitive file untrusted","tags":["T1555"]}"#;

/// A stand-in for Falco, which is ready.
fn stand_in(cluster: &Cluster, name: &str) {
    let mut object = pod(cluster, name);
    object["apiVersion"] = "v1".into();
    object["metadata"]["namespace"] = cluster.namespace.as_str().into();
    object["metadata"]["labels"] = json!({"app.kubernetes.io/name": "falco"});
    object["spec"]["restartPolicy"] = "Always".into();
    object["spec"]["containers"][0]["name"] = "falco".into();
    // A shell as the first process, so that the test can end it.
    object["spec"]["containers"][0]["command"] =
        json!(["/bin/sh", "-c", "trap 'exit 0' TERM; echo Falco starts; while :; do sleep 1; done"]);
    cluster.apply(&object.to_string());
    cluster.kubectl(&[
        "-n",
        &cluster.namespace,
        "wait",
        "--for=condition=Ready",
        &format!("pod/{name}"),
        "--timeout=60s",
    ]);
}

/// A run that makes a pod and has the stand-in run this script, and its links.
fn run(cluster: &Cluster, bench: &Bench, script: &str, expect: &str) -> Value {
    let namespace = &cluster.namespace;
    cluster.environment(
        bench,
        &format!("  pods: [{namespace}/falco-*]\n  falco: {{ namespace: {namespace} }}\n{}", audit_log(cluster)),
    );
    let calls = json!([
        {"op": "create", "kind": "pods", "namespace": "NS", "object": pod(cluster, "foil-RUN-p")},
        {"op": "exec", "namespace": "NS", "name": "falco-a", "program": "/bin/sh", "args": ["-c", script]},
    ]);
    let mut text = "experiment: falco\ntechnique: ./kube.wasm\n".to_owned();
    let calls = calls.to_string().replace('\'', "''");
    write!(text, "with: {{ stop: true, calls: '{calls}' }}\nexpect:\n{expect}").expect("a string");
    bench.write("falco.yaml", &text);
    bench.foil(&["run", "falco.yaml", "--format", "json"]).report()
}

fn audit_log(cluster: &Cluster) -> String {
    let log = cluster.kubeconfig().parent().expect("a folder").join("run/log/audit.log");
    format!("files: {{ audit: {{ path: {} }} }}\n", log.display())
}

/// A link of `falco.alert`.
fn link(more: &str) -> String {
    format!(
        "  - {{ link: detection, check: falco.alert, with: {{ collector: kubernetes.falco, rule: Read sensitive*{more} }}, within: 6s, grace: 2s }}\n"
    )
}

fn say(line: &str) -> String {
    format!("printf '%s\\n' '{line}' > /proc/1/fd/1")
}

#[test]
fn an_alert_in_a_pods_log_is_seen_by_pod_namespace_container_and_node() {
    let Some(cluster) = Cluster::new() else { return };
    let bench = bench();
    stand_in(&cluster, "falco-a");
    stand_in(&cluster, "falco-b");
    let node =
        cluster.object("pod", "falco-a").expect("a pod")["spec"]["nodeName"].as_str().expect("a node").to_owned();
    let namespace = &cluster.namespace;
    let mut expect = link(&format!(", namespace: {namespace}, pod: foil-*, container: main, node: {node}"));
    expect.push_str(&format!(
        "  - {{ link: detection, check: falco.heartbeat, with: {{ node: {node} }}, within: 6s }}\n"
    ));
    expect.push_str(
        "  - { link: telemetry, check: kubernetes.audit-event, with: { collector: file.audit, verb: create, resource: pods, code: '201' }, within: 6s }\n",
    );
    let report = run(&cluster, &bench, &say(ALERT), &expect);
    assert_eq!(report["verdict"], "pass", "{report:#}");
    let evidence = &report["links"][0]["evidence"][0];
    assert_eq!(evidence["attribution"], "marker", "{report:#}");
    let audit = report["links"][2]["evidence"].as_array().expect("evidence");
    let summary = audit[0]["summary"].as_str().expect("text");
    assert!(summary.starts_with(&format!("create pods {namespace}/foil-")) && summary.ends_with("(201)"), "{summary}");
    assert_eq!(audit.len(), 1, "{audit:#?}");
}

#[test]
fn an_absence_is_believed_only_of_logs_that_were_read() {
    let Some(cluster) = Cluster::new() else { return };
    let bench = bench();
    stand_in(&cluster, "falco-a");
    // Of another run, and no JSON at all.
    let other = ALERT.replace("RUN", "01k0000000000000000000test");
    let report = run(&cluster, &bench, &[say(&other), say("Falco says something")].join("; "), &link(""));
    assert_eq!(report["links"][0]["verdict"], "missed", "{report:#}");
    let heartbeat = "  - { link: detection, check: falco.heartbeat, with: { node: another }, within: 4s }\n";
    let report = run(&cluster, &bench, &say(ALERT), heartbeat);
    let reason = report["links"][0]["reason"].as_str().expect("a reason");
    assert!(reason.contains("none from another"), "{reason}");
    // Half an alert.
    let report = run(&cluster, &bench, &say(&ALERT[..60]), &link(""));
    assert_eq!(report["links"][0]["verdict"], "unknown", "{report:#}");
    assert!(report["links"][0]["reason"].as_str().expect("a reason").contains("was cut"));
}

#[test]
fn what_falco_said_before_it_was_started_again_is_read() {
    let Some(cluster) = Cluster::new() else { return };
    let bench = bench();
    stand_in(&cluster, "falco-a");
    // Said right before its end, so that mostly only the previous container's log has it.
    let report = run(&cluster, &bench, &[say(ALERT).as_str(), "kill 1"].join("; "), &link(""));
    assert_eq!(report["links"][0]["verdict"], "seen", "{report:#}");
}

#[test]
fn coverage_names_the_node_without_falco() {
    let Some(cluster) = Cluster::new() else { return };
    let bench = bench();
    stand_in(&cluster, "falco-a");
    let namespace = &cluster.namespace;
    let expect = format!(
        "  - {{ link: telemetry, check: falco.coverage, with: {{ namespace: {namespace}, new-node: 0 }}, within: 2s }}\n"
    );
    let report = run(&cluster, &bench, "true", &expect);
    let reason = report["links"][0]["reason"].as_str().expect("a reason");
    assert_eq!(report["links"][0]["verdict"], "missed", "{report:#}");
    assert!(reason.contains("0 of 1 nodes (0.0 %)") && reason.contains("of no DaemonSet"), "{reason}");
    let mut set = json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "falco", "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": {"app": "f"}},
            "template": {"metadata": {"labels": {"app": "f", "tool": "falco"}}, "spec": pod(&cluster, "x")["spec"]},
        },
    });
    set["spec"]["template"]["spec"]["restartPolicy"] = "Always".into();
    cluster.apply(&set.to_string());
    cluster.kubectl(&["-n", namespace, "rollout", "status", "daemonset/falco", "--timeout=60s"]);
    let expect = expect.replace("new-node: 0", "new-node: 0, selector: tool=falco");
    let report = run(&cluster, &bench, "true", &expect);
    assert_eq!(report["links"][0]["verdict"], "seen", "{report:#}");
}
