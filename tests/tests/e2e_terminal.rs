//! What is said and asked where a person sits at a terminal.

use foil_tests::e2e::Bench;
use nix::pty::{OpenptyResult, Winsize, openpty};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Runs `foil` on a terminal of 80 columns, types `answer`, and returns the exit code and all that was on the screen.
fn at_a_terminal(bench: &Bench, arguments: &[&str], answer: &str) -> (Option<i32>, String) {
    let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    let OpenptyResult { master, slave } = openpty(&size, None).expect("a terminal");
    let mut command = bench.command(arguments);
    let end = || Stdio::from(slave.try_clone().expect("copied"));
    let mut child = command.stdin(end()).stdout(end()).stderr(end()).spawn().expect("foil starts");
    drop((command, slave));
    let mut master = File::from(master);
    master.write_all(answer.as_bytes()).expect("typed");
    let (mut screen, mut part) = (Vec::new(), [0; 4096]);
    let end = Instant::now() + Duration::from_secs(60);
    // Reading fails with EIO once nobody holds the other end.
    while let Ok(read @ 1..) = master.read(&mut part) {
        screen.extend_from_slice(&part[..read]);
        assert!(Instant::now() < end, "{}", String::from_utf8_lossy(&screen));
    }
    let code = child.wait().expect("a child").code();
    (code, String::from_utf8(screen).expect("UTF-8"))
}

#[test]
fn what_is_not_granted_is_shown_and_offered() {
    let bench = Bench::bare(None);
    let (code, screen) = at_a_terminal(&bench, &["fire", "linux.system-info"], "n\n");
    assert_eq!(code, Some(2), "{screen}");
    assert!(screen.contains("Asks for") && screen.contains("/bin/uname") && screen.contains("[y/N]"), "{screen}");
    assert!(!bench.path("grants.toml").exists() && !bench.path("state").exists());

    let (code, screen) = at_a_terminal(&bench, &["fire", "linux.system-info"], "y\n");
    assert_eq!(code, Some(0), "{screen}");
    let grants = std::fs::read_to_string(bench.path("grants.toml")).expect("written");
    assert!(grants.contains("linux.system-info") && grants.contains("granted when it was to be fired"), "{grants}");
    // From now on nobody is asked, on a terminal or not.
    bench.foil(&["fire", "linux.system-info"]).says(0, &["pass"]);
}

#[test]
fn what_was_taken_back_is_not_offered_again() {
    let bench = Bench::new();
    bench.foil(&["revoke", "linux.system-info", "--reason", "no", "--reviewer", "ann"]).says(0, &[]);
    let (code, screen) = at_a_terminal(&bench, &["fire", "linux.system-info"], "y\n");
    assert_eq!(code, Some(2), "{screen}");
    assert!(screen.contains("revoked") && !screen.contains("[y/N]"), "{screen}");
}

#[test]
fn no_grant_is_offered_for_a_pattern() {
    let bench = Bench::bare(None);
    let (code, screen) = at_a_terminal(&bench, &["fire", "linux.system-*"], "y\n");
    assert_eq!(code, Some(3), "{screen}");
    assert!(screen.contains("refused: linux.system-info is not granted") && !screen.contains("[y/N]"), "{screen}");
    assert!(!bench.path("grants.toml").exists());
}

#[test]
fn with_a_file_the_terminal_shows_a_line_a_run_and_what_did_not_pass() {
    let bench = Bench::new();
    let link = "{ link: telemetry, check: linux.audit-event, with: { event: execve, argv: never, collector: foil.observed }, \
                within: 100ms, grace: 10ms }";
    let good = "experiment: good\ntechnique: linux.system-info\n";
    bench.write("e.yaml", &format!("{good}---\nexperiment: bad\ntechnique: linux.system-info\nexpect: [{link}]\n"));
    let (code, screen) =
        at_a_terminal(&bench, &["run", "e.yaml", "--output", "json=report.json", "--color", "never"], "");
    assert_ne!(code, Some(0), "{screen}");
    let place = |text: &str| screen.find(text).unwrap_or_else(|| panic!("no `{text}` in {screen}"));
    assert!(place("1/2 pass good (") < place("2/2 "), "{screen}");
    // Of the one that passed there is a line and a row of the table; the other is told as a whole.
    assert!(place("2/2 ") < place("WITHIN") && place("WITHIN") < place("2 runs: 1 pass"), "{screen}");
    assert_eq!((screen.matches("good").count(), screen.matches("  run       ").count()), (2, 1), "{screen}");
    let text = std::fs::read_to_string(bench.path("report.json")).expect("written");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&text).expect("JSON")[0]["experiment"], "good");
    // One run is its own report.
    let (_, screen) =
        at_a_terminal(&bench, &["fire", "linux.system-info", "--output", "json=report.json", "--color", "never"], "");
    assert!(screen.contains("  did  ") && !screen.contains("1/1"), "{screen}");
}

#[test]
fn a_plan_fits_the_terminal() {
    let bench = Bench::new();
    let hypothesis =
        "Somebody notices what is done here, and says so in more words than one line has room for. ".repeat(3);
    let text = format!(
        "experiment: e\nhypothesis: {hypothesis}\ntechnique: linux.ingress-transfer\nexpect:\n  - link: telemetry\n    \
         check: linux.audit-event\n    with: {{ event: execve, argv: {} }}\n    within: 1s\n",
        "x".repeat(200)
    );
    bench.write("e.yaml", &text);
    let (code, screen) = at_a_terminal(&bench, &["plan", "e.yaml"], "");
    assert_eq!(code, Some(0), "{screen}");
    let longest = screen.lines().map(|line| line.trim_end().chars().count()).max();
    assert!(longest <= Some(80) && screen.contains("linux.ingress-transfer"), "{screen}");
    // Where nobody looks, a statement is a line.
    bench.foil(&["plan", "e.yaml"]).says(0, &[&"x".repeat(200)]);
}

#[test]
fn a_list_fits_the_terminal() {
    let (code, screen) = at_a_terminal(&Bench::bare(None), &["list"], "");
    assert_eq!(code, Some(0));
    let longest = screen.lines().map(|line| line.trim_end().chars().count()).max();
    assert!(longest <= Some(80) && screen.contains("linux.cron-persistence"), "{screen}");
}
