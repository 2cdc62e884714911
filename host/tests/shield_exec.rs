//! Starting programs: what comes back, what they get, what stops them.

mod shield_support;

use foil_manifest::ShieldLevel;
use foil_shield::{Ending, ExecRequest, ShieldError};
use shield_support::*;
use std::time::{Duration, Instant};

#[tokio::test]
async fn exit_codes_and_signals_are_told_apart() {
    for level in [ShieldLevel::Confined, ShieldLevel::Open] {
        let stage = Stage::with(level, |_| {}).await;
        for (script, ending) in [
            ("exit 0", Ending::Exited(0)),
            ("exit 255", Ending::Exited(255)),
            ("kill -9 $$", Ending::Signalled(9)),
            ("kill -15 $$", Ending::Signalled(15)),
        ] {
            assert_eq!(stage.sh(script).await.ending, ending, "{level}: {script}");
        }
    }
}

#[tokio::test]
async fn both_streams_are_binary_safe_and_apart() {
    let stage = Stage::confined().await;
    let outcome = stage.sh(r"printf 'a\000\377b'; printf 'e\000\200' >&2").await;
    assert_eq!(outcome.stdout, b"a\0\xffb");
    assert_eq!(outcome.stderr, b"e\0\x80");
    assert_eq!((outcome.stdout_dropped, outcome.stderr_dropped), (0, 0));
}

#[tokio::test]
async fn output_is_cut_and_counted_and_does_not_block_the_child() {
    let stage = Stage::with(ShieldLevel::Confined, |spec| spec.limits.output = 1000).await;
    let outcome = stage.sh("head -c 3000000 /dev/zero; head -c 1500 /dev/zero >&2; exit 7").await;
    assert_eq!(outcome.ending, Ending::Exited(7));
    assert_eq!((outcome.stdout.len(), outcome.stdout_dropped), (1000, 2_999_000));
    assert_eq!((outcome.stderr.len(), outcome.stderr_dropped), (1000, 500));
}

#[tokio::test]
async fn standard_input_is_what_was_given_or_empty() {
    let stage = Stage::confined().await;
    let cat = |stdin: Vec<u8>| ExecRequest { program: "/bin/cat".into(), stdin, ..Default::default() };
    let long: Vec<u8> = (0..300_000_u32).map(|i| i.to_le_bytes()[0]).collect();
    assert_eq!(stage.run.exec(cat(long.clone())).await.unwrap().stdout, long);
    assert_eq!(stage.run.exec(cat(Vec::new())).await.unwrap().stdout, b"");
}

#[tokio::test]
async fn long_arguments_arrive() {
    let stage = Stage::confined().await;
    let long = "x".repeat(100_000);
    let echo = ExecRequest { program: "/bin/echo".into(), args: vec![long.clone()], ..Default::default() };
    assert_eq!(stage.run.exec(echo).await.unwrap().stdout.len(), long.len() + 1);
}

#[tokio::test]
async fn the_environment_is_clean_and_additions_win() {
    for level in [ShieldLevel::Confined, ShieldLevel::Open] {
        let stage = Stage::with(level, |_| {}).await;
        let env = vec![("LANG".into(), "C".into()), ("EXTRA".into(), "a=b c".into())];
        let request = ExecRequest { program: "/usr/bin/env".into(), env, ..Default::default() };
        let outcome = stage.run.exec(request).await.unwrap();
        let text = out(&outcome);
        let mut names: Vec<_> = text.lines().filter_map(|line| line.split('=').next()).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            ["EXTRA", "FOIL_RUN_ID", "FOIL_SCRATCH", "HOME", "LANG", "LOGNAME", "PATH", "USER"],
            "{level}"
        );
        assert!(text.contains("EXTRA=a=b c\n") && text.contains("LANG=C\n"), "{text}");
        assert!(text.contains(&format!("FOIL_SCRATCH={}\n", stage.scratch.path().display())), "{text}");
    }
}

#[tokio::test]
async fn a_child_begins_in_scratch_with_three_descriptors_and_default_signals() {
    let stage = Stage::confined().await;
    let outcome =
        stage.sh("pwd; umask; ls /proc/self/fd | tr '\\n' ' '; grep -E '^Sig(Ign|Blk)' /proc/self/status").await;
    let text = out(&outcome);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], stage.scratch.path().to_str().unwrap());
    assert_eq!(lines[1], "0022");
    // 3 is the folder that `ls` reads.
    assert!(lines[2].starts_with("0 1 2 3 SigBlk:"), "{text}");
    assert!(lines[2].ends_with("0000000000000000") && lines[3].ends_with("0000000000000000"), "{text}");
}

