//! `foil:host/log`: lines for whoever debugs the module.

use super::Guest;
use crate::engine::bindings::imports::log::{Host, Level};
use crate::engine::bindings::types::Error;

/// A longer line is cut.
const MAX_LINE: usize = 4 << 10;

impl Host for Guest {
    async fn write(&mut self, level: Level, message: String) -> wasmtime::Result<Result<(), Error>> {
        self.begin()?;
        let message = foil_text::cut(&message, MAX_LINE);
        self.budget.log(message.len())?;
        let level = match level {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warning => "warning",
            Level::Error => "error",
        };
        tracing::debug!(run = %self.world.run, level, "{message}");
        self.push_line(level, message);
        Ok(Ok(()))
    }
}

impl crate::engine::bindings::types::Host for Guest {}
impl crate::engine::bindings::imports::kube_types::Host for Guest {}
