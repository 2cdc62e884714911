//! The host's side of one guest: what it may do, what it has used, and through what it acts.

use super::Reading;
use crate::engine::bindings::types::{Denial, Error, Failure};
use crate::engine::{Budget, PhaseError, Spent};
use foil_cluster::Session;
use foil_collector::tree::Containers;
use foil_collector::{EventLog, Observed};
use foil_journal::RunJournal;
use foil_manifest::ShieldLevel;
use foil_policy::{self as policy, Permission};
use foil_record::LogLine;
use foil_shield::{ShieldError, ShieldedRun};
use foil_text::RunId;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What a run's guests act through. Shared by its phases.
pub struct World {
    /// The run.
    pub run: RunId,
    /// Its shield's level.
    pub level: ShieldLevel,
    /// Its shield; a check has none, since it starts and changes nothing.
    pub shield: Option<Arc<ShieldedRun>>,
    /// Where effects are written down before they happen.
    pub journal: Arc<RunJournal>,
    /// Sources of events by name, armed before the detonation.
    pub sources: BTreeMap<String, Arc<EventLog>>,
    /// Effects under way. They outlive the guest that began them and end in the journal.
    pub effects: TaskTracker,
    /// Where what the host starts is noted.
    pub observed: Option<Arc<Observed>>,
    /// Requests to the environment's cluster, which was verified; `None` where it names none or the run needs none.
    pub cluster: Option<Arc<Session>>,
    /// The containers of the run's pods, for the collectors.
    pub containers: Arc<Containers>,
    /// Stops every phase of the run.
    pub cancel: CancellationToken,
}

/// The data of a guest's store.
pub struct Guest {
    pub(crate) world: Arc<World>,
    pub(crate) permission: Arc<Permission>,
    pub(crate) budget: Budget,
    pub(crate) started: Instant,
    // Nobody reads it: it says what was printed when it is dropped.
    #[cfg_attr(not(feature = "wasi"), allow(dead_code, reason = "no guest calls WASI"))]
    pub(crate) inert: Option<Box<crate::engine::Inert>>,
    pub(crate) lines: Arc<std::sync::Mutex<Vec<LogLine>>>,
    pub(crate) reading: Arc<Reading>,
}

impl Guest {
    /// A guest at the start of a phase. Its log lines go to `lines`.
    pub fn new(
        world: Arc<World>,
        permission: Arc<Permission>,
        budget: Budget,
        lines: Arc<std::sync::Mutex<Vec<LogLine>>>,
    ) -> Self {
        Self { world, permission, budget, started: Instant::now(), inert: None, lines, reading: Arc::default() }
    }

    /// The same, which reads events by this look.
    pub fn reading(self, reading: &Arc<Reading>) -> Self {
        Self { reading: Arc::clone(reading), ..self }
    }

    pub(crate) fn cancelled(&self) -> CancellationToken {
        self.world.cancel.clone()
    }

    /// Charges a host call; the error ends the phase.
    pub(crate) fn begin(&mut self) -> Result<(), Spent> {
        self.budget.host_call()
    }

    /// Writes a decision of the policy to the audit log and turns a refusal into an answer.
    pub(crate) fn decide<T>(&self, what: &str, decision: Result<T, policy::Denial>) -> Result<T, Error> {
        let refused = decision.as_ref().err().map(|d| d.rule.as_str());
        let entry = serde_json::json!({ "decision": if refused.is_some() { "denied" } else { "allowed" },
            "call": foil_text::cut(what, 512), "rule": refused });
        // An audit log that cannot be written is an operator's loss of evidence, and no reason to widen or narrow a decision.
        if let Err(error) = self.world.journal.journal().audit(Some(&self.world.run), &entry) {
            tracing::error!("the audit log cannot be written: {error}");
        }
        decision.map_err(|d| Error::Denied(Denial { capability: d.capability.to_string(), rule: d.rule }))
    }

    /// The run's shield, which every module that may act has.
    pub(crate) fn shield(&self) -> Result<Arc<ShieldedRun>, Error> {
        self.world.shield.clone().ok_or_else(|| failure("shield", "this run has no shield to act through"))
    }

    pub(crate) fn push_line(&self, level: &'static str, message: String) {
        if let Ok(mut lines) = self.lines.lock() {
            lines.push(LogLine { level, message });
        }
    }
}

/// A failure that trying again would not mend.
pub(crate) fn failure(code: &str, message: impl Into<String>) -> Error {
    Error::Other(Failure { code: code.to_owned(), message: message.into(), retryable: false })
}

/// What a refusal by the shield means to the guest.
pub(crate) fn from_shield(error: ShieldError) -> Error {
    match error {
        ShieldError::NotStarted { program, missing: true, .. } => Error::NotFound(program),
        ShieldError::NotStarted { .. } => failure("not-executable", error.to_string()),
        ShieldError::Limit(text) => Error::Limit(text),
        ShieldError::Invalid(text) => Error::Invalid(text),
        ShieldError::Unavailable { .. }
        | ShieldError::GrantChanged { .. }
        | ShieldError::Unseen(_)
        | ShieldError::Lost(_) => failure("shield", error.to_string()),
    }
}

impl From<policy::Denial> for PhaseError {
    fn from(denial: policy::Denial) -> Self {
        Self::Denied { capability: denial.capability.to_string(), rule: denial.rule }
    }
}
