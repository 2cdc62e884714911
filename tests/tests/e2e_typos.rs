//! A name that names nothing fires nothing: it is exit code 2, with file, line and column, whatever the command.

use foil_tests::e2e::Bench;
use std::os::unix::fs::PermissionsExt as _;

/// An experiment with one link; `with` is that link's, on line 6.
fn experiment(check: &str, with: &str) -> String {
    format!(
        "experiment: e\ntechnique: linux.system-info\nexpect:\n  - link: telemetry\n    check: {check}\n    with: {with}\n    within: 1s\n"
    )
}

fn audit(with: &str) -> String {
    experiment("linux.audit-event", with)
}

/// Both commands refuse it with these words, and nothing has run.
#[track_caller]
fn refused(bench: &Bench, file: &str, words: &[&str]) {
    for command in ["plan", "run"] {
        let done = bench.foil(&[command, file]);
        done.says(2, words);
        assert!(!bench.path("state").exists(), "{command} began a run: {done:#?}");
    }
}

fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("falco.json", "");
    bench.write("plain.log", "");
    let files = "{ falco: { path: falco.json }, auth: { path: plain.log, format: regex, pattern: '(?P<user>\\w+) (?P<cmd>.*)' } }";
    bench.write("foil.yaml", &format!("environment: e2e\nown-audit-rules: true\nfiles: {files}\n"));
    bench
}

#[test]
fn every_name_of_a_link_names_something() {
    let bench = bench();
    for (text, words) in [
        (audit("{ event: execev }"), &["e.yaml:6:20:", "`execev`", "do you mean `execve`?"][..]),
        (audit("{ event: 'unlink, unlnkat' }"), &["e.yaml:6:20:", "do you mean `unlinkat`?"]),
        (audit("{ event: syscall-9999 }"), &["e.yaml:6:20:", "`syscall-9999`"]),
        (audit("{ event: syscall-0x1 }"), &["e.yaml:6:20:", "`syscall-0x1`"]),
        (audit("{ event: EXECVE }"), &["e.yaml:6:20:", "do you mean `execve`?"]),
        (audit("{ event: user_cmnd }"), &["e.yaml:6:20:", "do you mean `user_cmd`?"]),
        (audit("{ event: unlinkat, collector: foil.observed }"), &["e.yaml:6:20:", "records `execve` only"]),
        (audit("{ event: execve, collector: linux.audt }"), &["e.yaml:6:39:", "do you mean `linux.audit`?"]),
        (audit("{ evnt: execve }"), &["e.yaml:6:19:", "do you mean `event`?"]),
        (audit("{ exe: uname }"), &["e.yaml:6:18:", "absolute path", "`**/`"]),
        (audit("{ exe: '*/uname' }"), &["e.yaml:6:18:", "`*` and `?` do not match `/`"]),
        (audit("{ argv: '' }"), &["e.yaml:6:19:", "must not be empty"]),
        (audit("{ success: true }"), &["e.yaml:6:11:", "at least one of `event`"]),
        (experiment("falco.alert", "{ rule: x, collector: inbx }"), &["e.yaml:6:33:", "do you mean `inbox`?"]),
        (experiment("falco.alert", "{ rule: x }"), &["e.yaml:6:11:", "no collector `inbox`", "foil.yaml"]),
        (experiment("falco.alert", "{ rule: x, collector: file.falko }"), &["e.yaml:6:33:", "mean `file.falco`?"]),
        (experiment("falco.alert", "{ rule: x, collector: linux.audit }"), &["e.yaml:6:33:", "may not read"]),
        (experiment("falco.alert", "{ fields: [fd.name], collector: file.falco }"), &["e.yaml:6:21:", "NAME=PATTERN"]),
        (
            experiment("falco.alert", "{ fields: fd.name=x, collector: file.falco }"),
            &["e.yaml:6:21:", "list of strings"],
        ),
        (
            experiment("falco.alert", "{ fields: ['a==b'], collector: file.falco }"),
            &["e.yaml:6:21:", "another operator"],
        ),
        (
            experiment("falco.alert", "{ fields: [], collector: file.falco }"),
            &["e.yaml:6:11:", "at least one of `rule`"],
        ),
        (
            experiment("falco.alert", "{ rule: x, priority: warnig, collector: file.falco }"),
            &["do you mean `warning`?"],
        ),
        (experiment("falco.alert", "{ tag: T1070.044, collector: file.falco }"), &["e.yaml:6:18:", "T1070.044"]),
        (
            experiment("file.line", "{ fields: [usr=x], collector: file.auth }"),
            &["e.yaml:6:21:", "do you mean `user`?"],
        ),
        (experiment("sigma.match", "{ rule: x }"), &["e.yaml:6:11:", "there is no Sigma rule"]),
        (experiment("linux.audit-evnt", "{ event: execve }"), &["e.yaml:5:12:", "do you mean `linux.audit-event`?"]),
    ] {
        bench.write("e.yaml", &text);
        refused(&bench, "e.yaml", words);
    }
}

