//! The records of one event, made into one set of fields.

use super::record::{Record, Stamp};
use super::value::{Value, is_untrusted, shell_join, text};
use super::{paths, sockaddr, syscalls, types};
use std::collections::BTreeMap;

/// Most fields of one event.
const MAX_FIELDS: usize = 512;
/// Most arguments that become fields of their own (`a0` …); `argv` has them all.
const MAX_ARGUMENTS: usize = 64;

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

/// Makes an event of its records. `complete`: its end was seen.
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
    arguments(records, &mut fields);
    let cwd = find(types::CWD).and_then(|r| r.get("cwd")).map(Value::untrusted);
    paths::describe(records, syscall.zip(call.as_deref()), cwd.as_deref(), &mut fields);
    if let Some(saddr) = find(types::SOCKADDR).and_then(|r| r.get("saddr")) {
        fields.insert("saddr".into(), text(&saddr.raw));
        sockaddr::describe(&saddr.untrusted(), &mut fields);
    }
    if let Some(title) = find(types::PROCTITLE).and_then(|r| r.get("proctitle")) {
        let mut title = title.untrusted();
        title.iter_mut().filter(|b| **b == 0).for_each(|b| *b = b' ');
        fields.insert("proctitle".into(), text(&title));
    }
    let names: Vec<String> = records.iter().take(64).map(|r| types::name(r.kind)).collect();
    fields.insert("records".into(), names.join(" "));
    fields.insert("serial".into(), stamp.serial.to_string());
    if !complete {
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
    for (name, value) in &record.fields {
        if fields.len() >= MAX_FIELDS {
            return;
        }
        let bytes = if is_untrusted(name) { value.untrusted() } else { value.raw.clone() };
        let bytes = match name.as_str() {
            // Several keys of one rule are kept apart by a 1.
            "key" => bytes.iter().map(|b| if *b == 1 { b',' } else { *b }).collect(),
            _ => bytes,
        };
        fields.entry(name.clone()).or_insert_with(|| text(&bytes));
    }
}

/// `argc`, `argv` and `a0` … from EXECVE records: one argument may be spread over several fields (`a1_len=`, `a1[0]=` …) and records.
fn arguments(records: &[Record], fields: &mut BTreeMap<String, String>) {
    let mut arguments: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    let mut bytes = 0usize;
    let mut seen = false;
    for record in records.iter().filter(|r| r.kind == types::EXECVE) {
        seen = true;
        for (name, value) in &record.fields {
            let Some(index) = argument_index(name) else { continue };
            let part = value.untrusted();
            bytes = bytes.saturating_add(part.len());
            if bytes > 4 * super::value::MAX_VALUE {
                break;
            }
            arguments.entry(index).or_default().extend(part);
        }
        if let Some(count) = record.get("argc") {
            fields.insert("argc".into(), text(&count.raw));
        }
    }
    if !seen {
        return;
    }
    // EXECVE's arguments, not SYSCALL's registers of the same names.
    for register in ["a0", "a1", "a2", "a3"] {
        fields.remove(register);
    }
    fields.insert("argv".into(), shell_join(arguments.values().map(Vec::as_slice)));
    for (index, value) in arguments.iter().take(MAX_ARGUMENTS) {
        fields.insert(format!("a{index}"), text(value));
    }
}

/// The number in `a12` and `a12[3]`; not in `a12_len`.
fn argument_index(name: &str) -> Option<u32> {
    let rest = name.strip_prefix('a')?;
    let digits = match rest.split_once('[') {
        Some((digits, part)) => {
            part.strip_suffix(']')?.parse::<u32>().ok()?;
            digits
        }
        None => rest,
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) { None } else { digits.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn argument_names() {
        assert_eq!(argument_index("a0"), Some(0));
        assert_eq!(argument_index("a12[3]"), Some(12));
        for no in ["argc", "a", "a1_len", "a1[", "a1[x]", "a-1", "a99999999999"] {
            assert_eq!(argument_index(no), None, "{no}");
        }
    }
}
