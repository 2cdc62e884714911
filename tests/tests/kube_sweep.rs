//! What is left in a cluster and found without its journal; and what doctor says of a cluster.

use foil_tests::e2e_kube::{Cluster, bench, fire};
use serde_json::{Value, json};

/// A ConfigMap with labels.
fn map(name: &str, labels: &Value) -> String {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "labels": labels } }).to_string()
}

#[test]
fn only_what_dead_runs_made_is_swept() {
    let Some(cluster) = Cluster::new() else { return };
    let bench = bench();
    cluster.environment(&bench, "");
    let (_, report) = fire(&bench, &json!([{"op": "list", "kind": "pods", "namespace": "NS"}]));
    let dead = report["run"].as_str().expect("a run").to_owned();
    // An id of another machine's run, which begins about now.
    let elsewhere = foil_tests::e2e_kube::bench();
    cluster.environment(&elsewhere, "");
    let (_, other) = fire(&elsewhere, &json!([]));
    let other = other["run"].as_str().expect("a run").to_owned();
    for (name, labels) in [
        (format!("foil-{dead}-left"), json!({"foil.dev/run": dead})),
        (format!("foil-{other}-young"), json!({"foil.dev/run": other})),
        ("theirs-by-a-copied-label".to_owned(), json!({"foil.dev/run": dead})),
        ("theirs-that-was-patched".to_owned(), json!({"foil.dev/patched-by": dead})),
        ("theirs".to_owned(), json!({"app": "x"})),
    ] {
        let yaml =
            map(&name, &labels).replace("\"name\":", &format!("\"namespace\":\"{}\",\"name\":", cluster.namespace));
        cluster.apply(&yaml);
    }
    let space = format!("foil-{dead}");
    cluster.kubectl(&["create", "namespace", &space]);
    cluster.kubectl(&["label", "namespace", &space, &format!("foil.dev/run={dead}")]);
    // Others' tests work in this cluster: nothing but what is known to be dead may go.
    let sweep = |more: &[&str]| {
        let all = [&["cleanup", "--sweep", "--older-than", "1000h", "--format", "json"], more].concat();
        let done = bench.foil(&all);
        let json: Value = serde_json::from_str(&done.out).unwrap_or_else(|e| panic!("{e}: {}", done.out));
        (done.code, json)
    };
    let named = |json: &Value, list: &str, state: &str| {
        let all = json[list].as_array().expect("a list").iter();
        let mine = all.filter(|o| {
            let text = o.to_string();
            (text.contains(&cluster.namespace) || text.contains(&dead)) && (state.is_empty() || o["state"] == state)
        });
        let mut names: Vec<String> = mine.map(|o| o["object"].as_str().expect("text").to_owned()).collect();
        names.sort();
        names
    };
    let ns = &cluster.namespace;
    let left = [format!("configmaps {ns}/foil-{dead}-left"), format!("namespaces {space}")];
    let (code, json) = sweep(&["--dry-run"]);
    assert_eq!(named(&json, "swept", "found"), left, "{json:#}");
    assert!(code == Some(0) || !json["unseen"].as_array().expect("a list").is_empty(), "{code:?} {json:#}");
    assert!(cluster.object("configmap", &format!("foil-{dead}-left")).is_some(), "a dry run deleted");
    let (code, json) = sweep(&[]);
    assert_eq!(named(&json, "swept", "deleted"), left, "{json:#}");
    assert_eq!(named(&json, "young", ""), [format!("configmaps {ns}/foil-{other}-young")]);
    assert_eq!(named(&json, "strange", ""), [format!("configmaps {ns}/theirs-by-a-copied-label")]);
    assert_eq!(named(&json, "patched", ""), [format!("configmaps {ns}/theirs-that-was-patched")]);
    assert_eq!(code, Some(4), "{json:#}");
    assert!(cluster.object("configmap", &format!("foil-{dead}-left")).is_none());
    assert!(!cluster.try_kubectl(&["get", "namespace", &space]).status.success(), "the namespace is still there");
    for kept in ["theirs", "theirs-by-a-copied-label", "theirs-that-was-patched", &format!("foil-{other}-young")] {
        assert!(cluster.object("configmap", kept).is_some(), "{kept} is gone");
    }
    let (_, json) = sweep(&[]);
    assert!(named(&json, "swept", "").is_empty(), "{json:#}");
}

#[test]
fn another_cluster_is_not_swept() {
    let Some(cluster) = Cluster::new() else { return };
    let bench = bench();
    cluster.environment(&bench, "");
    let text = std::fs::read_to_string(bench.path("foil.yaml")).expect("readable");
    bench.write("foil.yaml", &text.replace(&cluster.uid, "00000000-0000-0000-0000-000000000000"));
    let done = bench.foil(&["cleanup", "--sweep"]);
    assert_eq!(done.code, Some(2), "{}", done.err);
    assert!(done.err.contains("is another cluster"), "{}", done.err);
}

#[test]
fn doctor_prints_what_to_pin_and_knows_it_again() {
    let Some(cluster) = Cluster::new() else { return };
    let bench = bench();
    cluster.environment(&bench, "");
    let findings = || {
        let done = bench.foil(&["doctor", "--format", "json"]);
        let json: Value = serde_json::from_str(&done.out).unwrap_or_else(|e| panic!("{e}: {}", done.out));
        let all = json["findings"].as_array().expect("a list").clone();
        move |name: &str| {
            let found = all.iter().find(|f| f["area"] == "kubernetes" && f["name"] == name);
            found.map(|f| format!("{} {} {}", f["state"], f["says"], f["remedy"])).unwrap_or_default()
        }
    };
    let of = findings();
    assert!(of("cluster").starts_with("\"ok\"") && of("cluster").contains("Kubernetes v"), "{}", of("cluster"));
    assert!(of("identity").starts_with("\"ok\"") && of("identity").contains(&cluster.uid), "{}", of("identity"));
    assert!(of("namespace").starts_with("\"ok\"") && of("rights").starts_with("\"ok\""), "{}", of("rights"));
    assert!(!of("Falco").is_empty());
    let text = std::fs::read_to_string(bench.path("foil.yaml")).expect("readable");
    bench.write("foil.yaml", &text.replace(&format!("  cluster: {}\n", cluster.uid), ""));
    let of = findings();
    assert!(of("identity").contains(&format!("`cluster: {}`", cluster.uid)), "{}", of("identity"));
    bench.write("foil.yaml", &text.replace(&cluster.uid, "00000000-0000-0000-0000-000000000000"));
    let of = findings();
    assert!(of("identity").contains("another cluster") && of("rights").is_empty(), "{}", of("identity"));
    bench.write("foil.yaml", &text.replace(&cluster.namespace, "foil-not-there"));
    let of = findings();
    assert!(of("namespace").contains("kubectl create namespace foil-not-there"), "{}", of("namespace"));
}
