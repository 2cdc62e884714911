//! Signals, `foil abort`, and several `foil`s at once: whoever stops a run, nothing of it is left.

use foil_tests::e2e::{Bench, Done, Live, is_root, until};
use nix::sys::signal::Signal;
use std::time::Duration;

/// What a run is given to stop, on a machine that is busy with other tests.
const STOPS: Duration = Duration::from_secs(10);

const LEVELS: [&str; 3] = ["confined", "overlay", "open"];

/// Starts a daemon as daemons start (double fork, a session of its own), a child in the background, and stays.
const TREE: &str = "(setsid sh -c 'sleep 3131 & sleep 3132' >/dev/null 2>&1 &) ; sleep 3133 & exec sleep 3134";

/// The levels that this user gets.
fn levels() -> impl Iterator<Item = &'static str> {
    let root = is_root();
    LEVELS.into_iter().filter(move |level| root || *level != "overlay")
}

fn sleeps(bench: &Bench) -> usize {
    let is_sleep = |process: &&String| process.split_once(' ').is_some_and(|(_, line)| line.starts_with("sleep 313"));
    bench.processes().iter().filter(is_sleep).count()
}

/// A run whose tree of processes is up.
fn start(bench: &Bench, level: &str) -> Live {
    let script = format!("script={TREE}");
    let live = bench.spawn(&[
        "fire",
        "linux.e2e-shell",
        "--modules",
        ".",
        "--with",
        &script,
        "--shield",
        level,
        "--format",
        "json",
    ]);
    let up = std::time::Instant::now();
    while sleeps(bench) < 4 {
        assert!(up.elapsed() < STOPS, "in {level} only {:?} came up; foil says {}", bench.processes(), live.said());
        std::thread::sleep(Duration::from_millis(10));
    }
    live
}

fn bench() -> Bench {
    let bench = Bench::new();
    bench.grant_shell();
    bench
}

#[track_caller]
fn stopped(bench: &Bench, done: &Done) {
    done.says(3, &[]);
    let report = done.report();
    assert_eq!(report["verdict"], "inconclusive", "{report:#}");
    assert!(report["reason"].as_str().is_some_and(|r| r.contains("stopped")), "{report:#}");
    bench.is_clean();
    bench.foil(&["cleanup"]).says(0, &["Nothing to clean up"]);
    let run = bench.last_run();
    assert_eq!((&run["outcome"], &run["open"], &run["live"]), (&"clean".into(), &0.into(), &false.into()), "{run:#}");
}

#[test]
fn ctrl_c_and_sigterm_stop_clean_up_and_report() {
    let bench = bench();
    for level in levels() {
        for signal in [Signal::SIGINT, Signal::SIGTERM] {
            let mut live = start(&bench, level);
            live.signal(signal);
            stopped(&bench, &live.ends_within(STOPS));
        }
    }
}

#[test]
fn ctrl_c_that_comes_twice_at_once_is_one() {
    let bench = bench();
    let mut live = start(&bench, "confined");
    live.signal(Signal::SIGINT);
    until(STOPS, "foil heard it", || live.said().contains("stopping and cleaning up"));
    // The terminal's and a wrapper's.
    live.signal(Signal::SIGINT);
    live.signal(Signal::SIGTERM);
    let done = live.ends_within(STOPS);
    stopped(&bench, &done);
    let told = (done.err.matches("stopping and cleaning up").count(), done.err.contains("no longer waiting"));
    assert_eq!(told, (1, false), "{done:#?}");
}

#[test]
fn kill_nine_of_foil_takes_the_whole_tree_along() {
    let bench = bench();
    for level in levels() {
        let mut live = start(&bench, level);
        live.signal(Signal::SIGKILL);
        bench.no_processes_within(Duration::from_secs(2));
        assert_eq!(live.ends_within(STOPS).code, None);
        let left = bench.foil(&["journal", "residue"]);
        left.says(4, &["scratch folder", "its run is dead and was not cleaned up"]);
        assert!(!left.out.contains("No residue"), "{left:#?}");
        bench.foil(&["cleanup"]).says(0, &["undone"]);
        bench.foil(&["journal", "residue"]).says(0, &["No residue."]);
        bench.is_clean();
    }
}

