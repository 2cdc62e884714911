//! Audit records, read. Everything here may come from a process that wants to be misread, so nothing panics and nothing grows
//! without bound. Texts are as they were said, since rules look at them: whoever shows one escapes it (`engine::cut`). Pure, and free
//! of the rest of the host: `fuzz/` compiles this folder alone.

mod arguments;
mod assemble;
mod merge;
mod message;
mod paths;
mod record;
mod sockaddr;
pub mod syscalls;
mod types;
mod value;

pub use assemble::Assembler;
pub use merge::Assembled;
pub use record::{Record, Stamp, parse_line, parse_message};
pub use types::names as type_names;
pub use value::{MAX_VALUE, shell_join, text, unquoted};

/// What events can be of: system calls and, in small letters, records that are events by themselves.
pub fn kinds() -> impl Iterator<Item = String> {
    syscalls::names().map(str::to_owned).chain(types::events().map(str::to_lowercase))
}

/// Whether there are events of that kind. `syscall-412` is a call without a name.
pub fn is_kind(kind: &str) -> bool {
    let number = kind.strip_prefix("syscall-").is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()));
    number || syscalls::known_elsewhere(kind) || types::events().any(|name| name.to_lowercase() == kind)
}

#[cfg(test)]
mod tests;
