//! Experiments at once that start programs (`linux.file-delete`, `method: rm`) and wait for an alert that comes after two seconds: wall time
//! beside a shell that does the same and waits as long, CPU an experiment, and memory. `cargo xtask bench parallel -- 10 100` measures those
//! numbers only.

mod common;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const NUMBERS: [usize; 4] = [10, 100, 300, 1000];
/// Rounds of each number: in turns, so that a busy machine weighs on both.
const ROUNDS: usize = 3;
/// What the technique does with `rm`, by hand.
const SAME: &str = "file=$(mktemp) && echo harmless | /usr/bin/tee $file >/dev/null && /bin/rm -f $file && sleep 2";

fn main() {
    let mut numbers: Vec<usize> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    if numbers.is_empty() {
        numbers = NUMBERS.into();
    }
    let stage = tempfile::tempdir().expect("a folder");
    let stage = stage.path();
    let port = common::free_port();
    let environment = format!("environment: bench\nparallel: 1000\ninbox: {{ listen: '127.0.0.1:{port}' }}\n");
    std::fs::write(stage.join("foil.yaml"), environment).expect("written");
    let experiment = "experiment: delete\ntechnique: linux.file-delete\nwith: { method: rm }\nexpect: [{ link: detection, check: inbox.event, \
                      with: { contains: it-came }, within: 60s }]\n";
    std::fs::write(stage.join("delete.yaml"), experiment).expect("written");
    for module in ["linux.file-delete", "inbox.event"] {
        let granted = foil(stage)
            .args(["grant", module, "--yes", "--reviewer", "bench", "--reason", "is measured"])
            .output()
            .expect("foil starts");
        assert!(granted.status.success(), "{}", String::from_utf8_lossy(&granted.stderr));
    }
    // The module's code is in the cache from here on.
    run(stage, port, 1);
    for number in numbers {
        let (mut ours, mut theirs, mut cpu, mut peak) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for _ in 0..ROUNDS {
            let before = spent();
            let (wall, memory) = run(stage, port, number);
            cpu.push(spent().saturating_sub(before));
            ours.push(wall);
            peak = peak.max(memory);
            theirs.push(by_hand(number));
        }
        common::line(&format!("{number} experiments that start programs"), &mut ours, "sh", &mut theirs);
        let each = common::median(&mut cpu) / u32::try_from(number).unwrap_or(u32::MAX);
        println!("  CPU an experiment: {} (aim: 20 ms); peak of memory: {} MiB", common::shown(each), peak >> 20);
    }
}

/// Runs so many at once: wall time, and the peak of `foil`'s resident memory in bytes.
fn run(stage: &Path, port: u16, number: usize) -> (Duration, u64) {
    let began = Instant::now();
    let mut child = foil(stage)
        .args(["run", "delete.yaml", "--quiet", "--repeat", &number.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("foil starts");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| common::push(port, began, &over));
        let mut peak = 0;
        let status = loop {
            if let Some(status) = child.try_wait().expect("a child") {
                break status;
            }
            peak = peak.max(resident(child.id()));
            std::thread::sleep(Duration::from_millis(2));
        };
        let took = began.elapsed();
        over.store(true, Ordering::Relaxed);
        assert!(status.success(), "every experiment passes");
        (took, peak)
    })
}

/// The same number of shells at once.
fn by_hand(number: usize) -> Duration {
    let began = Instant::now();
    let shells: Vec<Child> =
        (0..number).map(|_| Command::new("/bin/sh").args(["-c", SAME]).spawn().expect("a shell")).collect();
    for mut shell in shells {
        assert!(shell.wait().expect("a child").success());
    }
    began.elapsed()
}

/// CPU of all descendants that have ended and were waited for.
fn spent() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("/proc");
    let (_, fields) = stat.rsplit_once(')').expect("a name");
    // cutime and cstime, fields 16 and 17, of which the third is the first here.
    let ticks: u64 = fields.split_ascii_whitespace().skip(13).take(2).map(|t| t.parse::<u64>().expect("ticks")).sum();
    Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
}

fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    line.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}

fn foil(stage: &Path) -> Command {
    let mut command = Command::new(common::program());
    command.current_dir(stage).env("FOIL_STATE", stage.join("state")).stdin(Stdio::null());
    command
}