#[test]
fn a_good_one_is_settled() {
    let bench = bench();
    for text in [
        audit("{ event: 'unlink,unlinkat', exe: '**/rm' }"),
        audit("{ event: user_cmd }"),
        audit("{ event: syscall-999 }"),
        experiment("falco.alert", "{ fields: ['fd.name = /etc/*'], tag: attack.t1070, collector: file.falco }"),
        experiment("file.line", "{ fields: ['user=root', 'line=*'], collector: file.auth }"),
        format!("{}audit: {{ own-rules: {{ syscalls: [unlink, unlinkat, execve] }} }}\n", audit("{ event: unlinkat }")),
        experiment("linux.audit-event", "{ argv: '{{not.a-step}}' }"),
    ] {
        bench.write("e.yaml", &text);
        bench.foil(&["plan", "e.yaml"]).says(0, &["linux.system-info"]);
    }
}

#[test]
fn own_rules_name_system_calls() {
    let bench = bench();
    let rules = |rules: &str| format!("{}audit: {{ own-rules: {{ {rules} }} }}\n", audit("{ event: execve }"));
    for (rules, words) in [
        (rules("syscalls: [execve, execv]"), &["e.yaml:8:42:", "`execv`", "do you mean `execve`?"][..]),
        (rules("rules: ['-a always,exit -S opnat']"), &["e.yaml:8:31:", "do you mean `openat`?"]),
        (rules("rules: ['-w /etc/shadow -p r']"), &["e.yaml:8:31:", "watches"]),
        (rules("uid: 3"), &["e.yaml:8:21:", "`uid`"]),
    ] {
        bench.write("e.yaml", &rules);
        refused(&bench, "e.yaml", words);
    }
}

#[test]
fn a_log_that_cannot_be_followed_is_told_where_it_is_named() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("folder")).expect("made");
    nix::unistd::mkfifo(&bench.path("pipe"), nix::sys::stat::Mode::S_IRWXU).expect("made");
    bench.write("link", "");
    std::fs::remove_file(bench.path("link")).expect("ours");
    std::os::unix::fs::symlink("gone/falco.json", bench.path("link")).expect("made");
    bench.write("e.yaml", &experiment("falco.alert", "{ rule: x, collector: file.falco }"));
    for path in [
        "missing/falco.json",
        "folder",
        "pipe",
        "link",
        "e.yaml/x",
        "/dev/null",
        "/proc/self/status",
        "/sys/kernel/uevent_seqnum",
    ] {
        bench.write("foil.yaml", &format!("environment: e2e\nfiles:\n  falco:\n    path: {path}\n"));
        refused(&bench, "e.yaml", &["foil.yaml:4:11:", "`files: falco`"]);
    }
    bench.write("foil.yaml", "environment: e2e\nfiles:\n  falco:\n    path: later.json\n");
    bench.foil(&["plan", "e.yaml"]).says(0, &["falco.alert"]);
    // Nobody but root reads everything.
    let nobody = Bench::of_nobody();
    nobody.write("e.yaml", &experiment("falco.alert", "{ rule: x, collector: file.falco }"));
    nobody.write("secret", "");
    std::fs::set_permissions(nobody.path("secret"), std::fs::Permissions::from_mode(0o600)).expect("ours");
    nobody.write("foil.yaml", "environment: e2e\nfiles: { falco: { path: secret } }\n");
    nobody.foil(&["plan", "e.yaml"]).says(2, &["foil.yaml:2:25:", "cannot be read"]);
}

#[test]
fn a_time_field_is_one_of_the_groups() {
    let bench = Bench::new();
    bench.write("e.yaml", &audit("{ event: execve }"));
    for source in
        ["{ path: x, format: regex, pattern: '(?P<when>.*)', time: whn }", "{ path: x, format: text, time: when }"]
    {
        bench.write("foil.yaml", &format!("environment: e2e\nfiles: {{ auth: {source} }}\n"));
        refused(&bench, "e.yaml", &["foil.yaml:2:16:", "no named group"]);
    }
}

