//! Rules as people write them: a list of system calls, or what `auditctl` takes, as far as it makes sense here.

use super::parse::syscalls;
use super::rule_data::RuleData;
use foil_text::Shown as _;

/// `AUDIT_EQUAL`, the operator.
pub const EQUAL: u32 = 0x4000_0000;
const NOT_EQUAL: u32 = 0x3000_0000;
const ARCH: u32 = 11;
const UID: u32 = 1;

/// A rule's fields that may be filtered on: those that are known when a system call ends and that work through an overlay.
/// Watches by inode (`path`, `dir`, `exe`, `inode`) are not: they do not fire there, and absence would look like a miss.
const FILTERS: &[(&str, u32)] = &[
    ("pid", 0),
    ("uid", UID),
    ("euid", 2),
    ("suid", 3),
    ("fsuid", 4),
    ("gid", 5),
    ("egid", 6),
    ("auid", 9),
    ("ppid", 18),
    ("exit", 103),
    ("success", 104),
    ("a0", 200),
    ("a1", 201),
    ("a2", 202),
    ("a3", 203),
];

/// Makes a rule of system calls and, where given, a user id.
pub fn from_calls(names: &[String], uid: Option<u32>, key: &str) -> Result<RuleData, String> {
    let filters: Vec<(u32, u32, u32)> = uid.map(|uid| (UID, EQUAL, uid)).into_iter().collect();
    build(names, &filters, key)
}

/// Makes a rule of one line in `auditctl`'s language: `-a always,exit -F arch=b64 -S execve,openat -F exit=-EACCES`.
pub fn from_line(line: &str, key: &str) -> Result<RuleData, String> {
    let refuse = |why: String| format!("the audit rule `{line}` cannot be used: {why}");
    let (mut calls, mut filters, mut listed) = (Vec::new(), Vec::new(), false);
    let mut words = line.split_ascii_whitespace();
    while let Some(flag) = words.next() {
        let value = words.next().ok_or_else(|| refuse(format!("`{flag}` needs a value")))?;
        match flag {
            "-a" if matches!(value, "always,exit" | "exit,always") => listed = true,
            "-a" => return Err(refuse(format!("only `-a always,exit` records something, not `-a {value}`"))),
            "-S" => calls.extend(value.split(',').map(str::to_owned)),
            "-F" => filters.extend(filter(value).map_err(&refuse)?),
            "-k" => return Err(refuse("Foil sets the key itself; leave `-k` out".into())),
            "-w" | "-p" => {
                return Err(refuse("watches do not fire through an overlay; name system calls with `-S`".into()));
            }
            _ => return Err(refuse(format!("`{flag}` is not known; `-a`, `-S` and `-F` are"))),
        }
    }
    if !listed {
        return Err(refuse("it has no `-a always,exit`".into()));
    }
    build(&calls, &filters, key).map_err(refuse)
}

fn build(names: &[String], filters: &[(u32, u32, u32)], key: &str) -> Result<RuleData, String> {
    let arch = syscalls::native().ok_or("Foil does not know this machine's system calls")?;
    if names.is_empty() {
        return Err("it names no system call".into());
    }
    let mut calls = Vec::new();
    for name in names {
        match syscalls::number(arch, name) {
            Some(number) => calls.push(number),
            // `unlink` on a machine that has only `unlinkat`: one experiment for both.
            None => known(name)?,
        }
    }
    if calls.is_empty() {
        return Err(format!("this machine has none of the system calls {}", names.join(", ")));
    }
    let fields: Vec<(u32, u32, u32)> = [(ARCH, EQUAL, arch)].into_iter().chain(filters.iter().copied()).collect();
    RuleData::exit(&fields, &calls, key).ok_or_else(|| "it has too many fields".to_owned())
}

/// Checks that some machine has a system call of that name.
pub fn known(name: &str) -> Result<(), String> {
    if syscalls::known_elsewhere(name) {
        return Ok(());
    }
    Err(format!("there is no system call `{}`{}", name.shown(), foil_text::suggest::hint(name, syscalls::names())))
}

/// One `-F`; `arch=b64` says nothing, since rules are for this machine's own system calls.
fn filter(text: &str) -> Result<Option<(u32, u32, u32)>, String> {
    let (name, operator, value) = match text.split_once("!=") {
        Some((name, value)) => (name, NOT_EQUAL, value),
        None => text.split_once('=').map(|(n, v)| (n, EQUAL, v)).ok_or(format!("`-F {text}` has no `=` or `!=`"))?,
    };
    if name == "arch" {
        let plain = operator == EQUAL && value == "b64";
        return if plain { Ok(None) } else { Err("only `-F arch=b64` is known".into()) };
    }
    let (_, field) = FILTERS.iter().find(|(known, _)| *known == name).ok_or_else(|| {
        let known: Vec<&str> = FILTERS.iter().map(|(n, _)| *n).collect();
        format!("`-F {name}` is not known; arch, {} are", known.join(", "))
    })?;
    let number = match value {
        "unset" | "-1" if name == "auid" => Some(u32::MAX),
        "-EACCES" => Some((-13i32).cast_unsigned()),
        "-EPERM" => Some((-1i32).cast_unsigned()),
        "-ENOENT" => Some((-2i32).cast_unsigned()),
        _ if name == "exit" => value.parse::<i32>().ok().map(i32::cast_unsigned),
        _ => value.parse::<u32>().ok(),
    };
    number.map(|n| Some((*field, operator, n))).ok_or(format!("`{value}` in `-F {text}` is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        let rule = from_line(
            "-a always,exit -F arch=b64 -S execve,execveat -S openat -F exit=-EACCES -F auid!=unset",
            "foil-k",
        );
        assert_eq!(rule.unwrap().key(), Some("foil-k"));
        let calls = ["execve".to_owned()];
        assert_eq!(from_calls(&calls, None, "k"), from_line("-a exit,always -S execve", "k"));
        assert_eq!(from_calls(&calls, Some(7), "k"), from_line("-a exit,always -S execve -F uid=7", "k"));
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        for (line, word) in [
            ("-a never,exit -S execve", "never,exit"),
            ("-S execve", "no `-a always,exit`"),
            ("-a always,exit", "names no system call"),
            ("-a always,exit -S frobnicate", "frobnicate"),
            ("-w /etc/shadow -p r", "watches"),
            ("-a always,exit -S execve -k x", "leave `-k` out"),
            ("-a always,exit -S execve -F dir=/etc", "-F dir"),
            ("-a always,exit -S execve -F uid=root", "no number"),
            ("-a always,exit -S execve -F arch=b32", "b64"),
            ("-a always,exit -S", "needs a value"),
            ("-D x", "`-D` is not known"),
            ("-a always,exit -S execve -F uid", "no `=`"),
        ] {
            let error = from_line(line, "k").unwrap_err();
            assert!(error.contains(word), "{line}: {error}");
        }
        let many = format!("-a always,exit -S execve {}", "-F uid=1 ".repeat(64));
        assert!(from_line(&many, "k").unwrap_err().contains("too many"));
    }
}
