//! A module's native code from the compile cache, beside compiling it: what the second run of a module saves.
//! `cargo bench --workspace --bench load`.

mod common;

use foil::engine::{Compiler, Engine};
use foil::module::{Catalog, Filter};
use std::time::{Duration, Instant};

const ROUNDS: usize = 20;

fn main() {
    let cache = tempfile::tempdir().expect("a folder");
    let engine = Engine::new(cache.path().join("cache"), Compiler::Here).expect("an engine");
    let modules = Catalog::open(&[]).modules(&Filter::default());
    let largest = modules.into_iter().max_by_key(|module| module.size).expect("the pack");
    let load = || {
        let began = Instant::now();
        engine.compile(&largest.bytes.read(&largest.digest).expect("readable"), &largest.digest).expect("native code");
        began.elapsed()
    };
    let (mut cached, mut compiled): (Vec<Duration>, Vec<Duration>) = Default::default();
    for round in 0..ROUNDS + 1 {
        for file in std::fs::read_dir(cache.path().join("cache")).into_iter().flatten() {
            std::fs::remove_file(file.expect("an entry").path()).expect("the cache empties");
        }
        let times = (load(), load());
        if round > 0 {
            compiled.push(times.0);
            cached.push(times.1);
        }
    }
    let name = format!("load of {} ({} KiB) from the cache", largest.id(), largest.size / 1024);
    common::line(&name, &mut cached, "compiling it", &mut compiled);
}
