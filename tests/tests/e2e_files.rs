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
