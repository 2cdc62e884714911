//! A bench for tests of the `foil` command: folders of its own, grants of its own, and a look at what is left behind.
//!
//! Scratch folders go below the bench too (`TMPDIR`), so that tests that run side by side do not see each other's.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{File, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// `nobody` of most systems: a user that owns nothing.
pub const NOBODY: u32 = 65534;

/// Where one test works.
pub struct Bench {
    folder: tempfile::TempDir,
    foil: PathBuf,
    user: Option<u32>,
}

/// How a `foil` ended.
#[derive(Debug)]
pub struct Done {
    /// Its exit code; `None`: a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Done {
    fn new(status: ExitStatus, out: Vec<u8>, err: Vec<u8>) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Self { code: status.code(), out: text(out), err: text(err) }
    }

    /// Its output, which must be JSON, whatever the exit code.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error} in {self:#?}"))
    }

    /// The only report of a `fire` or `run` with `--format json`.
    pub fn report(&self) -> Value {
        let reports = self.json();
        assert_eq!(reports.as_array().map(Vec::len), Some(1), "{self:#?}");
        reports[0].clone()
    }

    /// It ended with this code, and one of its streams has each of these texts.
    #[track_caller]
    pub fn says(&self, code: i32, texts: &[&str]) -> &Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        for text in texts {
            assert!(self.out.contains(text) || self.err.contains(text), "`{text}` is missing in {self:#?}");
        }
        self
    }
}

impl Bench {
    /// A bench with all built-in modules granted and nothing else.
    pub fn new() -> Self {
        let bench = Self::bare(None);
        bench.grant_builtin();
        bench
    }

    /// A bench that belongs to [`NOBODY`], with a copy of `foil` that it may execute.
    pub fn of_nobody() -> Self {
        let mut bench = Self::bare(Some(NOBODY));
        let copy = bench.path("foil");
        // By another process: while this one writes, a child that another test forks keeps the program busy.
        assert!(Command::new("cp").arg(&bench.foil).arg(&copy).status().expect("cp").success());
        bench.foil = copy;
        bench.grant_builtin();
        bench
    }

    /// A bench with nothing granted.
    pub fn bare(user: Option<u32>) -> Self {
        let folder = tempfile::Builder::new().prefix("e2e-").tempdir().expect("a folder");
        let bench = Self { folder, foil: foil(), user };
        let tmp = bench.path("tmp");
        std::fs::create_dir(&tmp).expect("made");
        std::fs::set_permissions(&tmp, Permissions::from_mode(0o1777)).expect("ours");
        std::fs::set_permissions(bench.folder.path(), Permissions::from_mode(0o755)).expect("ours");
        chown(bench.folder.path(), user, user).expect("ours to give");
        bench
    }

    fn grant_builtin(&self) {
        self.foil(&["grant", "--builtin", "--reason", "e2e", "--reviewer", "e2e", "--yes"]).says(0, &["written to"]);
    }

    /// A path in the bench.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file of the bench and returns its name, as given.
    pub fn write<'a>(&self, name: &'a str, text: &str) -> &'a str {
        std::fs::write(self.path(name), text).expect("writable");
        std::fs::set_permissions(self.path(name), Permissions::from_mode(0o644)).expect("ours");
        name
    }

    /// `foil` with these arguments, in the bench's folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.foil);
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        command.env("FOIL_STATE", self.path("state")).env("TMPDIR", self.path("tmp")).env("HOME", self.folder.path());
        command.env_remove("FOIL_FAULT").env_remove("RUST_LOG").env_remove("XDG_STATE_HOME");
        if let Some(user) = self.user {
            // The standard library drops the supplementary groups as well.
            command.uid(user).gid(user);
        }
        command
    }

    /// Runs `foil` to its end.
    pub fn foil(&self, arguments: &[&str]) -> Done {
        let output = self.command(arguments).output().expect("foil starts");
        Done::new(output.status, output.stdout, output.stderr)
    }

    /// Runs `foil`, which dies when it passes `point` for the `nth` time. `None`: it never did, and ended by itself.
    pub fn dies_at(&self, point: &str, nth: u32, arguments: &[&str]) -> Option<Done> {
        let output = self.command(arguments).env("FOIL_FAULT", format!("{point}:{nth}")).output().expect("foil starts");
        let killed = output.status.signal() == Some(9);
        let done = Done::new(output.status, output.stdout, output.stderr);
        assert!(killed || done.code == Some(0), "{point}:{nth}: {done:#?}");
        killed.then_some(done)
    }

    /// Starts `foil` and does not wait for it.
    pub fn spawn(&self, arguments: &[&str]) -> Live {
        let name = |stream: &str| self.path(&format!("{}.{stream}", unique()));
        let (out, err) = (name("out"), name("err"));
        let file = |path| File::create(path).expect("writable");
        let child = self.command(arguments).stdout(file(&out)).stderr(file(&err)).spawn().expect("foil starts");
        Live { child, out, err }
    }

    /// Builds and grants the module that runs a script, in every shield; writes a `foil.yaml` that allows all three.
    pub fn grant_shell(&self) {
        let module = super::e2e_fixture::shell();
        std::fs::write(self.path("shell.wasm"), module).expect("writable");
        let levels = "confined,overlay,open";
        self.foil(&["grant", "shell.wasm", "--shield", levels, "--reason", "e2e", "--reviewer", "e2e", "--yes"])
            .says(0, &["linux.e2e-shell: granted"]);
        self.write("foil.yaml", "environment: e2e\nshield: [confined, overlay, open]\n");
    }

    /// The runs that the journal knows, newest first.
    pub fn runs(&self) -> Vec<Value> {
        let runs = self.foil(&["journal", "runs", "--format", "json"]);
        runs.says(0, &[]).json().as_array().expect("an array").clone()
    }

    /// What the journal says of the newest run.
    pub fn last_run(&self) -> Value {
        self.runs().into_iter().next().expect("a run")
    }

    /// Processes of this bench: its `foil`s, their launchers, and all that these started, as `pid command line`.
    pub fn processes(&self) -> Vec<String> {
        // Children know their scratch folder by their environment, the others the state folder.
        let mine = |environment: &str| environment.contains(self.folder.path().to_str().expect("UTF-8"));
        let read = |path: PathBuf| String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).replace('\0', " ");
        let processes = std::fs::read_dir("/proc").expect("/proc").flatten().map(|e| e.path());
        let processes = processes.filter(|p| p.join("environ").exists());
        let found = processes.filter(|p| {
            let cwd = std::fs::read_link(p.join("cwd")).unwrap_or_default();
            let ours = p.file_name().is_some_and(|n| n == std::process::id().to_string().as_str());
            !ours && (cwd.starts_with(self.folder.path()) || mine(&read(p.join("environ"))))
        });
        found.map(|p| format!("{} {}", p.file_name().unwrap_or_default().display(), read(p.join("cmdline")))).collect()
    }

    /// Waits until no process of this bench is left.
    #[track_caller]
    pub fn no_processes_within(&self, longest: Duration) {
        until(longest, "no process is left", || self.processes().is_empty());
    }

    /// Nothing of the bench's runs is left: no process, no scratch folder.
    #[track_caller]
    pub fn is_clean(&self) {
        self.no_processes_within(Duration::from_secs(2));
        let scratch: Vec<_> = std::fs::read_dir(self.path("tmp")).expect("there").flatten().map(|e| e.path()).collect();
        assert!(scratch.is_empty(), "{scratch:?}");
    }
}

