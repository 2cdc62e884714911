//! One look of a check, as often as the watch asks for one.

use super::arming::Arming;
use super::attest::{self, Cited, Seen};
use super::interest;
use super::prepared::PreparedLink;
use super::run::Live;
use super::watch::{Passed, Rest, Sight};
use crate::capability::{Guest, Reading, View, World, unix_nanos};
use crate::engine::bindings::check::{Basis, Observation};
use crate::engine::bindings::types::Context;
use crate::engine::{Budget, Engine, Phase, PhaseError};
use foil_collector::rules::Lacking;
use foil_collector::{Blindness, Counting, EventLog, foreign};
use foil_manifest::CapabilityName;
use foil_record::LogLine;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use wasmtime::component::InstancePre;

/// Most looks at what does not count: each ends after a number of sightings of the check's choosing.
const MAX_REST: usize = 20;

/// With what looks are taken.
#[derive(Clone, Copy)]
pub(super) struct Looker<'a> {
    /// The engine.
    pub(super) engine: &'a Engine,
    /// Where checks log.
    pub(super) lines: &'a Arc<Mutex<Vec<LogLine>>>,
    /// The run that acts; `None` where nothing is fired, so that an event of anybody's counts by its time.
    pub(super) live: Option<&'a Live<'a>>,
}

/// One link's check, its module and its sources.
pub(super) struct Look<'a> {
    looker: Looker<'a>,
    link: &'a PreparedLink,
    world: &'a Arc<World>,
    arming: &'a Arming,
    context: &'a Context,
    module: Result<InstancePre<Guest>, String>,
    counting: Counting,
    /// The check's logs, and how far each had come before the last look.
    logs: Vec<(Arc<EventLog>, u64)>,
    asked: BTreeSet<String>,
}

impl<'a> Look<'a> {
    /// A look that nobody has taken yet. `detonated`: the moment of detonation, nanoseconds since 1970.
    pub(super) fn new(
        looker: Looker<'a>,
        link: &'a PreparedLink,
        world: &'a Arc<World>,
        arming: &'a Arming,
        context: &'a Context,
        module: Result<InstancePre<Guest>, String>,
        detonated: u64,
    ) -> Self {
        let log = |name: &String| arming.log(name).map(|log| (Arc::clone(log), 0));
        let logs = link.collectors.iter().filter_map(log).collect();
        let counting = Counting { detonated, tied_by: link.tied_by };
        Self { looker, link, world, arming, context, module, counting, logs, asked: BTreeSet::new() }
    }

    /// The collectors that the check read; all that it may read as long as it has read none.
    pub(super) fn read(&self) -> BTreeSet<String> {
        if self.asked.is_empty() { self.link.collectors.clone() } else { self.asked.clone() }
    }

    /// The check may read other things than events.
    fn looks_elsewhere(&self) -> bool {
        let linked = self.link.authorised.permission.linked();
        linked.iter().any(|capability| *capability != CapabilityName::EventsRead)
    }

    async fn probe(&self, guest: Guest, cursor: u64) -> Result<Observation, PhaseError> {
        let module = self.module.as_ref().map_err(|e| PhaseError::Host(e.clone()))?;
        let phase = Phase { engine: self.looker.engine, module, guest };
        crate::engine::probe(phase, self.context, &self.link.parameters, cursor).await
    }

    fn guest(&self, world: &Arc<World>, reading: &Arc<Reading>) -> Guest {
        let permission = Arc::new(self.link.authorised.permission.clone());
        let budget = Budget::new(self.link.authorised.limits);
        Guest::new(Arc::clone(world), permission, budget, Arc::clone(self.looker.lines)).reading(reading)
    }

    /// What the sightings of a look at the rest refer to, and why that does not count.
    fn passed(&self, observation: &Observation, reading: &Reading) -> Vec<Passed> {
        let now = unix_nanos();
        let passed = |cited: &Cited| {
            let why = self.counting.why_not(&cited.judged, self.arming.log(&cited.collector)?, now)?;
            Some(Passed { why, falco: foreign::is_falco_alert(&cited.judged.event.fields) })
        };
        let of = |basis: &Basis| {
            let Basis::Events(references) = basis else { return None };
            attest::cited(references, reading, &self.link.collectors).ok()?.iter().find_map(passed)
        };
        observation.sightings.iter().filter_map(|sighting| of(&sighting.basis)).collect()
    }
}

impl Sight for Look<'_> {
    async fn look(&mut self, cursor: u64) -> Result<Seen, PhaseError> {
        if let Some(live) = self.looker.live {
            live.feed(self.arming);
        }
        for (log, seen) in &mut self.logs {
            *seen = log.newest();
        }
        let view = match self.looker.live {
            Some(_) => View::Counting(self.counting),
            None => View::Since(self.counting.detonated),
        };
        let reading = Arc::new(Reading::new(view));
        let observation = self.probe(self.guest(self.world, &reading), cursor).await;
        self.asked.extend(reading.asked());
        let observation = observation.map_err(|error| match (error, reading.count()) {
            // No fault of the check's.
            (PhaseError::Limit(spent), events) if events >= FLOOD => PhaseError::Flooded { events, spent },
            (error, _) => error,
        })?;
        attest::attest(observation, &reading, &self.link.collectors, self.looks_elsewhere())
    }

    /// What others did on the machine is none of a module's business: of these looks nothing is kept but how many events it
    /// referred to. It can log nothing, and reach no cluster.
    async fn look_at_the_rest(&mut self) -> Rest {
        let Some(live) = self.looker.live else { return Rest::default() };
        let world = Arc::new(live.world(self.arming.sources(), None, None, None));
        let (mut cursor, mut all) = (0, Vec::new());
        let mut more = true;
        for _ in 0..MAX_REST {
            let reading = Arc::new(Reading::new(View::Rest(self.counting)));
            let guest = Guest { lines: Arc::default(), ..self.guest(&world, &reading) };
            // Stopped at a limit: there may be more.
            let Ok(observation) = self.probe(guest, cursor).await else { break };
            all.extend(self.passed(&observation, &reading));
            if observation.sightings.is_empty() || observation.cursor <= cursor {
                more = false;
                break;
            }
            cursor = observation.cursor;
        }
        Rest { passed: all, more }
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

    async fn stopped(&self) {
        self.world.cancel.cancelled().await;
    }

    fn is_worth_a_look(&self) -> bool {
        // Without a log nothing would wake the watch.
        self.looks_elsewhere()
            || self.logs.is_empty()
            || self.logs.iter().any(|(log, _)| log.newest() > 0 || log.blind().is_some())
    }

    fn lacking(&self) -> Lacking {
        let (counting, now) = (self.counting, unix_nanos());
        let Some(rule) = interest::rule(self.link) else { return Lacking::default() };
        match self.looker.live {
            Some(_) => self.arming.lacking(&rule, &|judged| counting.counts(judged, now)),
            None => self.arming.lacking(&rule, &|judged| judged.event.at >= counting.detonated),
        }
    }

    fn blind(&self) -> Option<Blindness> {
        let node = self.context.cluster.as_ref().and_then(|cluster| cluster.node.as_deref());
        let interest = match self.looker.live {
            Some(live) => interest::of(&live.prepared, self.link, &self.arming.tree.containers),
            None => interest::of_checks(node, self.link),
        };
        self.arming.blind(&self.read(), &interest)
    }
}

/// So many events in one look are what stops a check, and not its own doing.
const FLOOD: usize = 10_000;

/// The shortest time between two looks of a link.
const BETWEEN_LOOKS: Duration = Duration::from_millis(1);
