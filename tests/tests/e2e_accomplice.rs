//! An accomplice on the machine works together with a technique in `confined`: through granted paths that change their
//! meaning, and through what the technique leaves in its scratch folder.

use foil_tests::e2e::{Bench, is_root, until};
use foil_tests::hostile::{Command, Guest};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command as Program;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// Adds and grants a technique that starts these programs one after the other, and may change `path`.
fn grant(bench: &Bench, path: &Path, programs: &[Command<'_>]) {
    let allow = ["/bin/sleep ...", "/bin/cp ...", "/bin/chmod ..."];
    let mut guest = Guest::technique("test.accomplice")
        .asks("exec", &format!("allow = {allow:?}\nwrites = [{:?}]", path.display()));
    let calls: Vec<String> = programs.iter().map(|program| program.call(&mut guest)).collect();
    // The first that is refused is what the technique says.
    let act = calls.iter().rev().fold("(call $done)".to_owned(), |rest, call| {
        format!(
            "{call} (if (result i32) (i32.load8_u (i32.const 512)) \
             (then (memory.copy (i32.const 516) (i32.const 520) (i32.const 24)) (i32.const 512)) (else {rest}))"
        )
    });
    fs::create_dir(bench.path("modules")).expect("writable");
    fs::write(bench.path("modules/test.accomplice.wasm"), guest.act(&act).build()).expect("writable");
    let arguments =
        ["grant", "test.accomplice", "--modules", "modules", "--reason", "e2e", "--reviewer", "e2e", "--yes"];
    bench.foil(&arguments).says(0, &["granted"]);
    bench.write("foil.yaml", "environment: e2e\nshield: [confined]\n");
}

/// A process with this among its arguments.
fn lives(argument: &str) -> bool {
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    processes.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok()).any(|line| {
        let words: Vec<_> = line.split(|byte| *byte == 0).collect();
        words.first().is_some_and(|program| program.ends_with(b"sleep")) && words.contains(&argument.as_bytes())
    })
}

#[test]
fn a_granted_path_that_is_swapped_is_said_and_harms_nobody() {
    let bench = Bench::new();
    let (theirs, secret) = (bench.path("theirs"), bench.path("secret"));
    for (folder, content) in [(&theirs, "plain"), (&secret, "the secret")] {
        fs::create_dir(folder).expect("writable");
        fs::write(folder.join("file"), content).expect("writable");
    }
    let path = theirs.join("file");
    let text = path.display().to_string();
    grant(&bench, &path, &[Command::new("/bin/sleep", &["1.0009"]), Command::new("/bin/cp", &["/dev/null", &text])]);
    let mut live = bench.spawn(&["fire", "test.accomplice", "--modules", "modules", "--format", "json"]);
    until(PATIENCE, "the first program runs", || lives("1.0009"));
    fs::rename(&theirs, bench.path("aside")).expect("moved");
    symlink(&secret, &theirs).expect("linked");
    let done = live.ends_within(PATIENCE);
    let report = done.report();
    assert_eq!(report["verdict"], "inconclusive", "{report:#}");
    let why = report["reason"].as_str().expect("a reason");
    assert!(why.contains(&text), "{report:#}");
    // What the first program did to the file is in doubt: it is not where it was.
    assert_ne!(done.code, Some(0));
    assert_eq!(fs::read(secret.join("file")).expect("there"), b"the secret");
    assert_eq!(fs::read(bench.path("aside/file")).expect("there"), b"plain");
    // Where it is back, it can be seen that nothing is to be undone.
    fs::remove_file(&theirs).expect("unlinked");
    fs::rename(bench.path("aside"), &theirs).expect("moved");
    bench.foil(&["cleanup"]).says(0, &[]);
    bench.is_clean();
}

