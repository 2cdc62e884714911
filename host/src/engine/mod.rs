//! wasmtime, held on a short lead: compiles modules, runs one phase of one module in a fresh store, and stops it at its
//! limits. What a guest may call is linked from its permission, interface by interface.

pub mod bindings;
mod cache;
pub mod compile;
#[cfg(feature = "wasi")]
mod inert;
#[cfg(not(feature = "wasi"))]
#[path = "without_wasi.rs"]
mod inert;
mod limits;
mod outcome;
mod phase;
mod stacks;
mod ticker;

pub use compile::Compiler;
pub use inert::Inert;
pub use limits::{Budget, Spent};
pub use outcome::PhaseError;
pub use phase::{Phase, detonate, probe, warmup};

use crate::capability::Guest;
use anyhow::Context;
use foil_manifest::CapabilityName;
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;
use wasmtime::component::{Component, InstancePre, Linker};

/// How often the epoch advances. Guests are charged for computing by this tick: short enough that a spinning guest
/// cannot overdraw its budget by much, long enough that waking costs nothing.
pub const TICK: Duration = Duration::from_millis(10);

/// The largest transfer from guest to host in one call, in bytes: what the host allocates before it has seen the
/// arguments. A file's content (1 MiB) and its overhead fit; a 1 GiB string does not.
const HOSTCALL_FUEL: usize = 2 << 20;

/// The deepest stack of a guest, in bytes: recursion ends here rather than in the host's stack.
const GUEST_STACK: usize = 512 << 10;

/// Linear memory is reserved by this much up front. The default of 4 GiB a memory is address space that a guest with
/// many memories could exhaust; modules here are small.
const MEMORY_RESERVATION: u64 = 64 << 20;

/// How long compiling a module may take. Ours take 30 ms; 1.5 MB of one function made for it takes minutes.
const COMPILE: Duration = Duration::from_secs(30);

/// Handles a guest may hold at once. The contract has no long-lived resources.
const MAX_HANDLES: usize = 64;

/// A module, and what is linked to it.
type Linked = (foil_manifest::Digest, BTreeSet<CapabilityName>);

/// The engine: one for the process.
pub struct Engine {
    inner: wasmtime::Engine,
    cache: cache::Cache,
    /// What was compiled or loaded by this process: a thousand runs of one module share its code.
    loaded: Mutex<HashMap<foil_manifest::Digest, Arc<OnceCell<Component>>>>,
    /// The same, linked: by what is linked, so that a run gets what it is granted and nothing that another was.
    linked: Mutex<HashMap<Linked, InstancePre<Guest>>>,
    /// How modules from outside are compiled.
    compiler: Compiler,
    /// How long compiling a module may take.
    compile: Duration,
    _ticker: ticker::Ticker,
}

impl Engine {
    /// Starts the engine and its ticker; compiled modules are kept in `cache` (a folder of ours, mode 0700).
    pub fn new(cache: PathBuf, compiler: Compiler) -> anyhow::Result<Self> {
        let inner = wasmtime::Engine::new(&configuration()).map_err(plain).context("the WebAssembly engine")?;
        let ticker = ticker::Ticker::start(inner.clone())?;
        let (cache, loaded, linked) = (cache::Cache::new(cache), Mutex::default(), Mutex::default());
        Ok(Self { cache, loaded, linked, inner, compiler, compile: COMPILE, _ticker: ticker })
    }

    /// Compiles a module, or takes its native code from the cache, and links exactly `linked`.
    ///
    /// # Errors
    /// A sentence where the bytes do not compile or import what is not linked.
    pub async fn prepare(
        &self,
        bytes: crate::module::Bytes,
        digest: foil_manifest::Digest,
        linked: &BTreeSet<CapabilityName>,
    ) -> anyhow::Result<InstancePre<Guest>> {
        // One compiles; runs that begin together wait for it, and do not each do the same work.
        let cell = Arc::clone(self.loaded().entry(digest).or_default());
        let component = cell.get_or_try_init(|| self.compile_bounded(bytes, digest)).await?;
        let key = (digest, linked.clone());
        // Linking takes as long as a short run. Two at once do it twice, and no harm is done.
        let linkings = || self.linked.lock().unwrap_or_else(PoisonError::into_inner);
        let known = linkings().get(&key).cloned();
        if let Some(module) = known {
            return Ok(module);
        }
        let module = self.link(component, linked)?;
        linkings().insert(key, module.clone());
        Ok(module)
    }

