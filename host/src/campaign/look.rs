//! One look of a check, as often as the watch asks for one.

use super::arming::Arming;
use super::prepared::PreparedLink;
use super::run::Live;
use super::watch::Sight;
use crate::capability::{Asked, Guest, World};
use crate::collector::{Blindness, ClockGrain, EventLog};
use crate::engine::bindings::check::Observation;
use crate::engine::bindings::types::Context;
use crate::engine::{Budget, Phase, PhaseError};
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use wasmtime::component::InstancePre;

/// One link's check, its module and its sources.
pub(super) struct Look<'a> {
    live: &'a Live<'a>,
    link: &'a PreparedLink,
    world: &'a Arc<World>,
    arming: &'a Arming,
    context: &'a Context,
    module: Result<InstancePre<Guest>, String>,
    /// The check's logs, and how far each had come before the last look.
    logs: Vec<(Arc<EventLog>, u64)>,
    asked: Asked,
}

impl<'a> Look<'a> {
    /// A look that nobody has taken yet.
    pub(super) fn new(
        live: &'a Live<'a>,
        link: &'a PreparedLink,
        world: &'a Arc<World>,
        arming: &'a Arming,
        context: &'a Context,
        module: Result<InstancePre<Guest>, String>,
    ) -> Self {
        let log = |name: &String| arming.log(name).map(|log| (Arc::clone(log), 0));
        let logs = link.collectors.iter().filter_map(log).collect();
        Self { live, link, world, arming, context, module, logs, asked: Asked::default() }
    }

    /// The collectors that the check read; all that it may read as long as it has read none.
    pub(super) fn read(&self) -> BTreeSet<String> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.is_empty() { self.link.collectors.clone() } else { asked.clone() }
    }
}

impl Sight for Look<'_> {
    async fn look(&mut self, cursor: u64) -> Result<Observation, PhaseError> {
        let module = self.module.as_ref().map_err(|e| PhaseError::Host(e.clone()))?;
        self.live.feed(self.arming);
        for (log, seen) in &mut self.logs {
            *seen = log.newest();
        }
        let permission = Arc::new(self.link.authorised.permission.clone());
        let budget = Budget::new(self.link.authorised.limits);
        let guest =
            Guest::new(Arc::clone(self.world), permission, budget, Arc::clone(&self.live.lines)).noting(&self.asked);
        let phase = Phase { engine: &self.live.host.engine, module, guest };
        crate::engine::probe(phase, self.context, &self.link.parameters, cursor).await
    }

    async fn news(&self) {
        if self.logs.is_empty() {
            return std::future::pending().await;
        }
        let waits = self.logs.iter().map(|(log, seen)| Box::pin(log.wait_beyond(*seen)));
        futures_util::future::select_all(waits).await;
        // A sensor that records thousands of events a second would have us look as often.
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }

    fn blind(&self) -> Option<Blindness> {
        self.arming.blind(&self.read())
    }

    fn grain(&self, at: u64) -> ClockGrain {
        self.logs.iter().map(|(log, _)| log.grain_at(at)).max().unwrap_or_default()
    }
}

/// The shortest time between two looks of a link.
const BETWEEN_LOOKS: Duration = Duration::from_millis(1);
