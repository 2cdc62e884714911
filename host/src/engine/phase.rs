//! One phase of one module: a fresh store, one exported call, limits, and what came of it.

use super::bindings::types::{Context, Fact, Parameter};
use super::bindings::{check, technique};
use super::{Budget, Engine, PhaseError, Spent};
use crate::capability::Guest;
use std::future::Future;
use std::time::Instant;
use wasmtime::component::InstancePre;

/// Facts that a guest may hand back, at most: evidence is read by people.
const MAX_FACTS: usize = 256;
/// Bytes of one fact's value.
const MAX_FACT: usize = 64 << 10;

/// What a phase needs besides its arguments.
pub struct Phase<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// The linked module.
    pub module: &'a InstancePre<Guest>,
    /// The host's side of the guest, with a fresh budget.
    pub guest: Guest,
}

impl Phase<'_> {
    async fn run<T, F>(
        self,
        call: impl FnOnce(wasmtime::Store<Guest>, InstancePre<Guest>) -> F,
    ) -> Result<T, PhaseError>
    where
        F: Future<Output = (wasmtime::Result<Result<T, super::bindings::types::Error>>, Budget)>,
    {
        let wall = self.guest.budget.limits().wall;
        let cancelled = self.guest.cancelled();
        let started = Instant::now();
        let store = self.engine.store(self.guest);
        // Dropping the call kills the guest. Effects it had begun run on tasks of their own and end in the journal.
        let ended = tokio::select! {
            biased;
            () = cancelled.cancelled() => return Err(PhaseError::Cancelled),
            ended = tokio::time::timeout(wall, call(store, self.module.clone())) => ended,
        };
        let millis = |d: std::time::Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        match ended {
            Err(_) => Err(PhaseError::Limit(Spent {
                limit: "wall-ms",
                allowed: millis(wall),
                reached: millis(started.elapsed()),
            })),
            Ok((_, Budget { overdrawn: Some(spent), .. })) => Err(PhaseError::Limit(spent)),
            Ok((Err(error), budget)) => Err(PhaseError::from_call(&error, budget.memory.spent)),
            Ok((Ok(Err(error)), _)) => Err(error.into()),
            Ok((Ok(Ok(value)), _)) => Ok(value),
        }
    }
}

/// Runs a technique's `warmup`.
pub async fn warmup(phase: Phase<'_>, context: &Context, parameters: &[Parameter]) -> Result<Vec<Fact>, PhaseError> {
    let state = phase
        .run(|mut store, module| async move {
            let result = async {
                let instance = technique::TechniquePre::new(module)?.instantiate_async(&mut store).await?;
                instance.foil_host_detonation().call_warmup(&mut store, context, parameters).await
            }
            .await;
            (result, store.into_data().budget)
        })
        .await?;
    bounded(&state)?;
    Ok(state)
}

/// Runs a technique's `detonate`.
pub async fn detonate(
    phase: Phase<'_>,
    context: &Context,
    parameters: &[Parameter],
    state: &[Fact],
) -> Result<technique::Evidence, PhaseError> {
    let evidence = phase
        .run(|mut store, module| async move {
            let result = async {
                let instance = technique::TechniquePre::new(module)?.instantiate_async(&mut store).await?;
                instance.foil_host_detonation().call_detonate(&mut store, context, parameters, state).await
            }
            .await;
            (result, store.into_data().budget)
        })
        .await?;
    bounded(&evidence.facts)?;
    Ok(evidence)
}

/// Runs a check's `probe`: one look.
pub async fn probe(
    phase: Phase<'_>,
    context: &Context,
    parameters: &[Parameter],
    cursor: u64,
) -> Result<check::Observation, PhaseError> {
    let observation = phase
        .run(|mut store, module| async move {
            let result = async {
                let instance = check::CheckPre::new(module)?.instantiate_async(&mut store).await?;
                instance.foil_host_probing().call_probe(&mut store, context, parameters, cursor).await
            }
            .await;
            (result, store.into_data().budget)
        })
        .await?;
    for sighting in &observation.sightings {
        bounded(&sighting.facts)?;
    }
    Ok(observation)
}

fn bounded(facts: &[Fact]) -> Result<(), PhaseError> {
    let largest = facts.iter().map(|f| f.value.len()).max().unwrap_or(0);
    if facts.len() > MAX_FACTS {
        return Err(PhaseError::Limit(Spent {
            limit: "facts",
            allowed: MAX_FACTS as u64,
            reached: facts.len() as u64,
        }));
    }
    if largest > MAX_FACT || facts.iter().any(|f| f.name.len() > 64) {
        return Err(PhaseError::Limit(Spent {
            limit: "fact-bytes",
            allowed: MAX_FACT as u64,
            reached: largest as u64,
        }));
    }
    Ok(())
}
