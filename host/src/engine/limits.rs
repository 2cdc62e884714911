//! Budgets of one phase. Each ends the phase by a trap that says which limit it was and by how much.

use foil_policy::EffectiveLimits;
use std::fmt;
use std::time::Duration;

/// A limit that was reached: ends the phase.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Spent {
    /// The limit's name, as in `limits:` of `foil.yaml`.
    pub limit: &'static str,
    /// What was allowed.
    pub allowed: u64,
    /// What it came to.
    pub reached: u64,
}

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the limit `{}` is {}, and this would come to {}", self.limit, self.allowed, self.reached)
    }
}

/// What a phase has used of its limits.
#[derive(Debug)]
pub struct Budget {
    limits: EffectiveLimits,
    cpu: Duration,
    host_calls: u64,
    children: u64,
    log_lines: u64,
    log_bytes: u64,
    /// The limit that calls of WASI went beyond: those cannot fail by themselves, so that the phase ends at the next tick.
    pub(super) overdrawn: Option<Spent>,
    pub(super) memory: Memory,
}

impl Budget {
    /// A fresh budget.
    pub fn new(limits: EffectiveLimits) -> Self {
        let memory = Memory { bytes: 0, entries: 0, limits, spent: None };
        Self {
            limits,
            cpu: Duration::ZERO,
            host_calls: 0,
            children: 0,
            log_lines: 0,
            log_bytes: 0,
            overdrawn: None,
            memory,
        }
    }

    /// The limits.
    pub fn limits(&self) -> &EffectiveLimits {
        &self.limits
    }

    /// Charges a tick of computing.
    pub(super) fn tick(&mut self, tick: Duration) -> Result<(), Spent> {
        if let Some(spent) = &self.overdrawn {
            return Err(spent.clone());
        }
        self.cpu = self.cpu.saturating_add(tick);
        within("cpu-ms", millis(self.limits.cpu), millis(self.cpu))
    }

    /// Charges a host call. Every host function begins with it.
    pub fn host_call(&mut self) -> Result<(), Spent> {
        self.host_calls = self.host_calls.saturating_add(1);
        within("host-calls", self.limits.host_calls, self.host_calls)
    }

    /// Charges a call of WASI. One beyond the limit is let through; the phase ends within a tick, and never well.
    #[cfg_attr(not(feature = "wasi"), allow(dead_code, reason = "nothing calls WASI"))]
    pub(super) fn inert_call(&mut self) {
        if let Err(spent) = self.host_call() {
            self.overdrawn.get_or_insert(spent);
        }
    }

    /// Charges a child process.
    pub fn child(&mut self) -> Result<(), Spent> {
        self.children = self.children.saturating_add(1);
        within("children", self.limits.children, self.children)
    }

    /// Charges a log line.
    pub fn log(&mut self, bytes: usize) -> Result<(), Spent> {
        self.log_lines = self.log_lines.saturating_add(1);
        self.log_bytes = self.log_bytes.saturating_add(bytes as u64);
        within("log-lines", self.limits.log_lines, self.log_lines)?;
        within("log-bytes", self.limits.log_bytes, self.log_bytes)
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn within(limit: &'static str, allowed: u64, reached: u64) -> Result<(), Spent> {
    if reached > allowed { Err(Spent { limit, allowed, reached }) } else { Ok(()) }
}

/// Sums all memories and tables of all instances of a store: a component may bring any number of each, and a limit on
/// each one would be none.
#[derive(Debug)]
pub(super) struct Memory {
    bytes: u64,
    entries: u64,
    limits: EffectiveLimits,
    /// The growth that was refused, so that a guest that then aborts is said to have hit the limit.
    pub(super) spent: Option<Spent>,
}

impl Memory {
    fn grow(sum: &mut u64, current: usize, desired: usize, limit: &'static str, allowed: u64) -> Result<(), Spent> {
        let reached = sum.saturating_add(desired.saturating_sub(current) as u64);
        within(limit, allowed, reached)?;
        *sum = reached;
        Ok(())
    }

    fn answer(&mut self, grown: Result<(), Spent>) -> wasmtime::Result<bool> {
        if let Err(spent) = grown {
            self.spent = Some(spent);
            return Ok(false);
        }
        Ok(true)
    }
}

impl wasmtime::ResourceLimiter for Memory {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let grown = Self::grow(&mut self.bytes, current, desired, "memory", self.limits.memory);
        self.answer(grown)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let grown = Self::grow(&mut self.entries, current, desired, "table-entries", self.limits.table_entries);
        self.answer(grown)
    }

    fn instances(&self) -> usize {
        INSTANCES
    }

    fn tables(&self) -> usize {
        TABLES
    }

    fn memories(&self) -> usize {
        MEMORIES
    }
}

/// A component made of thousands of core instances is no module of a person's: each costs the host some KiB that no
/// other limit sees.
const INSTANCES: usize = 64;
const TABLES: usize = 64;
/// Each memory costs address space, even where it is empty.
const MEMORIES: usize = 16;

/// What wasmtime calls what it counts, what we call the limit, and how many there may be.
pub(super) const COUNTS: [(&str, &str, usize); 3] =
    [("instance", "instances", INSTANCES), ("table", "tables", TABLES), ("memory", "memories", MEMORIES)];
