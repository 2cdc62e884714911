//! The records of one event, made into one set of fields.

use super::record::{Record, Stamp};
use super::value::{Value, hex, text};
use super::{arguments, message, paths, sockaddr, syscalls, types};
use std::collections::BTreeMap;

/// Most fields of one event.
const MAX_FIELDS: usize = 512;

/// An event, in no run's terms yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assembled {
    /// When and which.
    pub stamp: Stamp,
    /// The system call's name, or the type of the first record in lower case, such as `user_login`.
    pub kind: String,
    /// The process, as the kernel's first pid namespace numbers it.
    pub pid: Option<u32>,
    /// Its parent.
    pub ppid: Option<u32>,
    /// Fields in audit's names and in ours; docs/collectors.md says which.
    pub fields: BTreeMap<String, String>,
}

/// Makes an event of its records. `complete`: its end was seen. What the records do not have all of is marked `incomplete`.
pub fn merge(stamp: Stamp, records: &[Record], complete: bool) -> Assembled {
    let find = |kind: u16| records.iter().find(|r| r.kind == kind);
    let syscall = find(types::SYSCALL);
    // A change of the audit configuration comes inside the event of the `sendto` that asked for it. What matters is the change.
    let primary = find(types::CONFIG_CHANGE).or(syscall).or(records.first());
    let mut fields = BTreeMap::new();
    for record in primary.into_iter().chain(records.iter()) {
        if !matches!(record.kind, types::PATH | types::EXECVE | types::SOCKADDR | types::PROCTITLE | types::EOE) {
            plain_fields(record, &mut fields);
        }
    }
    let call = syscall.and_then(call_name);
    let kind = match (primary, &call) {
        (Some(p), Some(name)) if p.kind == types::SYSCALL => name.clone(),
        (Some(p), _) => types::name(p.kind).to_lowercase(),
        (None, _) => "unknown".to_owned(),
    };
    let all_arguments = arguments::describe(records, &mut fields);
    let cwd = find(types::CWD).and_then(|r| r.known("cwd")).map(Value::untrusted);
    paths::describe(records, syscall.zip(call.as_deref()), cwd.as_deref(), &mut fields);
    if let Some(saddr) = find(types::SOCKADDR).and_then(|r| r.known("saddr")) {
        fields.insert("saddr".into(), text(&saddr.raw));
        // What is not hexadecimal is no address, and stays as it was written.
        if let Some(address) = hex(&saddr.raw) {
            sockaddr::describe(&address, &mut fields);
        }
    }
    if let Some(title) = find(types::PROCTITLE).and_then(|r| r.known("proctitle")) {
        let mut title = title.untrusted();
        title.truncate(title.iter().rposition(|b| *b != 0).map_or(0, |last| last.saturating_add(1)));
        title.iter_mut().filter(|b| **b == 0).for_each(|b| *b = b' ');
        fields.insert("proctitle".into(), text(&title));
    }
    for record in records.iter().filter(|r| types::stands_alone(r.kind)) {
        message::describe(record, MAX_FIELDS, &mut fields);
    }
    let whole = complete && all_arguments && fields.len() < MAX_FIELDS;
    let names: Vec<String> = records.iter().take(64).map(|r| types::name(r.kind)).collect();
    fields.insert("records".into(), names.join(" "));
    fields.insert("serial".into(), stamp.serial.to_string());
    if !whole {
        fields.insert("incomplete".into(), "yes".into());
    }
    let number = |name: &str| primary.and_then(|r| r.get(name)).or_else(|| syscall?.get(name)).and_then(Value::number);
    Assembled { stamp, kind, pid: number("pid"), ppid: number("ppid"), fields }
}

/// `execve`; `syscall-412` where the number has no name, `syscall-11-40000003` where its machine is foreign.
fn call_name(record: &Record) -> Option<String> {
    let number: u32 = record.get("syscall")?.number()?;
    let arch = record.get("arch").and_then(|v| u32::from_str_radix(std::str::from_utf8(&v.raw).ok()?, 16).ok());
    Some(match arch {
        Some(arch) => match syscalls::name(arch, number) {
            Some(name) => name.to_owned(),
            None if Some(arch) == syscalls::native() => format!("syscall-{number}"),
            None => format!("syscall-{number}-{arch:x}"),
        },
        None => format!("syscall-{number}"),
    })
}

fn plain_fields(record: &Record, fields: &mut BTreeMap<String, String>) {
    for (name, value) in record.fields.iter().filter(|(_, value)| !value.is_null()) {
        if fields.len() >= MAX_FIELDS {
            return;
        }
        fields.entry(name.clone()).or_insert_with(|| value.text(name));
    }
}
