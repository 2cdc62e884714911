//! Experiment files: where a mistake is, what they bring along, and what they are calibrated by.

use foil_tests::e2e::Bench;

fn bench() -> Bench {
    let bench = Bench::new();
    bench.grant_shell();
    bench.write("foil.yaml", "environment: e2e\nshield: [open]\nfiles: { falco: { path: falco.jsonl } }\n");
    bench.write("falco.jsonl", "");
    bench
}

#[test]
fn a_mistake_is_placed_wherever_it_shows() {
    let bench = bench();
    bench.write("rule.yml", RULE);
    bench.write("other.yml", &RULE.replace("service: falco", "service: sshd").replace("A shell", "A login"));
    let expect = "expect:\n  - link: rule\n    check: sigma.match\n    within: 1s\n    with: { rule: A shell }\n";
    let good =
        format!("experiment: e\ntechnique: shell.wasm\nrules: [rule.yml, other.yml]\nwith: {{ script: '' }}\n{expect}");
    bench.write("good.yaml", &good);
    let campaign = "campaign: c\nsteps:\n  - step: one\n    file: good.yaml\n  - step: two\n    file: NEXT\n";
    let inline = "campaign: c\nsteps:\n  - step: one\n    experiment:\n      technique: shell.wasm\n      with: {  scrip: '' }\n";
    for (text, place, word) in [
        (good.replace("shell.wasm", "shel.wasm"), ":2:12:", "shel.wasm"),
        (good.replace("script: ''", "script: 3"), ":4:17:", "string"),
        (good.replace("script: ''", "scrip: ''"), ":4:16:", "scrip"),
        (good.replace("{ script: '' }", "{}"), ":4:7:", "script"),
        (good.replace("sigma.match", "sigma.mach"), ":7:12:", "sigma.mach"),
        (good.replace("rule: A shell", "rle: A shell"), ":9:18:", "rle"),
        (good.replace("rule: A shell", "rule: An egg"), ":9:19:", "none of the 2"),
        (good.replace("rule: A shell", "rule: A login"), ":9:19:", "no collector here has"),
        (good.replace("[rule.yml,", "[rul.yml,"), ":3:9:", "rul.yml"),
        (format!("{good}control: {{ with: {{ dry: 3 }} }}\n"), ":10:10:", "dry"),
        (inline.to_owned(), ":6:23:", "step `one`"),
        (campaign.replace("NEXT", "missing.yaml"), ":6:11:", "missing.yaml"),
        (campaign.replace("NEXT", "good.yaml\n    with: { scrip: x }"), ":7:20:", "step `two`"),
        (campaign.replace("NEXT", "bad.yaml"), ":6:11:", "bad.yaml:2:12: cannot read"),
    ] {
        bench.write("bad.yaml", &good.replace("shell.wasm", "shel.wasm"));
        bench.write("e.yaml", &text);
        let done = bench.foil(&["plan", "e.yaml"]);
        done.says(2, &[&format!("e.yaml{place}"), word]);
    }
    bench.foil(&["plan", "good.yaml"]).says(0, &["expects    rule by sigma.match"]);
}

const RULE: &str = "title: A shell
logsource: { product: linux, service: falco }
detection:
  selection: { rule: a }
  condition: selection
level: high
";

