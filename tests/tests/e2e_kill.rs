//! `kill -9` of `foil` at every boundary of the journal and at random moments: after `foil cleanup` the machine is as before.

use foil_journal::fault::POINTS;
use foil_tests::e2e::{Bench, Snapshot, is_root, snapshot};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// Points that a run of these three techniques cannot pass: nothing of theirs is refused by the target, or of the kind that
/// is put back in this way. `host/journal/tests/faults.rs` dies at these, and `kube_faults.rs` at those of a cluster.
const ELSEWHERE: &[&str] = &[
    "refused.before",
    "refused.after",
    "undo.recreate.staged",
    "undo.recreate.linked",
    "undo.kube.before",
    "undo.kube.after",
];

/// How often a run may pass one point; a test that goes on beyond is broken.
const MOST: u32 = 200;

/// Dies at every point that `foil` passes with these arguments, cleans up each time and compares. Returns how often each
/// point was passed.
fn every_point(arguments: &[&str], folders: &[&Path]) -> BTreeMap<&'static str, u32> {
    every_point_of(&Bench::new(), arguments, folders)
}

fn every_point_of(bench: &Bench, arguments: &[&str], folders: &[&Path]) -> BTreeMap<&'static str, u32> {
    // The first run makes the state folder and the compiled modules; it also shows that the technique works here.
    bench.foil(arguments).says(0, &["pass"]);
    let before = snapshot(folders);
    let started = Instant::now();
    let mut passed = BTreeMap::new();
    for point in POINTS {
        for nth in 1.. {
            assert!(nth < MOST, "{point} is passed without end");
            if bench.dies_at(point, nth, arguments).is_none() {
                break;
            }
            *passed.entry(*point).or_insert(0) += 1;
            cleaned(bench, &before, folders, &format!("{point}:{nth}"));
        }
    }
    let sum: u32 = passed.values().sum();
    println!(
        "{}: died {sum} times at {} points in {:?}: {passed:?}",
        arguments.join(" "),
        passed.len(),
        started.elapsed()
    );
    bench.foil(&["journal", "verify"]).says(0, &["whole", "sound"]);
    let unfinished: Vec<_> = bench.runs().into_iter().filter(|r| r["finished"].is_null()).collect();
    assert!(unfinished.is_empty(), "{unfinished:#?}");
    passed
}

#[track_caller]
fn cleaned(bench: &Bench, before: &Snapshot, folders: &[&Path], when: &str) {
    // The launcher notices by itself that foil is gone.
    bench.no_processes_within(Duration::from_secs(2));
    let cleanup = bench.foil(&["cleanup"]);
    assert_eq!(cleanup.code, Some(0), "killed at {when}: {cleanup:#?}");
    assert!(snapshot(folders) == *before, "killed at {when}: {:#?}\nbefore: {before:#?}", snapshot(folders));
    bench.is_clean();
}

/// Every effect of the machine's files passes these.
const ALWAYS: &[&str] = &[
    "begin.before",
    "begin.locked",
    "begin.after",
    "intend.before",
    "intend.before-commit",
    "intend.after-commit",
    "effect.before",
    "effect.after",
    "applied.before",
    "applied.after",
    "undo.start",
    "undo.step.before",
    "undo.verify.before",
    "undo.step.after",
    "undo.marks.before-commit",
    "finish.before",
    "finish.after",
];

#[track_caller]
fn has(passed: &BTreeMap<&str, u32>, points: &[&str]) {
    for point in points.iter().chain(ALWAYS) {
        assert!(passed.contains_key(point), "{point} was never passed");
    }
    for point in ELSEWHERE {
        assert!(!passed.contains_key(point), "{point} is passed now: take it out of ELSEWHERE");
    }
}

#[test]
fn killed_at_every_point_of_planting_a_cron_job() {
    if is_root() && Path::new("/etc/cron.d").is_dir() {
        let passed = every_point(&["fire", "linux.cron-persistence"], &[Path::new("/etc/cron.d")]);
        has(&passed, &["undo.remove.before", "undo.remove.after"]);
    }
}

