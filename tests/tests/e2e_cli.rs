//! The command line, with bad input: the exit code is 2, the sentence says what and where, and nothing was touched.

use foil_tests::e2e::{Bench, Done, is_root};

/// `foil` refuses: usage or configuration, one sentence on standard error, nothing on standard output.
#[track_caller]
fn refused(done: &Done, texts: &[&str]) {
    done.says(2, texts);
    assert!(done.out.is_empty() && !done.err.contains("panicked"), "{done:#?}");
}

const GOOD: &str = "experiment: e
technique: linux.system-info
expect:
  - link: telemetry
    check: linux.audit-event
    with: { event: execve }
    within: 1s
";

#[test]
fn a_mistake_in_an_experiment_is_named_by_file_line_and_column() {
    let bench = Bench::new();
    let cases = [
        (GOOD.replace("technique:", "tecnique:"), 2, 1, "tecnique"),
        (format!("{GOOD}experiment: again\n"), 8, 1, "experiment"),
        (GOOD.replace("experiment: e", "experiment: [e]"), 1, 13, ""),
        (GOOD.replace("within: 1s", "within: soon"), 7, 13, "soon"),
        (GOOD.replace("link: telemetry", "link: vibes"), 4, 11, "vibes"),
        (GOOD.replace("{ event: execve }", "{ event: execve"), 7, 0, ""),
        (GOOD.replace("with: { event: execve }", "with: 1"), 6, 11, ""),
        (GOOD.replace("    within: 1s\n", ""), 6, 0, "within"),
        (format!("{GOOD}audit: {{ own-rules: {{ sycalls: [execve] }} }}\n"), 8, 0, "sycalls"),
        (format!("{GOOD}shield: strong\n"), 8, 9, "strong"),
    ];
    for (text, line, column, word) in cases {
        bench.write("bad.yaml", &text);
        for command in ["run", "plan"] {
            let done = bench.foil(&[command, "bad.yaml"]);
            refused(&done, &["bad.yaml", word]);
            let column = if column == 0 { String::new() } else { column.to_string() };
            let (long, short) = (format!("line {line} column {column}"), format!("bad.yaml:{line}:{column}"));
            assert!(done.err.contains(&long) || done.err.contains(&short), "{short} is not named: {done:#?}");
        }
    }
    assert!(!bench.path("state").exists());
}

#[test]
fn a_wrong_value_names_experiment_module_and_parameter() {
    let bench = Bench::new();
    let cases = [
        (GOOD.replace("linux.system-info", "linux.sytem-info"), vec!["linux.sytem-info", "linux.system-info"]),
        (GOOD.replace("linux.audit-event", "linux.audit-evnt"), vec!["linux.audit-evnt", "linux.audit-event"]),
        (GOOD.replace("linux.system-info", "linux.audit-event"), vec!["`linux.audit-event` is a check", "technique"]),
        (GOOD.replace("linux.audit-event", "linux.system-info"), vec!["`linux.system-info` is a technique", "check"]),
        (GOOD.replace("event: execve", "evnt: execve"), vec!["no parameter `evnt`", "event"]),
        (GOOD.replace("event: execve", "success: maybe"), vec!["`success`", "true or false"]),
        (GOOD.replace("event: execve", "collector: elsewhere"), vec!["`collector`", "foil.observed"]),
        (format!("{GOOD}with: {{ x: 1 }}\n"), vec!["linux.system-info has no parameter `x`"]),
        (format!("{GOOD}shield: open\n"), vec!["open"]),
        (
            format!("{GOOD}audit: {{ own-rules: {{ syscalls: [execve] }} }}\n"),
            vec!["own-audit-rules: true", "foil.yaml"],
        ),
        (GOOD.replace("experiment: e", "experiment: a/b"), vec!["the name `a/b`", "1:13"]),
    ];
    for (text, mut words) in cases {
        bench.write("bad.yaml", &text);
        words.push("bad.yaml");
        refused(&bench.foil(&["plan", "bad.yaml"]), &words);
        refused(&bench.foil(&["run", "bad.yaml"]), &words);
    }
    // A mistake in the last file half-runs nothing.
    bench.write("good.yaml", GOOD);
    refused(&bench.foil(&["run", "good.yaml", "bad.yaml"]), &["bad.yaml"]);
    assert!(!bench.path("state").exists());
}

