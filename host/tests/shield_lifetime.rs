//! Nothing of a run outlives its phase, its handle, or Foil.

mod shield_support;

use foil_manifest::ShieldLevel;
use foil_shield::Ending;
use shield_support::*;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

const LEVELS: [ShieldLevel; 2] = [ShieldLevel::Confined, ShieldLevel::Open];

fn daemon(sleep: &str) -> String {
    // Forked twice, in a session of its own, deaf to polite signals, holding no stream.
    format!("(setsid sh -c 'trap \"\" TERM HUP; sleep {sleep} & sleep {sleep}; true' </dev/null >/dev/null 2>&1 &)")
}

#[tokio::test]
async fn the_end_of_a_phase_kills_daemons_and_counts_them() {
    for level in LEVELS {
        let stage = Stage::with(level, |_| {}).await;
        let sleep = long_sleep();
        assert_eq!(stage.sh(&daemon(&sleep)).await.ending, Ending::Exited(0));
        assert!(until(|| alive(&sleep).len() == 2), "{level}");
        // Two sleeps and their shell.
        assert_eq!(stage.run.end_phase().await.unwrap(), 3, "{level}");
        assert_eq!(alive(&sleep), [0_u32; 0], "{level}");
        assert_eq!(stage.run.end_phase().await.unwrap(), 0, "{level}");
        assert_eq!(stage.sh("exit 9").await.ending, Ending::Exited(9));
    }
}

#[tokio::test]
async fn closing_waits_until_all_is_gone() {
    for level in LEVELS {
        let stage = Stage::with(level, |_| {}).await;
        let sleep = long_sleep();
        stage.sh(&daemon(&sleep)).await;
        assert!(wait_for(&sleep, true));
        let init = stage.run.tree().init;
        assert!(std::path::Path::new(&format!("/proc/{init}")).exists());
        stage.run.close().await.unwrap();
        assert_eq!(alive(&sleep), [0_u32; 0], "{level}");
        assert!(!std::path::Path::new(&format!("/proc/{init}")).exists(), "{level}: init is buried");
        drop(stage.launcher);
    }
}

#[tokio::test]
async fn dropping_the_handle_or_the_launcher_kills() {
    for level in LEVELS {
        for launcher_goes in [false, true] {
            let stage = Stage::with(level, |_| {}).await;
            let sleep = long_sleep();
            stage.sh(&daemon(&sleep)).await;
            assert!(wait_for(&sleep, true));
            let Stage { run, scratch: _scratch, launcher } = stage;
            let kept: Box<dyn std::any::Any> = if launcher_goes {
                drop(launcher);
                Box::new(run)
            } else {
                drop(run);
                Box::new(launcher)
            };
            assert!(wait_for(&sleep, false), "{level}, the launcher goes: {launcher_goes}");
            drop(kept);
        }
    }
}

/// The host that is killed: it opens a run at every level, starts daemons, and waits.
#[tokio::test]
#[ignore = "started, and killed, by `killing_foil_kills_every_run`"]
async fn doomed_host() {
    let sleep = std::env::var("FOIL_TEST_SLEEP").unwrap();
    let mut stages = Vec::new();
    for level in LEVELS {
        let stage = Stage::with(level, |_| {}).await;
        stage.sh(&daemon(&sleep)).await;
        stages.push(stage);
    }
    println!("standing: {}", std::process::id());
    let in_flight = format!("sleep {sleep}");
    tokio::join!(stages[0].sh(&in_flight), stages[1].sh(&in_flight));
}

#[test]
fn killing_foil_kills_every_run() {
    let sleep = long_sleep();
    let line = again("doomed_host");
    // It will not remove its own scratch folders.
    let folders = tempfile::tempdir().unwrap();
    let mut host = Command::new(&line[0])
        .args(&line[1..])
        .env("FOIL_TEST_SLEEP", &sleep)
        .env("TMPDIR", folders.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(host.stdout.take().unwrap()).lines();
    // The harness may print its own words on the same line.
    assert!(lines.map_while(Result::ok).any(|line| line.contains("standing: ")));
    assert!(until(|| alive(&sleep).len() >= 6), "two daemons' sleeps and a call's, at each level");
    host.kill().unwrap();
    host.wait().unwrap();
    assert!(wait_for(&sleep, false), "{:?}", alive(&sleep));
}

#[tokio::test]
async fn killing_an_init_kills_its_run_and_the_handle_says_so() {
    for level in LEVELS {
        let stage = Stage::with(level, |_| {}).await;
        let sleep = long_sleep();
        stage.sh(&daemon(&sleep)).await;
        assert!(wait_for(&sleep, true));
        let init = rustix::process::Pid::from_raw(stage.run.tree().init as i32).unwrap();
        rustix::process::kill_process(init, rustix::process::Signal::KILL).unwrap();
        assert!(wait_for(&sleep, false), "{level}");
        let error = stage.run.exec(shell("true")).await.unwrap_err();
        assert!(matches!(error, foil_shield::ShieldError::Lost(_)), "{error}");
    }
}

#[tokio::test]
async fn killing_the_launcher_kills_its_runs() {
    for level in LEVELS {
        let stage = Stage::with(level, |_| {}).await;
        let sleep = long_sleep();
        stage.sh(&daemon(&sleep)).await;
        assert!(wait_for(&sleep, true));
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", stage.run.tree().init)).unwrap();
        let parent: i32 = stat.split_whitespace().nth(3).unwrap().parse().unwrap();
        let parent = rustix::process::Pid::from_raw(parent).unwrap();
        rustix::process::kill_process(parent, rustix::process::Signal::KILL).unwrap();
        assert!(wait_for(&sleep, false), "{level}");
        let error = stage.run.exec(shell("true")).await.unwrap_err();
        assert!(matches!(error, foil_shield::ShieldError::Lost(_)), "{error}");
    }
}

#[tokio::test]
async fn runs_that_end_together_are_all_buried() {
    let launcher = launcher();
    let scratch = tempfile::tempdir().unwrap();
    for _ in 0..30 {
        let open = |level| launcher.open(spec(level, scratch.path()));
        let runs = tokio::try_join!(open(LEVELS[0]), open(LEVELS[1]), open(LEVELS[1])).unwrap();
        tokio::try_join!(runs.0.close(), runs.1.close(), runs.2.close()).unwrap();
    }
}

#[tokio::test]
async fn children_cannot_kill_their_init() {
    let stage = Stage::confined().await;
    stage.sh("kill -9 1; kill -STOP 1; kill -9 $PPID").await;
    assert_eq!(stage.sh("exit 8").await.ending, Ending::Exited(8));
}

#[tokio::test]
async fn runs_of_one_launcher_do_not_touch_each_other() {
    let launcher = launcher();
    let scratch = tempfile::tempdir().unwrap();
    let open = || launcher.open(spec(ShieldLevel::Confined, scratch.path()));
    let (one, two) = (open().await.unwrap(), open().await.unwrap());
    let sleep = long_sleep();
    sh(&one, &daemon(&sleep)).await;
    assert!(until(|| alive(&sleep).len() == 2));
    assert_eq!(two.end_phase().await.unwrap(), 0);
    sh(&two, "kill -9 -1").await;
    two.close().await.unwrap();
    assert_eq!(alive(&sleep).len(), 2);
    one.close().await.unwrap();
    assert_eq!(alive(&sleep), [0_u32; 0]);
}
