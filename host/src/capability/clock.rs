//! `foil:host/clock`: the time, and no way to wait for it.

use super::Guest;
use crate::engine::bindings::imports::clock::Host;
use crate::engine::bindings::types::Error;
use std::time::{SystemTime, UNIX_EPOCH};

impl Host for Guest {
    async fn now(&mut self) -> wasmtime::Result<Result<u64, Error>> {
        self.begin()?;
        Ok(Ok(unix_nanos()))
    }

    async fn elapsed(&mut self) -> wasmtime::Result<Result<u64, Error>> {
        self.begin()?;
        Ok(Ok(u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// Nanoseconds since 1970; 0 where the clock stands before it.
pub fn unix_nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