#[test]
fn parameters_of_the_command_line() {
    let bench = Bench::new();
    bench.grant_shell();
    let fire = |with: &[&str]| bench.foil(&[&["fire", "--modules", "."], with].concat());
    refused(&fire(&["linux.file-delete", "--with", "x=1"]), &["no parameter `x`", "method"]);
    refused(&fire(&["linux.file-delete", "--with", "method=burn"]), &["burn", "shred"]);
    refused(&fire(&["linux.file-delete", "--with", "method"]), &["name=value"]);
    refused(&fire(&["linux.file-delete", "--with", "method=rm", "--with", "method=rm"]), &["twice"]);
    refused(&fire(&["linux.e2e-shell"]), &["needs the parameter `script`", "What `sh -c` runs"]);
    refused(&fire(&["linux.audit-event"]), &["is a check"]);
    refused(&fire(&["linux.file-delete", "--shield", "strong"]), &["strong", "confined"]);
    refused(&fire(&["linux.fil-delete"]), &["linux.fil-delete", "linux.file-delete"]);
    assert!(!bench.path("state").exists());
}

#[test]
fn usage() {
    let bench = Bench::new();
    for (arguments, text) in [
        (&[][..], "Usage"),
        (&["frie"], "fire"),
        (&["fire"], "TECHNIQUE"),
        (&["run"], "FILE"),
        (&["run", "x.yaml", "--parallel", "0"], "--parallel"),
        (&["list", "--attack", "T1"], "T1"),
        (&["list", "--kind", "toy"], "toy"),
        (&["list", "--format", "xml"], "xml"),
        (&["show"], "ID"),
        (&["grant"], "MODULE"),
        (&["grant", "linux.system-info"], "--reason"),
        (&["journal", "prune", "--older-than", "yesterday"], "yesterday"),
        (&["cleanup", "--forget", "x"], "no run id"),
        (&["cleanup", "--forget", "01m80am56d6vmt8gs94b7t2gdc"], "01m80am56d6vmt8gs94b7t2gdc"),
        (&["journal", "effects", "01m80am56d6vmt8gs94b7t2gdc"], "01m80am56d6vmt8gs94b7t2gdc"),
        (&["abort", "--wait=-1"], "--wait"),
        (&["run", "missing.yaml"], "missing.yaml"),
        (&["plan", "missing.yaml"], "missing.yaml"),
        (&["build", "missing"], "missing"),
        (&["show", "missing.wasm"], "missing.wasm"),
        (&["list", "--modules", "missing"], "missing"),
        (&["fire", "linux.system-info", "--grants", "missing.toml"], "missing.toml"),
        (&["fire", "linux.system-info", "--environment", "missing.yaml"], "missing.yaml"),
        (&["show", "linux.sytem-info"], "linux.system-info"),
        (&["review", "linux.sytem-info"], "linux.system-info"),
        (&["grant", "linux.sytem-info", "--reason", "x", "--yes"], "linux.system-info"),
        (&["revoke", "linux.sytem-info", "--reason", "x"], "linux.system-info"),
        (&["new", "technique", "Linux.Bad Id"], "Linux.Bad Id"),
    ] {
        let done = bench.foil(arguments);
        done.says(2, &[text]);
        assert!(!done.err.contains("panicked") && !done.err.is_empty(), "{done:#?}");
    }
    for arguments in [&["--help"][..], &["--version"], &["fire", "--help"], &["journal", "--help"]] {
        bench.foil(arguments).says(0, &["foil"]);
    }
}