#[test]
fn a_file_with_other_names_is_not_handed_to_a_program() {
    let bench = Bench::new();
    let path = bench.path("file");
    fs::write(&path, "plain").expect("writable");
    fs::hard_link(&path, bench.path("twin")).expect("linked");
    let text = path.display().to_string();
    grant(&bench, &path, &[Command::new("/bin/cp", &["/dev/null", &text])]);
    let done = bench.foil(&["fire", "test.accomplice", "--modules", "modules", "--format", "json"]);
    let report = done.report();
    assert!(report["reason"].as_str().is_some_and(|why| why.contains("hard links")), "{report:#}");
    assert_eq!(report["verdict"], "inconclusive", "{report:#}");
    assert_eq!(fs::read(&path).expect("there"), b"plain");
    bench.is_clean();
}

/// A child must not make a file so large that nobody can tell whose doing it was.
#[test]
fn a_granted_file_is_given_back_however_much_is_written_to_it() {
    let bench = Bench::new();
    let path = bench.path("file");
    fs::write(&path, "plain").expect("writable");
    grant(&bench, &path, &[Command::new("/bin/cp", &["/dev/zero", &path.display().to_string()])]);
    let report = bench.foil(&["fire", "test.accomplice", "--modules", "modules", "--format", "json"]).report();
    assert_eq!(fs::read(&path).expect("there"), b"plain", "{report:#}");
    bench.is_clean();
}

/// A socket is granted to be connected to. Nothing of it can change, so nothing has to be undone.
#[test]
fn a_granted_socket_starts_the_program_and_keeps_its_mode() {
    let bench = Bench::new();
    let path = bench.path("socket");
    let _listener = UnixListener::bind(&path).expect("bound");
    fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("ours");
    grant(&bench, &path, &[Command::new("/bin/chmod", &["700", &path.display().to_string()])]);
    let done = bench.foil(&["fire", "test.accomplice", "--modules", "modules", "--format", "json"]);
    assert_eq!(done.report()["verdict"], "pass", "{done:#?}");
    if is_root() {
        assert_eq!(fs::metadata(&path).expect("there").mode() & 0o777, 0o755);
    }
    bench.is_clean();
}

/// Nobody changed it, so nobody is to be looked for.
#[test]
fn what_could_not_be_given_back_is_told_as_that() {
    let bench = Bench::new();
    let path = bench.path("fifo");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("made");
    grant(&bench, &path, &[Command::new("/bin/sleep", &["0"])]);
    let report = bench.foil(&["fire", "test.accomplice", "--modules", "modules", "--format", "json"]).report();
    let why = report["reason"].as_str().expect("a reason");
    assert!(why.contains("a FIFO") && why.contains("could not be given back"), "{why}");
    bench.is_clean();
}

/// A technique that writes the sensor's log would be its own sensor.
#[test]
fn a_grant_of_the_sensors_log_holds_in_the_overlay_only() {
    let bench = Bench::new();
    let path = bench.path("sensor.json");
    fs::write(&path, "{}\n").expect("writable");
    grant(&bench, &path, &[Command::new("/bin/cp", &["/dev/null", &path.display().to_string()])]);
    let fire = ["fire", "test.accomplice", "--modules", "modules"];
    bench.foil(&fire).says(0, &["pass"]);
    bench.write("foil.yaml", "environment: e2e\nshield: [confined]\nfiles: { sensor: { path: sensor.json } }\n");
    bench.foil(&fire).says(2, &["a log that Foil follows", "overlay"]);
    assert_eq!(fs::read(&path).expect("there"), b"{}\n");
}

/// The only folder of a run that is there.
fn run_folder(bench: &Bench) -> Option<PathBuf> {
    Some(fs::read_dir(bench.path("tmp")).ok()?.flatten().next()?.path())
}

