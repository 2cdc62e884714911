//! The command line, with good input: every subcommand, for people and for programs; what only looks touches nothing.

use foil_tests::e2e::{Bench, is_root, snapshot};
use serde_json::Value;

const EXPERIMENT: &str = "experiment: e
hypothesis: Somebody notices.
technique: linux.file-delete
with: { method: rm }
expect:
  - { link: telemetry, check: linux.audit-event, with: { event: execve, collector: foil.observed }, within: 1s, grace: 10ms }
";

fn ids(value: &Value, field: &str) -> Vec<String> {
    let text = |row: &Value| row[field].as_str().unwrap_or_else(|| panic!("{field} in {row:#}")).to_owned();
    value.as_array().expect("an array").iter().map(text).collect()
}

#[test]
fn what_only_looks_touches_nothing() {
    let bench = Bench::new();
    bench.write("e.yaml", EXPERIMENT);
    bench.write("foil.yaml", "environment: staging\n");
    let machine = ["/etc/cron.d", "/dev/shm", "/root/.ssh"].map(std::path::Path::new);
    let folders: Vec<_> = machine.into_iter().collect();
    let bench_folder = bench.path("");
    let before = (snapshot(&[bench_folder.as_path()]), snapshot(&folders));
    for arguments in [
        &["plan", "e.yaml"][..],
        &["plan", "e.yaml", "--format", "json"],
        &["list"],
        &["show", "linux.cron-persistence"],
        &["review", "linux.cron-persistence"],
    ] {
        bench.foil(arguments).says(0, &["linux."]);
    }
    assert!(!bench.path("state").exists());
    assert!(before == (snapshot(&[bench_folder.as_path()]), snapshot(&folders)));
    assert_eq!(bench.processes(), Vec::<String>::new());
}

#[test]
fn a_plan_says_target_permissions_and_undo() {
    let bench = Bench::new();
    bench.write("e.yaml", EXPERIMENT);
    bench.write("foil.yaml", "environment: staging\n");
    let host = nix::unistd::gethostname().expect("a name").into_string().expect("UTF-8");
    bench.foil(&["plan", "e.yaml"]).says(
        0,
        &[
            "Somebody notices.",
            "linux.file-delete (T1070.004)",
            &host,
            "staging",
            "confined",
            "/bin/rm -f",
            "undo",
            "expects",
            "method = \"rm\"\n",
            "event = \"execve\"\n",
            "collector = \"foil.observed\"\n",
        ],
    );
    let plans = bench.foil(&["plan", "e.yaml", "--format", "json"]).says(0, &[]).json();
    let plan = &plans[0];
    for (field, expected) in [
        ("experiment", "e"),
        ("technique", "linux.file-delete"),
        ("target", &host),
        ("environment", "staging"),
        ("shield", "confined"),
    ] {
        assert_eq!(plan[field], expected, "{plan:#}");
    }
    assert!(plan["undo"].as_array().is_some_and(|u| !u.is_empty()) && plan["unmet"].is_null(), "{plan:#}");
    assert_eq!(plan["links"][0]["within-ms"], 1000, "{plan:#}");
    assert_eq!(plan["parameters"], serde_json::json!({ "method": "rm" }));
    assert_eq!(
        plan["links"][0]["parameters"],
        serde_json::json!({ "event": "execve", "collector": "foil.observed" }),
        "{plan:#}"
    );
    bench.write("e.yaml", &EXPERIMENT.replace("with: { method: rm }\n", ""));
    bench.foil(&["plan", "e.yaml"]).says(0, &["method = \"both\" (default)"]);
}

#[test]
fn a_plan_of_a_campaign_says_its_name_order_and_steps() {
    let bench = Bench::new();
    bench.write("e.yaml", EXPERIMENT);
    let campaign = "campaign: raid\nhypothesis: Both are noticed.\nsteps:\n  - { step: plant, experiment: { technique: \
                    linux.cron-persistence } }\n  - { step: wipe, file: e.yaml, with: { method: shred } }\n";
    bench.write("c.yaml", campaign);
    let words = [
        "campaign raid: 2 steps",
        "one after the other",
        "step 1",
        "plant: linux.cron-persistence",
        "step 2 of raid, wipe",
        "method = \"shred\"",
    ];
    bench.foil(&["plan", "c.yaml"]).says(0, &words);
    let plans = bench.foil(&["plan", "c.yaml", "--format", "json"]).json();
    let of = &plans[1]["campaign"];
    assert_eq!((&of["name"], &of["order"], &of["step"]), (&"raid".into(), &"in-order".into(), &"wipe".into()), "{of}");
    assert_eq!((&of["steps"], &of["number"]), (&serde_json::json!(["plant", "wipe"]), &2.into()), "{of}");
    bench.write("c.yaml", &campaign.replace("steps:", "order: at-once\nhold: step\nsteps:"));
    bench.foil(&["plan", "c.yaml"]).says(0, &["all at once"]);
}

