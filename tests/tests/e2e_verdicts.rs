//! Every verdict, by a sensor that the test plays itself: the technique writes Falco's alerts into a log that is followed.

use foil_tests::e2e::Bench;
use serde_json::Value;

/// A bench whose log `falco.jsonl` is followed, with a technique that may write it. Nobody is there who would notice a canary.
fn bench() -> Bench {
    let bench = Bench::new();
    bench.grant_shell();
    let environment = "environment: e2e\nshield: [confined, overlay, open]\n\
                       files: { falco: { path: falco.jsonl, canary: { make: none } } }\n";
    bench.write("foil.yaml", environment);
    bench.write("falco.jsonl", "");
    bench
}

/// Shell words that raise an alert of this rule.
fn alert(bench: &Bench, rule: &str, priority: &str) -> String {
    let log = bench.path("falco.jsonl");
    format!(
        r#"printf '{{"time":"%s","rule":"{rule}","priority":"{priority}","output":"o","output_fields":{{"proc.env[FOIL_RUN_ID]":"%s"}}}}\n' "$(date -u +%FT%T.%NZ)" "$FOIL_RUN_ID" >> {}"#,
        log.display()
    )
}

fn link(hop: &str, rule: &str, more: &str) -> String {
    format!(
        "  - {{ link: {hop}, check: falco.alert, with: {{ rule: {rule}, collector: file.falco }}, within: 700ms, grace: 500ms{more} }}\n"
    )
}

fn experiment(script: &str, keys: &str, links: &[String]) -> String {
    let script = serde_json::to_string(script).expect("text");
    let links = if links.is_empty() { String::new() } else { format!("expect:\n{}", links.concat()) };
    format!("experiment: e\ntechnique: shell.wasm\nshield: open\nwith: {{ script: {script} }}\n{keys}{links}")
}

#[track_caller]
fn run(bench: &Bench, text: &str, code: i32) -> Value {
    bench.write("e.yaml", text);
    let done = bench.foil(&["run", "e.yaml", "--format", "json"]);
    assert_eq!(done.code, Some(code), "{done:#?}");
    bench.is_clean();
    done.report()
}

fn verdicts(report: &Value) -> Vec<String> {
    let links = report["links"].as_array().expect("links");
    let verdict = |link: &Value| link["verdict"].as_str().unwrap_or_default().to_owned();
    std::iter::once(report["verdict"].as_str().unwrap_or_default().to_owned())
        .chain(links.iter().map(verdict))
        .collect()
}

#[test]
fn pass_and_fail_name_the_first_broken_link() {
    let bench = bench();
    let both = [link("telemetry", "a", ""), link("detection", "b", "")];
    let script = format!("{}; {}", alert(&bench, "a", "Warning"), alert(&bench, "b", "Warning"));
    let report = run(&bench, &experiment(&script, "", &both), 0);
    assert_eq!(verdicts(&report), ["pass", "seen", "seen"], "{report:#}");
    assert_eq!(report["links"][0]["evidence"][0]["attribution"], "marker");

    let report = run(&bench, &experiment(&alert(&bench, "a", "Warning"), "", &both), 1);
    assert_eq!(verdicts(&report), ["fail", "seen", "missed"]);
    assert!(report["reason"].as_str().is_some_and(|why| why.contains("first broken link is detection")));

    // What is seen behind a miss contradicts it.
    let report = run(&bench, &experiment(&alert(&bench, "b", "Warning"), "", &both), 1);
    assert_eq!(verdicts(&report), ["fail", "missed", "seen"]);
    assert_eq!(
        (&report["links"][0]["contradicted"], &report["links"][1]["contradicted"]),
        (&true.into(), &false.into())
    );
}