#[test]
fn nobody_outside_reaches_what_a_technique_makes() {
    if !is_root() {
        return;
    }
    for user in [None, Some("nobody")] {
        let bench = Bench::bare(None);
        bench.grant_shell();
        let user = user.map_or_else(String::new, |user| format!("run-as: {user}\n"));
        bench.write("foil.yaml", &format!("environment: e2e\nshield: [confined]\n{user}"));
        let script = "script=chmod 777 .; cp /usr/bin/id tool; chmod 6777 tool; chmod 777 ..; touch ../mine; \
                      echo said > ready; sleep 2.0011; pwd; id -un; stat -c %a tool; true";
        let mut live =
            bench.spawn(&["fire", "linux.e2e-shell", "--modules", ".", "--with", script, "--format", "json"]);
        until(PATIENCE, "the script is ready", || lives("2.0011"));
        let run = run_folder(&bench).expect("a run's folder");
        let outer = fs::metadata(&run).expect("there");
        assert_eq!((outer.mode() & 0o7777, outer.uid()), (0o700, 0), "{user}");
        let scratch = run.join("scratch");
        assert_eq!(fs::read(scratch.join("ready")).expect("there"), b"said\n");
        let tool = fs::metadata(scratch.join("tool")).expect("there");
        assert_eq!(tool.mode() & 0o6000, 0, "{:o}", tool.mode());
        for program in ["cat", "ls"] {
            let output = Program::new("setpriv")
                .args(["--reuid=1", "--regid=1", "--clear-groups", "--", program])
                .arg(scratch.join("ready"))
                .output()
                .expect("setpriv");
            assert!(!output.status.success(), "{user}: {output:?}");
        }
        let report = live.ends_within(PATIENCE).says(0, &[]).report();
        let said = report["facts"]["stdout"].as_str().or_else(|| report["evidence"]["stdout"].as_str());
        let said = said.map_or_else(|| report.to_string(), str::to_owned);
        assert!(said.contains(&scratch.display().to_string()) && said.ends_with("\n755"), "{report:#}");
        bench.is_clean();
    }
}

/// In an overlay it may: the file vanishes, and the machine's scratch folder stays empty.
#[test]
fn a_technique_that_needs_a_set_id_file_has_the_overlay() {
    if !is_root() {
        return;
    }
    let bench = Bench::bare(None);
    bench.grant_shell();
    bench.write("foil.yaml", "environment: e2e\nshield: [overlay]\n");
    let script = "script=cp /usr/bin/id tool; chmod 4755 tool; stat -c %a tool; sleep 1.0013";
    let arguments =
        ["fire", "linux.e2e-shell", "--modules", ".", "--with", script, "--shield", "overlay", "--format", "json"];
    let mut live = bench.spawn(&arguments);
    until(PATIENCE, "the script is ready", || lives("1.0013"));
    let scratch = run_folder(&bench).expect("a run's folder").join("scratch");
    assert_eq!(fs::read_dir(&scratch).expect("there").count(), 0);
    let report = live.ends_within(PATIENCE).says(0, &[]).report();
    assert!(report.to_string().contains("4755"), "{report:#}");
    bench.is_clean();
}

/// The folder of the accomplice: whoever may write there makes the path mean what they like before the run begins, too.
#[test]
fn a_granted_path_through_a_link_is_not_granted() {
    let bench = Bench::new();
    let secret = bench.path("secret");
    fs::create_dir(&secret).expect("writable");
    fs::set_permissions(&secret, Permissions::from_mode(0o700)).expect("ours");
    fs::write(secret.join("file"), "the secret").expect("writable");
    symlink(&secret, bench.path("theirs")).expect("linked");
    let path = bench.path("theirs/file");
    let text = path.display().to_string();
    grant(&bench, &path, &[Command::new("/bin/cp", &["/dev/null", &text])]);
    let done = bench.foil(&["fire", "test.accomplice", "--modules", "modules", "--format", "json"]);
    let report = done.report();
    assert!(report.to_string().contains("symbolic link"), "{report:#}");
    assert_ne!(report["verdict"], "pass", "{report:#}");
    assert_eq!(fs::read(secret.join("file")).expect("there"), b"the secret");
    bench.is_clean();
}
