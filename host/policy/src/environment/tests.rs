use super::*;

fn error(text: &str) -> String {
    parse(text).expect_err(text).0
}

#[test]
fn a_whole_file() {
    let environment = parse(
        "environment: staging
hosts:
  - machine-id: 0123456789ABCDEF0123456789abcdef
  - name: staging-*.example.org
impact: read-only
parallel: 4
run-as: nobody
shield: [confined]
own-audit-rules: true
limits: { wall-ms: 120000, memory: 134217728 }
capabilities:
  - name: exec
    allow: [\"/usr/bin/** ...\"]
    reads: [/etc]
    network: host
  - name: files-read
    allow: [/etc/*]
",
    )
    .expect("well-formed");
    assert_eq!(environment.hosts.as_ref().map(Vec::len), Some(2));
    assert_eq!((environment.impact, environment.parallel), (Impact::ReadOnly, 4));
    assert_eq!(environment.run_as.as_deref(), Some("nobody"));
    assert_eq!(environment.limits.wall_ms, Some(120_000));
    assert!(environment.own_audit_rules);
    let names: Vec<String> = environment.capabilities.iter().flatten().map(|c| c.name().to_string()).collect();
    assert_eq!(names, ["exec", "files-read"]);
}

#[test]
fn what_is_left_out_is_as_without_a_file() {
    let environment = parse("environment: x\n").expect("well-formed");
    assert_eq!(environment, Environment { name: "x".into(), ..Environment::default() });
    assert!(environment.admits_host(None, "any").is_ok());
}

#[test]
fn mistakes_name_line_and_column() {
    for (text, place, word) in [
        ("", "1:1: ", "end of input"),
        ("impact: reversible\n", "", "environment"),
        ("environment: x\nimpakt: reversible\n", "2:1: ", "impakt"),
        ("environment: x\nimpact: huge\n", "2:9: ", "huge"),
        ("environment: x\nenvironment: y\n", "2:1: ", "environment"),
        ("environment: x\nparallel: 0\n", "2:11: ", "parallel"),
        ("environment: x\nparallel: -1\n", "2:11: ", ""),
        ("environment: x\nown-audit-rules: yes\n", "2:18: ", ""),
        ("environment: x\nshield: []\n", "2:9: ", "shield"),
        ("environment: x\nhosts: []\n", "2:8: ", "hosts"),
        ("environment: x\nhosts:\n  - machine-id: 12\n", "3:5: ", "machine id"),
        ("environment: x\nhosts:\n  - {name: a, machine-id: b}\n", "3:5: ", "either"),
        ("environment: x\nhosts:\n  - {}\n", "3:5: ", "either"),
        ("environment: x\nhosts:\n  - name: 'a b'\n", "3:5: ", "host name"),
        ("environment: x\nlimits: {wall-ms: 999999999}\n", "2:9: ", "wall-ms"),
        ("environment: x\nlimits: {wal: 1}\n", "2:", "wal"),
        ("environment: x\nrun-as: '0 0'\n", "2:9: ", "run-as"),
        ("environment: 'a\u{202e}b'\n", "1:16: ", "U+202E"),
        ("environment: \"a\\u202eb\"\n", "1:14: ", "name"),
        ("environment: x # \u{200b}\n", "1:18: ", "U+200B"),
        ("environment: x\ncapabilities:\n  - name: exec\n    allow: []\n    reads: ['/etc/*']\n", "3:3: ", "/etc/*"),
        ("environment: x\ncapabilities:\n  - name: exec\n    allow: ['bin/id']\n", "", "bin/id"),
        ("environment: x\ncapabilities:\n  - name: exec\n    allow: []\n    alow: []\n", "", "alow"),
        ("environment: x\ncapabilities:\n  - name: shell\n", "3:", "shell"),
        ("environment: x\n---\nenvironment: y\n", "", ""),
        ("environment: [\n", "", ""),
    ] {
        let error = error(text);
        assert!(error.starts_with(place) && error.contains(word), "{text:?}: {error}");
        let (line, rest) = error.split_once(':').expect("a line");
        let (column, _) = rest.split_once(':').expect("a column");
        assert!(line.parse::<u32>().is_ok() && column.parse::<u32>().is_ok(), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn alias_bombs_and_depths_are_refused_quickly() {
    let mut bomb = "environment: x\nhosts:\n  - &a0 {name: lol}\n".to_owned();
    for i in 1..30 {
        bomb.push_str(&format!("  - &a{i} [*a{0}, *a{0}, *a{0}, *a{0}, *a{0}]\n", i - 1));
    }
    error(&bomb);
    error(&format!("environment: {}", "[".repeat(100_000)));
    error(&"#\n".repeat(MAX_FILE));
}

#[test]
fn hosts_are_known_by_id_or_name() {
    let environment = parse(
        "environment: staging\nhosts:\n  - machine-id: 0123456789abcdef0123456789abcdef\n  - name: Stage-?.example.*\n",
    )
    .expect("well-formed");
    assert!(environment.admits_host(Some("0123456789ABCDEF0123456789abcdef\n"), "x").is_ok());
    assert!(environment.admits_host(None, "STAGE-1.example.org").is_ok());
    assert!(environment.admits_host(None, "stage-1.example.a/b").is_err());
    assert!(environment.admits_host(None, "").is_err());
    let refusal = environment.admits_host(None, "prod-1").unwrap_err().0;
    assert_eq!(
        refusal,
        "this host (`prod-1`, machine id unknown) is none of the hosts of the environment `staging`: it lists machine-id \
         0123456789abcdef0123456789abcdef, name `stage-?.example.*`; run Foil there, or add this host to foil.yaml"
    );
}

#[test]
fn sensors_are_named_and_what_cannot_work_is_said_at_once() {
    let environment = parse(
        "environment: x\nfiles:\n  falco: { path: falco.jsonl }\n  sudo: { path: /var/log/auth.log, format: regex, pattern: 'USER=(?<user>\\w+)' }\n\
         inbox: { listen: '127.0.0.1:2801' }\n",
    )
    .expect("well-formed");
    assert_eq!(environment.sources.files.keys().collect::<Vec<_>>(), ["falco", "sudo"]);
    for (text, says) in [
        (
            "files:\n  a: { path: x, format: regex, pattern: '(' }",
            "3:6: `files: a`: `pattern` of x is no regular expression that can be used: unclosed group",
        ),
        ("files:\n  a: { path: x, format: regex, pattern: '(\\w{1000}){1000}' }", "exceeds size limit"),
        ("files:\n  a: { path: x, format: regex }", "needs a `pattern`"),
        ("files:\n  A: { path: x }", "small letters"),
        ("inbox: { listen: '0.0.0.0:2801' }", "takes a `token-file`"),
        ("inbox: { listen: localhost }", "is no address and port"),
    ] {
        let refusal = error(&format!("environment: x\n{text}\n"));
        assert!(refusal.contains(says), "{refusal}");
    }
}
