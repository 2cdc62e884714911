//! Many experiments at once whose alert comes after two seconds: wall time against that delay, memory an experiment that waits, and
//! how soon a pushed event, and an event of the kernel's audit stream, becomes a verdict. `cargo xtask bench wait -- 300` waits for that many.

mod common;

use common::DELAY;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const ID: &str = "bench.idle";

fn main() {
    let mut numbers: Vec<usize> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    if numbers.is_empty() {
        numbers = vec![1000, 10_000];
    }
    let stage = tempfile::tempdir().expect("a folder");
    let stage = stage.path();
    std::fs::write(stage.join("idle.wasm"), common::guest::idle(ID)).expect("the module");
    let port = common::free_port();
    let environment = format!("environment: bench\nparallel: 10000\ninbox: {{ listen: '127.0.0.1:{port}' }}\n");
    std::fs::write(stage.join("foil.yaml"), environment).expect("written");
    let experiment = format!(
        "experiment: wait\ntechnique: {ID}\nexpect: [{{ link: detection, check: inbox.event, with: {{ contains: it-came }}, within: 60s }}]\n"
    );
    std::fs::write(stage.join("wait.yaml"), experiment).expect("written");
    for module in [ID, "inbox.event"] {
        done(foil(stage).args(["grant", module, "--yes", "--reviewer", "bench", "--reason", "is measured"]));
    }
    let one = measured(stage, port, 1);
    waited(1, &one, &one);
    for number in numbers {
        waited(number, &measured(stage, port, number), &one);
    }
    audited(stage, one.noticed);
}

/// Prints what so many cost beside the delay that they wait for, and beside one.
fn waited(number: usize, all: &Measured, one: &Measured) {
    let ratio = all.wall.as_secs_f64() / DELAY.as_secs_f64();
    let (wall, delay) = (common::shown(all.wall), common::shown(DELAY));
    println!("{number} experiments that wait: ratio {ratio:.2} (ours {wall} vs the delay alone {delay})");
    println!("  pushed event to verdict: {:.2} ms, median of {number} (aim: 10 ms)", all.noticed);
    let more = all.peak.saturating_sub(one.peak);
    if let Some(each) = more.checked_div(number as u64 - 1) {
        let (each, peak) = (each as f64 / 1024.0, all.peak >> 20);
        println!("  memory of each: {each:.1} KiB ({peak} MiB in all; aim: 50 KiB)");
    }
}

/// The same for an event of the kernel's, from its own time for it. As root, where no audit daemon runs.
fn audited(stage: &Path, pushed: f64) {
    if !rustix::process::geteuid().is_root() {
        return println!("skipped: an audit event to its verdict needs root");
    }
    std::fs::write(stage.join("foil.yaml"), "environment: bench\nparallel: 1\nown-audit-rules: true\n")
        .expect("written");
    let experiment = "experiment: audited\ntechnique: linux.system-info\nexpect: [{ link: telemetry, check: linux.audit-event, with: { event: \
                      execve, exe: '**/uname' }, within: 5s }]\naudit: { own-rules: { syscalls: [execve] } }\n";
    std::fs::write(stage.join("audited.yaml"), experiment).expect("written");
    done(foil(stage).args(["grant", "--builtin", "--yes", "--reviewer", "bench", "--reason", "is measured"]));
    let ran =
        foil(stage).args(["run", "audited.yaml", "--format", "json", "--repeat", "50"]).output().expect("foil starts");
    let reports: Vec<serde_json::Value> = serde_json::from_slice(&ran.stdout).expect("reports");
    if let Some(report) = reports.iter().find(|report| report["verdict"] != "pass") {
        return println!(
            "skipped: the kernel's audit stream was not seen: {} {}",
            report["reason"], report["links"][0]["reason"]
        );
    }
    let noticed = median_noticed(&reports);
    let ratio = noticed / pushed;
    println!(
        "audit event to verdict: ratio {ratio:.2} (ours {noticed:.2} ms vs a pushed event's {pushed:.2} ms, n=50; aim: 50 ms)"
    );
}

/// From the event to the verdict of the first link, median, in milliseconds.
fn median_noticed(reports: &[serde_json::Value]) -> f64 {
    let mut noticed: Vec<f64> = reports.iter().filter_map(|r| r["links"][0]["noticed-ms"].as_f64()).collect();
    noticed.sort_by(f64::total_cmp);
    noticed[noticed.len() / 2]
}

struct Measured {
    wall: Duration,
    /// The peak of resident memory, in bytes.
    peak: u64,
    /// From the event to the verdict, median, in milliseconds.
    noticed: f64,
}

fn measured(stage: &Path, port: u16, number: usize) -> Measured {
    // The module's code is in the cache from here on.
    let out = std::fs::File::create(stage.join("out.json")).expect("a file");
    let began = Instant::now();
    let mut child = foil(stage)
        .args(["run", "wait.yaml", "--format", "json", "--repeat", &number.min(1000).to_string()])
        .args(std::iter::repeat_n("wait.yaml", number.div_ceil(1000).saturating_sub(1)))
        .stdout(out)
        .stderr(Stdio::null())
        .spawn()
        .expect("foil starts");
    let over = AtomicBool::new(false);
    let (peak, wall) = std::thread::scope(|scope| {
        scope.spawn(|| common::push(port, began, &over));
        let peak = watched(&mut child);
        let wall = began.elapsed();
        over.store(true, Ordering::Relaxed);
        (peak, wall)
    });
    assert!(child.wait().expect("a child").success(), "every experiment passes");
    let text = std::fs::read_to_string(stage.join("out.json")).expect("a report");
    let reports: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let reports = reports.as_array().expect("an array");
    assert_eq!(reports.len(), number.min(1000) * number.div_ceil(1000), "a report each");
    Measured { wall, peak, noticed: median_noticed(reports) }
}

/// Waits for its end, and looks at its memory meanwhile.
fn watched(child: &mut Child) -> u64 {
    let mut peak = 0;
    while child.try_wait().expect("a child").is_none() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let kib = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        peak = peak.max(kib.unwrap_or(0) * 1024);
        std::thread::sleep(Duration::from_millis(5));
    }
    peak
}

fn foil(stage: &Path) -> Command {
    let mut command = Command::new(common::program());
    command.current_dir(stage).env("FOIL_STATE", stage.join("state")).arg("--modules").arg(stage).stdin(Stdio::null());
    command
}

fn done(command: &mut Command) -> Output {
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}
