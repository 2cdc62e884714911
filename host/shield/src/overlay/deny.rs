//! System calls that children of an overlay are refused: the filter of both levels ([`Filter`]), which backs the user
//! namespace up, and closes what no namespace does: keys, `io_uring`, cgroup namespaces, the machine's core dump handler,
//! and sockets of families that reach past a network namespace.

pub use crate::steps::filter::Filter;