#[tokio::test]
async fn a_program_that_cannot_start_is_told_reliably() {
    let stage = Stage::confined().await;
    std::fs::write(stage.path("plain"), "no program").unwrap();
    std::fs::write(stage.path("script"), "#!/no/such/interpreter\n").unwrap();
    std::fs::set_permissions(stage.path("script"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let outside = tempfile::tempdir().unwrap();
    let refused = outside.path().join("true");
    std::fs::copy("/bin/true", &refused).unwrap();
    for (program, is_missing, is_shield) in [
        ("/no/such/program".to_owned(), true, false),
        (stage.path("plain").display().to_string(), false, false),
        (stage.path("script").display().to_string(), false, false),
        (refused.display().to_string(), false, true),
        ("/usr/bin".to_owned(), false, false),
    ] {
        let request = ExecRequest { program: program.clone(), ..Default::default() };
        match stage.run.exec(request).await {
            Err(ShieldError::NotStarted { missing, shield, reason, .. }) => {
                assert_eq!((missing, shield), (is_missing, is_shield), "{program}: {reason}");
            }
            other => panic!("{program}: {other:?}"),
        }
    }
    let nowhere = ExecRequest { cwd: Some("/no/such/folder".into()), ..shell("true") };
    let error = stage.run.exec(nowhere).await.unwrap_err();
    assert!(
        matches!(&error, ShieldError::NotStarted { missing: false, reason, .. } if reason.contains("/no/such")),
        "{error}"
    );
    // None of them became a child, and the run goes on.
    assert_eq!(stage.run.tree().children, []);
    assert_eq!(stage.sh("exit 3").await.ending, Ending::Exited(3));
}

#[tokio::test]
async fn a_request_that_makes_no_sense_is_refused() {
    let stage = Stage::confined().await;
    for request in [
        ExecRequest { program: "true".into(), ..Default::default() },
        ExecRequest { args: vec!["a\0b".into()], ..shell("true") },
        ExecRequest { env: vec![("A=B".into(), String::new())], ..shell("true") },
        ExecRequest { cwd: Some("tmp".into()), ..shell("true") },
    ] {
        let error = stage.run.exec(request).await.unwrap_err();
        assert!(matches!(error, ShieldError::Invalid(_)), "{error}");
    }
}

#[tokio::test]
async fn pids_and_start_times_are_the_hosts() {
    let stage = Stage::confined().await;
    let before = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let sleep = long_sleep();
    let script = format!("sleep {sleep}");
    let request = ExecRequest { timeout: Some(Duration::from_secs(2)), ..shell(&script) };
    let look = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        let tree = stage.run.tree();
        let stat = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let (pid, started) = tree.children[0];
        assert!(stat(pid).contains(&format!(") S {} ", tree.init)), "{tree:?}: {}", stat(pid));
        assert!(alive(&sleep).contains(&pid) || alive(&script).contains(&pid));
        (pid, started)
    };
    let (outcome, (pid, started)) = tokio::join!(stage.run.exec(request), look);
    let outcome = outcome.unwrap();
    assert_eq!((outcome.pid, outcome.started), (pid, started));
    assert!(started >= before && started < before + 30_000_000_000);
    assert!(outcome.duration >= Duration::from_secs(2));
}

#[tokio::test]
async fn a_timeout_kills_daemons_too() {
    for level in [ShieldLevel::Confined, ShieldLevel::Open] {
        let stage = Stage::with(level, |_| {}).await;
        let sleep = long_sleep();
        let script = format!("(setsid sh -c 'sleep {sleep} & sleep {sleep}' >/dev/null 2>&1 &); sleep {sleep}");
        let request = ExecRequest { timeout: Some(Duration::from_millis(1500)), ..shell(&script) };
        let began = Instant::now();
        let outcome = stage.run.exec(request).await.unwrap();
        assert_eq!(outcome.ending, Ending::TimedOut, "{level}");
        assert!(began.elapsed() < Duration::from_secs(10));
        assert_eq!(alive(&sleep), [0_u32; 0], "{level}");
        assert_eq!(stage.sh("exit 4").await.ending, Ending::Exited(4));
    }
}

#[tokio::test]
async fn a_daemon_that_holds_the_output_is_not_waited_for_and_lives_on() {
    let stage = Stage::confined().await;
    let sleep = long_sleep();
    let began = Instant::now();
    let outcome = stage.sh(&format!("(while echo noise; do sleep 0.05; done & exec sleep {sleep}) & echo said")).await;
    assert!(out(&outcome).contains("said\n"));
    assert!(began.elapsed() < Duration::from_secs(15));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(alive(&sleep).len(), 1);
    assert!(stage.run.end_phase().await.unwrap() >= 2);
    assert!(wait_for(&sleep, false));
}

#[tokio::test]
async fn a_dropped_call_leaves_nothing_running() {
    let stage = Stage::confined().await;
    let sleep = long_sleep();
    let script = format!("sleep {sleep} & sleep {sleep}");
    let call = stage.run.exec(shell(&script));
    assert!(tokio::time::timeout(Duration::from_millis(800), call).await.is_err());
    assert!(wait_for(&sleep, false));
    // And what it would have answered is not taken for the next answer.
    assert_eq!(stage.sh("exit 5").await.ending, Ending::Exited(5));
}

#[tokio::test]
async fn the_end_of_a_phase_ends_a_call_in_flight() {
    let stage = Stage::confined().await;
    let end = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        stage.run.end_phase().await.unwrap()
    };
    let (outcome, _) = tokio::join!(stage.run.exec(shell("sleep 3000")), end);
    assert_eq!(outcome.unwrap().ending, Ending::Signalled(9));
}

