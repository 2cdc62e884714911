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
    pub(crate) use host::kube_exec::{logs as kube_logs, run as kube_exec};
    pub(crate) use host::kube_read::{get as kube_get, list as kube_list, proxy as kube_proxy, wait as kube_wait};
    pub(crate) use host::kube_write::{
        approve as kube_approve, create as kube_create, delete as kube_delete, patch as kube_patch,
        proxy_as as kube_proxy_as, request_certificate as kube_request_certificate,
        request_token as kube_request_token,
    };
    pub(crate) use host::log::write as log;
    pub(crate) use host::loopback_serve::publish;
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::fake::{calls::*, cluster::*};
