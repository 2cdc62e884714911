//! The inert part of WASI, for components of languages that cannot do without (JavaScript, Go, Python): an empty
//! environment, no arguments, no preopened folders, no sockets; standard output and error go to the module's log.
//! Nothing of the target can be reached through it.

use crate::capability::Guest;
use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, io, random};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

/// Bytes of standard output and error that are kept for the log, together.
const MAX_STDIO: usize = 64 << 10;

/// WASI's state in a guest, made when the guest first calls it.
pub struct Inert {
    context: WasiCtx,
    table: ResourceTable,
    stdio: MemoryOutputPipe,
}

impl Inert {
    fn new() -> Self {
        let stdio = MemoryOutputPipe::new(MAX_STDIO);
        let context = WasiCtxBuilder::new()
            .stdout(stdio.clone())
            .stderr(stdio.clone())
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .build();
        let mut table = ResourceTable::new();
        table.set_max_capacity(256);
        Self { context, table, stdio }
    }

    /// What the guest printed.
    pub fn printed(&self) -> String {
        String::from_utf8_lossy(&self.stdio.contents()).into_owned()
    }
}

impl WasiView for Guest {
    /// Every call of WASI begins here, and is charged like any other host call.
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.budget.inert_call();
        let inert = self.inert.get_or_insert_with(|| Box::new(Inert::new()));
        WasiCtxView { ctx: &mut inert.context, table: &mut inert.table }
    }
}

struct Table;

impl HasData for Table {
    type Data<'a> = &'a mut ResourceTable;
}

/// Links the fixed list and nothing else.
pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    io::error::add_to_linker::<Guest, Table>(linker, |g| g.ctx().table)?;
    io::poll::add_to_linker::<Guest, Table>(linker, |g| g.ctx().table)?;
    io::streams::add_to_linker::<Guest, Table>(linker, |g| g.ctx().table)?;
    clocks::wall_clock::add_to_linker::<Guest, WasiClocks>(linker, Guest::clocks)?;
    clocks::monotonic_clock::add_to_linker::<Guest, WasiClocks>(linker, Guest::clocks)?;
    filesystem::types::add_to_linker::<Guest, WasiFilesystem>(linker, Guest::filesystem)?;
    filesystem::preopens::add_to_linker::<Guest, WasiFilesystem>(linker, Guest::filesystem)?;
    random::random::add_to_linker::<Guest, WasiRandom>(linker, |g| g.ctx().ctx.random())?;
    random::insecure::add_to_linker::<Guest, WasiRandom>(linker, |g| g.ctx().ctx.random())?;
    random::insecure_seed::add_to_linker::<Guest, WasiRandom>(linker, |g| g.ctx().ctx.random())?;
    cli::environment::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    cli::exit::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    cli::stdin::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    cli::stdout::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    cli::stderr::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    cli::terminal_input::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    cli::terminal_output::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    cli::terminal_stdin::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    cli::terminal_stdout::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    cli::terminal_stderr::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    Ok(())
}
