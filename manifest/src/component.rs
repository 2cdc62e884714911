//! A core module that `wit-bindgen` prepared -> a component that imports only what it calls.

use anyhow::Context as _;

/// Turns a core module, with the custom sections that `wit-bindgen` puts there, into a component. The same bytes in
/// give the same bytes out.
pub fn encode(core: &[u8]) -> anyhow::Result<Vec<u8>> {
    wit_component::ComponentEncoder::default()
        .validate(true)
        .module(core)
        .context("this is no module that was built against the WIT of `foil:host`: does its crate use `foil-sdk`?")?
        .encode()
        .context("cannot make a component of the module")
}
