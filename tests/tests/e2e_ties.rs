//! How an alert must be tied to a run, by a sensor that the test plays itself: the technique writes alerts into a log that is followed.

use foil_tests::e2e::Bench;
use serde_json::Value;

const ENVIRONMENT: &str =
    "environment: e2e\nshield: [open]\nfiles: { falco: { path: falco.jsonl, canary: { make: none } } }\n";

fn bench() -> Bench {
    let bench = Bench::new();
    bench.grant_shell();
    bench.write("foil.yaml", ENVIRONMENT);
    bench.write("falco.jsonl", "");
    bench
}

/// Shell words that raise an alert, dated so many milliseconds from now, with these fields. `%s` there is the run's id.
fn alert(bench: &Bench, ms: i64, fields: &str) -> String {
    let log = bench.path("falco.jsonl");
    let ids = if fields.contains("%s") { r#""$FOIL_RUN_ID""# } else { "" };
    format!(
        r#"printf '{{"time":%s,"rule":"a","priority":"Warning","output":"o","output_fields":{{"evt.type":"open"{fields}}}}}\n' $(($(date +%s%N) + {ms} * 1000000)) {ids} >> {}"#,
        log.display()
    )
}

const MARK: &str = r#","proc.env[FOIL_RUN_ID]":"%s""#;

/// Runs a script that is to be noticed. `keys`: of the experiment; `of_link`: of its link.
fn run(bench: &Bench, script: &str, keys: &str, of_link: &str) -> Value {
    let script = serde_json::to_string(script).expect("text");
    bench.write(
        "e.yaml",
        &format!(
            "experiment: e\ntechnique: shell.wasm\nshield: open\nwith: {{ script: {script} }}\n{keys}expect:\n  - {{ link: detection, \
             check: falco.alert, with: {{ rule: a, collector: file.falco }}, within: 700ms, grace: 300ms{of_link} }}\n"
        ),
    );
    let report = bench.foil(&["run", "e.yaml", "--format", "json"]).report();
    bench.is_clean();
    report
}

#[track_caller]
fn is(report: &Value, verdict: &str, uncounted: &str) {
    let link = &report["links"][0];
    assert_eq!(link["verdict"], verdict, "{report:#}");
    let first = &link["uncounted"][0];
    assert_eq!(first["reason"].as_str().unwrap_or_default(), uncounted, "{report:#}");
    if !uncounted.is_empty() {
        let why = report["reason"].as_str().unwrap_or_default();
        assert!(why.contains("1 matching alert arrived and was not counted, because"), "{why}");
        assert_eq!(first["count"], 1);
    }
}

#[test]
fn a_pass_by_time_only_carries_a_caution_and_can_be_refused() {
    let bench = bench();
    let script = alert(&bench, 0, "");
    let report = run(&bench, &script, "", "");
    is(&report, "seen", "");
    let link = &report["links"][0];
    assert_eq!((&link["tied-by"], &link["caution"]["kind"]), (&"time".into(), &"time-only".into()));
    for word in ["time only", "proc.pid", "proc.ppid", "proc.pid.ts", "proc.env[FOIL_RUN_ID]", "append_output"] {
        assert!(link["caution"]["text"].as_str().is_some_and(|text| text.contains(word)), "{link:#}");
        assert!(report["reason"].as_str().is_some_and(|text| text.contains(word)), "{report:#}");
    }
    // What was referred to is told by the host, and not by the check.
    let event = &link["evidence"][0]["events"][0];
    assert_eq!((&event["collector"], &event["fields"]["rule"]), (&"file.falco".into(), &"a".into()));
    bench
        .foil(&["run", "e.yaml"])
        .says(0, &["caution", "detection: it is tied to this run by time only", "of file.falco"]);

    for (environment, keys, of_link) in [
        ("", "", ", tied-by: marker"),
        ("", "tied-by: marker\n", ""),
        ("tied-by: likeness\n", "", ""),
        // The strictest holds.
        ("tied-by: process\n", "tied-by: time\n", ", tied-by: time"),
        ("tied-by: time\n", "tied-by: process\n", ""),
    ] {
        bench.write("foil.yaml", &format!("{ENVIRONMENT}{environment}"));
        let report = run(&bench, &script, keys, of_link);
        is(&report, "missed", "weak-tie");
        assert!(report["reason"].as_str().is_some_and(|why| why.contains("proc.env[FOIL_RUN_ID]")), "{report:#}");
    }
    bench.write("foil.yaml", &format!("{ENVIRONMENT}tied-by: marker\n"));
    let report = run(&bench, &alert(&bench, 0, MARK), "", "");
    is(&report, "seen", "");
    assert_eq!((&report["links"][0]["tied-by"], report["links"][0].get("caution")), (&"marker".into(), None));
}

#[test]
fn a_demand_that_does_not_exist_is_named_with_its_place() {
    let bench = bench();
    bench.write("e.yaml", "experiment: e\ntechnique: shell.wasm\ntied-by: hope\n");
    bench.foil(&["run", "e.yaml"]).says(2, &["e.yaml:3:", "hope"]);
    bench.write("foil.yaml", &format!("{ENVIRONMENT}tied-by: hope\n"));
    bench.write("e.yaml", "experiment: e\ntechnique: shell.wasm\n");
    bench.foil(&["run", "e.yaml"]).says(2, &["foil.yaml:4:", "hope"]);
}

#[test]
fn a_clock_that_differs_makes_no_alert_vanish_without_a_word() {
    let bench = bench();
    for (ms, word) in
        [(-700, "clocks"), (-5_000, "clocks"), (-3_600_000, "another zone"), (-1_500_000, "clock is wrong")]
    {
        let report = run(&bench, &alert(&bench, ms, MARK), "", "");
        is(&report, "missed", "before-detonation");
        let reason = report["reason"].as_str().expect("a reason");
        assert!(reason.contains("before the detonation: ") && reason.contains(word), "{reason}");
    }
    is(&run(&bench, &alert(&bench, 3_600_000, MARK), "", ""), "missed", "future");
    // It says nothing of any process: only its time speaks against it.
    is(&run(&bench, &alert(&bench, -5_000, ""), "", ""), "missed", "before-detonation");
    bench.foil(&["run", "e.yaml"]).says(1, &["1 matching alert arrived and was not counted", "before the detonation"]);
}

#[test]
fn a_strangers_alert_is_mentioned_and_does_not_count() {
    let bench = bench();
    let other = r#","proc.env[FOIL_RUN_ID]":"01m80h0000000000000000000z""#;
    is(&run(&bench, &alert(&bench, 0, other), "", ""), "missed", "other-run");
    is(&run(&bench, &alert(&bench, 0, r#","proc.pid":1"#), "", ""), "missed", "other-process");
    // Whatever does not match is not mentioned.
    let elsewhere = alert(&bench, 0, r#","proc.pid":1"#).replace(r#""rule":"a""#, r#""rule":"b""#);
    is(&run(&bench, &elsewhere, "", ""), "missed", "");
    // Nor is anything said where there is what counts.
    let both = format!("{}; {}", alert(&bench, 0, r#","proc.pid":1"#), alert(&bench, 0, MARK));
    is(&run(&bench, &both, "", ""), "seen", "");
}

#[test]
fn what_is_not_said_speaks_neither_for_nor_against() {
    let bench = bench();
    for fields in [
        r#","proc.pid":4294967295,"proc.ppid":4294967295,"user.uid":4294967295,"proc.cmdline":"<NA>""#,
        r#","proc.pid":-1,"proc.pid.ts":-1,"user.uid":-1,"proc.cmdline":null,"proc.name":"","proc.pname":"<NA>""#,
    ] {
        let report = run(&bench, &alert(&bench, 0, fields), "", "");
        is(&report, "seen", "");
        assert_eq!(report["links"][0]["tied-by"], "time");
        let marked = run(&bench, &alert(&bench, 0, &format!("{fields}{MARK}")), "", "");
        assert_eq!((&marked["links"][0]["tied-by"], &marked["verdict"]), (&"marker".into(), &"pass".into()));
    }
}

#[test]
fn a_process_that_is_named_is_never_tied_by_time() {
    let bench = bench();
    // As root every program of the run is known, and this is none; else it may be the run's, which cannot be told.
    let report = run(&bench, &alert(&bench, 0, r#","proc.cmdline":"somebody elses","proc.name":"somebody""#), "", "");
    let link = &report["links"][0];
    let expected = [("missed", "other-process"), ("unknown", "untold")];
    let found =
        (link["verdict"].as_str().unwrap_or_default(), link["uncounted"][0]["reason"].as_str().unwrap_or_default());
    assert!(expected.contains(&found), "{report:#}");
}
