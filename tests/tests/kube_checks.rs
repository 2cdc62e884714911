//! `foil check` on a real cluster: the coverage of a sensor and its heartbeat, without a technique.

use foil_tests::e2e::Bench;
use foil_tests::e2e_kube::{Cluster, pod};
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A DaemonSet that is labelled as Falco's, whose pods say nothing by themselves.
fn daemon_set(cluster: &Cluster) {
    let mut set = json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "falco", "namespace": cluster.namespace},
        "spec": {
            "selector": {"matchLabels": {"app": "f"}},
            "template": {
                "metadata": {"labels": {"app": "f", "app.kubernetes.io/name": "falco"}}, "spec": pod(cluster, "x")["spec"],
            },
        },
    });
    let spec = &mut set["spec"]["template"]["spec"];
    spec["restartPolicy"] = "Always".into();
    spec["containers"][0]["name"] = "falco".into();
    cluster.apply(&set.to_string());
    cluster.kubectl(&["-n", &cluster.namespace, "rollout", "status", "daemonset/falco", "--timeout=60s"]);
}

fn bench(cluster: &Cluster) -> Bench {
    let bench = Bench::new();
    let namespace = &cluster.namespace;
    cluster.environment(&bench, &format!("  falco: {{ namespace: {namespace} }}\n"));
    let coverage = format!(
        "experiment: coverage\nexpect:\n  - {{ link: telemetry, check: falco.coverage, with: {{ namespace: {namespace}, new-node: 0 }}, within: 2s }}\n"
    );
    bench.write("coverage.yaml", &coverage);
    bench.write(
        "heartbeat.yaml",
        "experiment: heartbeat\nexpect:\n  - { link: telemetry, check: falco.heartbeat, with: { rule: '**' }, within: 6s, grace: 1s }\n",
    );
    bench
}

#[test]
fn coverage_is_looked_at_and_nothing_is_made() {
    let Some(cluster) = Cluster::new() else { return };
    let bench = bench(&cluster);
    let before = cluster.objects();
    let done = bench.foil(&["check", "coverage.yaml", "--format", "json"]);
    let report = done.report();
    assert!(done.code == Some(1) || done.code == Some(3), "{report:#}");
    assert_ne!(report["verdict"], "pass", "{report:#}");
    cluster.is_as(&before, &[report["run"].as_str().expect("a run").to_owned()], "after a look");
    daemon_set(&cluster);
    let done = bench.foil(&["check", "coverage.yaml", "--format", "json"]);
    let report = done.report();
    assert_eq!((done.code, report["verdict"].as_str()), (Some(0), Some("pass")), "{report:#}");
    let requests = cluster.audit_lines(report["run"].as_str().expect("a run"));
    assert!(requests.iter().all(|event| event["verb"] == "list" || event["verb"] == "get"), "{requests:#?}");
}

#[test]
fn each_nodes_falco_gives_a_sign_of_life_or_is_named() {
    let Some(cluster) = Cluster::new() else { return };
    let bench = bench(&cluster);
    daemon_set(&cluster);
    let silent = bench.foil(&["check", "--each-node", "heartbeat.yaml", "--format", "json"]);
    assert_ne!(silent.code, Some(0), "{silent:#?}");
    let falco = cluster.kubectl(&[
        "-n",
        &cluster.namespace,
        "get",
        "pods",
        "-l",
        "app=f",
        "-o",
        "jsonpath={.items[0].metadata.name}",
    ]);
    let alert = json!({"hostname": "elsewhere", "rule": "Sign of life", "priority": "Debug", "output": "alive", "output_fields": {}});
    let say = format!("printf '%s\\n' '{alert}' > /proc/1/fd/1");
    let over = AtomicBool::new(false);
    let done = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                cluster.try_kubectl(&["-n", &cluster.namespace, "exec", falco.trim(), "--", "/bin/sh", "-c", &say]);
                std::thread::sleep(Duration::from_millis(300));
            }
        });
        let done = bench.foil(&["check", "--each-node", "heartbeat.yaml", "--format", "json"]);
        over.store(true, Ordering::SeqCst);
        done
    });
    let report = done.report();
    assert_eq!((done.code, report["verdict"].as_str()), (Some(0), Some("pass")), "{report:#}");
    assert!(report["node"].is_string() && report["links"][0]["evidence"][0]["attribution"] == "window", "{report:#}");
}
