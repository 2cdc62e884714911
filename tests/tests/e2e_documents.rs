//! Several experiments in one file, each a document behind `---`.

use foil_tests::e2e::{Bench, Done};
use std::collections::BTreeSet;

const LINK: &str = "{ link: telemetry, check: linux.audit-event, with: { event: execve, collector: foil.observed }, within: 100ms, grace: 10ms }";

/// An experiment that passes, and fires nothing that needs root.
fn experiment(name: &str) -> String {
    format!("experiment: {name}\ntechnique: linux.system-info\n")
}

/// The names of the reports, in their order.
fn names(done: &Done) -> Vec<String> {
    let reports = done.json();
    let name = |report: &serde_json::Value| report["experiment"].as_str().expect("a name").to_owned();
    reports.as_array().expect("an array").iter().map(name).collect()
}

#[test]
fn documents_run_like_files_of_their_own() {
    let bench = Bench::new();
    let campaign = "campaign: both\nsteps:\n  - { step: one, file: sub/one.yaml }\n  - { step: two, experiment: { technique: linux.system-info } }\n";
    let text = format!(
        "# all\n---\n{}---\n# none\n---\r\n{campaign}...\n---\n{}---\n",
        experiment("first"),
        experiment("last")
    );
    std::fs::create_dir(bench.path("sub")).expect("made");
    // A step's file may begin and end with `---`, but is one experiment.
    bench.write("sub/one.yaml", &format!("---\n{}---\n", experiment("one")));
    bench.write("all.yaml", &text);
    let done = bench.foil(&["run", "all.yaml", "--format", "json"]);
    done.says(0, &["1/4 pass", "4/4 pass"]);
    assert_eq!(names(&done), ["first", "one", "two", "last"]);
    assert_eq!(done.json()[1]["campaign"]["campaign"], "both");
    let ids: BTreeSet<String> = bench.runs().iter().map(|run| run["run"].to_string()).collect();
    assert_eq!(ids.len(), 4, "each is a run of its own: {ids:?}");
    // A folder, and a file that runs nothing beside it.
    bench.write("foil.yaml", "environment: staging\n");
    let plans = bench.foil(&["plan", ".", "--format", "json"]);
    assert_eq!(names(&plans), ["first", "one", "two", "last", "one"], "{plans:#?}");
    let junit = bench.foil(&["run", "all.yaml", "all.yaml", "--only", "last", "--repeat", "2", "--format", "junit"]);
    for case in ["name=\"last\"", "name=\"last #2\"", "name=\"last #4\""] {
        junit.says(0, &[case]);
    }
    assert!(!junit.out.contains("last #5") && !junit.out.contains("first"), "{junit:#?}");
    bench.is_clean();
}

#[test]
fn what_is_not_picked_of_a_file_need_not_be_granted() {
    let bench = Bench::bare(None);
    let grant = ["grant", "linux.system-info", "--reason", "e2e", "--reviewer", "e2e", "--yes"];
    bench.foil(&grant).says(0, &[]);
    let other = "experiment: other\ntechnique: linux.file-delete\n";
    bench.write("two.yaml", &format!("{other}---\n{}", experiment("mine")));
    bench.foil(&["plan", "two.yaml"]).says(2, &["two.yaml: linux.file-delete is not granted"]);
    bench.foil(&["run", "two.yaml"]).says(2, &["linux.file-delete is not granted"]);
    let done = bench.foil(&["run", "two.yaml", "--only", "mi*", "--format", "json"]);
    done.says(0, &[]);
    assert_eq!(names(&done), ["mine"]);
    bench.foil(&["run", "two.yaml", "--only", "nobody"]).says(2, &["names none of these: other, mine"]);
}

#[test]
fn a_mistake_in_one_document_runs_nothing_and_has_its_line_in_the_file() {
    let bench = Bench::new();
    let good = experiment("good");
    for (text, says) in [
        // What the parser sees, and what is known only once the file is held against the modules.
        (format!("{good}---\nexperiment: bad\ntechniqe: a.b\n"), &["f.yaml:5:1: unknown field `techniqe`"][..]),
        (
            format!("{good}---\r\n\r\nexperiment: bad\ntechnique: linux.sytem-info\n"),
            &["f.yaml:6:12:", "linux.system-info"],
        ),
        (
            format!("{good}with: {{ x: 1 }}\n---\n{good}expect:\n  - {}\n", LINK.replace("execve", "execev")),
            &["f.yaml:3:12:", "f.yaml:8:", "execve"],
        ),
        (
            format!("{good}---\ncampaign: c\nsteps:\n  - step: one\n    experiment: {{ technique: linux.none }}\n"),
            &["f.yaml:7:30:", "step `one`", "linux.none"],
        ),
        (
            format!("{good}---\ncampaign: c\nsteps: [{{ step: one, file: two.yaml }}]\n"),
            &["f.yaml:5:28:", "two.yaml:4:1: a second document"],
        ),
        (format!("{good}---\nenvironment: staging\n"), &["f.yaml:4:1: this document is an environment"]),
        (
            good.clone() + &"---\n".repeat(3) + &format!("{good}---\n").repeat(100),
            &["f.yaml:303:1: a file has at most 100 documents, and this has 101"],
        ),
        ("# nothing\n---\n".to_owned(), &["f.yaml:1:1: the file is empty"]),
    ] {
        bench.write("f.yaml", &text);
        bench.write("two.yaml", &format!("{good}---\n{good}"));
        for command in ["run", "plan"] {
            let done = bench.foil(&[command, "two.yaml", "f.yaml"]);
            done.says(2, says);
            assert!(done.out.is_empty(), "{done:#?}");
        }
    }
    // What is one document stays one.
    bench.write("f.yaml", &good);
    bench.write("foil.yaml", "environment: staging\n---\nimpact: reversible\n");
    bench.foil(&["run", "f.yaml"]).says(2, &["foil.yaml:2:1: a second document begins here, and only one can be used"]);
    std::fs::remove_file(bench.path("foil.yaml")).expect("there");
    bench.foil(&["calibrate", "two.yaml"]).says(2, &["two.yaml:4:1: a second document begins here"]);
    assert!(!bench.path("state").exists(), "nothing was fired");
}
