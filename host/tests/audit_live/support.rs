//! What the tests share.

use foil_collector::audit::{self, Control, OwnRules, RuleRequest};
use foil_collector::{ArmOptions, Armed, Event, EventLog, ProcessTree, arm};
use foil_shield::Tree;
use foil_text::RunId;
use std::fs::File;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The machine's audit state, ours for as long as this lives. Looks at the end whether all is as it was.
pub struct Machine {
    before: (u32, usize),
    _lock: File,
}

impl Machine {
    /// `None`, with a word why, where audit is not to be had.
    pub fn take() -> Option<Self> {
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(std::env::temp_dir().join(audit::LIVE_TEST_LOCK));
        let lock = match lock {
            Ok(lock) => lock,
            Err(error) => {
                println!("skipped: the lock of live audit tests: {error}");
                return None;
            }
        };
        lock.lock().expect("the lock");
        let status = match Control::open().and_then(|c| c.status()) {
            Ok(status) => status,
            Err(error) => {
                println!("skipped: {error}");
                return None;
            }
        };
        if status.pid != 0 || status.enabled == 2 {
            println!("skipped: an audit daemon runs, or the rules are immutable");
            return None;
        }
        Some(Self { before: state(), _lock: lock })
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(state(), self.before, "auditing (on?, rules) is not as it was");
        }
    }
}

fn state() -> (u32, usize) {
    let control = Control::open().expect("control");
    (control.status().expect("status").enabled, control.rules().expect("rules").len())
}

/// Rules of our own, removed even where the test fails.
pub struct Rules(pub OwnRules);

impl Rules {
    pub fn plan(run: &RunId, syscalls: &[&str]) -> Self {
        let syscalls = syscalls.iter().map(|s| (*s).to_owned()).collect();
        let request = RuleRequest { syscalls, ..RuleRequest::default() };
        Self(audit::plan_own_rules(&request, run).expect("a plan"))
    }
}

impl Drop for Rules {
    fn drop(&mut self) {
        audit::remove(&self.0).expect("own rules are removed");
    }
}

/// An armed collector with rules of its own for these calls.
pub fn armed(run: &RunId, tree: &Arc<ProcessTree>, syscalls: &[&str]) -> (Armed, Rules) {
    let rules = Rules::plan(run, syscalls);
    let options = ArmOptions { own_rules: Some(rules.0.clone()), ..ArmOptions::new(run.clone(), Arc::clone(tree)) };
    (arm(audit::NAME, &options).expect("armed"), rules)
}

/// A shell that stands for a program of the run's: it waits for its script until it is let go.
pub struct Init {
    child: Child,
    started: u64,
}

impl Init {
    pub fn start(script: &str) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let child = Command::new("/bin/sh")
            .args(["-c", &format!("read go; {script}")])
            .stdin(Stdio::piped())
            .spawn()
            .expect("a shell");
        Self { child, started: u64::try_from(now.as_nanos()).expect("before 2554") }
    }

    /// What the launcher would say of it: no init, and this child, which acts for the technique.
    pub fn tree(&self) -> Tree {
        Tree { init: 0, children: vec![(self.child.id(), self.started)] }
    }

    pub fn go(mut self) {
        self.child.stdin.take().expect("stdin").write_all(b"go\n").expect("go");
        self.child.wait().expect("the end of the shell");
    }
}

/// The first event that fits, within two seconds.
pub fn find(log: &EventLog, fits: impl Fn(&Event) -> bool) -> Event {
    let deadline = Instant::now() + Duration::from_secs(2);
    loop {
        let events = log.read(0, usize::MAX).events;
        if let Some(event) = events.iter().find(|e| fits(e)) {
            return event.clone();
        }
        if Instant::now() > deadline {
            let seen: Vec<String> = events.iter().map(|e| format!("{} {:?}", e.kind, e.fields.get("argv"))).collect();
            panic!("no such event; there are {seen:#?}, blind: {:?}", log.blind());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// It is an `execve` with these arguments.
pub fn execs(event: &Event, argv: &str) -> bool {
    event.kind == "execve" && event.fields.get("argv").is_some_and(|a| a == argv)
}
