//! Where a call leaves this crate: to the host in a guest, to the fake in a native test.

#[cfg(target_arch = "wasm32")]
pub(crate) use wasm::*;

#[cfg(target_arch = "wasm32")]
mod wasm {
    use crate::__bindings::host;

    pub(crate) use host::clock::{elapsed, now};
    pub(crate) use host::events_read::read as events_read;
    pub(crate) use host::exec::run as exec;
    pub(crate) use host::files_read::{entries, read, stat};
    pub(crate) use host::files_write::{create_directory, remove, write};
    pub(crate) use host::log::write as log;
    pub(crate) use host::loopback_serve::publish;
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::fake::calls::*;
