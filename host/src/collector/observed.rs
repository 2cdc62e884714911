//! `foil.observed`: what Foil itself saw its children do. It proves that a technique did something, and never that a sensor
//! works, so every event of it is an own observation.

use super::audit::parse::{shell_join, text};
use super::{EventLog, Process, Recorded};
use crate::shield::Ending;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Its name.
pub const NAME: &str = "foil.observed";

/// The collector.
#[derive(Debug)]
pub struct Observed {
    log: Arc<EventLog>,
}

impl Observed {
    pub(super) fn new(log: Arc<EventLog>) -> Self {
        Self { log }
    }

    /// A program that the host started. `started` in nanoseconds since 1970; without an `ending` it still runs.
    pub fn push_exec(&self, program: &str, args: &[String], pid: u32, started: u64, ending: Option<Ending>) {
        let words = std::iter::once(program).chain(args.iter().map(String::as_str)).map(str::as_bytes);
        let mut fields = BTreeMap::from([
            ("exe".to_owned(), text(program.as_bytes())),
            ("argv".to_owned(), shell_join(words)),
            ("pid".to_owned(), pid.to_string()),
            ("seen-by".to_owned(), "launcher".to_owned()),
        ]);
        let ending = ending.map(|ending| match ending {
            Ending::Exited(status) => format!("exited {status}"),
            Ending::Signalled(signal) => format!("signalled {signal}"),
            Ending::TimedOut => "timed-out".to_owned(),
        });
        fields.extend(ending.map(|ending| ("ending".to_owned(), ending)));
        self.push(started, pid, fields);
    }

    /// A program that a process of the run's tree became, as the kernel's process connector says. The rest is read from
    /// `/proc`, where a short-lived process may be gone already.
    pub(super) fn saw_exec(&self, pid: u32, at: u64) {
        let mut fields =
            BTreeMap::from([("pid".to_owned(), pid.to_string()), ("seen-by".to_owned(), "proc-connector".to_owned())]);
        if let Ok(exe) = std::fs::read_link(format!("/proc/{pid}/exe")) {
            fields.insert("exe".into(), text(exe.as_os_str().as_encoded_bytes()));
        }
        let mut command = Vec::new();
        let opened = std::fs::File::open(format!("/proc/{pid}/cmdline"));
        if let Ok(file) = opened {
            use std::io::Read;
            // A short read is as good as none: this is an observation by the way.
            let _ = file.take(64 * 1024).read_to_end(&mut command);
        }
        if let Some(words) = command.strip_suffix(b"\0") {
            fields.insert("argv".into(), shell_join(words.split(|b| *b == 0)));
        }
        self.push(at, pid, fields);
    }

    fn push(&self, at: u64, pid: u32, fields: BTreeMap<String, String>) {
        let process = Some(Process { pid, ppid: None });
        self.log.push(Recorded { at, kind: "execve".into(), own_observation: true, process, fields });
    }
}
