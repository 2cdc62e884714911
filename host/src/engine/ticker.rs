//! Advances the engine's epoch. Without it no deadline would ever be looked at, so it runs as long as the engine does, on
//! an OS thread of its own: a runtime whose workers are all busy in guests must not stop the clock that interrupts them.

use anyhow::Context;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) struct Ticker(Arc<AtomicBool>);

impl Ticker {
    pub(super) fn start(engine: wasmtime::Engine) -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        std::thread::Builder::new()
            .name("foil-ticker".into())
            .spawn(move || {
                while !seen.load(Ordering::Relaxed) {
                    std::thread::sleep(super::TICK);
                    engine.increment_epoch();
                }
            })
            .context("the thread that advances the engine's epoch")?;
        Ok(Self(stop))
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
