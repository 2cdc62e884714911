//! `category: process_creation`, in the field names of Sysmon for Linux.

use super::{Fields, actor, field, succeeded};
use crate::Event;
use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Read;

/// Programs that are remembered.
pub(super) const MOST: usize = 4096;

/// Most bytes of a command line that are read from `/proc`.
const COMMAND: u64 = 64 * 1024;

/// What processes became, as earlier events say: the parents of those to come.
#[derive(Debug, Default)]
pub struct Programs {
    pub(super) by_pid: HashMap<String, Program>,
    newest: u64,
}

#[derive(Debug)]
pub(super) struct Program {
    age: u64,
    image: String,
    command: String,
}

impl Programs {
    /// Remembers the program that an event says its process became.
    pub fn note(&mut self, event: &Event) {
        let (Some(pid), Some(image)) = (field(event, "pid"), field(event, "exe")) else { return };
        if !is_start(event) {
            return;
        }
        self.newest = self.newest.saturating_add(1);
        if self.by_pid.len() >= MOST {
            let settled = self.newest.saturating_sub(MOST as u64 / 2);
            self.by_pid.retain(|_, program| program.age >= settled);
        }
        let program = Program { age: self.newest, image: image.to_owned(), command: command(event).into_owned() };
        self.by_pid.insert(pid.to_owned(), program);
    }
}

fn is_start(event: &Event) -> bool {
    matches!(event.kind.as_str(), "execve" | "execveat") && succeeded(event)
}

/// The command line with a space between the arguments, as Sysmon has it; `argv` is quoted as for a shell.
fn command(event: &Event) -> Cow<'_, str> {
    let Some(argv) = field(event, "argv") else { return "".into() };
    if argv.contains(['\'', '"', '\\']) {
        shell_words::split(argv).map_or(argv.into(), |words| words.join(" ").into())
    } else {
        argv.into()
    }
}

pub(super) fn view<'a>(event: &'a Event, programs: &'a Programs) -> Option<Fields<'a>> {
    if !is_start(event) {
        return None;
    }
    let mut fields = actor(event);
    fields.push(("CommandLine", command(event)));
    fields.extend(field(event, "cwd").map(|cwd| ("CurrentDirectory", cwd.into())));
    // A login uid that was never set is -1.
    fields.extend(field(event, "auid").filter(|auid| *auid != "4294967295").map(|auid| ("LogonId", auid.into())));
    if let Some(ppid) = field(event, "ppid") {
        fields.push(("ParentProcessId", ppid.into()));
        let (image, command) = match programs.by_pid.get(ppid) {
            Some(Program { image, command, .. }) => (Some(image.into()), Some(command.into())),
            None => alive(ppid),
        };
        fields.extend(image.map(|image: Cow<'a, str>| ("ParentImage", image)));
        fields.extend(command.map(|command: Cow<'a, str>| ("ParentCommandLine", command)));
    }
    Some(fields)
}

/// Image and command line of a process that still runs. What is unknown stays absent.
fn alive<'a>(pid: &str) -> (Option<Cow<'a, str>>, Option<Cow<'a, str>>) {
    if !pid.bytes().all(|b| b.is_ascii_digit()) {
        return (None, None);
    }
    let image = std::fs::read_link(format!("/proc/{pid}/exe")).ok();
    let mut bytes = Vec::new();
    let read =
        std::fs::File::open(format!("/proc/{pid}/cmdline")).and_then(|file| file.take(COMMAND).read_to_end(&mut bytes));
    let text = |bytes: &[u8]| Cow::from(crate::audit::parse::text(bytes));
    let command = bytes.strip_suffix(b"\0").filter(|_| read.is_ok()).map(|line| {
        let spaced: Vec<u8> = line.iter().map(|b| if *b == 0 { b' ' } else { *b }).collect();
        text(&spaced)
    });
    (image.map(|path| text(path.as_os_str().as_encoded_bytes())), command)
}