#[test]
fn rules_that_cannot_be_read_or_never_match() {
    let bench = Bench::new();
    let rule = "title: Whoami\nid: 0d2f1c43-8a06-4a26-9e92-3d3b0d6c2f4c\nlevel: low\ntags: [attack.t1033]\n\
                logsource: { product: linux, category: process_creation }\ndetection: { a: { Image: /usr/bin/whoami }, condition: a }\n";
    bench.write("whoami.yml", rule);
    bench.write("broken.yml", "title: Broken\ndetection: {}\n");
    let with = |with: &str, rules: &str| format!("{}rules: {rules}\n", experiment("sigma.match", with));
    for (text, words) in [
        (with("{ rule: Whoami }", "[whoami.yml, gone.yml]"), &["e.yaml:8:21:", "gone.yml"][..]),
        (with("{ rule: Whoami }", "[whoami.yml, broken.yml]"), &["e.yaml:8:21:", "broken.yml"]),
        (with("{ rule: Whoamy }", "[whoami.yml]"), &["e.yaml:6:19:", "do you mean `Whoami`?"]),
        (with("{ ruel: Whoami }", "[whoami.yml, gone.yml]"), &["e.yaml:6:", "`ruel`", "e.yaml:8:21:", "gone.yml"]),
        (with("{ tag: attack.t1059 }", "[whoami.yml]"), &["e.yaml:6:18:", "attack.t1059"]),
    ] {
        bench.write("e.yaml", &text);
        refused(&bench, "e.yaml", words);
    }
    let never =
        rule.replace("Image: /usr/bin/whoami", "type: PTAH").replace("category: process_creation", "service: auditd");
    bench.write("never.yml", &never.replace("Whoami", "Never"));
    bench.write("e.yaml", &with("{ rule: Never }", "[never.yml]"));
    refused(&bench, "e.yaml", &["e.yaml:6:19:", "can never match"]);
    bench.write("e.yaml", &format!("{}control:\n", audit("{ event: execve }")));
    refused(&bench, "e.yaml", &["e.yaml:8:", "a map"]);
    bench.write("e.yaml", &with("{ rule: Who*, tag: attack.t1033 }", "[whoami.yml]"));
    bench.foil(&["plan", "e.yaml"]).says(0, &["sigma.match"]);
}

#[test]
fn a_reference_names_an_earlier_step_and_a_fact_of_it() {
    let bench = Bench::new();
    let campaign = |value: &str| {
        format!(
            "campaign: c\nsteps:\n  - step: wipe\n    experiment: {{ technique: linux.cron-persistence }}\n  - step: look\n    \
             experiment:\n      technique: linux.system-info\n      expect:\n        - link: telemetry\n          check: \
             linux.audit-event\n          with: {{ path: '{value}' }}\n          within: 1s\n"
        )
    };
    for (value, words) in [
        ("{wip.file}", &["c.yaml:11:25:", "step `look`", "do you mean `wipe`?", "{{wip.file}}"][..]),
        ("{wipe.log}", &["c.yaml:11:25:", "linux.cron-persistence", "it reports file"]),
        ("{look.kernel}", &["c.yaml:5:", "not earlier"]),
    ] {
        bench.write("c.yaml", &campaign(value));
        refused(&bench, "c.yaml", words);
    }
    bench.write("c.yaml", &campaign("{wipe.file}"));
    bench.foil(&["plan", "c.yaml"]).says(0, &["look"]);
    // By itself the same experiment has no step before it, on the command line neither.
    bench.write("e.yaml", &audit("{ path: '{wipe.file}' }"));
    refused(&bench, "e.yaml", &["e.yaml:6:19:", "no step runs before"]);
    bench.foil(&["fire", "linux.clear-logs", "--with", "log=/var/log/{a.b}"]).says(2, &["no step runs before"]);
    // As a step's file it is well.
    let steps =
        "  - step: wipe\n    experiment: { technique: linux.cron-persistence }\n  - { step: look, file: e.yaml }\n";
    bench.write("c.yaml", &format!("campaign: c\nsteps:\n{steps}"));
    bench.foil(&["plan", "c.yaml"]).says(0, &["look"]);
}

