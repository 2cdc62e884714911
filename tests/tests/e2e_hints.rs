//! Hints are commands that work when they are pasted: those of typical sessions that go wrong are taken from what Foil says and run.

use foil_tests::e2e::{Bench, Done, until};
use std::process::{Command, Stdio};
use std::time::Duration;

const LOOKS: &str = "experiment: looks
technique: linux.system-info
expect: []
";

/// What stands between back-ticks and begins with `foil`.
fn hints(text: &str) -> Vec<String> {
    let inside = text.split('`').skip(1).step_by(2);
    inside
        .filter(|hint| hint.starts_with("foil "))
        .map(|hint| hint.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

/// Pastes a command into a shell in the bench's folder.
fn paste(bench: &Bench, line: &str) -> Done {
    // `foil` is the one of the bench; its environment is that of every other command there.
    let like = bench.command(&[]);
    let foil = like.get_program().to_str().expect("UTF-8");
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &format!("foil() {{ '{foil}' \"$@\"; }}\n{line}")]).stdin(Stdio::null());
    shell.current_dir(like.get_current_dir().expect("a folder"));
    for (name, value) in like.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let output = shell.output().expect("a shell");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Done { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// Every hint of what was said works; there is one that begins so.
#[track_caller]
fn hints_work(bench: &Bench, said: &Done, expected: &[&str]) {
    let found = hints(&format!("{}\n{}", said.err, said.out));
    for beginning in expected {
        assert!(found.iter().any(|hint| hint.starts_with(beginning)), "no hint `{beginning} …` in {said:#?}");
    }
    for hint in found {
        let done = paste(bench, &hint);
        assert!(!matches!(done.code, None | Some(2 | 126 | 127)), "`{hint}` does not work: {done:#?}");
    }
}

#[test]
fn what_is_not_granted_can_be_granted_as_the_hint_says() {
    let bench = Bench::bare(None);
    let fire = ["fire", "linux.system-info"];
    let said = bench.foil(&fire);
    said.says(2, &["linux.system-info is not granted"]);
    hints_work(&bench, &said, &["foil review linux.system-info", "foil grant linux.system-info --reason \""]);
    bench.foil(&fire).says(0, &["pass"]);

    // Changed since.
    let grants = std::fs::read_to_string(bench.path("grants.toml")).expect("written");
    let pin = grants.find("sha256:").expect("a pin") + "sha256:".len();
    bench.write("grants.toml", &format!("{}{}{}", &grants[..pin], "0".repeat(64), &grants[pin + 64..]));
    let said = bench.foil(&fire);
    said.says(2, &["is not what was granted"]);
    hints_work(&bench, &said, &["foil review linux.system-info", "foil grant linux.system-info --reason \""]);
    bench.foil(&fire).says(0, &["pass"]);

    // Taken back: looking is offered, granting is not.
    bench.foil(&["revoke", "linux.system-info", "--reason", "x", "--reviewer", "e2e"]).says(0, &[]);
    let said = bench.foil(&fire);
    said.says(2, &["was revoked"]);
    hints_work(&bench, &said, &["foil review linux.system-info"]);
    assert!(!said.err.contains("foil grant"), "{said:#?}");
    let said = bench.foil(&["review", "linux.clear-logs"]);
    hints_work(&bench, &said, &["foil grant linux.clear-logs --reason \""]);
}

#[test]
fn a_module_from_outside_is_named_by_its_file() {
    let bench = Bench::bare(None);
    let folder = bench.path("my modules");
    std::fs::create_dir(&folder).expect("made");
    std::fs::write(folder.join("it's.wasm"), foil_tests::e2e_fixture::shell()).expect("writable");
    let by_id = ["fire", "linux.e2e-shell", "--modules", "my modules", "--with", "script=true"];
    let said = bench.foil(&by_id);
    said.says(2, &["linux.e2e-shell is not granted"]);
    hints_work(&bench, &said, &["foil review ", "foil grant "]);
    assert!(!bench.foil(&by_id).err.contains("not granted"), "the hint granted it");

    std::fs::remove_file(bench.path("grants.toml")).expect("written by the hint");
    let said = bench.foil(&["fire", "./my modules/it's.wasm", "--with", "script=true"]);
    said.says(2, &["not granted"]);
    hints_work(&bench, &said, &["foil review ", "foil grant "]);
    // Nobody is there to be asked.
    let said = bench.foil(&["grant", "./my modules/it's.wasm", "--reason", "x"]);
    said.says(2, &["--yes"]);
    hints_work(&bench, &said, &["foil review "]);
    let digest = format!("sha256:{}", "0".repeat(64));
    let said = bench.foil(&["grant", "./my modules/it's.wasm", "--reason", "x", "--digest", &digest]);
    said.says(2, &["was changed since it was reviewed"]);
    hints_work(&bench, &said, &["foil review "]);
}

#[test]
fn a_grant_goes_where_the_experiment_looks_for_it() {
    let bench = Bench::bare(None);
    std::fs::create_dir(bench.path("an experiment")).expect("made");
    bench.write("an experiment/e.yaml", LOOKS);
    bench.write("an experiment/grants.toml", "");
    let run = ["run", "an experiment/e.yaml"];
    let said = bench.foil(&run);
    hints_work(&bench, &said, &["foil review linux.system-info", "foil grant linux.system-info --reason \""]);
    assert!(!bench.path("grants.toml").exists());
    bench.foil(&run).says(0, &["pass"]);
    let named = ["fire", "linux.file-delete", "--grants", "other.toml"];
    bench.write("other.toml", "");
    hints_work(&bench, &bench.foil(&named), &["foil grant linux.file-delete"]);
    bench.foil(&named).says(0, &["pass"]);
}

#[test]
fn other_mistakes_are_answered_with_commands_that_work() {
    let bench = Bench::new();
    hints_work(&bench, &bench.foil(&["fire", "linux.no-such-module"]), &["foil list"]);
    hints_work(&bench, &bench.foil(&["show", "T1070.999"]), &["foil show T1070"]);
    bench.write("it fires.yaml", LOOKS);
    hints_work(&bench, &bench.foil(&["check", "it fires.yaml"]), &["foil run \"it fires.yaml\""]);
    let bare = Bench::bare(None);
    hints_work(&bare, &bare.foil(&["doctor"]), &["foil list"]);
}

#[test]
fn what_a_killed_run_left_is_undone_by_the_command_that_is_named() {
    let bench = Bench::new();
    bench.grant_shell();
    // A state folder that no other command would guess.
    let state = bench.path("its state");
    let state = state.to_str().expect("UTF-8");
    let fire = ["fire", "shell.wasm", "--with", "script=touch mine && sleep 60", "--state", state];
    let mut live = bench.spawn(&fire);
    until(Duration::from_secs(20), "a run is alive", || {
        let runs = bench.foil(&["journal", "runs", "--state", state]);
        runs.code == Some(0) && runs.out.contains("alive")
    });
    live.kill();
    bench.no_processes_within(Duration::from_secs(10));
    let said = bench.foil(&["journal", "residue", "--state", state]);
    hints_work(&bench, &said, &["foil cleanup --state "]);
    bench.foil(&["journal", "residue", "--state", state]).says(0, &["No residue."]);
    bench.is_clean();
}
