use super::super::super::ClockGrain;
use super::*;
use Attribution::{Likeness as Like, Stranger, Window};

const MS: u64 = 1_000_000;
const T: u64 = 1_700_000_000_000 * MS;

fn image(exe: &str, argv: &[&str], uid: u32) -> Image {
    let argv = argv.iter().map(|word| (*word).to_owned()).collect();
    Image { exes: vec![exe.to_owned()], argv, comm: None, uids: vec![uid, uid, uid] }
}

/// Init 10 started `bash t.sh` (11), which runs `cat /etc/shadow` (12) for 2 ms.
fn programs() -> Programs {
    let mut programs = Programs::default();
    programs.above(vec!["foil-init".into(), "foil".into()]);
    programs.fork(10, 11);
    programs.exec(11, T, image("/usr/bin/bash", &["bash", "/tmp/t.sh"], 0));
    programs.fork(11, 12);
    programs.exec(12, T + 5 * MS, image("/usr/bin/cat", &["/bin/cat", "/etc/shadow"], 0));
    programs.exit(12, T + 7 * MS);
    programs
}

/// What a stock Falco says of it.
fn cat() -> Likeness {
    Likeness {
        command_line: Some("cat /etc/shadow".into()),
        exe: Some("/usr/bin/cat".into()),
        name: Some("cat".into()),
        parents: ["bash", "foil-init", "foil-launcher"].map(|name| Some(name.to_owned())).to_vec(),
        uid: Some(0),
        ..Likeness::default()
    }
}

#[test]
fn what_is_alike_in_all_that_is_said_is_ours_and_anything_else_is_not() {
    let programs = programs();
    let at = T + 6 * MS;
    let judge = |likeness: &Likeness| programs.judge(likeness, at, true);
    let parents = |names: &[&str]| names.iter().map(|name| Some((*name).to_owned())).collect();
    assert_eq!(judge(&cat()), Like);
    // Things that a sensor leaves out, or says in another way.
    for likeness in [
        Likeness { parents: vec![], uid: None, ..cat() },
        Likeness { exe: None, name: None, ..cat() },
        Likeness { command_line: None, ..cat() },
        Likeness { command_line: Some("/bin/cat  /etc/shadow".into()), ..cat() },
        Likeness { command_line: Some("/usr/bin/cat /etc/shadow".into()), ..cat() },
        // Its parent ended: it fell to the init. Above that is the machine.
        Likeness { parents: parents(&["foil-init", "systemd"]), ..cat() },
        Likeness { parents: parents(&["bash", "foil", "zsh", "sshd"]), ..cat() },
    ] {
        assert_eq!(judge(&likeness), Like, "{likeness:?}");
    }
    for likeness in [
        Likeness { uid: Some(1000), ..cat() },
        Likeness { exe: Some("/tmp/cat".into()), ..cat() },
        Likeness { command_line: Some("cat /etc/shadow /etc/passwd".into()), ..cat() },
        Likeness { command_line: Some("cat".into()), ..cat() },
        Likeness { name: Some("tac".into()), ..cat() },
        Likeness { parents: parents(&["zsh"]), ..cat() },
        Likeness { parents: parents(&["bash", "sshd"]), ..cat() },
    ] {
        assert_eq!(judge(&likeness), Stranger, "{likeness:?}");
    }
    // A name alone says little.
    assert_eq!(judge(&Likeness { name: Some("cat".into()), ..Likeness::default() }), Window);
}