impl Default for Bench {
    fn default() -> Self {
        Self::new()
    }
}

/// A `foil` that runs. Killed where the test fails before it ended.
pub struct Live {
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Live {
    /// Sends a signal.
    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        nix::sys::signal::kill(pid, signal).expect("it is there, or a zombie of ours");
    }

    /// `kill -9`, unless it ended already.
    pub fn kill(&mut self) {
        self.child.kill().expect("a child");
    }

    /// What it has said on standard error.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.err).unwrap_or_default()
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn ends_within(&mut self, longest: Duration) -> Done {
        until(longest, "foil ends", || self.child.try_wait().expect("a child").is_some());
        let status = self.child.wait().expect("a child");
        let read = |path: &Path| std::fs::read(path).expect("readable");
        Done::new(status, read(&self.out), read(&self.err))
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until `condition` holds, and fails where it does not in time.
#[track_caller]
pub fn until(longest: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + longest;
    while !condition() {
        assert!(Instant::now() < end, "not within {longest:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A number that no other call in this process returns.
pub fn unique() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The `foil` of this build: it lies beside the folder of the test executables.
pub fn foil() -> PathBuf {
    let test = std::env::current_exe().expect("this test");
    let path = test.ancestors().nth(2).expect("target/debug/deps").join("foil-under-test");
    assert!(path.is_file(), "{} is missing: build the tests with cargo", path.display());
    path
}

/// Whether the test runs as root; says that it is skipped where not.
pub fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("skipped: it needs root");
    }
    root
}

/// What is in some folders: by path, everything that a run could change.
#[derive(Debug, PartialEq, Eq)]
pub struct Snapshot(BTreeMap<PathBuf, Entry>);

/// Mode, owner, group, time of change in nanoseconds, content.
type Entry = (u32, u32, u32, Option<i128>, Vec<u8>);

/// Looks at folders and all below. A missing one counts as missing; the times of folders do not count, since making and
/// removing a file in one changes them.
pub fn snapshot(folders: &[&Path]) -> Snapshot {
    let mut all = BTreeMap::new();
    folders.iter().for_each(|folder| note(folder, &mut all));
    Snapshot(all)
}

fn note(path: &Path, all: &mut BTreeMap<PathBuf, Entry>) {
    let Ok(meta) = std::fs::symlink_metadata(path) else { return };
    let time = (!meta.is_dir()).then(|| i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec()));
    let content = match meta.file_type() {
        kind if kind.is_file() => std::fs::read(path).unwrap_or_default(),
        kind if kind.is_symlink() => std::fs::read_link(path).unwrap_or_default().into_os_string().into_encoded_bytes(),
        _ => Vec::new(),
    };
    all.insert(path.to_owned(), (meta.mode(), meta.uid(), meta.gid(), time, content));
    if meta.is_dir() {
        std::fs::read_dir(path).into_iter().flatten().flatten().for_each(|entry| note(&entry.path(), all));
    }
}
