//! The inert part of WASI, for components of languages that cannot do without (JavaScript, Go, Python): an empty
//! environment, no arguments, no preopened folders, no sockets; standard output and error go to the module's log.
//! Nothing of the target can be reached through it.

use crate::capability::Guest;
use foil_record::LogLine;
use foil_text::cut;
use std::sync::{Arc, Mutex, PoisonError};
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
/// A longer line is cut, in bytes.
const MAX_LINE: usize = 4 << 10;

/// WASI's state in a guest, made when the guest first calls it. What the guest printed is logged when it ends, however it does.
pub struct Inert {
    context: WasiCtx,
    table: ResourceTable,
    stdio: MemoryOutputPipe,
    lines: Arc<Mutex<Vec<LogLine>>>,
    /// Most lines that are logged.
    most: usize,
}

impl Inert {
    fn new(lines: Arc<Mutex<Vec<LogLine>>>, most: usize) -> Self {
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
        Self { context, table, stdio, lines, most }
    }
}

impl Drop for Inert {
    fn drop(&mut self) {
        let printed = self.stdio.contents();
        let printed = String::from_utf8_lossy(&printed);
        let line = |text: &str| LogLine { level: "info", message: cut(text, MAX_LINE) };
        let (mut said, mut rest) = (Vec::new(), 0_usize);
        for text in printed.lines().filter(|text| !text.trim().is_empty()) {
            if said.len() < self.most { said.push(line(text)) } else { rest = rest.saturating_add(1) }
        }
        if rest > 0 {
            said.push(LogLine { level: "warning", message: format!("{rest} more printed lines are left out") });
        }
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).extend(said);
    }
}

impl WasiView for Guest {
    /// Every call of WASI begins here, and is charged like any other host call.
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.budget.inert_call();
        let most = usize::try_from(self.budget.limits().log_lines).unwrap_or(usize::MAX);
        let inert = self.inert.get_or_insert_with(|| Box::new(Inert::new(Arc::clone(&self.lines), most)));
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