#[test]
fn the_time_must_fit_and_forks_go_on() {
    let mut programs = programs();
    for (at, expected) in [
        (T - 2_000 * MS, Stranger),
        (T - 900 * MS, Stranger),
        // Before it executed `cat`: whoever this was did the same, or was Foil.
        (T + 3 * MS, Stranger),
        (T + 5 * MS, Like),
        (T + 1_000 * MS, Like),
        (T + 1_100 * MS, Stranger),
    ] {
        assert_eq!(programs.judge(&cat(), at, true), expected, "{at}");
    }
    let coarse = Likeness { grain: ClockGrain::COARSE, ..cat() };
    assert_eq!(programs.judge(&coarse, T - 3 * MS, true), Like);
    assert_eq!(programs.judge(&coarse, T - 20 * MS, true), Stranger);
    let bash = Likeness { command_line: Some("bash /tmp/t.sh".into()), ..Likeness::default() };
    programs.fork(11, 13);
    programs.exit(11, T + 20 * MS);
    assert_eq!(programs.judge(&bash, T + 60_000 * MS, true), Like, "a fork of it lives");
    programs.exit(13, T + 30 * MS);
    assert_eq!(programs.judge(&bash, T + 60_000 * MS, true), Stranger);
}

#[test]
fn one_that_was_gone_before_it_could_be_asked_is_known_by_its_moment() {
    let mut programs = programs();
    programs.fork(11, 14);
    programs.exec(14, T + 5_000 * MS, Image::default());
    programs.exit(14, T + 5_001 * MS);
    let other =
        Likeness { command_line: Some("id -u".into()), parents: vec![Some("bash".into())], ..Likeness::default() };
    assert_eq!(programs.judge(&other, T + 5_050 * MS, true), Window);
    assert_eq!(programs.judge(&other, T + 5_200 * MS, true), Stranger);
    let anothers = Likeness { parents: vec![Some("cron".into())], ..other };
    assert_eq!(programs.judge(&anothers, T + 5_050 * MS, true), Stranger);
    // The dead have a name for a while.
    programs.fork(11, 15);
    programs.exec(15, T + 9_000 * MS, Image { comm: Some("id".into()), uids: vec![0], ..Image::default() });
    assert_eq!(programs.judge(&Likeness { name: Some("tr".into()), ..cat() }, T + 9_001 * MS, true), Stranger);
}

#[test]
fn where_programs_may_have_been_missed_nobody_is_a_stranger_for_certain() {
    let mut programs = programs();
    let other = Likeness { command_line: Some("id -u".into()), ..Likeness::default() };
    assert_eq!(programs.judge(&other, T, false), Window);
    assert_eq!(programs.judge(&cat(), T + 6 * MS, false), Like);
    for n in 0..MAX_PROGRAMS {
        programs.ended(100, T + 10_000 * MS * n as u64, T + 10_000 * MS * n as u64, image("/bin/true", &["true"], 0));
    }
    assert_eq!(programs.judge(&other, T, true), Window);
}

#[test]
fn what_the_launcher_started_fills_in_what_proc_did_not_say() {
    let mut programs = Programs::default();
    programs.exec(20, T, Image { uids: vec![7], ..Image::default() });
    programs.exit(20, T + MS);
    programs.ended(20, T, T + MS, Image { uids: vec![], ..image("/bin/uname", &["/bin/uname", "-a"], 0) });
    let uname = Likeness { command_line: Some("uname -a".into()), uid: Some(7), ..Likeness::default() };
    assert_eq!(programs.judge(&uname, T, true), Like);
    assert_eq!(programs.judge(&Likeness { uid: Some(8), ..uname }, T, true), Stranger);
    // A reused id.
    programs.fork(1, 20);
    programs.exec(20, T + 60_000 * MS, image("/bin/ls", &["ls"], 0));
    assert_eq!(programs.list.len(), 2);
}

#[test]
fn long_and_odd_command_lines() {
    let long = "x".repeat(5_000);
    let name = "a-very-long-program-name";
    let image =
        Image { comm: Some("a-very-long-pro".into()), ..image(&format!("/opt/{name}"), &[name, "a\nb", &long], 0) };
    assert!(same_command(&image, &format!("{name} a\nb {long}")));
    assert!(same_command(&image, &format!("a-very-long-pro a b {}", &long[..4_000])), "cut by the sensor");
    assert!(!same_command(&image, &format!("{name} a b x")));
    assert!(same_command(&self::image("/bin/sh", &["sh", "-c", "id; ls"], 0), "sh -c 'id; ls'"));
}
