//! What stands in for the inert part of WASI in a build without it, such as the demo's: nothing is linked.

use crate::capability::Guest;
use wasmtime::component::Linker;

/// No state.
pub struct Inert;

/// Links nothing.
#[allow(clippy::unnecessary_wraps, reason = "the other build's can fail")]
pub(super) fn link(_: &mut Linker<Guest>) -> wasmtime::Result<()> {
    Ok(())
}