#[test]
fn a_pattern_and_a_folder_agree_about_the_environment() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("all")).expect("made");
    bench.write("all/e.yaml", EXPERIMENT);
    bench.write("all/foil.yaml", "environment: staging\n");
    bench.write("all/prod.yaml", "environment: prod\n");
    let folder = bench.foil(&["plan", "all"]);
    let files = bench.foil(&["plan", "all/e.yaml", "all/foil.yaml", "all/prod.yaml"]);
    folder.says(0, &["Somebody notices.", "staging"]);
    // Each plan is of a run of its own.
    let same = |out: &str| out.lines().filter(|line| !line.contains("/foil-")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!((same(&folder.out), files.code), (same(&files.out), Some(0)), "{files:#?}");
    bench.foil(&["plan", "all/foil.yaml"]).says(2, &["all/foil.yaml", "is an environment"]);
}

#[test]
fn modules_for_programs() {
    let bench = Bench::new();
    let list = bench.foil(&["list", "--format", "json"]).says(0, &[]).json();
    assert!(list.as_array().is_some_and(|l| l.len() >= 13), "{list:#}");
    for field in ["id", "kind", "platform", "impact", "digest", "source"] {
        ids(&list, field);
    }
    for id in ids(&list, "id") {
        let show = bench.foil(&["show", &id, "--format", "json"]).says(0, &[]).json();
        assert_eq!(show["manifest"]["id"], id.as_str());
        let review = bench.foil(&["review", &id, "--format", "json"]).says(0, &[]).json();
        assert_eq!((&review["id"], &review["grant"]["state"]), (&id.as_str().into(), &"granted".into()), "{review:#}");
        bench.foil(&["show", &id]).says(0, &[&id, "Asks for", "Imports"]);
        bench.foil(&["review", &id]).says(0, &[&id]);
    }
    let review = bench.foil(&["review", "linux.system-info", "--grants", "/dev/null", "--format", "json"]);
    // A device is no grants file.
    review.says(2, &["/dev/null"]);
}

#[test]
fn granting_and_revoking_for_programs() {
    let bench = Bench::bare(None);
    let base = ["--reason", "e2e", "--reviewer", "ann", "--format", "json"];
    let with = |more: &[&str]| bench.foil(&[more, &base].concat());
    let granted = with(&["grant", "linux.system-info", "--yes", "--expires", "30d"]).says(0, &[]).json();
    assert_eq!(ids(&granted["granted"], "module"), ["linux.system-info"]);
    let all = with(&["grant", "--builtin", "--yes"]).says(0, &[]).json();
    assert!(all["granted"].as_array().is_some_and(|g| g.len() >= 13));
    let revoked = with(&["revoke", "linux.system-info"]).says(0, &[]).json();
    assert_eq!(revoked["module"], "linux.system-info");
    // Without a terminal there is nobody to ask.
    with(&["grant", "linux.system-info"]).says(2, &["--yes"]);
}

