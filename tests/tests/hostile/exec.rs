//! Guests that start what they should not, or too much of it.

use foil_tests::hostile::{Command, Ended, Guest, Stage, limited};

/// Fires a guest that may start `allow` and starts `command`.
fn fire(stage: &Stage, allow: &str, command: &Command<'_>) -> Ended {
    let mut guest = Guest::technique("test.exec").asks("exec", &format!("allow = [{allow:?}]"));
    let call = command.call(&mut guest);
    stage.fire(&guest.act(&format!("{call} (call $or8)")))
}

#[track_caller]
fn denied(allow: &str, command: &Command<'_>) {
    fire(&Stage::new(), allow, command).is("inconclusive", 3, "denied: `exec`");
}

#[test]
fn what_is_granted_runs() {
    fire(&Stage::new(), "/bin/echo a*", &Command::new("/bin/echo", &["abc"])).is("pass", 0, "");
}

#[test]
fn another_program() {
    denied("/bin/echo ...", &Command::new("/bin/cat", &["/etc/shadow"]));
}

#[test]
fn arguments_just_outside_the_pattern() {
    for args in [&["b"][..], &[], &["a", "b"], &["a/b"], &["-e", "a"], &[" a"], &["A"], &["", "a"]] {
        denied("/bin/echo a*", &Command::new("/bin/echo", args));
    }
}

#[test]
fn the_same_program_by_another_way() {
    for program in
        ["/bin/../bin/echo", "/bin//echo", "/bin/./echo", "/usr/bin/echo", "echo", "./echo", "", "/bin/echo/"]
    {
        let ended = fire(&Stage::new(), "/bin/echo ...", &Command::new(program, &["a"]));
        ended.is("inconclusive", 3, "denied: `exec`");
    }
}

#[test]
fn a_library_put_before_all_others() {
    for name in ["LD_PRELOAD", "LD_LIBRARY_PATH", "PATH", "FOIL_RUN_ID"] {
        let command = Command { env: vec![(name, "/tmp/evil.so")], ..Command::new("/bin/echo", &["a"]) };
        denied("/bin/echo ...", &command);
    }
}

#[test]
fn a_variable_with_a_name_that_is_two() {
    let command = Command { env: vec![("A=1\nLD_PRELOAD", "x")], ..Command::new("/bin/echo", &["a"]) };
    fire(&Stage::new(), "/bin/echo ...", &command).is("error", 5, "without `=`");
}

#[test]
fn a_nul_in_an_argument() {
    fire(&Stage::new(), "/bin/echo ...", &Command::new("/bin/echo", &["a\0b"])).is("error", 5, "NUL");
    fire(&Stage::new(), "/bin/echo ...", &Command::new("/bin/echo\0x", &["a"])).is("error", 5, "NUL");
}

#[test]
fn ten_thousand_arguments() {
    fire(&Stage::new(), "/bin/echo ...", &Command::new("/bin/echo", &["a"; 10_000])).is(
        "error",
        5,
        "at most 1024 arguments",
    );
}

#[test]
fn an_argument_of_one_megabyte() {
    let long = "a".repeat(1 << 20);
    fire(&Stage::new(), "/bin/echo ...", &Command::new("/bin/echo", &[&long])).is("error", 5, "131072 bytes together");
}

#[test]
fn a_working_folder_that_is_nobodys_business() {
    for cwd in ["/root", "/proc/1/cwd", "../../..", "relative", "/does/not/exist"] {
        let command = Command { cwd: Some(cwd), ..Command::new("/bin/ls", &[]) };
        let ended = fire(&Stage::new(), "/bin/ls", &command);
        assert_ne!(ended.report()["verdict"], "fail", "{cwd}");
    }
}

#[test]
fn a_flood_of_programs() {
    let mut guest = Guest::technique("test.flood").asks("exec", "allow = [\"/bin/true\"]");
    let call = Command::new("/bin/true", &[]).call(&mut guest);
    let ended = Stage::new().fire(&guest.act(&format!("(loop $l {call} (br $l)) unreachable")));
    ended.stopped_at("children", 8);
}

#[test]
fn a_program_that_sleeps_for_an_hour() {
    let stage = Stage::with(&limited(&[("wall-ms", 700)]));
    let ended = fire(&stage, "/bin/sleep 3600", &Command::new("/bin/sleep", &["3600"]));
    let reason = ended.report()["reason"].to_string();
    // Whichever of the two clocks rings first: the child's time-out, or the phase's.
    assert!(reason.contains("time-out") || reason.contains("wall-ms"), "{reason}");
    assert_eq!(ended.code, 5);
}

#[test]
fn a_daemon_that_sleeps_for_an_hour() {
    let script = "setsid sh -c 'trap \"\" TERM HUP INT; sleep 3600' >/dev/null 2>&1 & echo started";
    let allow = "/bin/sh -c *";
    let mut guest = Guest::technique("test.daemon").asks("exec", &format!("allow = [{allow:?}, '/bin/sh ...']"));
    let call = Command::new("/bin/sh", &["-c", script]).call(&mut guest);
    Stage::new().fire(&guest.act(&format!("{call} (call $or8)"))).is("pass", 0, "");
}

#[test]
fn a_program_that_prints_for_ever() {
    let stage = Stage::with(&limited(&[("wall-ms", 1_000)]));
    let ended = fire(&stage, "/usr/bin/yes", &Command::new("/usr/bin/yes", &[]));
    assert_eq!(ended.code, 5, "{ended:?}");
    assert!(ended.stdout.len() < 100_000);
}

#[test]
fn a_program_that_prints_a_hundred_megabytes() {
    // 65,536 bytes are kept, and the guest learns how many were not; anything else makes it trap.
    let act = "(if (i32.ne (i32.load (i32.const 528)) (i32.const 65536)) (then unreachable))
        (if (i64.ne (i64.load (i32.const 544)) (i64.const 99934464)) (then unreachable)) (call $or8)";
    let mut guest = Guest::technique("test.prints").asks("exec", "allow = [\"/usr/bin/head -c 100000000 /dev/zero\"]");
    let call = Command::new("/usr/bin/head", &["-c", "100000000", "/dev/zero"]).call(&mut guest);
    Stage::new().fire(&guest.act(&format!("{call} {act}"))).is("pass", 0, "");
}
