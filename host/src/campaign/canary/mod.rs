//! Canaries: harmless events that a sensor must notice, so that a miss is told apart from a sensor that is dead.
//!
//! One is made at the beginning of a campaign, so that a dead sensor is told at once, and one before a miss is believed: after the link's
//! deadline, since a sensor may die at any moment before. Runs whose deadlines are over share it.
//!
//! | file | is |
//! |---|---|
//! | `feeds` | which feeds a link reads, and what their canaries are |
//! | `nest` | where canaries are made: a run of Foil's own, with a journal and a shield |
//! | `fire` | making one, and waiting until the feed has it |
//! | `health` | asking a sensor's health endpoint |
//!
//! A canary has a run id of its own, so that no event of one is ever another run's.

mod feeds;
mod fire;
mod health;
mod nest;

pub use feeds::{Maker, Plan, plans};
pub use health::ask;

use super::prepared::Prepared;
use super::run::Host;
use foil_record::{SensorProof, Unproved};
use nest::Nest;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long runs that miss something at about the same time are waited for, so that they share a canary.
const GATHER: Duration = Duration::from_millis(50);

/// All canaries of this process.
#[derive(Debug, Default)]
pub struct Canaries {
    /// By the folder of the environment.
    nests: Mutex<BTreeMap<String, Result<Arc<Nest>, String>>>,
    /// Nobody waits for a sensor any more. What is being made is made to its end, so that it can be put back.
    stop: CancellationToken,
}

impl Canaries {
    /// Looks whether a feed's sensor is alive, by a canary that was made after `since`.
    pub async fn prove(&self, host: &Host, prepared: &Prepared, plan: &Plan, since: Instant) -> SensorProof {
        let none = |reason: Unproved| SensorProof::None { feed: plan.feed.clone(), reason };
        if let (Err(reason), None) = (&plan.maker, &plan.healthz) {
            return none(reason.clone());
        }
        let nest = match self.nest(prepared).await {
            Ok(nest) => nest,
            Err(why) => return none(Unproved::Cannot(why)),
        };
        let line = nest.line(plan).await;
        let mut last = line.lock().await;
        if let Some((made, proof)) = &*last
            && *made >= since
        {
            return proof.clone();
        }
        if self.stop.is_cancelled() || host.cancel.is_cancelled() {
            return none(Unproved::Cannot("it was stopped".to_owned()));
        }
        tokio::time::sleep(GATHER).await;
        let made = Instant::now();
        let proof = match (health(plan).await, &plan.maker) {
            (Err(reason), _) => SensorProof::Unwell { feed: plan.feed.clone(), reason },
            (Ok(()), Ok(maker)) => fire::fire(host, &self.stop, &nest, plan, maker).await,
            (Ok(()), Err(Unproved::NotConfigured)) => none(Unproved::HealthOnly),
            (Ok(()), Err(reason)) => none(reason.clone()),
        };
        *last = Some((made, proof.clone()));
        proof
    }

    /// Looks at the sensors of all feeds that these experiments read, and says which do not notice a canary.
    pub async fn begin(&self, host: &Host, experiments: &[Arc<Prepared>]) -> Vec<SensorProof> {
        let now = Instant::now();
        let mut known = BTreeSet::new();
        let mut found = Vec::new();
        for prepared in experiments {
            // What will not run has no use for a sensor.
            if prepared.unmet.is_some() || prepared.windows.closed(jiff::Timestamp::now()).is_some() {
                continue;
            }
            for plan in prepared.links.iter().flat_map(|link| plans(prepared, link, &link.collectors)) {
                if known.insert((prepared.sources.1.clone(), plan.feed.clone(), plan.kind.clone())) {
                    found.push((prepared, plan));
                }
            }
        }
        let proofs = found.iter().map(|(prepared, plan)| self.prove(host, prepared, plan, now));
        futures_util::future::join_all(proofs).await
    }

    /// Nobody waits for a sensor from now on.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Ends what canaries ran in, and undoes what they did. Returns what is left behind, in sentences.
    pub async fn end(&self) -> Vec<String> {
        let nests = std::mem::take(&mut *self.nests.lock().await);
        let mut left = Vec::new();
        for nest in nests.into_values().flatten() {
            left.extend(nest.end().await);
        }
        left
    }

    async fn nest(&self, prepared: &Prepared) -> Result<Arc<Nest>, String> {
        let mut nests = self.nests.lock().await;
        let known = nests.entry(prepared.sources.1.clone());
        known.or_insert_with(|| Nest::begin(prepared).map(Arc::new).map_err(|error| format!("{error:#}"))).clone()
    }
}

/// What the sensor says of itself, where it is asked.
async fn health(plan: &Plan) -> Result<(), String> {
    match &plan.healthz {
        Some(url) => ask(url).await,
        None => Ok(()),
    }
}