#[test]
fn somebody_elses_alert_is_nobodys_proof() {
    let bench = bench();
    // Another run's mark, and a process that is not the run's.
    let mine = alert(&bench, "a", "Warning");
    let other = mine.replace("$FOIL_RUN_ID", "01m80h0000000000000000000z");
    let process = other.replace(r#""proc.env[FOIL_RUN_ID]":"%s""#, r#""proc.pid":1,"x":"%s""#);
    let report = run(&bench, &experiment(&process, "", &[link("telemetry", "a", "")]), 1);
    assert_eq!(verdicts(&report), ["fail", "missed"], "{report:#}");
}

#[test]
fn late_and_weak() {
    let bench = bench();
    let script = format!("sleep 0.8; {}", alert(&bench, "a", "Warning"));
    let report = run(&bench, &experiment(&script, "", &[link("detection", "a", "")]), 1);
    assert_eq!(verdicts(&report), ["fail", "late"], "{report:#}");

    let heavy = [link("detection", "a", ", min-severity: high")];
    let report = run(&bench, &experiment(&alert(&bench, "a", "Notice"), "", &heavy), 1);
    assert_eq!(verdicts(&report), ["fail", "weak"], "{report:#}");
    assert!(report["links"][0]["reason"].as_str().is_some_and(|why| why.contains("Notice") && why.contains("high")));
    let both = format!("{}; {}", alert(&bench, "a", "Notice"), alert(&bench, "a", "Critical"));
    assert_eq!(verdicts(&run(&bench, &experiment(&both, "", &heavy), 0)), ["pass", "seen"]);
}

#[test]
fn a_pass_at_a_later_attempt_is_flaky() {
    let bench = bench();
    let mark = bench.path("tmp/tried");
    let script = format!("if [ -e {0} ]; then {1}; else : > {0}; fi", mark.display(), alert(&bench, "a", "Warning"));
    let text = experiment(&script, "attempts: 3\n", &[link("detection", "a", "")]);
    bench.write("e.yaml", &text);
    let done = bench.foil(&["run", "e.yaml", "--format", "json"]);
    let report = done.says(0, &[]).report();
    assert_eq!(verdicts(&report), ["flaky", "seen"]);
    let earlier = report["earlier"].as_array().expect("attempts");
    assert_eq!((earlier.len(), &earlier[0]["verdict"]), (1, &"fail".into()));
    assert_ne!(earlier[0]["run"], report["run"]);
    std::fs::remove_file(mark).expect("the script's own");
}

#[test]
fn the_benign_twin_must_raise_nothing() {
    let bench = bench();
    let links = [link("telemetry", "a", ""), link("detection", "a", "")];
    let quiet = format!("control: {{ with: {{ script: {} }} }}\n", serde_json::to_string("true").expect("text"));
    let report = run(&bench, &experiment(&alert(&bench, "a", "Warning"), &quiet, &links), 0);
    assert_eq!(verdicts(&report), ["pass", "seen", "seen"]);
    assert_eq!(verdicts(&report["control"]), ["pass", "missed"], "telemetry is not asked of the twin");

    // The script takes no notice of `dry`, so that the twin does the same.
    let report = run(&bench, &experiment(&alert(&bench, "a", "Warning"), "control: {}\n", &links), 1);
    assert_eq!(verdicts(&report), ["fail", "seen", "noisy"], "{report:#}");
    assert_eq!(report["control"]["verdict"], "fail");

    let text = experiment("true", "control: {}\n", &links[..1]);
    bench.write("e.yaml", &text);
    bench.foil(&["run", "e.yaml"]).says(2, &["e.yaml", "`control`", "telemetry"]);
}

#[test]
fn what_could_not_be_looked_at_is_unknown() {
    let bench = bench();
    let log = bench.path("falco.jsonl");
    let report = run(&bench, &experiment(&format!(": > {}", log.display()), "", &[link("detection", "a", "")]), 1);
    assert_eq!(verdicts(&report), ["fail", "missed"], "an empty log that was emptied lost nothing");
    bench.write("falco.jsonl", &"{}\n".repeat(1000));
    let script = format!("{}; : > {}", alert(&bench, "a", "Warning"), log.display());
    let text = experiment(&script, "", &[link("detection", "a", "")]);
    let verdict = verdicts(&run_any(&bench, &text));
    // Either it was read before it was cut, or it is known that something may have been lost. Never `missed`.
    assert!(verdict[1] == "seen" || verdict[1] == "unknown", "{verdict:?}");
}

fn run_any(bench: &Bench, text: &str) -> Value {
    bench.write("e.yaml", text);
    bench.foil(&["run", "e.yaml", "--format", "json"]).report()
}

#[test]
fn outcome_says_what_is_to_happen() {
    let bench = bench();
    let report = run(&bench, &experiment("true", "outcome: prevented\n", &[]), 1);
    assert!(report["reason"].as_str().is_some_and(|why| why.contains("nothing prevented")));
}

#[test]
fn a_campaign_hands_on_what_it_finds_and_undoes_at_its_end() {
    let bench = bench();
    let held = bench.path("tmp");
    let list = format!("ls {}", held.display());
    let text = format!(
        "campaign: c\nsteps:\n  - step: first\n    experiment: {{ technique: shell.wasm, shield: open, with: {{ script: 'echo found-it' }} }}\n  \
         - step: second\n    experiment: {{ technique: shell.wasm, shield: open, with: {{ script: 'echo {{first.stdout}} again; {list}' }} }}\n"
    );
    bench.write("c.yaml", &text);
    let reports = bench.foil(&["run", "c.yaml", "--format", "json"]).says(0, &[]).json();
    let second = reports[1]["facts"]["stdout"].as_str().expect("words");
    assert!(second.contains("found-it again"), "{second}");
    // The first step's scratch folder is there until the campaign is over.
    assert!(second.contains(&format!("foil-{}", reports[0]["run"].as_str().expect("an id"))), "{second}");
    assert_eq!(reports[1]["campaign"]["step"], "second");
    bench.is_clean();

    bench.write("c.yaml", &text.replace("first.stdout", "first.nothing"));
    let reports = bench.foil(&["run", "c.yaml", "--format", "json"]).says(3, &[]).json();
    assert!(reports[1]["reason"].as_str().is_some_and(|why| why.contains("gave no `nothing`; it gave stdout")));

    bench.write("c.yaml", &text.replace("echo found-it", "exit 3"));
    let reports = bench.foil(&["run", "c.yaml", "--format", "json"]).says(5, &[]).json();
    assert!(reports[1]["reason"].as_str().is_some_and(|why| why.contains("the step `first` did not do its part")));
}

#[test]
fn steps_at_once_are_at_once() {
    let bench = bench();
    // Each waits until the other is there: one after the other, neither would end.
    let (a, b) = (bench.path("tmp/a"), bench.path("tmp/b"));
    let step = |mine: &std::path::Path, other: &std::path::Path| {
        format!(
            ": > {}; for i in $(seq 100); do [ -e {} ] && exit 0; sleep 0.1; done; exit 1",
            mine.display(),
            other.display()
        )
    };
    let one = |name: &str, script: String| {
        format!(
            "  - step: {name}\n    experiment: {{ technique: shell.wasm, shield: open, with: {{ script: '{script}' }} }}\n"
        )
    };
    let steps = [one("a", step(&a, &b)), one("b", step(&b, &a))].concat();
    bench.write("foil.yaml", "environment: e2e\nshield: [open]\nparallel: 2\n");
    bench.write("c.yaml", &format!("campaign: c\nhypothesis: Both.\norder: at-once\nsteps:\n{steps}"));
    let reports = bench.foil(&["run", "c.yaml", "--format", "json"]).says(0, &[]).json();
    assert_eq!((&reports[0]["hypothesis"], &reports[1]["campaign"]["step"]), (&"Both.".into(), &"b".into()));
    [a, b].iter().for_each(|mark| std::fs::remove_file(mark).expect("the step's own"));
    bench.is_clean();
}

#[test]
fn hours_and_blackouts_hold() {
    let bench = bench();
    bench.write("e.yaml", &experiment("true", "", &[]));
    let shields = "environment: e2e\nshield: [open]\n";
    for (keys, code, word) in [
        ("blackout: [{ from: 2020-01-01T00:00:00Z, to: 2100-01-01T00:00:00Z, reason: freeze }]", 3, "freeze"),
        ("blackout: [{ from: 2020-01-01T00:00:00Z, to: 2020-01-02T00:00:00Z }]", 0, "pass"),
        ("hours: [{ from: '00:00', to: '00:00' }]", 3, "`hours`"),
        ("hours: [{ from: '00:00', to: '23:59:59.999' }]", 0, "pass"),
    ] {
        bench.write("foil.yaml", &format!("{shields}{keys}\n"));
        bench.foil(&["run", "e.yaml"]).says(code, &[word]);
    }
    for (keys, word) in [
        ("hours: [{ from: '9', to: '10:00' }]", "3:"),
        ("hours: [{ from: '09:00', to: '10:00', zone: Mars/X }]", "Mars/X"),
    ] {
        bench.write("foil.yaml", &format!("{shields}{keys}\n"));
        bench.foil(&["run", "e.yaml"]).says(2, &["foil.yaml:3:", word]);
    }
}

#[test]
fn a_pushed_alert_settles_its_link_and_nobody_elses() {
    let bench = bench();
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let environment = format!(
        "environment: e2e\nshield: [open]\nparallel: 2\ninbox: {{ listen: '127.0.0.1:{port}', senders: {{ falco: {{ canary: {{ make: none }} }} }} }}\n"
    );
    bench.write("foil.yaml", &environment);
    let body = r#"{\"rule\":\"Pushed\",\"priority\":\"Warning\",\"output\":\"o\",\"output_fields\":{\"proc.env[FOIL_RUN_ID]\":\"$FOIL_RUN_ID\"}}"#;
    let push = format!(
        r#"body="{body}"; bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}; printf "POST /falco HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %s\r\nConnection: close\r\n\r\n%s" "${{#1}}" "$1" >&3; cat <&3' - "$body""#
    );
    let link = "expect: [{ link: detection, check: falco.alert, with: { rule: Pushed }, within: 5s, grace: 1ms }]\n";
    let experiment = |name: &str, script: &str| {
        let script = serde_json::to_string(script).expect("text");
        format!("experiment: {name}\ntechnique: shell.wasm\nshield: open\nwith: {{ script: {script} }}\n{link}")
    };
    bench.write("pushes.yaml", &experiment("pushes", &push));
    bench.write("silent.yaml", &experiment("silent", "sleep 1").replace("within: 5s", "within: 2s"));
    let reports = bench.foil(&["run", "pushes.yaml", "silent.yaml", "--format", "json"]).says(1, &[]).json();
    assert_eq!(verdicts(&reports[0]), ["pass", "seen"], "{reports:#}");
    assert_eq!(reports[0]["links"][0]["evidence"][0]["attribution"], "marker");
    assert_eq!(verdicts(&reports[1]), ["fail", "missed"], "another run's alert is not its own: {reports:#}");
    // The port is free again.
    assert!(std::net::TcpListener::bind(("127.0.0.1", port)).is_ok());
    bench.is_clean();
}

/// That nobody could look at what a step raised is no reason not to go on with the attack.
#[test]
fn a_step_that_nobody_could_watch_does_not_end_the_campaign() {
    let bench = bench();
    bench.write(
        "foil.yaml",
        "environment: e2e\nshield: [open]\nfiles: { none: { path: none.json, canary: { make: none } } }\n",
    );
    let expect = "expect: [{ link: detection, check: falco.alert, with: { rule: x, collector: file.none }, within: 50ms, grace: 10ms }]";
    bench.write(
        "c.yaml",
        &format!(
            "campaign: c\nsteps:\n  - step: first\n    experiment: {{ technique: shell.wasm, shield: open, with: {{ script: 'echo one' }}, {expect} }}\n  \
             - step: second\n    experiment: {{ technique: shell.wasm, shield: open, with: {{ script: 'echo {{first.stdout}} two' }} }}\n"
        ),
    );
    let reports = bench.foil(&["run", "c.yaml", "--format", "json"]).says(3, &[]).json();
    assert_eq!(
        (&reports[0]["verdict"], &reports[1]["verdict"]),
        (&"inconclusive".into(), &"pass".into()),
        "{reports:#}"
    );
    assert!(reports[1]["facts"]["stdout"].as_str().is_some_and(|said| said.contains("one two")), "{reports:#}");
}