#[test]
fn runs_for_programs_and_their_history() {
    let bench = Bench::new();
    bench.write("e.yaml", EXPERIMENT);
    let report = bench.foil(&["fire", "linux.file-delete", "--format", "json"]).says(0, &[]).report();
    assert_eq!((&report["verdict"], &report["technique"]), (&"pass".into(), &"linux.file-delete".into()), "{report:#}");
    assert_eq!(report["residue"].as_array().map(Vec::len), Some(0));
    // Only Foil itself saw it: that is no sensor's word.
    let report = bench.foil(&["run", "e.yaml", "--format", "json"]).says(3, &[]).report();
    assert_eq!((&report["verdict"], &report["experiment"]), (&"inconclusive".into(), &"e".into()), "{report:#}");
    assert_eq!(report["links"][0]["verdict"], "unknown", "{report:#}");
    assert_eq!(report["links"][0]["evidence"][0]["own-observation"], true, "{report:#}");
    let two = bench.foil(&["run", "e.yaml", "e.yaml", "--format", "json"]).says(3, &[]).json();
    assert_eq!(two.as_array().map(Vec::len), Some(2));
    bench
        .foil(&["run", "e.yaml", "e.yaml"])
        .says(3, &["2 runs: 2 inconclusive", "nothing was left behind", "no sensor"]);

    let runs = bench.runs();
    assert_eq!(runs.len(), 6);
    let id = runs[5]["run"].as_str().expect("an id");
    let journal = |what: &[&str]| {
        let done = bench.foil(&[&["journal"], what, &["--format", "json"]].concat());
        done.says(0, &[]).json()
    };
    let effects = journal(&["effects", id]);
    assert!(ids(&effects, "state").iter().all(|s| s == "undone") && !ids(&effects, "what").is_empty(), "{effects:#}");
    assert_eq!(journal(&["residue"]), Value::Array(Vec::new()));
    let audit = journal(&["audit"]);
    let of_run = journal(&["audit", "--run", id]);
    let length = |v: &Value| v.as_array().map_or(0, Vec::len);
    assert!(0 < length(&of_run) && length(&of_run) < length(&audit), "{of_run:#}");
    assert_eq!(length(&journal(&["audit", "--last", "1"])), 1);
    assert_eq!(journal(&["verify"])["sound"], true);
    let cleanup = bench.foil(&["cleanup", "--format", "json"]).says(0, &[]).json();
    assert_eq!((&cleanup["residue"], &cleanup["runs"]), (&0.into(), &Value::Array(Vec::new())));
    assert_eq!(bench.foil(&["cleanup", "--dry-run", "--format", "json"]).says(0, &[]).json(), Value::Array(Vec::new()));
    assert_eq!(bench.foil(&["abort", "--format", "json"]).says(0, &[]).json()["residue"], 0);
    for what in [&["runs"][..], &["effects", id], &["residue"], &["audit"], &["verify"], &[]] {
        bench.foil(&[&["journal"], what].concat()).says(0, &[]);
    }
    // An id is there to be copied: it is never broken into two lines.
    bench.foil(&["journal"]).says(0, &[id]);
    assert_eq!(journal(&["prune", "--older-than", "0h"])["runs"], 6);
    assert!(bench.runs().is_empty());
    bench.foil(&["journal"]).says(0, &["No runs yet."]);
    bench.is_clean();
}

#[test]
fn a_journal_that_was_tampered_with_is_said_so() {
    let bench = Bench::new();
    bench.foil(&["fire", "linux.system-info"]).says(0, &["pass"]);
    let db = rusqlite::Connection::open(bench.path("state/journal.db")).expect("SQLite");
    let sql = "DELETE FROM audit WHERE id = (SELECT max(id) - 1 FROM audit)";
    assert_eq!(db.execute(sql, []).expect("a table `audit`"), 1);
    drop(db);
    bench.foil(&["journal", "verify"]).says(5, &["CUT"]);
    assert_eq!(bench.foil(&["journal", "verify", "--format", "json"]).says(5, &[]).json()["sound"], false);
}

#[test]
fn a_state_folder_of_somebody_else_is_refused() {
    if !is_root() {
        return;
    }
    let bench = Bench::new();
    std::fs::create_dir(bench.path("state")).expect("writable");
    std::os::unix::fs::chown(bench.path("state"), Some(foil_tests::e2e::NOBODY), None).expect("root gives");
    for arguments in [&["fire", "linux.system-info"][..], &["cleanup"], &["journal"], &["abort"]] {
        bench.foil(arguments).says(2, &["state folder", "65534"]);
    }
}

/// A disk that is full, or a reader that is gone, behind either stream: what is said is lost, and nothing else.
#[test]
fn streams_that_take_nothing_end_no_run() {
    let bench = Bench::new();
    let full = || std::fs::File::options().write(true).open("/dev/full").expect("there");
    let gone = || std::io::pipe().expect("a pipe").1;
    for name in ["a.yaml", "b.yaml", "c.yaml"] {
        bench.write(name, EXPERIMENT);
    }
    let run = ["run", "a.yaml", "b.yaml", "c.yaml"];
    let code = |command: &mut std::process::Command| command.status().expect("foil starts").code();
    for verbose in [&[][..], &["-vv"]] {
        let arguments: Vec<&str> = run.into_iter().chain(verbose.iter().copied()).collect();
        assert_eq!(code(bench.command(&arguments).stdout(gone()).stderr(full())), Some(3), "{verbose:?}");
        assert_eq!(code(bench.command(&arguments).stdout(gone()).stderr(gone())), Some(3), "{verbose:?}");
        assert_eq!(code(bench.command(&arguments).stdout(full()).stderr(full())), Some(2), "{verbose:?}");
        bench.is_clean();
    }
    assert_eq!(code(bench.command(&["cleanup"]).stdout(gone()).stderr(full())), Some(0));
    for arguments in [&["plan", "a.yaml"][..], &["list"], &["show", "linux.file-delete"], &["doctor"]] {
        let output = bench.command(arguments).stdout(full()).output().expect("foil starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(1..=3)), "{arguments:?}: {said}");
        assert!(said.contains("standard output cannot be written") || arguments == ["doctor"], "{said}");
        assert!(!said.contains("a fault of Foil"), "{said}");
    }
}