    /// Takes native code from the cache, or compiles. Built-in modules are compiled here, those from outside in a helper.
    async fn compile_bounded(
        &self,
        bytes: crate::module::Bytes,
        digest: foil_manifest::Digest,
    ) -> anyhow::Result<Component> {
        let helper = match (&self.compiler, &bytes) {
            (_, crate::module::Bytes::Static(_)) | (Compiler::Here, _) => None,
            (Compiler::Helper(program), crate::module::Bytes::File(_)) => Some(program),
        };
        let (inner, cache) = (self.inner.clone(), self.cache.clone());
        let Some(program) = helper else {
            return blocking(move || cache.component(&inner, &bytes.read(&digest)?, &digest)).await;
        };
        let (bytes, cached) = blocking(move || {
            let cached = cache.load(&inner, &digest);
            // Read where it has to be compiled only.
            Ok((if cached.is_some() { None } else { Some(bytes.read(&digest)?) }, cached))
        })
        .await?;
        match (bytes, cached) {
            (Some(bytes), None) => {
                let code = compile::by_helper(program, &bytes, self.compile).await?;
                let (inner, cache) = (self.inner.clone(), self.cache.clone());
                blocking(move || cache.adopt(&inner, &code, &digest)).await
            }
            (_, Some(component)) => Ok(component),
            (None, None) => anyhow::bail!("the module has neither bytes nor native code"),
        }
    }

    fn loaded(&self) -> MutexGuard<'_, HashMap<foil_manifest::Digest, Arc<OnceCell<Component>>>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Links exactly `linked`, and the inert interfaces.
    pub fn link(&self, component: &Component, linked: &BTreeSet<CapabilityName>) -> anyhow::Result<InstancePre<Guest>> {
        let mut linker = Linker::<Guest>::new(&self.inner);
        crate::capability::link(&mut linker, linked).map_err(plain)?;
        inert::link(&mut linker).map_err(plain)?;
        linker.instantiate_pre(component).map_err(plain).context(if cfg!(feature = "wasi") {
            "the module imports what was not granted, so that it is not linked; a review of it shows what it asks for"
        } else {
            "the module imports what was not granted, or WASI, without which this Foil was built (feature `wasi`)"
        })
    }

    /// Compiles, or loads native code from the cache; blocks for as long as that takes.
    pub fn compile(&self, bytes: &[u8], digest: &foil_manifest::Digest) -> anyhow::Result<Component> {
        self.cache.component(&self.inner, bytes, digest)
    }

    fn store(&self, guest: Guest) -> wasmtime::Store<Guest> {
        let mut store = wasmtime::Store::new(&self.inner, guest);
        store.limiter(|guest| &mut guest.budget.memory);
        store.set_hostcall_fuel(HOSTCALL_FUEL);
        store.set_max_component_handles(MAX_HANDLES);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut context| {
            // Called at most once a tick, and only while the guest computes: ticks inside host calls are not charged.
            context.data_mut().budget.tick(TICK)?;
            Ok(wasmtime::UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
        });
        store
    }
}

/// What the host and the helper that compiles must agree on: native code of one runs in the other.
fn configuration() -> wasmtime::Config {
    let mut config = wasmtime::Config::new();
    config.epoch_interruption(true);
    config.max_wasm_stack(GUEST_STACK);
    config.async_stack_size(2 * GUEST_STACK);
    config.with_host_stack(Arc::new(stacks::Stacks::default()));
    // Modules here have little data: to copy it takes less than a mapping of its own for each instance.
    config.memory_init_cow(false);
    config.memory_reservation(MEMORY_RESERVATION);
    config.wasm_backtrace_max_frames(std::num::NonZeroUsize::new(16));
    config
}

/// Runs what waits for files or the compiler on a thread that may wait.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> anyhow::Result<T> + Send + 'static) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work).await.context("the thread that compiles broke off")?
}

/// The engine's error as ours: its chain becomes one sentence.
fn plain(error: wasmtime::Error) -> anyhow::Error {
    anyhow::anyhow!("{error:#}")
}