#[tokio::test]
async fn limits_hold() {
    let stage = Stage::with(ShieldLevel::Confined, |spec| {
        spec.limits.file_size = 10_000;
        spec.limits.memory = 256 << 20;
    })
    .await;
    let outcome = stage.sh("head -c 50000 /dev/zero > big; wc -c < big; ulimit -c; ulimit -n").await;
    assert_eq!(out(&outcome).split_whitespace().collect::<Vec<_>>(), ["10000", "0", "4096"], "{}", err(&outcome));
    let outcome = stage.sh("head -c 400000000 /dev/zero | tail -c 399999999 | wc -c").await;
    assert!(err(&outcome).contains("memory"), "{} {}", out(&outcome), err(&outcome));
}

#[tokio::test]
async fn a_fork_bomb_is_held() {
    let stage = Stage::with(ShieldLevel::Confined, |spec| spec.limits.processes = 20).await;
    let sleep = long_sleep();
    let script = format!("i=0; while [ $i -lt 150 ]; do sleep {sleep} & i=$((i+1)); done; sleep 1; exit 0");
    match stage.run.exec(shell(&script)).await {
        // Counted by init.
        Err(ShieldError::Limit(text)) => assert!(text.contains("20"), "{text}"),
        // A fork failed.
        Ok(outcome) => {
            assert_ne!(outcome.ending, Ending::Exited(0));
            let many = alive(&sleep).len();
            assert!((10..=20).contains(&many), "{many}");
        }
        Err(other) => panic!("{other}"),
    }
    stage.run.end_phase().await.unwrap();
    assert_eq!(alive(&sleep), [0_u32; 0]);
    assert_eq!(stage.sh("exit 6").await.ending, Ending::Exited(6));
}

/// A runtime that is kept from its work for longer than it waits for the tail of an output.
#[tokio::test]
async fn the_output_of_a_child_that_has_ended_is_whole_however_busy_the_machine_is() {
    let hog = tokio::spawn(async {
        loop {
            std::thread::sleep(Duration::from_millis(150));
            tokio::task::yield_now().await;
        }
    });
    let levels = [ShieldLevel::Confined, ShieldLevel::Overlay];
    for level in levels.into_iter().filter(|level| *level == ShieldLevel::Confined || is_administrator()) {
        let stage = Stage::with(level, |_| {}).await;
        for round in 0..10 {
            let outcome = stage.sh("echo out; echo err >&2").await;
            assert_eq!((out(&outcome), err(&outcome)), ("out\n".into(), "err\n".into()), "{level}, round {round}");
            // The direct child has ended; what holds its output has not.
            let outcome = stage.sh("echo out; sleep 60 &").await;
            assert_eq!(out(&outcome), "out\n", "{level}, round {round}");
            stage.run.end_phase().await.unwrap();
        }
    }
    hog.abort();
}

#[tokio::test]
async fn a_sensor_can_tell_foils_set_up_from_the_program() {
    use foil_collector::ProcessTree;
    use foil_record::Attribution;
    for level in [ShieldLevel::Confined, ShieldLevel::Open] {
        for tree in [ProcessTree::new(), ProcessTree::without_connector()] {
            let stage = Stage::with(level, |_| {}).await;
            tree.feed(&stage.run.tree());
            tree.follow(stage.run.births());
            let outcome = stage.sh("true").await;
            tree.catch_up();
            let init = stage.run.tree().init;
            let whose = |pid, at| tree.contains(pid, Some(init), at);
            assert_eq!(whose(outcome.pid, outcome.started), Attribution::Tree, "{level}");
            assert_eq!(
                whose(outcome.pid, outcome.started - 1),
                Attribution::Stranger,
                "{level}: it was not its program yet"
            );
            assert_eq!(whose(init, outcome.started), Attribution::Stranger, "{level}: the init");
        }
    }
}

/// A child kills or stops the process of Foil's that starts programs in an overlay: the run goes on.
#[tokio::test]
async fn who_kills_or_stops_what_starts_programs_stops_no_program() {
    if !is_administrator() {
        skip!("it takes root");
    }
    for signal in ["KILL", "STOP"] {
        let stage = Stage::with(ShieldLevel::Overlay, |_| {}).await;
        let outcome = stage.sh(&format!("kill -{signal} -1; sleep 0.1; echo done")).await;
        assert_eq!(out(&outcome), "done\n", "{signal}");
        for _ in 0..2 {
            assert_eq!(
                out(&stage.sh("hostname foil-mine && hostname").await),
                "foil-mine\n",
                "{signal}: the same view"
            );
            stage.run.end_phase().await.unwrap();
        }
        assert_eq!(stage.sh("exit 7").await.ending, Ending::Exited(7), "{signal}");
    }
}
