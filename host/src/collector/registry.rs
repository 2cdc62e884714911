//! Collectors by name.

use super::audit::{self, AuditCollector, OwnRules};
use super::observed::{self, Observed};
use super::{Blindness, EventLog, LogLimits, ProcessTree};
use crate::run_id::RunId;
use std::sync::Arc;

/// The names that a check's manifest may ask for.
pub const NAMES: &[&str] = &[audit::NAME, observed::NAME];

/// What a collector is armed with.
#[derive(Debug, Clone)]
pub struct ArmOptions {
    /// The run.
    pub run: RunId,
    /// Its processes.
    pub tree: Arc<ProcessTree>,
    /// Audit rules to install, planned and journaled. Only `linux.audit` looks at it.
    pub own_rules: Option<OwnRules>,
    /// How much the log holds.
    pub limits: LogLimits,
    /// Bytes that the kernel may hold back for a listener.
    pub receive_buffer: usize,
}

impl ArmOptions {
    /// Listens only, with the default limits and a buffer of 32 MiB.
    pub fn new(run: RunId, tree: Arc<ProcessTree>) -> Self {
        Self { run, tree, own_rules: None, limits: LogLimits::default(), receive_buffer: 32 << 20 }
    }
}

#[derive(Debug)]
enum Source {
    Audit(Box<AuditCollector>),
    Observed(Arc<Observed>),
}

/// An armed collector. Dropping it stops it.
#[derive(Debug)]
pub struct Armed {
    /// Its name.
    pub name: &'static str,
    /// What it recorded. Outlives it.
    pub log: Arc<EventLog>,
    source: Source,
}

/// Arms a collector. When it returns, the collector listens: detonate after that. Blocks for some milliseconds.
pub fn arm(name: &str, options: &ArmOptions) -> Result<Armed, Blindness> {
    let tree = Some(Arc::clone(&options.tree));
    let log = Arc::new(EventLog::new(options.run.clone(), tree, options.limits));
    match name {
        audit::NAME => {
            let collector = AuditCollector::arm(Arc::clone(&log), options)?;
            Ok(Armed { name: audit::NAME, log, source: Source::Audit(Box::new(collector)) })
        }
        observed::NAME => {
            let observed = Arc::new(Observed::new(Arc::clone(&log)));
            options.tree.report_to(&observed);
            Ok(Armed { name: observed::NAME, log, source: Source::Observed(observed) })
        }
        _ => Err(Blindness::Dead(format!("there is no collector `{name}`; there are {}", NAMES.join(", ")))),
    }
}

impl Armed {
    /// Where the host notes what it did, if this is `foil.observed`.
    pub fn observed(&self) -> Option<Arc<Observed>> {
        match &self.source {
            Source::Observed(observed) => Some(Arc::clone(observed)),
            Source::Audit(_) => None,
        }
    }

    /// Looks whether the collector has missed anything so far. Call it before a `missed` is believed. Blocks for about a millisecond.
    pub fn verify(&self) -> Option<Blindness> {
        match &self.source {
            Source::Audit(collector) => collector.verify(),
            Source::Observed(_) => self.log.blind(),
        }
    }

    /// Stops the collector once what is on its way has come in, and says whether it missed anything. Blocks for up to 200 ms.
    /// Own audit rules stay: take them away afterwards with [`audit::remove`].
    pub fn finish(self) -> Option<Blindness> {
        match self.source {
            Source::Audit(collector) => collector.finish(),
            Source::Observed(_) => self.log.blind(),
        }
    }
}
