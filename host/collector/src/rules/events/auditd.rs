//! `product: linux, service: auditd`: rules there look at one record at a time (`type: EXECVE`), and a recorded event is made
//! of several. Each is offered by itself, with its own fields; of PATH one for each file.

use super::{Fields, field};
use crate::Event;
use crate::audit::parse::{self, unquoted};
use crate::rules::sigma::{Asked, SigmaEvent};
use std::borrow::Cow;

/// Fields of a SYSCALL record.
#[rustfmt::skip]
const SYSCALL: [&str; 22] = [
    "arch", "success", "exit", "items", "ppid", "pid", "auid", "uid", "gid", "euid", "suid", "fsuid", "egid", "sgid",
    "fsgid", "tty", "ses", "comm", "exe", "subj", "key", "per",
];

/// Fields of a PATH record.
const PATH: [&str; 8] = ["nametype", "inode", "dev", "mode", "ouid", "ogid", "rdev", "obj"];

/// The records that are told apart here; all others have fields of their own.
pub(super) const RECORDS: [&str; 6] = ["SYSCALL", "EXECVE", "CWD", "PROCTITLE", "SOCKADDR", "PATH"];

/// Whether a record of this type may have the field with what is asked of it.
pub(super) fn has(kind: &str, asked: &Asked<'_>) -> bool {
    let name = &*asked.name();
    match kind {
        // Registers are hexadecimal numbers: an argument of a program is none.
        "SYSCALL" if matches!(name, "a0" | "a1" | "a2" | "a3") => asked.admits_hexadecimal(),
        "SYSCALL" => SYSCALL.contains(&name) || matches!(name, "SYSCALL" | "syscall"),
        "EXECVE" => is_argument(name) || matches!(name, "argc" | "argv"),
        "CWD" => name == "cwd",
        "PROCTITLE" => name == "proctitle",
        "SOCKADDR" => matches!(name, "saddr" | "family" | "address" | "port" | "saddr_fam" | "laddr" | "lport"),
        "PATH" => name == "name" || PATH.contains(&name),
        _ => false,
    }
}

/// The types of all other records.
pub(super) fn other_types() -> impl Iterator<Item = &'static str> {
    parse::type_names().filter(|name| !RECORDS.contains(name))
}

/// Most records of an event that are offered.
const MOST: usize = 64;

pub(super) fn views(event: &Event) -> Vec<SigmaEvent<'_>> {
    let Some(records) = event.fields.get("records") else { return Vec::new() };
    let mut types: Vec<&str> = records.split(' ').take(MOST).collect();
    let with_arguments = types.contains(&"EXECVE");
    types.sort_unstable();
    types.dedup();
    let mut views = Vec::with_capacity(types.len().saturating_add(1));
    for kind in types {
        match kind {
            "PATH" => paths(event, &mut views),
            kind => views.push(SigmaEvent::new(record(event, kind, with_arguments))),
        }
    }
    views
}

fn take<'a>(event: &'a Event, names: &[&'static str], fields: &mut Fields<'a>) {
    fields.extend(names.iter().filter_map(|name| Some((*name, Cow::from(event.fields.get(*name)?)))));
}

fn record<'a>(event: &'a Event, kind: &'a str, with_arguments: bool) -> Fields<'a> {
    let mut fields: Fields<'a> = vec![("type", kind.into())];
    match kind {
        "SYSCALL" => {
            take(event, &SYSCALL, &mut fields);
            // Where the event has arguments they have the registers' names.
            if !with_arguments {
                take(event, &["a0", "a1", "a2", "a3"], &mut fields);
            }
            // `syscall` is a number in the record, `SYSCALL` its name where a daemon adds it; rules use both words for both.
            let number = event.fields.get("syscall").map(Cow::from);
            let name = Cow::from(event.kind.as_str());
            fields.extend(["syscall", "SYSCALL"].map(|field| (field, name.clone())));
            fields.extend(number.map(|number| ("syscall", number)));
        }
        "EXECVE" => {
            take(event, &["argc", "argv"], &mut fields);
            let all = event.fields.iter().filter(|(name, _)| is_argument(name));
            fields.extend(all.map(|(name, value)| (name.as_str(), value.into())));
        }
        "CWD" => take(event, &["cwd"], &mut fields),
        "PROCTITLE" => take(event, &["proctitle"], &mut fields),
        "SOCKADDR" => {
            take(event, &["saddr", "family", "address", "port"], &mut fields);
            fields.extend(field(event, "family").map(|family| ("saddr_fam", family.into())));
            fields.extend(field(event, "address").map(|address| ("laddr", address.into())));
            fields.extend(field(event, "port").map(|port| ("lport", port.into())));
        }
        // Records that mostly come alone, and then all fields are theirs.
        _ => {
            fields.extend(event.fields.iter().map(|(name, value)| (name.as_str(), value.into())));
            // What the message says under the name of a field of the record, such as another `uid`.
            fields.extend(event.fields.get("msg").into_iter().flat_map(|msg| message(msg)));
        }
    }
    fields
}

/// One for each file: the main one with all of its record's fields, the others by their names.
fn paths<'a>(event: &'a Event, views: &mut Vec<SigmaEvent<'a>>) {
    let mut main: Fields<'a> = vec![("type", "PATH".into())];
    take(event, &PATH, &mut main);
    let path = field(event, "path");
    // The name as it was given, and the whole path.
    main.extend([path, field(event, "name")].into_iter().flatten().map(|name| ("name", name.into())));
    views.push(SigmaEvent::new(main));
    // What the shell's words are not, stays one word.
    let all = event.fields.get("paths").map(|paths| shell_words::split(paths).unwrap_or_else(|_| vec![paths.clone()]));
    for other in all.into_iter().flatten().take(MOST).filter(|other| Some(other.as_str()) != path) {
        views.push(SigmaEvent::new([("type", Cow::from("PATH")), ("name", other.into())]));
    }
}

fn is_argument(name: &str) -> bool {
    name.strip_prefix('a').is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// `op=login acct="root" res=success`: what a program of user space says of itself.
fn message(msg: &str) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
    let mut rest = msg;
    std::iter::from_fn(move || {
        let (name, after) = rest.trim_start().split_once('=')?;
        let quoted = after.strip_prefix('"').and_then(|inner| inner.split_once('"'));
        // A word without a value may stand before the name.
        let name = name.rsplit(' ').next().unwrap_or(name);
        let (value, next) = match quoted {
            Some((value, next)) => (Cow::from(value), next),
            None => {
                let (value, next) = after.split_once(' ').unwrap_or((after, ""));
                (unquoted(name, value).into(), next)
            }
        };
        rest = next;
        Some((name, value))
    })
}
