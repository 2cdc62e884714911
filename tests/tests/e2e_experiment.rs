//! Experiments on the real kernel's audit stream. The machine's audit state is as before, whatever happened.

use foil_collector::audit::{Control, KEY_PREFIX, LIVE_TEST_LOCK};
use foil_tests::e2e::{Bench, is_root, until};
use nix::sys::signal::Signal;
use std::fs::File;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The machine's audit state, which is one: tests that change it take turns. Looks at the end whether all is as it was.
struct Machine {
    before: (u32, Vec<Vec<u8>>),
    _lock: File,
}

impl Machine {
    /// `None`, with a word why, where there is no audit, or it belongs to a daemon.
    fn take() -> Option<Self> {
        if !is_root() {
            return None;
        }
        let lock =
            File::options().create(true).truncate(false).write(true).open(std::env::temp_dir().join(LIVE_TEST_LOCK));
        let lock = lock.expect("root opens it");
        lock.lock().expect("the lock");
        match Control::open().and_then(|c| c.status()) {
            Ok(status) if status.pid == 0 && status.enabled != 2 => Some(Self { before: state(), _lock: lock }),
            other => {
                eprintln!("skipped: no audit here that is ours to change: {other:?}");
                None
            }
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(state(), self.before, "auditing (on?, rules) is not as it was");
        }
    }
}

/// On or off, and the rules.
fn state() -> (u32, Vec<Vec<u8>>) {
    let control = Control::open().expect("control");
    let rules = control.rules().expect("rules").iter().map(|r| r.bytes().to_vec()).collect();
    (control.status().expect("status").enabled, rules)
}

fn own_rules() -> usize {
    let rules = Control::open().and_then(|c| c.rules()).expect("rules");
    rules.iter().filter(|r| r.key().is_some_and(|k| k.starts_with(KEY_PREFIX))).count()
}

fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("foil.yaml", "environment: e2e\nown-audit-rules: true\n");
    bench
}

fn experiment(bench: &Bench, technique: &str, rules: bool, with: &str, within: &str) {
    let rules = if rules { "audit: { own-rules: { syscalls: [execve, execveat] } }\n" } else { "" };
    let text = format!(
        "experiment: e2e\ntechnique: {technique}\n{rules}expect:\n  - link: telemetry\n    check: linux.audit-event\n    \
         with: {with}\n    within: {within}\n    grace: 10ms\n"
    );
    bench.write("e.yaml", &text);
}

#[test]
fn the_kernel_sees_it_and_is_put_back() {
    let Some(_machine) = Machine::take() else { return };
    let bench = bench();
    for shield in ["confined", "overlay"] {
        experiment(
            &bench,
            &format!("linux.system-info\nshield: {shield}"),
            true,
            "{ event: execve, exe: '**/uname' }",
            "20s",
        );
        let report = bench.foil(&["run", "e.yaml", "--format", "json"]).says(0, &[]).report();
        assert_eq!(report["verdict"], "pass", "{report:#}");
        let link = &report["links"][0];
        assert_eq!((&link["verdict"], &link["own-rules"]), (&"seen".into(), &true.into()), "{report:#}");
        let evidence = &link["evidence"][0];
        assert_eq!(
            (&evidence["attribution"], &evidence["own-observation"]),
            (&"tree".into(), &false.into()),
            "{report:#}"
        );
        assert!(link["after-ms"].as_f64().is_some_and(|ms| (0.0..20_000.0).contains(&ms)), "{report:#}");
        assert_eq!(own_rules(), 0);
    }
    bench.foil(&["run", "e.yaml"]).says(0, &["pass", "seen", "own rules", "undone"]);
    bench.is_clean();
}

/// A Sigma rule that matches what only Foil's audit rules recorded proves the rule's logic, and nothing of the operator's sensor.
#[test]
fn a_rule_link_that_own_audit_rules_feed_is_marked() {
    let Some(_machine) = Machine::take() else { return };
    let bench = bench();
    bench.write(
        "uname.yml",
        "title: Uname\ntags: [attack.t1082]\nlevel: low\nlogsource: { product: linux, category: process_creation }\n\
         detection: { s: { Image|endswith: /uname }, condition: s }\n",
    );
    let link = |with: &str| {
        bench.write(
            "e.yaml",
            &format!(
                "experiment: e\ntechnique: linux.system-info\nrules: [uname.yml]\naudit: {{ own-rules: {{ syscalls: [execve, execveat] }} }}\n\
                 expect: [{{ link: rule, check: sigma.match, with: {with}, within: 20s, grace: 10ms }}]\n"
            ),
        );
        bench.foil(&["run", "e.yaml", "--format", "json"]).says(0, &[]).report()["links"][0].clone()
    };
    let seen = link("{ rule: Uname }");
    assert_eq!((&seen["verdict"], &seen["own-rules"]), (&"seen".into(), &true.into()), "{seen:#}");
    // Without a word on which rule, those count that are about the technique.
    let seen = link("{}");
    let matched = &seen["evidence"][0]["facts"]["matched"];
    assert_eq!((&seen["verdict"], matched), (&"seen".into(), &"by its tag T1082".into()), "{seen:#}");
    bench.foil(&["run", "e.yaml"]).says(0, &["own rules"]);
    bench.is_clean();
}