#[test]
fn grants_that_do_not_hold() {
    let bench = Bench::bare(None);
    let fire = || bench.foil(&["fire", "linux.system-info"]);
    let grant = |more: &[&str]| {
        let base = ["grant", "linux.system-info", "--reason", "e2e", "--reviewer", "e2e", "--yes"];
        bench.foil(&[&base, more].concat())
    };
    refused(&fire(), &["linux.system-info", "not granted", "foil review", "foil grant"]);
    refused(&grant(&["--expires", "2020-01-01"]), &["2020-01-01"]);
    refused(&grant(&["--narrow", "exec.allow=/bin/rm -rf /"]), &["/bin/rm"]);
    refused(&grant(&["--only", "files-write"]), &["files-write"]);
    refused(&grant(&["--shield", "open"]), &["open"]);
    let hidden = ["grant", "linux.system-info", "--reviewer", "e2e", "--yes", "--reason"];
    refused(&bench.foil(&[&hidden[..], &["go\u{200b}od"]].concat()), &["--reason", "U+200B"]);
    assert!(!bench.path("grants.toml").exists());

    grant(&["--expires", "1d"]).says(0, &["until"]);
    fire().says(0, &["pass"]);
    let text = std::fs::read_to_string(bench.path("grants.toml")).expect("readable");
    let old: Vec<String> = text
        .lines()
        .map(|line| if line.starts_with("expires") { "expires = 2026-01-02".to_owned() } else { line.to_owned() })
        .map(|line| if line.starts_with("granted") { "granted = 2026-01-01".to_owned() } else { line })
        .collect();
    bench.write("grants.toml", &old.join("\n"));
    refused(&fire(), &["linux.system-info", "expired", "2026-01-02"]);
    bench.foil(&["review", "linux.system-info"]).says(0, &["expired"]);

    grant(&[]).says(0, &[]);
    fire().says(0, &["pass"]);
    bench.foil(&["revoke", "linux.system-info", "--reason", "too loud", "--reviewer", "ann"]).says(0, &["revoked"]);
    refused(&fire(), &["linux.system-info", "revoked", "too loud", "ann"]);
    refused(&bench.foil(&["revoke", "linux.system-info", "--reason", "x", "--reviewer", "ann"]), &["no grant"]);

    // Narrowed: it loads, and the call that is not granted is denied. Nothing else happens.
    grant(&["--narrow", "exec.allow=/bin/uname -a"]).says(0, &[]);
    fire().says(3, &["inconclusive", "denied", "/bin/cat", "the grant"]);
}

#[test]
fn a_mistake_in_the_files_that_decide_names_file_line_and_column() {
    let bench = Bench::new();
    let good = std::fs::read_to_string(bench.path("grants.toml")).expect("readable");
    let lines = good.lines().count();
    for (text, at, word) in [
        (format!("{good}\n[[grant]]\nmodul = 'x.y'\n"), format!("{}:1", lines + 3), "modul"),
        (format!("{good}\n[[grant]\n"), format!("{}:", lines + 2), ""),
        (good.replacen("reviewer =", "reviewr =", 1), String::new(), "reviewr"),
    ] {
        bench.write("grants.toml", &text);
        let at = format!("grants.toml:{at}");
        refused(&bench.foil(&["fire", "linux.system-info"]), &[&at, word]);
        refused(&bench.foil(&["review", "linux.system-info"]), &[&at, word]);
    }
    bench.write("grants.toml", &good);
    for (text, at, word) in [
        ("environment: e\nimpakt: none\n", "2:1", "impakt"),
        ("environment: e\nparallel: 0\n", "2:11", "parallel"),
        ("environment: e\nenvironment: f\n", "2:1", "environment"),
        ("environment: e\nshield: confined\n", "2:9", ""),
        ("parallel: 1\n", "1:1", "environment"),
        ("environment: e\nlimits: { wall-ms: -1 }\n", "2:", "a whole number from 0"),
        (
            "environment: e\ndefault:\n  audit: { own-rules: { syscalls: [execve, execv] } }\n",
            "3:44",
            "do you mean `execve`?",
        ),
        ("environment: e\ndefault: { audit: { own-rules: { uid: root } } }\n", "2:39", "a whole number from 0"),
    ] {
        bench.write("foil.yaml", text);
        refused(&bench.foil(&["fire", "linux.system-info"]), &[&format!("foil.yaml:{at}"), word]);
    }
    // Root obeys only what nobody else can write.
    bench.write("foil.yaml", "environment: e\n");
    bench.foil(&["fire", "linux.system-info"]).says(0, &["pass"]);
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    std::fs::set_permissions(bench.path("foil.yaml"), open).expect("ours");
    refused(&bench.foil(&["fire", "linux.system-info"]), &["foil.yaml", "chmod"]);
}