#[test]
fn a_daemon_does_not_outlive_its_phase() {
    let bench = bench();
    for level in levels() {
        let script = "script=(setsid sh -c 'sleep 3131 & sleep 3132' >/dev/null 2>&1 &); sleep 0.2; echo up";
        let done = bench.foil(&["fire", "linux.e2e-shell", "--modules", ".", "--with", script, "--shield", level]);
        done.says(0, &["pass", "up"]);
        bench.is_clean();
    }
}

/// Nothing has come that would wake the watch, and nothing will.
#[test]
fn a_run_that_waits_for_its_first_event_stops_at_once() {
    let bench = bench();
    bench.write("foil.yaml", "environment: e2e\ninbox: { listen: '127.0.0.1:0' }\n");
    let experiment = "experiment: e\ntechnique: linux.file-delete\nwith: { method: rm }\nexpect: [{ link: detection, check: inbox.event, \
                      with: { contains: nothing }, within: 50s }]\n";
    bench.write("wait.yaml", experiment);
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut live = bench.spawn(&["run", "wait.yaml", "--format", "json"]);
        let watches = || bench.runs().first().is_some_and(|run| run["live"] == true && run["effects"] != 0);
        until(STOPS, "it acts", watches);
        std::thread::sleep(Duration::from_millis(500));
        live.signal(signal);
        stopped(&bench, &live.ends_within(STOPS));
    }
}

#[test]
fn abort_stops_a_live_run_and_cleans_up() {
    let bench = bench();
    let mut live = start(&bench, "confined");
    bench.foil(&["abort"]).says(0, &["asked to stop"]);
    stopped(&bench, &live.ends_within(STOPS));
    bench.foil(&["abort"]).says(0, &["Nothing to clean up"]);
}

#[test]
fn abort_kills_what_does_not_listen() {
    let bench = bench();
    let mut live = start(&bench, "confined");
    live.signal(Signal::SIGSTOP);
    bench.foil(&["abort", "--wait", "0"]).says(0, &["killed", "undone"]);
    assert_eq!(live.ends_within(STOPS).code, None);
    bench.is_clean();
}

#[test]
fn cleanup_never_touches_a_live_run() {
    let bench = bench();
    let mut live = start(&bench, "confined");
    let before = bench.processes();
    bench.foil(&["cleanup"]).says(0, &["alive, left alone"]);
    let answer = bench.foil(&["cleanup", "--format", "json"]).json();
    assert_eq!(answer["live"].as_array().map(Vec::len), Some(1), "{answer:#}");
    bench.foil(&["cleanup", "--dry-run"]).says(0, &["Nothing to clean up"]);
    let run = bench.last_run();
    assert_eq!((&run["live"], &run["open"]), (&true.into(), &1.into()), "{run:#}");
    // Nor is it forgotten or pruned.
    let id = run["run"].as_str().expect("an id").to_owned();
    bench.foil(&["cleanup", "--forget", &id]).says(2, &[&id]);
    bench.foil(&["journal", "prune", "--older-than", "0h"]).says(0, &["Removed 0 run(s)"]);
    assert!(live.is_alive());
    assert_eq!(bench.processes(), before);
    assert!(bench.path("tmp").join(format!("foil-{id}")).is_dir());
    live.signal(Signal::SIGTERM);
    stopped(&bench, &live.ends_within(STOPS));
}

#[test]
fn runs_at_once_share_a_state_folder() {
    let bench = bench();
    assert!(!bench.path("state").exists(), "granting needs no journal");
    let fired =
        ["linux.file-delete", "linux.dev-shm-exec", "linux.system-info", "linux.file-delete", "linux.e2e-shell"];
    // One more is killed while the others go on.
    let killed = start(&bench, "confined");
    let runs: Vec<Live> = fired
        .iter()
        .map(|id| match *id {
            "linux.e2e-shell" => bench.spawn(&["fire", id, "--modules", ".", "--with", "script=echo hello"]),
            id => bench.spawn(&["fire", id]),
        })
        .collect();
    killed.signal(Signal::SIGKILL);
    for mut run in runs {
        run.ends_within(Duration::from_secs(60)).says(0, &["pass"]);
    }
    drop(killed);
    bench.foil(&["cleanup"]).says(0, &[]);
    bench.is_clean();
    let runs = bench.runs();
    assert_eq!(runs.len(), fired.len() + 1);
    for run in runs {
        assert!(!run["finished"].is_null() && run["open"] == 0 && run["residue"] == 0, "{run:#}");
    }
    bench.foil(&["journal", "verify"]).says(0, &["whole", "sound"]);
}
