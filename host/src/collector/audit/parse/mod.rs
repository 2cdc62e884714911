//! Audit records, read. Everything here may come from a process that wants to be misread, so nothing panics, nothing grows
//! without bound and no text reaches a terminal raw. Pure, and free of the rest of the host: `fuzz/` compiles this folder alone.

mod assemble;
mod merge;
mod paths;
mod record;
mod sockaddr;
pub mod syscalls;
mod types;
mod value;

pub use assemble::Assembler;
pub use merge::Assembled;
pub use record::{Record, Stamp, parse_line, parse_message};
pub use value::{MAX_VALUE, shell_join, text};

#[cfg(test)]
mod tests;
