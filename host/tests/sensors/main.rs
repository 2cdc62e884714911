//! The collectors `file.NAME` and `inbox` against real files, real sockets and real processes, and whose events are whose.

mod attribution;
mod file;
mod inbox;
mod load;
mod losses;
mod support;