#[test]
fn killed_at_every_point_of_running_from_shared_memory() {
    if is_root() {
        let passed = every_point(&["fire", "linux.dev-shm-exec"], &[Path::new("/dev/shm")]);
        has(&passed, &["undo.remove.before", "undo.remove.after"]);
    }
}

/// What programs left in the scratch folder goes with it, and half of it may be gone when Foil dies.
#[test]
fn killed_at_every_point_of_emptying_the_scratch_folder() {
    let bench = Bench::new();
    bench.grant_shell();
    let script = "script=mkdir -p a/b c; : > a/b/f; : > c/g; : > h; chmod 0 a; ln -s /etc l";
    let passed = every_point_of(&bench, &["fire", "linux.e2e-shell", "--modules", ".", "--with", script], &[]);
    assert_eq!(passed.get("undo.scratch.half"), Some(&4), "once for it and for each folder in it: {passed:?}");
}

/// A home below /home, where the technique may write.
struct Home(String);

impl Home {
    fn new(name: &str) -> Self {
        let home = Self(format!("/home/foil-e2e-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&home.0).expect("root makes homes");
        home
    }

    fn with_keys(&self, mode: u32) {
        use std::os::unix::fs::{PermissionsExt as _, chown};
        let folder = format!("{}/.ssh", self.0);
        let file = format!("{folder}/authorized_keys");
        std::fs::create_dir(&folder).expect("writable");
        // The last line has no end, as a careless editor leaves it.
        std::fs::write(&file, "ssh-rsa AAAA ann\nssh-rsa BBBB bob").expect("writable");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("ours");
        for path in [&folder, &file] {
            chown(path, Some(4711), Some(4712)).expect("root gives");
        }
        let old = std::time::SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789);
        std::fs::File::options().write(true).open(&file).and_then(|f| f.set_modified(old)).expect("ours");
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn killed_at_every_point_of_adding_a_key_to_a_file_that_is_there() {
    if is_root() {
        let home = Home::new("keys");
        home.with_keys(0o640);
        let with = format!("home={}", home.0);
        let passed = every_point(&["fire", "linux.authorized-key", "--with", &with], &[Path::new(&home.0)]);
        has(&passed, &["undo.restore.marked", "undo.restore.written"]);
    }
}

#[test]
fn killed_at_every_point_of_adding_a_key_where_none_was() {
    if is_root() {
        let home = Home::new("none");
        let with = format!("home={}", home.0);
        let folders = [Path::new(&home.0), Path::new("/root/.ssh")];
        let passed = every_point(&["fire", "linux.authorized-key", "--with", &with], &folders);
        has(&passed, &["undo.remove.before", "undo.remove.after"]);
    }
}

#[test]
fn killed_at_random_moments() {
    if !is_root() {
        return;
    }
    let home = Home::new("random");
    home.with_keys(0o600);
    let with = format!("home={}", home.0);
    let arguments = ["fire", "linux.authorized-key", "--with", &with];
    let bench = Bench::new();
    bench.foil(&arguments).says(0, &["pass"]);
    let started = Instant::now();
    bench.foil(&arguments).says(0, &["pass"]);
    let whole = started.elapsed();
    let folders = [Path::new(&home.0)];
    let before = snapshot(&folders);
    let mut random = Random::new();
    let mut killed = 0;
    for round in 0..20 {
        let mut live = bench.spawn(&arguments);
        let moment = whole.mul_f64(random.next());
        std::thread::sleep(moment);
        killed += u32::from(live.is_alive());
        // Ended already: then there is nothing to kill, and nothing may be left all the same.
        live.kill();
        live.ends_within(Duration::from_secs(2));
        cleaned(&bench, &before, &folders, &format!("round {round}, after {moment:?} (seed {})", random.seed));
    }
    println!("{killed} of 20 were alive when killed, seed {}", random.seed);
    assert!(killed >= 5, "a run takes {whole:?}, and only {killed} of 20 were alive when killed");
}

/// Many runs at once, in every shield, each with a program and a daemon that left it: the launcher ends namespaces and descendants.
/// `FOIL_KILLS` says how many of each shield (20).
#[test]
fn killed_at_random_moments_of_many_at_once() {
    if !is_root() {
        return;
    }
    let number = std::env::var("FOIL_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(20);
    let bench = Bench::bare(None);
    bench.grant_shell();
    bench.write("foil.yaml", "environment: e2e\nshield: [confined, overlay, open]\nparallel: 1000\n");
    let shields = ["confined", "overlay", "open"];
    for shield in shields {
        let script = "'echo x > f; setsid sleep 20.0017 & sleep 20.0017'";
        let text = format!("experiment: e\ntechnique: shell.wasm\nshield: {shield}\nwith: {{ script: {script} }}\n");
        bench.write(&format!("{shield}.yaml"), &text);
    }
    let repeat = number.to_string();
    let arguments =
        ["run", "confined.yaml", "overlay.yaml", "open.yaml", "--repeat", &repeat, "--modules", ".", "--quiet"];
    let before = snapshot(&[]);
    let alive = || bench.processes().iter().filter(|process| process.contains("sleep 20.0017")).count();
    let started = Instant::now();
    for round in 0..4 {
        let mut random = Random::new();
        let mut live = bench.spawn(&arguments);
        // Twice with all of them under way, twice while they begin.
        let wanted = if round < 2 { 2 * shields.len() * number } else { 1 + (random.next() * number as f64) as usize };
        let deadline = Instant::now() + Duration::from_secs(60);
        while alive() < wanted && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        let seen = alive();
        assert!(seen >= wanted, "round {round}: {seen} of {wanted} programs run");
        live.kill();
        live.ends_within(Duration::from_secs(2));
        bench.no_processes_within(Duration::from_secs(10));
        cleaned(&bench, &before, &[], &format!("round {round}, with {seen} programs"));
    }
    println!("4 times killed during {} runs in {:?}", shields.len() * number, started.elapsed());
}

/// Splitmix64: numbers from 0 to 1, from a seed that the test prints.
struct Random {
    seed: u64,
    state: u64,
}

impl Random {
    fn new() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        let seed = u64::from(now.subsec_nanos());
        Self { seed, state: seed }
    }

    fn next(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        f64::from(u32::try_from((z ^ (z >> 31)) >> 32).expect("32 bits")) / f64::from(u32::MAX)
    }
}

/// Dies after the file was written, then somebody else changes it: theirs is not overwritten, and Foil says so until it is
/// told to forget.
#[test]
fn what_somebody_else_changed_meanwhile_is_a_conflict() {
    if !is_root() {
        return;
    }
    let home = Home::new("conflict");
    home.with_keys(0o600);
    let file = format!("{}/.ssh/authorized_keys", home.0);
    let with = format!("home={}", home.0);
    let bench = Bench::new();
    // The scratch folder is the first effect, the file the second.
    let arguments = ["fire", "linux.authorized-key", "--with", &with];
    let died = (1..MOST).find(|nth| {
        bench.dies_at("applied.after", *nth, &arguments).expect("it is passed for each effect");
        let there = std::fs::read_to_string(&file).expect("readable").contains("foil-");
        if !there {
            bench.foil(&["cleanup"]).says(0, &[]);
        }
        there
    });
    println!("written at effect {died:?}");
    let theirs = "ssh-rsa CCCC somebody else's\n";
    std::fs::write(&file, theirs).expect("writable");

    bench.foil(&["cleanup", "--dry-run"]).says(0, &[&file]);
    let cleanup = bench.foil(&["cleanup"]);
    cleanup.says(4, &["conflict", &file, "--forget"]);
    assert_eq!(std::fs::read_to_string(&file).expect("readable"), theirs);
    let run = bench.last_run();
    let id = run["run"].as_str().expect("an id");
    assert_eq!(run["residue"], 1, "{run}");
    bench.foil(&["journal", "residue"]).says(4, &[id]);
    // It is said again, until somebody accepts it.
    let again = bench.foil(&["cleanup", "--format", "json"]);
    assert_eq!(again.says(4, &[]).json()["residue"], 1);
    bench.foil(&["cleanup", "--forget", id]).says(0, &["1 thing(s) accepted"]);
    bench.foil(&["journal", "residue"]).says(0, &["No residue"]);
    bench.foil(&["cleanup"]).says(0, &["Nothing to clean up"]);
    assert_eq!(std::fs::read_to_string(&file).expect("readable"), theirs);
    bench.is_clean();
}