#[test]
fn an_experiment_brings_its_own_rules() {
    let bench = bench();
    std::fs::create_dir(bench.path("rules")).expect("a folder");
    bench.write("rules/a.yml", RULE);
    let log = bench.path("falco.jsonl");
    let alert = format!(r#"echo "{{\"rule\":\"a\",\"proc.env\":\"$FOIL_RUN_ID\"}}" >> {}"#, log.display());
    let experiment = format!(
        "experiment: e\ntechnique: shell.wasm\nrules: [rules]\nwith: {{ script: {} }}\nexpect:\n  - {{ link: rule, check: \
         sigma.match, with: {{ rule: A * }}, within: 2s }}\n",
        serde_json::to_string(&alert).expect("text")
    );
    bench.write("e.yaml", &experiment);
    bench.foil(&["run", "e.yaml"]).says(0, &["rule  seen"]);
    bench.write("rules/a.yml", &RULE.replace("rule: a", "rule: b"));
    bench.foil(&["run", "e.yaml"]).says(1, &["rule  missed"]);
    bench.is_clean();
}

/// What its feed cannot tell for the moment, a rule cannot either: no file yet, or half a line.
#[test]
fn a_rule_over_a_log_that_says_nothing_yet_is_unknown() {
    let bench = bench();
    bench.write("rule.yml", RULE);
    let log = bench.path("falco.jsonl");
    let experiment = |script: &str| {
        format!(
            "experiment: e\ntechnique: shell.wasm\nrules: [rule.yml]\nwith: {{ script: {} }}\nexpect:\n  - {{ link: rule, check: \
             sigma.match, with: {{ rule: A * }}, within: 300ms, grace: 10ms }}\n",
            serde_json::to_string(script).expect("text")
        )
    };
    let half = format!("printf '{{\"rule\":\"a\",' >> {}", log.display());
    bench.write("e.yaml", &experiment(&half));
    bench.foil(&["run", "e.yaml"]).says(3, &["rule  unknown", "has no end yet"]);
    std::fs::remove_file(&log).expect("there");
    bench.write("e.yaml", &experiment("true"));
    bench.foil(&["run", "e.yaml"]).says(3, &["rule  unknown", "does not exist"]);
    bench.is_clean();
}

#[test]
fn what_another_log_lost_says_nothing_of_a_rule_that_looks_at_this_one() {
    let bench = bench();
    std::fs::create_dir(bench.path("rules")).expect("a folder");
    bench.write(
        "foil.yaml",
        "environment: e2e\nshield: [open]\nfiles: { falco: { path: falco.jsonl }, app: { path: app.jsonl } }\n",
    );
    bench.write("app.jsonl", "");
    bench.write("rules/falco.yml", &RULE.replace("level: high", "tags: [attack.t1059.004]"));
    let other = RULE.replace("A shell", "B shell").replace("service: falco", "service: app");
    bench.write("rules/app.yml", &other.replace("level: high", "tags: [attack.t1027]"));
    let script = serde_json::to_string(&format!("echo broken >> {}", bench.path("app.jsonl").display())).expect("text");
    for (wanted, code, word) in [
        ("rule: A *", 1, "missed"),
        ("tag: attack.t1059", 1, "missed"),
        ("rule: B *", 3, "not JSON"),
        ("tag: attack.t1027", 3, "not JSON"),
        ("level: low", 3, "not JSON"),
    ] {
        let experiment = format!(
            "experiment: e\ntechnique: shell.wasm\nrules: [rules]\nwith: {{ script: {script} }}\nexpect:\n  - {{ link: rule, \
             check: sigma.match, with: {{ {wanted} }}, within: 300ms, grace: 10ms }}\n"
        );
        bench.write("e.yaml", &experiment);
        bench.foil(&["run", "e.yaml"]).says(code, &[word]);
    }
    bench.is_clean();
}

#[test]
fn calibration_says_which_shield_the_sensors_see_through() {
    let bench = bench();
    let link = "{ link: detection, check: file.line, with: { collector: file.falco, contains: it-happened }, within: 500ms, grace: 10ms }";
    let environment =
        "environment: e2e\nshield: [open, overlay]\nfiles: { falco: { path: falco.jsonl, format: text } }\n";
    bench.write("foil.yaml", environment);
    let script = format!("echo it-happened >> {}", bench.path("falco.jsonl").display());
    bench.write(
        "e.yaml",
        &format!("experiment: e\ntechnique: shell.wasm\nwith: {{ script: '{script}' }}\nexpect: [{link}]\n"),
    );
    // What is written in an overlay never reaches the log; `confined` is not allowed here.
    let levels = bench.foil(&["calibrate", "e.yaml", "--format", "json"]).json();
    let trusted: Vec<_> = levels
        .as_array()
        .expect("levels")
        .iter()
        .map(|level| (level["shield"].as_str(), level["trusted"].as_bool()))
        .collect();
    let expected = [(Some("open"), Some(true)), (Some("overlay"), Some(false)), (Some("confined"), Some(false))];
    assert_eq!(trusted, expected, "{levels:#?}");
    assert!(levels[2]["refused"].as_str().is_some_and(|why| why.contains("e.yaml:2:12: ")), "{levels:#?}");

    // A technique by itself is held to what the environment says.
    bench.foil(&["calibrate", "linux.system-info"]).says(2, &["names no link", "foil.yaml"]);
    let observed =
        "{ link: telemetry, check: linux.audit-event, with: { event: execve, collector: foil.observed }, within: 2s }";
    bench.write("foil.yaml", &format!("environment: e2e\nshield: [confined]\ndefault: {{ expect: [{observed}] }}\n"));
    bench.foil(&["calibrate", "linux.system-info"]).says(3, &["`open` was not tried"]);
    bench.is_clean();
}

/// What a terminal obeys, and what turns the direction of writing.
const HOSTILE: [char; 6] = ['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}', '\u{2066}', '\u{2028}'];

/// Rules and checks are given a sensor's text as it was said; whoever reads a report is not.
#[test]
fn rules_see_text_as_it_was_said_and_terminals_do_not() {
    let bench = bench();
    let log = bench.path("falco.jsonl");
    let alert = r#"{"output":"x","rule":"a\u001b[2J\u202e","priority":"INFO","note":"x\tb\u2028c","lines":"sh\ncurl x","run":"RUN"}"#;
    let script = format!("printf '%s\\n' '{}' | sed \"s/RUN/$FOIL_RUN_ID/\" >> {}", alert, log.display());
    let script = serde_json::to_string(&script).expect("text");
    let sigma = |name: &str, selection: &str| {
        let text =
            RULE.replace("A shell", name).replace("selection: { rule: a }", &format!("selection: {{ {selection} }}"));
        bench.write(&format!("rules/{name}.yml"), &text);
    };
    std::fs::create_dir(bench.path("rules")).expect("a folder");
    sigma("tab", r"note|re: 'x\sb'");
    sigma("second line", "lines|re|m: '^curl'");
    sigma("escaped", "note|re: 'a.c|a8'");
    let run = |expect: &str, format: &str| {
        let text = format!(
            "experiment: e\ntechnique: shell.wasm\nrules: [rules]\nwith: {{ script: {script} }}\nexpect:\n{expect}"
        );
        bench.write("e.yaml", &text);
        bench.foil(&["run", "e.yaml", "--format", format])
    };
    let rule = |name: &str| {
        format!("  - {{ link: rule, check: sigma.match, with: {{ rule: {name} }}, within: 2s, grace: 10ms }}\n")
    };
    run(&(rule("tab") + &rule("second line")), "text").says(0, &["rule  seen"]);
    run(&rule("escaped"), "text").says(1, &["rule  missed"]);
    let by_rule = "  - { link: detection, check: falco.alert, with: { collector: file.falco, rule: 'a**' }, within: 2s, grace: 10ms }\n";
    for format in ["text", "json", "junit", "markdown", "csv", "navigator", "attire"] {
        let done = run(&(by_rule.to_owned() + &rule("tab")), format);
        done.says(0, &[]);
        let shown = done.out.clone() + &done.err;
        assert!(!shown.contains(HOSTILE), "{format}: {shown:?}");
    }
    bench.is_clean();
}

/// Which alert counts without a word on it: those about the technique, by a relative's tag or by the rule map, and the report says so.
#[test]
fn alerts_about_a_relative_of_the_technique_are_taken_and_said_to_be_so() {
    let bench = bench();
    let log = bench.path("falco.jsonl");
    // No Falco runs that would notice one.
    let silent = "environment: e2e\nshield: [open]\nfiles: { falco: { path: falco.jsonl, canary: { make: none } } }\n";
    bench.write("foil.yaml", silent);
    let with = "{ collector: file.falco }";
    let run = |rule: &str, tags: &str, with: &str, format: &str| {
        let alert =
            format!(r#"{{"output":"x","rule":"{rule}","priority":"Catastrophic","tags":[{tags}],"run":"RUN"}}"#);
        let script = format!("printf '%s\\n' '{alert}' | sed \"s/RUN/$FOIL_RUN_ID/\" >> {}", log.display());
        let script = serde_json::to_string(&script).expect("text");
        let text = format!(
            "experiment: e\ntechnique: shell.wasm\nwith: {{ script: {script} }}\nexpect:\n  - {{ link: detection, check: \
             falco.alert, with: {with}, within: 2s, grace: 10ms }}\n"
        );
        bench.write("e.yaml", &text);
        bench.foil(&["run", "e.yaml", "--format", format])
    };
    let matched = |report: serde_json::Value| report["links"][0]["evidence"][0]["facts"]["matched"].clone();
    // The fixture's technique is T1059.004.
    let done = run("Web", r#""T1059","x""#, with, "json");
    assert_eq!(matched(done.says(0, &[]).report()), "by its tag T1059, the parent of T1059.004");
    let done = run("Clear Log Activities", r#""T1070""#, "{ collector: file.falco, tag: T1685.006 }", "csv");
    done.says(0, &["\"detection: Clear Log Activities (matched by the rule map for T1685.006)\""]);
    let done = run("Web", r#""T1059.006""#, with, "navigator");
    done.says(0, &["detection seen by Web (matched by its tag T1059.006, a sibling of T1059.004)"]);
    run("Web", r#""T1555""#, with, "text").says(1, &["detection  missed"]);
    run("Web", r#""T1059""#, "{ collector: file.falco, tag: T1059.004, exact: true }", "text").says(1, &["missed"]);
    bench.is_clean();
}

/// A word for a severity that nobody knows is no reason to pass over an alert, and never enough where a least one is asked for.
#[test]
fn an_unknown_severity_is_weak_and_named() {
    let bench = bench();
    let log = bench.path("falco.jsonl");
    let alert = r#"{"output":"x","rule":"a","priority":"Catastrophic","run":"RUN"}"#;
    let script = format!("printf '%s\\n' '{alert}' | sed \"s/RUN/$FOIL_RUN_ID/\" >> {}", log.display());
    let text = format!(
        "experiment: e\ntechnique: shell.wasm\nwith: {{ script: {} }}\nexpect:\n  - {{ link: detection, check: falco.alert, with: \
         {{ collector: file.falco, rule: a, priority: warning }}, within: 1s, grace: 10ms }}\n",
        serde_json::to_string(&script).expect("text")
    );
    bench.write("e.yaml", &text);
    bench.foil(&["run", "e.yaml"]).says(0, &["detection  seen", "no priority of Falco's"]);
    bench.write("e.yaml", &text.replace("within: 1s", "min-severity: low, within: 1s"));
    bench.foil(&["run", "e.yaml"]).says(1, &["detection  weak", "Catastrophic"]);
}