#[test]
fn every_mistake_of_every_file_is_told() {
    let bench = Bench::new();
    bench.write("good.yaml", &audit("{ event: execve }"));
    bench.write("one.yaml", &format!("{}with: {{ x: 1 }}\n", audit("{ event: execev, exe: uname }")));
    bench.write("two.yaml", &experiment("falco.alert", "{ rule: x, collector: file.falco, pririty: x }"));
    for command in ["plan", "run"] {
        let done = bench.foil(&[command, "good.yaml", "one.yaml", "two.yaml"]);
        done.says(2, &["one.yaml:6:20:", "one.yaml:6:33:", "one.yaml:8:12:", "two.yaml:6:"]);
        assert!(done.err.lines().all(|line| line.starts_with("foil: ")), "{done:#?}");
    }
    assert!(!bench.path("state").exists());
    let values = ["home=root", "home=/root/../etc", "home=/var"];
    for value in values {
        bench.foil(&["fire", "linux.authorized-key", "--with", value]).says(2, &["`home`"]);
    }
    bench.foil(&["fire", "linux.authorized-key", "--with", "hme=/root"]).says(2, &["do you mean `home`?"]);
    assert!(!bench.path("state").exists());
}

/// Rules lie beside the experiments that name them: a folder with both runs the experiments.
#[test]
fn rules_in_a_folder_are_no_experiments_and_a_misspelt_experiment_is_no_rule() {
    let bench = Bench::new();
    let sigma = "title: T\nlogsource: { product: linux }\ndetection: { a: { Image: /x }, condition: a }\n";
    for (name, text) in [
        ("all/rules/sigma.yml", sigma),
        ("all/falco_rules.yaml", "- macro: m\n  condition: evt.type = open\n"),
        ("all/foil.yaml", "environment: e2e\nown-audit-rules: true\n"),
        ("rules/sigma.yml", sigma),
    ] {
        std::fs::create_dir_all(bench.path(name).parent().unwrap()).unwrap();
        bench.write(name, text);
    }
    bench.write("all/e.yaml", &audit("{ event: execve }"));
    bench.foil(&["plan", "all"]).says(0, &["linux.system-info"]);
    bench.foil(&["plan", "rules"]).says(2, &["sigma.yml is a Sigma rule", "runs nothing"]);
    bench.write("all/typo.yaml", "experimnt: e\ntechnique: linux.system-info\n");
    refused(&bench, "all", &["all/typo.yaml:1:1:", "experimnt"]);
    bench.write("all/typo.yaml", "experiment: e\ntechniqe: linux.system-info\n");
    refused(&bench, "all", &["all/typo.yaml:2:1:", "techniqe", "expected one of experiment, hypothesis, technique"]);
}

#[test]
fn what_a_module_is_not_called_leads_to_what_it_is() {
    let bench = Bench::new();
    for (name, words) in [
        ("T1070.004", &["technique of ATT&CK", "`linux.file-delete`"][..]),
        ("t1003.008", &["`linux.shadow-read`"]),
        ("shadow-reed", &["do you mean `linux.shadow-read`?"]),
        ("atomic.t1003-008", &["--modules"]),
    ] {
        bench.foil(&["fire", name]).says(2, words);
    }
    bench.foil(&["list", "T1070.002"]).says(0, &["T1070.002 is T1685.006", "linux.clear-logs"]);
    let granted = |bench: &Bench| bench.foil(&["list", "--granted", "--kind", "technique"]).out;
    assert!(granted(&bench).contains("linux.shadow-read"));
    bench.foil(&["revoke", "linux.shadow-read", "--reason", "x", "--reviewer", "e2e"]).says(0, &[]);
    assert!(!granted(&bench).contains("linux.shadow-read"));
}

/// What is not picked need not be granted, nor be right in what it asks for.
#[test]
fn only_what_is_picked_is_settled() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("all")).unwrap();
    bench.write(
        "all/good.yaml",
        &audit("{ event: execve, collector: foil.observed }").replace("experiment: e", "experiment: good"),
    );
    bench.write("all/other.yaml", &audit("{ event: execev }").replace("experiment: e", "experiment: other"));
    bench.foil(&["run", "all", "--only", "good"]).says(3, &["good"]);
    bench.foil(&["run", "all", "--only", "gud"]).says(2, &["names none of these: good, other"]);
    bench.foil(&["run", "all"]).says(2, &["all/other.yaml:6:20:"]);
}
