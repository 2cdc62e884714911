//! Experiments of checks only: links that are looked at while nothing is fired.

use foil_tests::e2e::Bench;
use serde_json::json;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const HEARTBEAT: &str = "experiment: heartbeat
hypothesis: The node's Falco gives a sign of life.
expect:
  - link: telemetry
    check: falco.heartbeat
    with: { node: node-7, rule: '**', collector: file.falco }
    within: 3s
    grace: 1ms
";

fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("foil.yaml", "environment: e2e\nfiles: { falco: { path: falco.log } }\n");
    bench.write("falco.log", "");
    bench.write("heartbeat.yaml", HEARTBEAT);
    bench
}

/// Runs `foil check` while somebody's alerts from this node come in, about nothing of Foil's.
fn check_beside(bench: &Bench, node: &str, file: &str) -> foil_tests::e2e::Done {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                let alert = json!({
                    "hostname": node, "rule": "Contact K8S API Server From Container", "priority": "Notice", "output": "x",
                    "output_fields": {"container.name": "main"},
                });
                let mut log = std::fs::File::options().append(true).open(bench.path("falco.log")).expect("the log");
                writeln!(log, "{alert}").expect("written");
                std::thread::sleep(Duration::from_millis(200));
            }
        });
        let done = bench.foil(&["check", file, "--format", "json"]);
        over.store(true, Ordering::SeqCst);
        done
    })
}

#[test]
fn a_sign_of_life_of_anybodys_is_seen_by_its_time_alone() {
    let bench = bench();
    let done = check_beside(&bench, "node-7", "heartbeat.yaml");
    let report = done.report();
    assert_eq!((done.code, report["verdict"].as_str()), (Some(0), Some("pass")), "{report:#}");
    assert_eq!(report["links"][0]["evidence"][0]["attribution"], "window", "{report:#}");
    assert!(report.get("technique").is_none() && report.get("digest").is_none(), "{report:#}");
    assert_eq!(report["undo"]["effects"], json!([]));
    let journal = bench.foil(&["journal", "--format", "json"]);
    assert!(journal.out.contains("heartbeat") && journal.out.contains("falco.heartbeat"), "{journal:#?}");
}

#[test]
fn silence_and_another_nodes_alerts_are_no_sign_of_life() {
    let bench = bench();
    let done = bench.foil(&["check", "heartbeat.yaml", "--format", "json"]);
    assert_ne!(done.code, Some(0), "{done:#?}");
    assert_ne!(done.report()["links"][0]["verdict"], "seen");
    let done = check_beside(&bench, "node-8", "heartbeat.yaml");
    let report = done.report();
    assert_ne!(done.code, Some(0), "{report:#}");
    assert!(report["reason"].as_str().expect("text").contains("node-8"), "{report:#}");
}

#[test]
fn nothing_is_fired_by_a_command_that_looks() {
    let bench = bench();
    bench.write("fires.yaml", "experiment: fires\ntechnique: linux.system-info\n");
    bench.foil(&["check", "fires.yaml"]).says(2, &["fires fires a technique", "`foil run fires.yaml`"]);
    bench.foil(&["check", "fires.yaml", "heartbeat.yaml"]).says(2, &["`foil run fires.yaml heartbeat.yaml`"]);
    bench.write("none.yaml", "experiment: none\nexpect: []\n");
    bench.foil(&["check", "none.yaml"]).says(2, &["none.yaml:1:1", "neither a `technique` nor a link"]);
    bench.write("misspelt.yaml", &HEARTBEAT.replace("within: 3s", "wihtin: 3s"));
    bench.foil(&["check", "misspelt.yaml"]).says(2, &["misspelt.yaml:", "wihtin"]);
    bench.write("unknown.yaml", &HEARTBEAT.replace("falco.heartbeat", "falco.hartbeat"));
    bench.foil(&["check", "unknown.yaml"]).says(2, &["unknown.yaml:5:12:", "falco.hartbeat"]);
    bench.write("kind.yaml", &HEARTBEAT.replace("falco.heartbeat", "linux.system-info"));
    bench.foil(&["check", "kind.yaml"]).says(2, &["a check is needed here"]);
}

#[test]
fn plan_and_run_take_such_files_too() {
    let bench = bench();
    bench.foil(&["plan", "heartbeat.yaml"]).says(0, &["heartbeat", "technique  none", "falco.heartbeat"]);
    let plan = bench.foil(&["plan", "heartbeat.yaml", "--format", "json"]).json();
    assert!(plan[0].get("technique").is_none() && plan[0]["links"][0]["check"] == "falco.heartbeat", "{plan:#}");
    let done = bench.foil(&["run", "heartbeat.yaml"]);
    assert_ne!(done.code, Some(2), "{done:#?}");
    assert!(done.out.contains("checks only"), "{done:#?}");
    bench.foil(&["check", "heartbeat.yaml", "--each-node"]).says(2, &["--each-node", "needs no cluster"]);
    for format in ["junit", "csv", "markdown", "navigator", "attire"] {
        let done = bench.foil(&["check", "heartbeat.yaml", "--format", format]);
        assert!(!done.out.is_empty() && done.code != Some(2), "{format}: {done:#?}");
    }
}
