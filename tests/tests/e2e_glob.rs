//! `foil fire 'linux.*'`: all techniques that match a pattern.

use foil_tests::e2e::Bench;
use serde_json::Value;
use std::collections::BTreeMap;

const PATTERN: &str = "linux.*-*";

fn reports(value: &Value) -> Vec<(String, String, String)> {
    let text = |report: &Value, name: &str| report[name].as_str().unwrap_or_default().to_owned();
    let of = |report: &Value| (text(report, "technique"), text(report, "verdict"), text(report, "reason"));
    value.as_array().expect("an array").iter().map(of).collect()
}

#[test]
fn what_matches_is_fired_in_order_and_what_may_not_run_is_reported_as_refused() {
    let bench = Bench::bare(None);
    for id in ["linux.system-info", "linux.file-delete"] {
        bench.foil(&["grant", id, "--reason", "e2e", "--reviewer", "e2e", "--yes"]).says(0, &[]);
    }
    let done = bench.foil(&["fire", "linux.*", "--format", "json"]);
    done.says(3, &["1/2 pass linux.file-delete", "2/2 pass linux.system-info"]);
    let all = reports(&done.json());
    assert_eq!((all[0].0.as_str(), all[1].0.as_str()), ("linux.file-delete", "linux.system-info"), "{all:#?}");
    assert!(all.len() >= 12 && all[2..].iter().all(|(_, _, why)| why.starts_with("refused: ")), "{all:#?}");
    assert!(all.iter().all(|(id, ..)| id.starts_with("linux.") && id != "linux.audit-event"), "{all:#?}");
    assert_eq!(bench.runs().len(), 2, "each is a run of its own");
    // The same techniques are listed, and planned.
    let listed = bench.foil(&["list", "linux.*", "--kind", "technique", "--format", "json"]).json();
    let planned = bench.foil(&["fire", "linux.*", "--dry", "--format", "json"]).says(0, &[]).json();
    assert_eq!((listed.as_array().map(Vec::len), planned.as_array().map(Vec::len)), (Some(all.len()), Some(all.len())));
    assert_eq!(planned[0]["experiment"], "linux.file-delete");
    assert_eq!(bench.foil(&["list", "*tem-inf*", "--format", "json"]).json()[0]["id"], "linux.system-info");
    bench.foil(&["list", "tem-inf*"]).says(0, &["no module matches"]);
    bench.is_clean();
}

#[test]
fn a_parameter_goes_to_the_techniques_that_have_it() {
    let bench = Bench::new();
    let dry = |with: &[&str]| {
        let with: Vec<&str> = with.iter().flat_map(|pair| ["--with", pair]).collect();
        bench.foil(&[&["fire", PATTERN, "--dry", "--format", "json"][..], &with].concat())
    };
    let parameters: BTreeMap<String, Value> = dry(&["method=rm"])
        .says(0, &[])
        .json()
        .as_array()
        .expect("an array")
        .iter()
        .map(|plan| (plan["technique"].as_str().unwrap_or_default().to_owned(), plan["parameters"].clone()))
        .collect();
    assert_eq!(parameters["linux.file-delete"]["method"], "rm");
    assert!(parameters["linux.system-info"].get("method").is_none(), "{parameters:#?}");
    dry(&["metod=rm"]).says(2, &["no technique that matches `linux.*-*` has this parameter (do you mean `method`?)"]);
    // A value that one of them does not take fires none.
    for wrong in [&["method=burn"][..], &["method"], &["method=rm", "method=rm"]] {
        let with: Vec<&str> = wrong.iter().flat_map(|pair| ["--with", pair]).collect();
        bench.foil(&[&["fire", PATTERN][..], &with].concat()).says(2, &["method"]);
    }
    assert!(!bench.path("state").exists(), "nothing was fired");
}

#[test]
fn what_matches_nothing_is_told_with_the_nearest_ids() {
    let bench = Bench::new();
    for (pattern, says) in [
        ("linux.shdow*", "the nearest are `linux.shadow-read`; `foil list"),
        ("linux.audit*", "matches checks only (`linux.audit-event`)"),
        ("qqq*", "no technique matches `qqq*`"),
        ("./mods/*.wasm", "./mods/*.wasm"),
    ] {
        bench.foil(&["fire", pattern]).says(2, &[says]);
    }
    bench.write("foil.yaml", "environment: e\nimpakt: none\n");
    bench.foil(&["fire", "linux.*"]).says(2, &["foil.yaml:2:1:"]);
    assert!(!bench.path("state").exists(), "nothing was fired");
}
