//! `foil.observed`: what Foil itself saw its children do. It proves that a technique did something, and never that a sensor
//! works, so every event of it is an own observation.

use super::audit::parse::{shell_join, text};
use super::tree::Image;
use super::{EventLog, Process, ProcessTree, Recorded, clock};
use foil_shield::Ending;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Its name.
pub const NAME: &str = "foil.observed";

/// The kind of all its events.
pub const KIND: &str = "execve";

/// The collector.
#[derive(Debug)]
pub struct Observed {
    log: Arc<EventLog>,
    tree: Arc<ProcessTree>,
}

impl Observed {
    pub(super) fn new(log: Arc<EventLog>, tree: Arc<ProcessTree>) -> Self {
        Self { log, tree }
    }

    /// A program that the host started. `started` in nanoseconds since 1970; without an `ending` it still runs.
    pub fn push_exec(&self, program: &str, args: &[String], pid: u32, started: u64, ending: Option<Ending>) {
        let argv: Vec<String> = std::iter::once(program).chain(args.iter().map(String::as_str)).map(own_text).collect();
        let real = std::fs::canonicalize(program).ok().map(|path| text(path.as_os_str().as_encoded_bytes()));
        let exes = std::iter::once(own_text(program)).chain(real).collect();
        self.tree.started(pid, started..clock::realtime(), Image { exes, argv: argv.clone(), ..Image::default() });
        let mut fields = fields(pid, "launcher", Some(&own_text(program)), &argv);
        let ending = ending.map(|ending| match ending {
            Ending::Exited(status) => format!("exited {status}"),
            Ending::Signalled(signal) => format!("signalled {signal}"),
            Ending::TimedOut => "timed-out".to_owned(),
        });
        fields.extend(ending.map(|ending| ("ending".to_owned(), ending)));
        self.push(started, pid, fields);
    }

    /// A program that a process of the run's tree became, as the kernel's process connector says, with what `/proc` said of it.
    pub(super) fn saw_exec(&self, pid: u32, at: u64, image: &Image) {
        let exe = image.exes.first().map(String::as_str);
        self.push(at, pid, fields(pid, "proc-connector", exe, &image.argv));
    }

    fn push(&self, at: u64, pid: u32, fields: BTreeMap<String, String>) {
        let process = Some(Process { pid, ppid: None, start: None });
        self.log.push(Recorded { at, kind: KIND.into(), own_observation: true, process, likeness: None, fields });
    }
}

fn own_text(word: &str) -> String {
    text(word.as_bytes())
}

fn fields(pid: u32, seen_by: &str, exe: Option<&str>, argv: &[String]) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::from([("pid".to_owned(), pid.to_string()), ("seen-by".to_owned(), seen_by.to_owned())]);
    fields.extend(exe.map(|exe| ("exe".to_owned(), exe.to_owned())));
    if !argv.is_empty() {
        fields.insert("argv".to_owned(), shell_join(argv.iter().map(String::as_bytes)));
    }
    fields
}
