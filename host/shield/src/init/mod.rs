//! A run's init: the process in which the shield is set up, that starts the run's children, performs its file effects, and
//! takes everything with it when it goes.
//!
//! In a pid namespace it is pid 1: immune to the children's signals, and its end is theirs. Elsewhere it is a subreaper.
//! Children cannot trace it: it is not dumpable, and outside of their Landlock domains.

pub(super) mod birth;
mod child;
mod file_effect;
mod helper;
mod look;
mod serve;
mod setup;
mod stem;
pub mod tree;
mod web;

pub use tree::Reach;

/// The short name of an init, and of its processes until they execute.
pub const INIT_NAME: &str = "foil-init";
/// The short name of a process while it performs a file effect, so that a sensor's coarse clock does not make it look like
/// Foil's set-up.
pub const EFFECT_NAME: &str = "foil-effect";

use super::RunSpec;
use super::protocol::{Admitted, Go, NamespacesReady, Reply};
use super::wire;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Which namespaces init was forked into. Always: pid, mount, ipc, uts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Namespaces {
    /// A user namespace, in which the user is mapped to itself: for whoever may not make the others otherwise.
    pub user: bool,
    /// A network namespace.
    pub network: bool,
}

/// What init is born with.
#[derive(Debug)]
pub struct Birth<'a> {
    /// The run.
    pub spec: RunSpec,
    /// Its namespaces; `None` for `open`, and where there are none to be had.
    pub namespaces: Option<Namespaces>,
    /// Effective user and group of the launcher, as seen outside.
    pub ids: (u32, u32),
    /// Orders come and replies go here. Its end is ours.
    pub run: BorrowedFd<'a>,
    /// Children tell their births here.
    pub births: BorrowedFd<'a>,
    /// Ends with the launcher, and so do we.
    pub lifeline: BorrowedFd<'a>,
    /// To the launcher, until the namespaces stand.
    pub setup: BorrowedFd<'a>,
}

/// Init's life. The answer is its exit status.
pub fn live(birth: Birth<'_>) -> i32 {
    let keep = [birth.run, birth.births, birth.lifeline, birth.setup].map(|fd| fd.as_raw_fd());
    let Ok(go) = prepare(&keep).and_then(|()| wire::receive::<Go>(birth.setup)) else { return 1 };
    let Some(go) = go.map(|parcel| parcel.message) else { return 1 };
    let mut gaps = go.gaps;
    let (standing, ground): (NamespacesReady, _) = match setup::namespaces(&birth, &mut gaps) {
        Ok(ground) => (Ok(()), ground),
        Err(reason) => (Err(reason), setup::Ground::default()),
    };
    if wire::send(birth.setup, &standing, &[]).is_err() || standing.is_err() {
        return 1;
    }
    match setup::shield(&birth, ground, &mut gaps) {
        Ok(mut shielded) => {
            let Ok(Some(admitted)) = wire::receive::<Admitted>(birth.setup) else { return 1 };
            shielded.count_processes &= !admitted.message.processes_held;
            let writes = shielded.holds.writes().to_vec();
            if wire::send(birth.run, &Reply::Ready { gaps, writes }, &[]).is_err() {
                return 1;
            }
            serve::Init::new(birth, shielded).serve()
        }
        Err(reason) => {
            let _ = wire::send(birth.run, &Reply::Unavailable(reason), &[]);
            1
        }
    }
}

fn prepare(keep: &[i32]) -> std::io::Result<()> {
    super::steps::descriptors::close_others(keep)?;
    super::steps::descriptors::null_streams()?;
    child::default_signals();
    rustix::process::setsid()?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    name_thread(INIT_NAME)?;
    Ok(())
}

/// Gives the calling process its short name. Allocates nothing.
pub(super) fn name_thread(name: &str) -> std::io::Result<()> {
    let mut bytes = [0_u8; 16];
    for (slot, byte) in bytes.iter_mut().take(15).zip(name.bytes()) {
        *slot = byte;
    }
    let text = std::ffi::CStr::from_bytes_until_nul(&bytes).map_err(std::io::Error::other)?;
    Ok(rustix::thread::set_name(text)?)
}