#[test]
fn what_never_comes_is_missed_and_the_link_is_named() {
    let Some(_machine) = Machine::take() else { return };
    let bench = bench();
    experiment(&bench, "linux.system-info", true, "{ event: execve, exe: '**/never-there' }", "300ms");
    let report = bench.foil(&["run", "e.yaml", "--format", "json"]).says(1, &[]).report();
    assert_eq!((&report["verdict"], &report["links"][0]["verdict"]), (&"fail".into(), &"missed".into()), "{report:#}");
    assert!(report["reason"].as_str().is_some_and(|r| r.contains("telemetry") && r.contains("missed")), "{report:#}");
    // The stream itself is alive: a message to the kernel came back, which no rule records.
    let sensor = &report["links"][0]["sensors"][0];
    assert_eq!((&sensor["feed"], &sensor["proof"]), (&"linux.audit".into(), &"answered".into()), "{report:#}");
    bench.foil(&["run", "e.yaml"]).says(1, &["fail", "missed", "telemetry", "linux.audit-event"]);
    bench.is_clean();
}

#[test]
fn with_auditing_off_the_link_is_unknown() {
    let Some(machine) = Machine::take() else { return };
    if machine.before.0 != 0 {
        eprintln!("skipped: auditing is on");
        return;
    }
    let bench = bench();
    experiment(&bench, "linux.system-info", false, "{ event: execve }", "300ms");
    let report = bench.foil(&["run", "e.yaml", "--format", "json"]).says(3, &[]).report();
    assert_eq!(
        (&report["verdict"], &report["links"][0]["verdict"]),
        (&"inconclusive".into(), &"unknown".into()),
        "{report:#}"
    );
    assert!(
        report["links"][0]["reason"].as_str().is_some_and(|r| r.contains("off") || r.contains("enable")),
        "{report:#}"
    );
    // What Foil itself saw is shown all the same, marked as such.
    bench.foil(&["run", "e.yaml"]).says(3, &["unknown", "observed", "by Foil itself, no sensor"]);
    bench.is_clean();
}

#[test]
fn somebody_elses_same_program_does_not_count() {
    let Some(_machine) = Machine::take() else { return };
    let bench = bench();
    // This technique starts no `uname`; somebody else does, all the time.
    experiment(&bench, "linux.file-delete", true, "{ event: execve, exe: '**/uname' }", "700ms");
    let over = AtomicBool::new(false);
    let report = std::thread::scope(|scope| {
        let strangers = scope.spawn(|| {
            let mut count = 0;
            while !over.load(Ordering::Relaxed) {
                Command::new("/bin/uname").output().expect("uname starts");
                count += 1;
            }
            count
        });
        let done = bench.foil(&["run", "e.yaml", "--format", "json"]);
        over.store(true, Ordering::Relaxed);
        let count = strangers.join().expect("no panic");
        assert!(count > 5, "only {count} strangers ran");
        println!("{count} strangers ran");
        done.says(1, &[]).report()
    });
    let link = &report["links"][0];
    assert_eq!((&report["verdict"], &link["verdict"]), (&"fail".into(), &"missed".into()), "{report:#}");
    assert_eq!(link["evidence"].as_array().map(Vec::len), Some(0), "{report:#}");
    bench.is_clean();
}

#[test]
fn rules_of_our_own_go_with_cleanup_after_kill_nine() {
    let Some(machine) = Machine::take() else { return };
    let bench = bench();
    experiment(&bench, "linux.system-info", true, "{ event: execve, exe: '**/never-there' }", "60s");
    let mut live = bench.spawn(&["run", "e.yaml"]);
    until(Duration::from_secs(20), "the rules are there", || own_rules() > 0);
    until(Duration::from_secs(20), "auditing is on", || state().0 == 1);
    // A live run's rules are not taken from it.
    bench.foil(&["cleanup"]).says(0, &["alive, left alone"]);
    assert!(own_rules() > 0);
    live.signal(Signal::SIGKILL);
    live.ends_within(Duration::from_secs(5));
    assert!(own_rules() > 0, "the kernel keeps them, which is why they are in the journal");
    bench.foil(&["cleanup"]).says(0, &["audit rule"]);
    assert_eq!(state(), machine.before);
    bench.is_clean();
}