#[test]
fn limits_of_children_are_the_environments() {
    let bench = Bench::bare(None);
    bench.grant_shell();
    let fire = |limits: &str, shield: &str, script: &str| {
        bench.write("foil.yaml", &format!("environment: e2e\nshield: [confined, overlay]\nlimits: {{ {limits} }}\n"));
        let script = format!("script={script}");
        let fire = ["fire", "shell.wasm", "--shield", shield, "--with", &script, "--format", "json"];
        bench.foil(&fire).report()
    };
    let write = "head -c 5000 /dev/zero > $FOIL_SCRATCH/x; stat -c %s $FOIL_SCRATCH/x";
    assert_eq!(fire("child-file: 10000", "confined", write)["facts"]["stdout"], "5000");
    assert_eq!(fire("child-file: 4096", "confined", write)["facts"]["stdout"], "4096");
    let memory = "ulimit -v";
    assert_eq!(fire("child-memory: 268435456", "confined", memory)["facts"]["stdout"], "262144");
    if is_root() {
        let fill = "head -c 5000000 /dev/zero > /var/tmp/foil-e2e-full; stat -c %s /var/tmp/foil-e2e-full";
        assert_eq!(fire("overlay: 8388608", "overlay", fill)["facts"]["stdout"], "5000000");
        let cut = fire("overlay: 1048576", "overlay", fill)["facts"]["stdout"].as_str().map(str::parse::<u64>);
        assert!(matches!(cut, Some(Ok(0..=1048576))), "{cut:?}");
    }
}

#[test]
fn guardrails_of_the_environment_hold() {
    let bench = Bench::new();
    for (text, id, words) in [
        ("hosts: [{ name: no-such-host }]", "linux.system-info", ["no-such-host", "e2e"]),
        ("hosts: [{ machine-id: '00000000000000000000000000000000' }]", "linux.system-info", ["host", "e2e"]),
        ("impact: read-only", "linux.dev-shm-exec", ["reversible", "read-only"]),
        ("shield: [open]", "linux.system-info", ["the environment allows `open`", "`confined`"]),
        ("capabilities: []", "linux.system-info", ["`exec`", "the environment `e2e`"]),
        ("run-as: no-such-user-here", "linux.system-info", ["no-such-user-here", "run-as"]),
    ] {
        // Nobody but root can run as somebody else, so that it is nobody else's business who that is.
        if text.starts_with("run-as") && !is_root() {
            continue;
        }
        bench.write("foil.yaml", &format!("environment: e2e\n{text}\n"));
        let done = bench.foil(&["fire", id]);
        refused(&done, &words);
        bench.write("x.yaml", &format!("experiment: x\ntechnique: {id}\n"));
        refused(&bench.foil(&["run", "x.yaml"]), &words);
        refused(&bench.foil(&["plan", "x.yaml"]), &words);
        assert!(!bench.path("state").exists(), "{text}");
    }
}
