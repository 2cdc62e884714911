//! `category: file_event`: a file was made, got another name, or was emptied to be written anew.

use super::{Fields, actor, field, succeeded};
use crate::Event;

const O_CREAT: u64 = 0o100;
const O_TRUNC: u64 = 0o1000;

pub(super) fn view(event: &Event) -> Option<Fields<'_>> {
    let path = field(event, "path")?;
    if !succeeded(event) || !makes_a_file(event) {
        return None;
    }
    let mut fields = actor(event);
    fields.push(("TargetFilename", path.into()));
    Some(fields)
}

fn makes_a_file(event: &Event) -> bool {
    let hexadecimal = |name: &str| field(event, name).and_then(|flags| u64::from_str_radix(flags, 16).ok());
    let flags = match event.kind.as_str() {
        "creat" | "rename" | "renameat" | "renameat2" | "link" | "linkat" | "symlink" | "symlinkat" | "mknod"
        | "mknodat" => return true,
        "open" => hexadecimal("a1"),
        "openat" => hexadecimal("a2"),
        // Its flags are in memory; the kernel adds them in octal.
        "openat2" => field(event, "oflag").and_then(|flags| u64::from_str_radix(flags, 8).ok()),
        _ => None,
    };
    flags.is_some_and(|flags| flags & (O_CREAT | O_TRUNC) != 0)
}
