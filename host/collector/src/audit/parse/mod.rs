//! Audit records, read. Everything here may come from a process that wants to be misread, so nothing panics and nothing grows
//! without bound. Texts are as they were said, since rules look at them: whoever shows one escapes it (`foil_text::cut`). Pure, and free
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

pub use assemble::{Assembler, PATIENCE};
pub use merge::Assembled;
pub use record::{Record, Stamp, parse_line, parse_message};
pub use types::names as type_names;
pub use value::{MAX_VALUE, shell_join, text, unquoted};

/// What events can be of: system calls and, in small letters, records that are events by themselves.
pub fn kinds() -> impl Iterator<Item = String> {
    syscalls::names().map(str::to_owned).chain(types::events().map(str::to_lowercase))
}

/// The kernel's audit rules are about this many system calls: `AUDIT_BITMASK_SIZE` words of 32 bits.
const MOST_CALLS: u32 = 64 * 32;

/// Whether there are events of that kind. `syscall-412` is a call without a name, `syscall-11-40000003` one of another machine.
pub fn is_kind(kind: &str) -> bool {
    let is_number = |text: &str| text.parse().is_ok_and(|number: u32| number < MOST_CALLS);
    let by_number = kind.strip_prefix("syscall-").is_some_and(|call| match call.split_once('-') {
        Some((number, machine)) => is_number(number) && u32::from_str_radix(machine, 16).is_ok(),
        None => is_number(call),
    });
    by_number || syscalls::known_elsewhere(kind) || types::events().any(|name| name.to_lowercase() == kind)
}

#[cfg(test)]
mod tests;
