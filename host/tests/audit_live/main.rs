//! `linux.audit` against the real kernel, as root. Audit state is the machine's, so every test holds a lock, and puts back
//! what it found.

mod attribution;
mod daemon;
mod latency;
mod losses;
mod quiet;
mod rules;
#[path = "../shield_support/mod.rs"]
mod shield_support;
mod support;
