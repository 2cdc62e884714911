//! What guests may call: one file or folder per WIT interface, and what they share.
//!
//! Every function does the same four things in the same order: charges the budget, asks the policy (every answer goes to
//! the audit log), writes down how to undo, acts. A refusal is an answer to the guest, never a trap; a trap ends a phase
//! whose budget is spent.

mod clock;
mod events_read;
mod exec;
mod files_read;
mod files_write;
mod guest;
mod kube;
mod log;
mod loopback_serve;
mod reading;

pub use clock::unix_nanos;
pub use guest::{Guest, World};
pub use reading::{Reading, View};

use crate::engine::bindings::imports;
use foil_manifest::CapabilityName;
use std::collections::BTreeSet;
use wasmtime::component::{HasSelf, Linker};

/// A file that a program may change is one whose pre-image is taken.
const _: () = assert!(foil_safe_path::CONTENT_LIMIT == foil_policy::UNDOABLE_FILE);

/// Links exactly the interfaces in `linked`, and the inert ones.
pub fn link(linker: &mut Linker<Guest>, linked: &BTreeSet<CapabilityName>) -> wasmtime::Result<()> {
    imports::types::add_to_linker::<Guest, HasSelf<Guest>>(linker, |g| g)?;
    imports::log::add_to_linker::<Guest, HasSelf<Guest>>(linker, |g| g)?;
    imports::clock::add_to_linker::<Guest, HasSelf<Guest>>(linker, |g| g)?;
    imports::kube_types::add_to_linker::<Guest, HasSelf<Guest>>(linker, |g| g)?;
    for name in linked {
        match name {
            CapabilityName::Exec => imports::exec::add_to_linker::<Guest, HasSelf<Guest>>(linker, |g| g)?,
            CapabilityName::FilesRead => imports::files_read::add_to_linker::<Guest, HasSelf<Guest>>(linker, |g| g)?,
            CapabilityName::FilesWrite => imports::files_write::add_to_linker::<Guest, HasSelf<Guest>>(linker, |g| g)?,
            CapabilityName::EventsRead => imports::events_read::add_to_linker::<Guest, HasSelf<Guest>>(linker, |g| g)?,
            CapabilityName::LoopbackServe => {
                imports::loopback_serve::add_to_linker::<Guest, HasSelf<Guest>>(linker, |g| g)?;
            }
            CapabilityName::KubeRead => imports::kube_read::add_to_linker::<Guest, HasSelf<Guest>>(linker, |g| g)?,
            CapabilityName::KubeWrite => imports::kube_write::add_to_linker::<Guest, HasSelf<Guest>>(linker, |g| g)?,
            CapabilityName::KubeExec => imports::kube_exec::add_to_linker::<Guest, HasSelf<Guest>>(linker, |g| g)?,
            // A capability that this host does not know is not linked; instantiation says so.
            _ => {}
        }
    }
    Ok(())
}