#[test]
fn ctrl_c_while_links_are_watched_puts_everything_back() {
    let Some(machine) = Machine::take() else { return };
    let bench = bench();
    experiment(&bench, "linux.system-info", true, "{ event: execve, exe: '**/never-there' }", "60s");
    let mut live = bench.spawn(&["run", "e.yaml", "--format", "json"]);
    until(Duration::from_secs(20), "auditing is on", || state().0 == 1);
    live.signal(Signal::SIGINT);
    let report = live.ends_within(Duration::from_secs(10)).says(3, &[]).report();
    assert!(report["reason"].as_str().is_some_and(|r| r.contains("stopped")), "{report:#}");
    assert_eq!(state(), machine.before);
    bench.is_clean();
}

#[test]
fn killed_at_every_boundary_of_the_rules() {
    let Some(machine) = Machine::take() else { return };
    let bench = bench();
    experiment(&bench, "linux.system-info", true, "{ event: execve, exe: '**/uname' }", "20s");
    let mut deaths = 0;
    for point in [
        "intend.after-commit",
        "applied.before",
        "applied.after",
        "undo.step.before",
        "undo.step.after",
        "finish.before",
    ] {
        for nth in 1..20 {
            let died = bench.dies_at(point, nth, &["run", "e.yaml"]).is_some();
            bench.no_processes_within(Duration::from_secs(2));
            bench.foil(&["cleanup"]).says(0, &[]);
            assert_eq!(state(), machine.before, "killed at {point}:{nth}");
            bench.is_clean();
            if !died {
                break;
            }
            deaths += 1;
        }
    }
    assert!(deaths >= 9, "only {deaths} boundaries");
}

#[test]
fn the_examples_end_as_designed() {
    let Some(_machine) = Machine::take() else { return };
    let bench = Bench::bare(None);
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
    let broken = bench.foil(&["run", &format!("{examples}/broken/deletion.yaml")]);
    broken.says(1, &["look at the rule", "telemetry  seen", "rule       missed"]);
    // Its benign twin raises no rule.
    let control = bench.foil(&["run", &format!("{examples}/demo/shadow-read.yaml"), "--format", "json"]);
    let report = control.says(0, &[]).report();
    assert_eq!((&report["verdict"], &report["control"]["verdict"]), (&"pass".into(), &"pass".into()), "{report:#}");
    assert_eq!(report["links"][1]["evidence"][0]["attribution"], "tree", "{report:#}");
    bench.is_clean();
}

#[test]
fn a_watch_that_an_overlay_blinds_is_unknown() {
    let Some(_machine) = Machine::take() else { return };
    let auditctl = |arguments: &[&str]| Command::new("auditctl").args(arguments).output();
    if auditctl(&["-s"]).is_err() {
        eprintln!("skipped: auditctl is not installed");
        return;
    }
    let enabled = state().0.to_string();
    let did =
        |arguments: &[&str]| assert!(auditctl(arguments).is_ok_and(|done| done.status.success()), "{arguments:?}");
    did(&["-e", "1"]);
    did(&["-w", "/etc/shadow", "-p", "r", "-k", "operators-own"]);
    let bench = bench();
    let run = |shield: &str| {
        let technique = format!("linux.shadow-read\nshield: {shield}");
        experiment(&bench, &technique, false, "{ key: operators-own }", "1s");
        bench.foil(&["run", "e.yaml", "--format", "json"]).report()
    };
    let (confined, overlay) = (run("confined"), run("overlay"));
    did(&["-W", "/etc/shadow", "-p", "r", "-k", "operators-own"]);
    did(&["-e", &enabled]);
    assert_eq!(confined["links"][0]["verdict"], "seen", "{confined:#}");
    assert_eq!(
        (&overlay["verdict"], &overlay["links"][0]["verdict"]),
        (&"inconclusive".into(), &"unknown".into()),
        "{overlay:#}"
    );
    assert!(
        overlay["reason"].as_str().is_some_and(|why| why.contains("(shield)") && why.contains("1 of the machine's"))
    );
}
