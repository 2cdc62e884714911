//! PATH records: which file an event is about.

use super::record::Record;
use super::types;
use super::value::{Value, shell_join, text};
use std::collections::BTreeMap;

/// `AT_FDCWD` as a register holds it, in the lower 32 bits.
const AT_FDCWD: u32 = 0xffff_ff9c;

/// Adds `cwd`, `path` (the one that matters), `paths` (all but parent folders) and the chosen PATH record's own fields.
pub fn describe(
    records: &[Record],
    syscall: Option<(&Record, &str)>,
    cwd: Option<&[u8]>,
    fields: &mut BTreeMap<String, String>,
) {
    let items: Vec<&Record> = records.iter().filter(|r| r.kind == types::PATH).collect();
    let Some(chosen) = choose(&items) else { return };
    // A relative name below an open folder (`unlinkat(5, "x")`) is not below the working directory, and the record does not
    // say where the folder is: the name stays as it is, rather than becoming a path that it never was.
    let base = if syscall.is_some_and(|(record, name)| below_descriptor(record, name)) { None } else { cwd };
    // A call on an open file names none: `(null)` is not a path.
    let full = |record: &Record| record.known("name").map(|v| resolve(&v.untrusted(), base));
    for (name, value) in chosen.fields.iter().filter(|(_, value)| !value.is_null()) {
        fields.entry(name.clone()).or_insert_with(|| value.text(name));
    }
    if let Some(path) = full(chosen) {
        fields.insert("path".into(), text(&path));
    }
    let all: Vec<Vec<u8>> = items.iter().filter(|r| !is(r, "PARENT")).filter_map(|r| full(r)).collect();
    fields.insert("paths".into(), shell_join(all.iter().map(Vec::as_slice)));
}

fn is(record: &Record, nametype: &str) -> bool {
    record.get("nametype").is_some_and(|v| v.raw == nametype.as_bytes())
}

/// What was made (a rename's new name), else what was deleted, else the first that is no parent folder.
fn choose<'a>(items: &[&'a Record]) -> Option<&'a Record> {
    let last = |kind: &str| items.iter().rev().find(|r| is(r, kind));
    last("CREATE")
        .or_else(|| last("DELETE"))
        .or_else(|| items.iter().find(|r| !is(r, "PARENT")))
        .or(items.first())
        .copied()
}

fn below_descriptor(record: &Record, call: &str) -> bool {
    let register = |name: &str| -> Option<u64> {
        u64::from_str_radix(std::str::from_utf8(&record.get(name).map(|v: &Value| &v.raw)?.clone()).ok()?, 16).ok()
    };
    let folders: &[&str] = match call {
        "renameat" | "renameat2" | "linkat" => &["a0", "a2"],
        "symlinkat" => &["a1"],
        "openat" | "openat2" | "unlinkat" | "mkdirat" | "mknodat" | "fchownat" | "fchmodat" | "fchmodat2"
        | "faccessat" | "faccessat2" | "newfstatat" | "statx" | "execveat" | "readlinkat" | "utimensat"
        | "futimesat" | "name_to_handle_at" => &["a0"],
        _ => &[],
    };
    folders.iter().any(|r| register(r).is_some_and(|v| v & 0xffff_ffff != u64::from(AT_FDCWD)))
}

/// Joins and tidies: `.` and doubled slashes go; `..` stays where a symbolic link may stand before it, so it stays always.
fn resolve(name: &[u8], base: Option<&[u8]>) -> Vec<u8> {
    let joined = match base {
        Some(base) if !name.starts_with(b"/") => [base, b"/", name].concat(),
        _ => name.to_vec(),
    };
    if !joined.starts_with(b"/") {
        return joined;
    }
    let parts: Vec<&[u8]> = joined.split(|b| *b == b'/').filter(|p| !p.is_empty() && *p != b".").collect();
    if parts.is_empty() { b"/".to_vec() } else { [b"/".as_slice(), &parts.join(&b'/')].concat() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_joined_to_the_working_directory() {
        let joined = |name: &str, base: Option<&str>| {
            String::from_utf8(resolve(name.as_bytes(), base.map(str::as_bytes))).unwrap()
        };
        assert_eq!(joined("./a//b", Some("/tmp")), "/tmp/a/b");
        assert_eq!(joined("/etc/./x", Some("/tmp")), "/etc/x");
        assert_eq!(joined("../x", Some("/a/link")), "/a/link/../x");
        assert_eq!(joined("x", None), "x");
        assert_eq!(joined("(null)", Some("/tmp")), "/tmp/(null)", "a file of that name");
        assert_eq!(joined("/", None), "/");
    }
}
