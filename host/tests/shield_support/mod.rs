//! What the shield's tests share.
#![allow(dead_code, reason = "each test binary uses its part")]

use foil_manifest::{Network, ShieldLevel};
use foil_shield::{ChildLimits, ExecOutcome, ExecRequest, Identity, Launcher, RunSpec, ShieldError, ShieldedRun};
use foil_text::RunId;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The launcher of the `foil` that was built with the tests.
pub fn launcher() -> Launcher {
    Launcher::start_with(Path::new(env!("CARGO_BIN_EXE_foil"))).unwrap()
}

/// A run without network, as whoever runs the tests.
pub fn spec(level: ShieldLevel, scratch: &Path) -> RunSpec {
    RunSpec {
        run: RunId::new(),
        level,
        network: Network::Loopback,
        identity: None,
        reads: Vec::new(),
        writes: Vec::new(),
        privileges: false,
        scratch: scratch.into(),
        limits: ChildLimits { processes: 64, memory: 2 << 30, file_size: 4 << 20, output: 1 << 20, overlay: 64 << 20 },
    }
}

/// A launcher, a scratch folder and a run in it.
pub struct Stage {
    pub run: ShieldedRun,
    pub scratch: tempfile::TempDir,
    pub launcher: Launcher,
}

impl Stage {
    pub async fn confined() -> Self {
        Self::with(ShieldLevel::Confined, |_| {}).await
    }

    pub async fn with(level: ShieldLevel, change: impl FnOnce(&mut RunSpec)) -> Self {
        Self::attempt(level, change).await.unwrap()
    }

    pub async fn attempt(level: ShieldLevel, change: impl FnOnce(&mut RunSpec)) -> Result<Self, ShieldError> {
        let scratch = tempfile::tempdir().unwrap();
        let mut spec = spec(level, scratch.path());
        change(&mut spec);
        if let Some(identity) = &spec.identity {
            std::os::unix::fs::chown(scratch.path(), Some(identity.uid), Some(identity.gid)).unwrap();
        }
        let launcher = launcher();
        let run = launcher.open(spec).await?;
        Ok(Self { run, scratch, launcher })
    }

    pub async fn sh(&self, script: &str) -> ExecOutcome {
        sh(&self.run, script).await
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }
}

pub fn shell(script: &str) -> ExecRequest {
    ExecRequest { program: "/bin/sh".into(), args: vec!["-c".into(), script.into()], ..Default::default() }
}

pub async fn sh(run: &ShieldedRun, script: &str) -> ExecOutcome {
    run.exec(ExecRequest { timeout: Some(Duration::from_secs(60)), ..shell(script) }).await.unwrap()
}

/// Runs a Perl script: sockets and system calls without a compiler.
pub async fn perl(run: &ShieldedRun, script: &str, args: &[&str]) -> ExecOutcome {
    let args = ["-e", script].iter().chain(args).map(|arg| (*arg).to_owned()).collect();
    let timeout = Some(Duration::from_secs(60));
    run.exec(ExecRequest { program: "/usr/bin/perl".into(), args, timeout, ..Default::default() }).await.unwrap()
}

pub fn out(outcome: &ExecOutcome) -> String {
    String::from_utf8_lossy(&outcome.stdout).into_owned()
}

pub fn err(outcome: &ExecOutcome) -> String {
    String::from_utf8_lossy(&outcome.stderr).into_owned()
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Root as a machine knows it; in a container root often lacks this.
pub fn is_administrator() -> bool {
    let have = rustix::thread::capabilities(None).unwrap().effective;
    is_root() && have.contains(rustix::thread::CapabilitySet::SYS_ADMIN)
}

/// An argument for `sleep` by which its process can be found, from outside of any namespace.
pub fn long_sleep() -> String {
    let digits: String = RunId::new().as_str().bytes().map(|byte| char::from(b'0' + byte % 10)).collect();
    format!("86400.{digits}")
}

/// Living processes with this among their arguments.
pub fn alive(marker: &str) -> Vec<u32> {
    let pids = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_str()?.parse().ok());
    let has = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|word| word == marker.as_bytes())
    };
    pids.filter(has).collect()
}

/// Waits until nothing (or something) with this marker lives.
pub fn wait_for(marker: &str, some: bool) -> bool {
    until(|| alive(marker).is_empty() != some)
}

pub fn until(condition: impl Fn() -> bool) -> bool {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(20) {
        if condition() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

/// A process outside of every run, killed with the value.
pub struct Bystander(pub std::process::Child);

impl Bystander {
    pub fn new() -> Self {
        Self(Command::new("sleep").arg(long_sleep()).spawn().unwrap())
    }

    pub fn lives(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The user that owns nothing.
pub fn nobody() -> Identity {
    Identity { uid: 65534, gid: 65534, groups: vec![65534], name: "nobody".into(), home: "/nonexistent".into() }
}

/// This test binary again, running one of its ignored tests.
pub fn again(test: &str) -> Vec<String> {
    let exe = std::env::current_exe().unwrap().display().to_string();
    [&exe, "--exact", test, "--ignored", "--nocapture"].map(str::to_owned).into()
}

/// Returns from the test, saying why it proves nothing here.
#[macro_export]
macro_rules! skip {
    ($($why:tt)*) => {{
        println!("skipped: {}", format!($($why)*));
        return;
    }};
}
