//! Where hostile modules are fired: folders of their own, the real `foil`, and a look at what is left.

use super::Guest;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// No run here may take longer; one that does was not stopped at its limit.
const PATIENCE: Duration = Duration::from_secs(60);

/// `limits:` of `foil.yaml`, with `other` in place of the usual ones.
pub fn limited(other: &[(&str, u64)]) -> String {
    let mut limits = [
        ("wall-ms", 20_000),
        ("cpu-ms", 300),
        ("memory", 8 << 20),
        ("host-calls", 300),
        ("output", 65_536),
        ("log-lines", 50),
        ("children", 8),
        ("table-entries", 1_000),
    ];
    for (name, value) in other {
        limits.iter_mut().find(|(n, _)| n == name).expect("a limit").1 = *value;
    }
    let limits: Vec<String> = limits.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    format!("environment: hostile\nparallel: 3\nlimits: {{ {} }}\n", limits.join(", "))
}

/// State, modules, grants and temporary folder of one test. Nothing outside `root` is written.
pub struct Stage {
    /// Everything.
    pub root: PathBuf,
    _folder: tempfile::TempDir,
}

/// How a `foil` ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
}

impl Stage {
    /// With the usual limits.
    pub fn new() -> Self {
        Self::with(&limited(&[]))
    }

    /// With this `foil.yaml`.
    pub fn with(environment: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("hostile-").tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("it is there");
        for name in ["state", "modules", "tmp", "data"] {
            std::fs::create_dir(root.join(name)).expect("writable");
        }
        std::fs::write(root.join("foil.yaml"), environment).expect("writable");
        Self { root, _folder: folder }
    }

    /// A path below `data`, where modules may be given something to reach for.
    pub fn data(&self, name: &str) -> String {
        self.root.join("data").join(name).display().to_string()
    }

    /// Adds a module.
    pub fn add(&self, guest: &Guest) -> &Self {
        self.add_bytes(&guest.id, &guest.build())
    }

    /// Adds whatever bytes.
    pub fn add_bytes(&self, id: &str, bytes: &[u8]) -> &Self {
        std::fs::write(self.root.join("modules").join(format!("{id}.wasm")), bytes).expect("writable");
        self
    }

    /// Grants a module all that it asks for.
    pub fn grant(&self, id: &str) -> &Self {
        let ended = self.grant_with(id, &[]);
        assert_eq!(ended.code, 0, "{id}: {}", ended.stderr);
        self
    }

    /// Tries to grant.
    pub fn grant_with(&self, id: &str, flags: &[&str]) -> Ended {
        self.foil(&[&["grant", id, "--yes", "--reviewer", "tests", "--reason", "a test"], flags].concat())
    }

    /// Adds, grants and fires a module, for a program to read, and looks at what is left.
    pub fn fire(&self, guest: &Guest) -> Ended {
        self.add(guest).grant(&guest.id).foil(&["fire", &guest.id, "--format", "json"])
    }

    /// Writes an experiment and returns its path.
    pub fn experiment(&self, name: &str, text: &str) -> String {
        let path = self.root.join(format!("{name}.yaml"));
        std::fs::write(&path, format!("experiment: {name}\n{text}")).expect("writable");
        path.display().to_string()
    }

    /// Runs `foil`, with colours even into a pipe, and then looks whether anything is left.
    pub fn foil(&self, arguments: &[&str]) -> Ended {
        let ended = self.quietly(arguments);
        self.nothing_is_left(&ended);
        ended
    }

    fn quietly(&self, arguments: &[&str]) -> Ended {
        let program = std::env::current_exe()
            .expect("this test")
            .parent()
            .and_then(Path::parent)
            .expect("target")
            .join("foil-under-test");
        let output = assert_cmd::Command::new(program)
            .args(arguments)
            .arg("--modules")
            .arg(self.root.join("modules"))
            .current_dir(&self.root)
            .env("FOIL_STATE", self.root.join("state"))
            .env("TMPDIR", self.root.join("tmp"))
            .env("CLICOLOR_FORCE", "1")
            .env_remove("NO_COLOR")
            .timeout(PATIENCE)
            .output()
            .expect("the `foil` that is built with the tests");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("foil speaks UTF-8");
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        // A signal means that the host went down, or had to be killed.
        let code = output.status.code().unwrap_or_else(|| panic!("{}: {stdout}{stderr}", output.status));
        Ended { code, stdout, stderr }
    }

    /// No scratch folder, no process, nothing to undo, no panic.
    fn nothing_is_left(&self, ended: &Ended) {
        assert!((0..=5).contains(&ended.code), "{ended:?}");
        assert!(!ended.stderr.contains("panicked"), "{ended:?}");
        assert_eq!(names(&self.root.join("tmp")), Vec::<String>::new(), "{ended:?}");
        // The launcher ends a moment after its `foil`.
        let until = Instant::now() + Duration::from_secs(5);
        while let Some(process) = self.process() {
            assert!(Instant::now() < until, "still there: {process}");
            std::thread::sleep(Duration::from_millis(10));
        }
        let cleanup = self.quietly(&["cleanup"]);
        assert_eq!(cleanup.code, 0, "{cleanup:?} after {ended:?}");
    }

    /// A process that was started from here: this stage's folder is in its environment or its command line.
    fn process(&self) -> Option<String> {
        let needle = self.root.as_os_str().as_encoded_bytes();
        let ours = |bytes: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
        for pid in names(Path::new("/proc")).iter().filter(|name| name.bytes().all(|b| b.is_ascii_digit())) {
            for file in ["environ", "cmdline"] {
                if std::fs::read(format!("/proc/{pid}/{file}")).is_ok_and(|bytes| ours(&bytes)) {
                    let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                    return Some(format!("{pid} {}", String::from_utf8_lossy(&command)));
                }
            }
        }
        None
    }
}

impl Default for Stage {
    fn default() -> Self {
        Self::new()
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("readable");
    entries.filter_map(|e| e.ok()?.file_name().into_string().ok()).collect()
}

impl Ended {
    /// The reports, by experiment or technique, in the order given.
    pub fn reports(&self) -> Vec<Value> {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// The only report.
    pub fn report(&self) -> Value {
        let mut reports = self.reports();
        assert_eq!(reports.len(), 1, "{self:?}");
        reports.remove(0)
    }

    /// Verdict, exit code and a part of the reason.
    #[track_caller]
    pub fn is(&self, verdict: &str, code: i32, reason: &str) -> &Self {
        let report = self.report();
        let (found, why) =
            (report["verdict"].as_str().unwrap_or_default(), report["reason"].as_str().unwrap_or_default());
        println!("{}: {found}, {}: {why}", report["technique"], self.code);
        assert!(
            found == verdict && self.code == code && why.contains(reason),
            "{found} {}: {why}\n{report:#}",
            self.code
        );
        self
    }

    /// Stopped at this limit, and says by how much.
    #[track_caller]
    pub fn stopped_at(&self, limit: &str, allowed: u64) -> &Self {
        self.is("error", 5, &format!("the limit `{limit}` is {allowed}, and this would come to "))
    }

    /// Refused before anything ran.
    #[track_caller]
    pub fn refused(&self, reason: &str) -> &Self {
        assert!(self.code == 2 && self.stderr.contains(reason), "{self:?}");
        self
    }
}
