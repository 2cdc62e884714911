//! What came of a phase that did not end well.

use super::bindings::types;
use super::limits::Spent;
use foil_text::cut;

/// Why a phase did not end well.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PhaseError {
    /// A limit stopped it.
    #[error("stopped: {0}")]
    Limit(Spent),
    /// A limit stopped a check that had very much to read.
    #[error(
        "{events} events had come in, more than it could read ({spent}): have less come in, or raise the limit in foil.yaml"
    )]
    Flooded {
        /// How many it was handed in that look.
        events: usize,
        /// The limit.
        spent: Spent,
    },
    /// The guest trapped.
    #[error("the module trapped: {0}")]
    Trap(String),
    /// The module reported a refusal by policy that it would not go on without.
    #[error("denied: `{capability}`: {rule}")]
    Denied {
        /// The capability.
        capability: String,
        /// The rule.
        rule: String,
    },
    /// The module reported that it could not do its work.
    #[error("{message}")]
    Failed {
        /// The error's code, such as `prerequisite` or `shield`.
        code: String,
        /// A sentence.
        message: String,
    },
    /// A check referred to an event that it may not refer to.
    #[error("the check is not believed: it referred to {0}")]
    Unfounded(String),
    /// The run was stopped.
    #[error("the run was stopped")]
    Cancelled,
    /// The host could not run it.
    #[error("{0}")]
    Host(String),
}

impl From<types::Error> for PhaseError {
    fn from(error: types::Error) -> Self {
        let failed = |code: &str, message: String| Self::Failed { code: code.to_owned(), message };
        match error {
            types::Error::Denied(d) => Self::Denied { capability: cut(&d.capability, 64), rule: cut(&d.rule, 1024) },
            types::Error::Limit(text) => failed("limit", cut(&text, 1024)),
            types::Error::Invalid(text) => failed("invalid", cut(&text, 1024)),
            types::Error::NotFound(text) => failed("not-found", format!("not found: {}", cut(&text, 1024))),
            types::Error::Timeout => failed("timeout", "a host call took longer than its time-out".to_owned()),
            types::Error::Cancelled => Self::Cancelled,
            types::Error::Other(f) => failed(&cut(&f.code, 64), cut(&f.message, 1024)),
        }
    }
}

impl PhaseError {
    /// What a failed call means: a limit where one was reached, else a trap.
    pub(super) fn from_call(error: &wasmtime::Error, memory: Option<Spent>) -> Self {
        if let Some(spent) = error.downcast_ref::<Spent>() {
            return Self::Limit(spent.clone());
        }
        if let Some(spent) = memory {
            return Self::Limit(spent);
        }
        if let Some(trap) = error.downcast_ref::<wasmtime::Trap>() {
            if *trap == wasmtime::Trap::StackOverflow {
                let stack = super::GUEST_STACK as u64;
                return Self::Limit(Spent { limit: "stack", allowed: stack, reached: stack.saturating_add(1) });
            }
            return Self::Trap(trap.to_string());
        }
        let text = format!("{error:#}");
        if text.contains("fuel allocated for hostcalls") {
            let fuel = super::HOSTCALL_FUEL as u64;
            return Self::Limit(Spent { limit: "transfer", allowed: fuel, reached: fuel.saturating_add(1) });
        }
        for (what, limit, allowed) in super::limits::COUNTS {
            if text.contains(&format!("{what} count too high")) {
                return Self::Limit(Spent {
                    limit,
                    allowed: allowed as u64,
                    reached: allowed.saturating_add(1) as u64,
                });
            }
        }
        Self::Trap(cut(&text, 2048))
    }
}
