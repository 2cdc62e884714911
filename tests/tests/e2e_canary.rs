//! A sensor that is dead, stopped, lossy or was never there: what it does not notice is `unknown`, never `missed`.
//!
//! The sensor of these tests is this program again, as a process of its own, which can be stopped and killed. It sees who opens
//! `/etc/shadow`, as Falco does, and writes alerts that name the scratch folder of each canary that is there, as its command line would.

use foil_tests::e2e::{Bench, foil, is_root, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use serde_json::Value;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::mem::MaybeUninit;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Says to this program that it is the sensor of the bench at that path, and in which way.
const BENCH: &str = "FOIL_TEST_SENSOR";
const WAY: &str = "FOIL_TEST_SENSOR_WAY";

/// Not a test: what the sensor's process does.
#[test]
fn sensor() {
    let Ok(bench) = std::env::var(BENCH) else { return };
    let bench = PathBuf::from(bench.replace('|', "/"));
    let watch = inotify::init(CreateFlags::CLOEXEC).expect("inotify");
    inotify::add_watch(&watch, "/etc/shadow", WatchFlags::OPEN).expect("a file that is there");
    std::fs::write(bench.join("ready"), "").expect("writable");
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = inotify::Reader::new(&watch, &mut buffer);
    while reader.next().is_ok() {
        let mut log = OpenOptions::new().append(true).open(bench.join("falco.jsonl")).expect("there");
        let time = String::from_utf8(Command::new("date").args(["-u", "+%FT%T.%NZ"]).output().expect("date").stdout);
        let time = time.expect("text");
        let canaries = canaries(&bench);
        let folders = std::fs::read_dir(bench.join("tmp")).expect("there").flatten();
        // Whoever opened it, it was not the run that waits.
        let of_canary = |name: &str| canaries.iter().any(|run| name.ends_with(run.as_str()));
        for scratch in folders.filter(|folder| folder.file_name().to_str().is_some_and(of_canary)) {
            let line = match std::env::var(WAY).as_deref() {
                Ok("drops") => serde_json::json!({
                    "rule": "Falco internal: syscall event drop", "priority": "Debug", "source": "internal",
                    "output_fields": {"n_drops": "17"}, "time": time.trim(),
                }),
                _ => serde_json::json!({
                    "rule": "Read sensitive file untrusted", "priority": "Warning", "source": "syscall", "time": time.trim(),
                    "output_fields": {"proc.cmdline": format!("cat /etc/shadow {}/scratch/canary", scratch.path().display())},
                }),
            };
            writeln!(log, "{line}").expect("written");
        }
    }
}

/// The runs that are canaries.
fn canaries(bench: &Path) -> Vec<String> {
    let mut journal = Command::new(foil());
    // Nothing of it names the bench's path, by which its processes are counted.
    let journal = journal.args(["journal", "--format", "json", "--state", "state"]).current_dir(bench);
    let runs: Value = serde_json::from_slice(&journal.output().expect("foil starts").stdout).unwrap_or_default();
    let canaries = runs.as_array().into_iter().flatten().filter(|run| run["technique"] == "foil.canary");
    canaries.filter_map(|run| Some(run["run"].as_str()?.to_owned())).collect()
}

/// One at a time: a sensor cannot tell whose `/etc/shadow` was opened, so another test's canary would count as an event of this one's.
static ONE: Mutex<()> = Mutex::new(());

/// A bench while no other test has one.
struct Alone {
    bench: Bench,
    _one: MutexGuard<'static, ()>,
}

impl Deref for Alone {
    type Target = Bench;

    fn deref(&self) -> &Bench {
        &self.bench
    }
}

struct Sensor(Child);

impl Sensor {
    fn start(bench: &Bench, way: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this test"));
        // Whoever has the bench's path in its environment is one of its processes.
        let path = bench.path("").to_str().expect("UTF-8").replace('/', "|");
        command.args(["sensor", "--exact"]).env(BENCH, path).env(WAY, way).stdout(Stdio::null());
        let sensor = Self(command.spawn().expect("it starts"));
        until(Duration::from_secs(5), "the sensor watches", || bench.path("ready").exists());
        sensor
    }
}

impl Drop for Sensor {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const FOIL: &str = "environment: e2e\nshield: [confined, overlay, open]\n";

/// A bench with a followed log; `None` where only root could watch who reads `/etc/shadow`.
fn bench(more: &str) -> Option<Alone> {
    if !is_root() {
        eprintln!("skipped: it takes root");
        return None;
    }
    let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let bench = Bench::new();
    bench.grant_shell();
    bench.write("foil.yaml", &format!("{FOIL}files: {{ falco: {{ path: falco.jsonl{more} }} }}\n"));
    bench.write("falco.jsonl", "");
    Some(Alone { bench, _one: one })
}

fn experiment(script: &str, keys: &str) -> String {
    let script = serde_json::to_string(script).expect("text");
    format!(
        "experiment: e\ntechnique: shell.wasm\nshield: open\nwith: {{ script: {script} }}\n{keys}expect:\n  - {{ link: detection, check: \
         falco.alert, with: {{ rule: Wanted, collector: file.falco }}, within: 300ms, grace: 100ms }}\n"
    )
}

#[track_caller]
fn run(bench: &Bench, text: &str, code: i32) -> (Value, String) {
    bench.write("e.yaml", text);
    let done = bench.foil(&["run", "e.yaml", "--format", "json"]);
    assert_eq!(done.code, Some(code), "{done:#?}");
    bench.is_clean();
    (done.report(), done.err)
}

#[track_caller]
fn is(report: &Value, verdict: &str, reason: &str, proof: Option<&str>) {
    let link = &report["links"][0];
    assert_eq!(link["verdict"], verdict, "{report:#}");
    assert!(link["reason"].as_str().is_some_and(|why| why.contains(reason)), "{report:#}");
    assert_eq!(link["sensors"][0]["proof"].as_str(), proof, "{report:#}");
}

/// Shell words that raise the alert that is waited for.
fn alert(bench: &Bench) -> String {
    format!(
        r#"printf '{{"time":"%s","rule":"Wanted","priority":"Warning","output_fields":{{"proc.env[FOIL_RUN_ID]":"%s"}}}}\n' "$(date -u +%FT%T.%NZ)" "$FOIL_RUN_ID" >> {}"#,
        bench.path("falco.jsonl").display()
    )
}

#[test]
fn a_miss_is_believed_where_the_sensor_notices_a_canary() {
    let Some(bench) = bench("") else { return };
    let _sensor = Sensor::start(&bench, "lives");
    let (report, said) = run(&bench, &experiment("true", ""), 1);
    is(&report, "missed", "nothing of this run", Some("answered"));
    assert_eq!(
        report["links"][0]["looked_at"].as_u64().or(report["links"][0]["looked-at"].as_u64()),
        Some(0),
        "{report:#}"
    );
    assert!(!said.contains("canary"), "{said}");
    let canary = bench.runs().into_iter().find(|run| run["technique"] == "foil.canary").expect("a run of its own");
    assert_eq!((&canary["outcome"], &canary["experiment"]), (&"clean".into(), &"canary".into()), "{canary:#}");

    // Nor is a canary's alert one of the benign twin's, or of a run that waits for any alert.
    let quiet = format!("control: {{ with: {{ script: {} }} }}\n", serde_json::to_string("sleep 0.5").expect("text"));
    let text = experiment(&alert(&bench), &quiet).replace("rule: Wanted", "rule: '*'");
    let (report, _) = run(&bench, &text, 0);
    assert_eq!((&report["links"][0]["verdict"], &report["control"]["verdict"]), (&"seen".into(), &"pass".into()));
    assert_eq!(report["control"]["links"][0]["verdict"], "missed", "{report:#}");
}

#[test]
fn a_sensor_that_was_never_there_is_told_at_once_and_nothing_is_missed() {
    let Some(bench) = bench("") else { return };
    let (report, said) = run(&bench, &experiment("true", ""), 3);
    is(&report, "unknown", "the sensor did not notice a canary either", Some("silent"));
    assert_eq!(report["verdict"], "inconclusive");
    assert!(said.contains("`file.falco` had no event of `cat /etc/shadow`"), "{said}");
    // What is there is there.
    let (report, _) = run(&bench, &experiment(&alert(&bench), ""), 0);
    assert_eq!(report["links"][0]["verdict"], "seen");
    let text = bench.foil(&["run", "e.yaml"]);
    assert!(!text.out.contains("unknown"), "{text:#?}");
}

#[test]
fn a_sensor_that_is_stopped_or_killed_meanwhile_is_not_the_rules_fault() {
    for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
        let Some(bench) = bench("") else { return };
        let sensor = Sensor::start(&bench, "lives");
        let pid = sensor.0.id().cast_signed();
        let script = format!("sleep 0.2; kill -{} {pid}", signal as i32);
        let (report, _) = run(&bench, &experiment(&script, ""), 3);
        is(&report, "unknown", "did not notice a canary either", Some("silent"));
        kill(Pid::from_raw(pid), Signal::SIGCONT).ok();
    }
}

#[test]
fn a_sensor_that_drops_says_so_and_nothing_is_missed() {
    let Some(bench) = bench("") else { return };
    let _sensor = Sensor::start(&bench, "drops");
    let (report, _) = run(&bench, &experiment("cat /etc/shadow | wc -c", ""), 3);
    is(&report, "unknown", "Falco lost", None);
    let any = experiment("cat /etc/shadow | wc -c", "").replace("rule: Wanted", "rule: '*'");
    let (report, _) = run(&bench, &any, 3);
    is(&report, "unknown", "Falco lost", None);
}

#[test]
fn the_operator_says_what_a_canary_is_or_that_there_is_none() {
    let Some(bench) = bench(", canary: { make: none }") else { return };
    let (report, said) = run(&bench, &experiment("true", ""), 1);
    is(&report, "missed", "nothing of this run", Some("none"));
    assert_eq!(report["links"][0]["sensors"][0]["reason"], "declined", "{report:#}");
    assert!(!said.contains("canary"), "{said}");
    bench.foil(&["run", "e.yaml"]).says(1, &["was not shown"]);

    // One of the operator's own, for a log that no rule of Falco's has to do with.
    let log = bench.path("app.log");
    let write = format!("echo canary {{run}} >> {}", log.display());
    let source = |command: &str, within: &str| {
        let command = serde_json::to_string(&["/bin/sh", "-c", command]).expect("text");
        format!(
            "environment: e2e\nshield: [open]\nfiles: {{ app: {{ path: app.log, format: text, canary: {{ command: {command}, match: {{ line: \
             'canary *' }}, within: {within} }} }} }}\n"
        )
    };
    let text = "experiment: e\ntechnique: shell.wasm\nshield: open\nwith: { script: 'true' }\nexpect:\n  - { link: telemetry, check: \
                file.line, with: { contains: wanted, collector: file.app }, within: 200ms, grace: 100ms }\n";
    bench.write("app.log", "");
    bench.write("foil.yaml", &source(&write, "3s"));
    is(&run(&bench, text, 1).0, "missed", "nothing of this run", Some("answered"));
    bench.write("foil.yaml", &source("true", "300ms"));
    is(&run(&bench, text, 3).0, "unknown", "did not notice a canary", Some("silent"));
    bench.foil(&["plan", "e.yaml"]).says(0, &["canary", "file.app", "before a miss is believed"]);
    for (bad, says) in [
        ("{ make: falco, command: [/bin/true] }", "give one of them"),
        ("{ command: [true] }", "not an absolute path"),
        ("{ make: crow }", "crow"),
        ("{}", "needs `make"),
    ] {
        bench.write("foil.yaml", &format!("{FOIL}files: {{ app: {{ path: app.log, canary: {bad} }} }}\n"));
        bench.foil(&["plan", "e.yaml"]).says(2, &["foil.yaml:3:", says]);
    }
}

#[test]
fn a_sensor_that_says_itself_that_it_is_not_well_is_believed() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let Some(bench) = bench(&format!(", healthz: 'http://{free}/healthz'")) else { return };
    let _sensor = Sensor::start(&bench, "lives");
    let (report, said) = run(&bench, &experiment("true", ""), 3);
    is(&report, "unknown", "does not answer", Some("unwell"));
    assert!(said.contains("/healthz"), "{said}");
}

#[test]
fn many_misses_cost_few_canaries() {
    let Some(bench) = bench("") else { return };
    let environment = format!("{FOIL}parallel: 40\nfiles: {{ falco: {{ path: falco.jsonl }} }}\n");
    bench.write("foil.yaml", &environment);
    let _sensor = Sensor::start(&bench, "lives");
    bench.write("e.yaml", &experiment("true", ""));
    let done = bench.foil(&["run", "e.yaml", "--repeat", "40", "--format", "json"]);
    assert_eq!(done.code, Some(1), "{done:#?}");
    let reports = done.json();
    for report in reports.as_array().expect("reports") {
        is(report, "missed", "nothing of this run", Some("answered"));
    }
    let log = std::fs::read_to_string(bench.path("falco.jsonl")).expect("readable");
    let canaries = bench.runs().into_iter().filter(|run| run["technique"] == "foil.canary").count();
    // One alert a canary names the canary's folder; the runs' own folders stand in others.
    let id = bench.runs().into_iter().find(|run| run["technique"] == "foil.canary").expect("one")["run"].clone();
    let made = log.matches(id.as_str().expect("an id")).count();
    assert!(canaries == 1 && made < 20, "{canaries} runs, {made} canaries");
    bench.is_clean();
}
