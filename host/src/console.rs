//! What is said on standard output and standard error, beside reports.
//!
//! A message that cannot be written, since the disk behind it is full or its reader is gone, must not end a run or a clean-up: it is
//! dropped. That standard output lacks something is told at the end ([`unwritten`]).

use std::fmt::Arguments;
use std::io::{ErrorKind, Write as _};
use std::sync::OnceLock;

/// Why the first text that standard output lacks could not be written.
static UNWRITTEN: OnceLock<String> = OnceLock::new();

/// Prints to standard output; for the macros [`out`] and [`out_text`].
pub fn print(text: Arguments<'_>) {
    match anstream::stdout().lock().write_fmt(text) {
        Ok(()) => {}
        // Its reader has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        Err(error) => drop(UNWRITTEN.set(error.to_string())),
    }
}

/// Prints to standard error; for the macros [`err`] and [`err_text`].
pub fn say(text: Arguments<'_>) {
    let _ = anstream::stderr().lock().write_fmt(text);
}

/// Why standard output lacks something, if it does.
pub fn unwritten() -> Option<&'static str> {
    UNWRITTEN.get().map(String::as_str)
}

/// A line on standard output.
macro_rules! out {
    () => { $crate::console::print(format_args!("\n")) };
    ($($what:tt)*) => { $crate::console::print(format_args!("{}\n", format_args!($($what)*))) };
}

/// Text on standard output.
macro_rules! out_text {
    ($($what:tt)*) => { $crate::console::print(format_args!($($what)*)) };
}

/// A line on standard error.
macro_rules! err {
    () => { $crate::console::say(format_args!("\n")) };
    ($($what:tt)*) => { $crate::console::say(format_args!("{}\n", format_args!($($what)*))) };
}

/// Text on standard error.
macro_rules! err_text {
    ($($what:tt)*) => { $crate::console::say(format_args!($($what)*)) };
}

pub(crate) use {err, err_text, out, out_text};
