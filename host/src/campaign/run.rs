//! One run of one experiment, from the first line in the journal to the last.

use super::arming::Arming;
use super::prepare::{Prepared, PreparedLink};
use super::undo_host::Machine;
use super::verdict::{Detonation, judge};
use super::watch::{self, Sight, Zero};
use crate::capability::{Asked, Guest, LogLine, World, unix_nanos};
use crate::collector::{Blindness, EventLog};
use crate::engine::bindings::check::Observation;
use crate::engine::bindings::technique::Evidence;
use crate::engine::bindings::types::{Context, Fact};
use crate::engine::{Budget, Engine, Phase, PhaseError, cut};
use crate::journal::{Effect, Journal, RunJournal, RunRecord, Undo};
use crate::policy::EffectiveLimits;
use crate::report::{LinkReport, RunReport};
use crate::shield::{ChildLimits, Launcher, RunSpec, ShieldedRun};
use anyhow::Context as _;
use foil_manifest::ShieldLevel;
use std::collections::BTreeSet;
use std::os::unix::fs::DirBuilderExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wasmtime::component::InstancePre;

/// What every run of this process shares.
pub struct Host {
    /// The engine.
    pub engine: Engine,
    /// The journal.
    pub journal: Journal,
    /// The launcher.
    pub launcher: Launcher,
    /// Stops all runs.
    pub cancel: CancellationToken,
}

/// How long effects under way may take to end in the journal once the run is over.
const EFFECTS_END: Duration = Duration::from_secs(30);

/// Runs an experiment and puts everything back. Whatever happens in between is in the report.
pub async fn run(host: &Host, prepared: &Prepared) -> RunReport {
    let started = Instant::now();
    let mut report = prepared.report();
    let detonation = match &prepared.unmet {
        Some(unmet) => Detonation::Inconclusive(unmet.clone()),
        None => match Live::begin(host, prepared) {
            Err(error) => Detonation::Error(format!("{error:#}")),
            Ok(live) => live.go(&mut report).await,
        },
    };
    let links: Vec<_> = report.links.iter().map(|l| (l.link.clone(), l.verdict, l.reason.clone())).collect();
    (report.verdict, report.reason) = judge(&detonation, &links);
    report.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    report
}

/// A run that has begun: the journal knows of it.
struct Live<'a> {
    host: &'a Host,
    prepared: &'a Prepared,
    journal: Arc<RunJournal>,
    effects: TaskTracker,
    lines: Arc<Mutex<Vec<LogLine>>>,
}

impl<'a> Live<'a> {
    fn begin(host: &'a Host, prepared: &'a Prepared) -> anyhow::Result<Self> {
        let journal = host.journal.begin(&RunRecord {
            run: prepared.run.clone(),
            started: jiff::Timestamp::now().to_string(),
            experiment: prepared.experiment.name.clone(),
            technique: prepared.technique.id().to_owned(),
            digest: prepared.technique.digest.to_string(),
            environment: prepared.environment.clone(),
            target: prepared.target.clone(),
            shield: prepared.authorised.shield.to_string(),
            pid: std::process::id(),
        })?;
        Ok(Self { host, prepared, journal: Arc::new(journal), effects: TaskTracker::new(), lines: Arc::default() })
    }

    /// Everything between the first line in the journal and the last.
    async fn go(self, report: &mut RunReport) -> Detonation {
        // Listening comes first: a process that was started before auditing was switched on is never audited.
        let arming = Arming::arm(self.prepared, &self.journal);
        let mut shield = None;
        let linked = self.prepared.authorised.permission.linked();
        let technique = &self.prepared.technique;
        let module = self.host.engine.prepare(technique.bytes.clone(), technique.digest, &linked);
        // At once: one waits for the disk and the kernel, the other computes.
        let detonation = match tokio::join!(self.set_up(&arming, &mut shield), module) {
            (Err(detonation), _) => detonation,
            (Ok(_), _) if self.host.cancel.is_cancelled() => Detonation::Inconclusive("it was stopped".into()),
            (Ok(_), Err(error)) => Detonation::Error(format!("{error:#}")),
            (Ok(world), Ok(module)) => self.act(&module, &world, &arming, report).await,
        };
        report.observed = arming.observed();
        report.gaps = shield.as_ref().map(|shield| shield.gaps().to_vec()).unwrap_or_default();
        self.end(report, shield, arming).await;
        detonation
    }

    /// The scratch folder and the shield.
    async fn set_up(&self, arming: &Arming, slot: &mut Option<Arc<ShieldedRun>>) -> Result<Arc<World>, Detonation> {
        self.make_scratch().map_err(|e| Detonation::Error(format!("{e:#}")))?;
        let authorised = &self.prepared.authorised;
        let spec = RunSpec {
            run: self.prepared.run.clone(),
            level: authorised.shield,
            network: authorised.children.network,
            identity: self.prepared.identity.clone(),
            reads: authorised.children.reads.clone(),
            writes: authorised.children.writes.clone(),
            privileges: authorised.children.privileges,
            scratch: self.prepared.scratch.clone(),
            limits: child_limits(&authorised.limits),
        };
        let shield =
            self.host.launcher.open(spec).await.map_err(|e| Detonation::Inconclusive(format!("{e} (shield)")))?;
        let shield = Arc::new(shield);
        *slot = Some(Arc::clone(&shield));
        arming.tree.feed(&shield.tree());
        Ok(Arc::new(World {
            run: self.prepared.run.clone(),
            level: authorised.shield,
            shield: Some(shield),
            journal: Arc::clone(&self.journal),
            sources: arming.sources(),
            effects: self.effects.clone(),
            observed: arming.observer(),
            cancel: self.host.cancel.clone(),
        }))
    }

    fn make_scratch(&self) -> anyhow::Result<()> {
        let scratch = &self.prepared.scratch;
        let owner = self.prepared.identity.as_ref().map_or_else(|| rustix::process::geteuid().as_raw(), |i| i.uid);
        let path = scratch.display().to_string();
        let effect = Effect {
            capability: "host".into(),
            what: format!("make the scratch folder {path}"),
            undo: Undo::RemoveScratch { path, owner },
        };
        let id = self.journal.intend(&effect)?;
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(scratch)
            .with_context(|| format!("cannot make the scratch folder {}", scratch.display()))?;
        if let Some(identity) = &self.prepared.identity {
            std::os::unix::fs::lchown(scratch, Some(identity.uid), Some(identity.gid))
                .with_context(|| format!("cannot give {} to {}", scratch.display(), identity.name))?;
        }
        Ok(self.journal.applied_soon(id)?)
    }

    /// Warms up, detonates, and watches the links from that moment.
    async fn act(
        &self,
        module: &InstancePre<Guest>,
        world: &Arc<World>,
        arming: &Arming,
        report: &mut RunReport,
    ) -> Detonation {
        let prepared = self.prepared;
        let context =
            Context { run_id: prepared.run.to_string(), scratch: prepared.scratch.display().to_string(), dry: false };
        let warm = crate::engine::warmup(self.phase(module, world), &context, &prepared.parameters).await;
        let state = match self.phase_over(world, arming, warm).await {
            Ok(state) => state,
            Err(detonation) => return detonation,
        };
        // The warm-up's last event and the detonation's first must not share a tick of the sensor's clock.
        if world.shield.as_ref().is_some_and(|shield| !shield.tree().children.is_empty()) {
            tokio::time::sleep(watch::CLOCK_SLACK).await;
        }
        let zero = Zero { instant: tokio::time::Instant::now(), unix_ns: unix_nanos() };
        report.detonated = Some(jiff::Timestamp::now().to_string());
        let detonate = async {
            let done = crate::engine::detonate(self.phase(module, world), &context, &prepared.parameters, &state).await;
            self.phase_over(world, arming, done).await
        };
        tokio::pin!(detonate);
        let watched = futures_util::future::join_all(
            prepared.links.iter().map(|link| self.watch(link, world, arming, &context, zero)),
        );
        tokio::pin!(watched);
        // Links are watched from the first moment, and to their end only where the technique did what it does.
        let (done, links) = tokio::select! {
            done = &mut detonate => match done {
                Ok(evidence) => (Ok(evidence), watched.await),
                Err(detonation) => (Err(detonation), Vec::new()),
            },
            links = &mut watched => (detonate.await, links),
        };
        report.links = links;
        match done {
            Err(detonation) => detonation,
            Ok(_) if self.host.cancel.is_cancelled() => {
                Detonation::Inconclusive("it was stopped before its links were settled".into())
            }
            Ok(evidence) => {
                took(report, evidence);
                Detonation::Done
            }
        }
    }

    fn phase<'b>(&'b self, module: &'b InstancePre<Guest>, world: &Arc<World>) -> Phase<'b> {
        let authorised = &self.prepared.authorised;
        let permission = Arc::new(authorised.permission.clone());
        let guest = Guest::new(Arc::clone(world), permission, Budget::new(authorised.limits), Arc::clone(&self.lines));
        Phase { engine: &self.host.engine, module, guest }
    }

    /// Ends a phase: effects under way end in the journal, children die, daemons too.
    async fn phase_over<T>(
        &self,
        world: &World,
        arming: &Arming,
        ended: Result<T, PhaseError>,
    ) -> Result<T, Detonation> {
        if tokio::time::timeout(EFFECTS_END, settled(&self.effects)).await.is_err() {
            return Err(Detonation::Error("an effect did not end; the journal knows of it".into()));
        }
        if let Some(shield) = &world.shield {
            arming.tree.feed(&shield.tree());
            if let Err(error) = shield.end_phase().await {
                return Err(Detonation::Error(error.to_string()));
            }
        }
        ended.map_err(|error| self.meaning(error))
    }

    /// What a phase that did not end well says of the technique.
    fn meaning(&self, error: PhaseError) -> Detonation {
        let open = self.prepared.authorised.shield == ShieldLevel::Open;
        match &error {
            PhaseError::Cancelled => Detonation::Inconclusive("it was stopped".into()),
            // A grant may be narrower than the request: what the module would have done is not known.
            PhaseError::Denied { .. } => Detonation::Inconclusive(format!("{error} (policy)")),
            PhaseError::Failed { code, message } => match code.as_str() {
                "prerequisite" | "shield" | "not-found" => Detonation::Inconclusive(format!("{message} ({code})")),
                // Only where nothing of ours held the child is a refusal somebody else's, and a control that works.
                "prevented" | "not-executable" | "forbidden" if open => Detonation::Blocked(message.clone()),
                "prevented" | "not-executable" | "forbidden" => Detonation::Inconclusive(format!(
                    "{message}; this may be our own shield: `--shield open` tells, where it is granted"
                )),
                _ => Detonation::Error(message.clone()),
            },
            _ => Detonation::Error(error.to_string()),
        }
    }

    async fn watch(
        &self,
        link: &PreparedLink,
        world: &Arc<World>,
        arming: &Arming,
        context: &Context,
        zero: Zero,
    ) -> LinkReport {
        let linked = link.authorised.permission.linked();
        let module = self.host.engine.prepare(link.check.bytes.clone(), link.check.digest, &linked).await;
        let logs = link.collectors.iter().filter_map(|name| arming.log(name)).map(|log| (Arc::clone(log), 0)).collect();
        let module = module.map_err(|e| format!("{e:#}"));
        let mut look = Look { live: self, link, world, arming, context, module, logs, asked: Asked::default() };
        let mut report = watch::watch(&link.link, zero, &mut look).await;
        report.own_rules = arming.own_rules(&look.read());
        report
    }

    /// Puts everything back, and writes the last line in the journal.
    async fn end(self, report: &mut RunReport, shield: Option<Arc<ShieldedRun>>, arming: Arming) {
        report.log = std::mem::take(&mut *self.lines.lock().unwrap_or_else(PoisonError::into_inner));
        if tokio::time::timeout(EFFECTS_END, settled(&self.effects)).await.is_err() {
            report.residue.push("an effect had not ended when the run did; `foil cleanup` will look at it".into());
        }
        let closed = match shield.map(Arc::try_unwrap) {
            None => Ok(()),
            Some(Ok(shield)) => shield.close().await,
            // An effect that has not ended still holds it: what runs in it dies all the same.
            Some(Err(shared)) => shared.end_phase().await.map(drop),
        };
        if let Err(error) = closed {
            report.residue.push(format!("children may still be running: {error}"));
        }
        let journal = Arc::clone(&self.journal);
        // Blocking: undo reads and writes files, and waits for the disk.
        let undone = tokio::task::spawn_blocking(move || {
            arming.finish();
            journal.undo_all(&Machine)
        });
        match undone.await {
            Ok(Ok(undo)) => report.undo = undo,
            Ok(Err(error)) => report.residue.push(format!("the clean-up could not be done: {error}")),
            Err(error) => report.residue.push(format!("the clean-up broke off: {error}; run `foil cleanup`")),
        }
        let left = !report.residue.is_empty() || report.undo.residue().next().is_some();
        let verdict = serde_json::json!({ "links": report.links });
        if let Err(error) = self.journal.finish(if left { "residue" } else { "clean" }, &verdict) {
            tracing::warn!("the end of run {} could not be written down: {error}", report.run);
        }
    }
}

/// One link's check, its module and its sources.
struct Look<'a> {
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

impl Look<'_> {
    /// The collectors that the check read; all that it may read as long as it has read none.
    fn read(&self) -> BTreeSet<String> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.is_empty() { self.link.collectors.clone() } else { asked.clone() }
    }
}

impl Sight for Look<'_> {
    async fn look(&mut self, cursor: u64) -> Result<Observation, PhaseError> {
        let module = self.module.as_ref().map_err(|e| PhaseError::Host(e.clone()))?;
        if let Some(shield) = &self.world.shield {
            self.arming.tree.feed(&shield.tree());
        }
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
}

/// The shortest time between two looks of a link.
const BETWEEN_LOOKS: Duration = Duration::from_millis(1);

fn took(report: &mut RunReport, evidence: Evidence) {
    report.summary = Some(cut(&evidence.summary, 1024));
    report.facts = evidence.facts.into_iter().map(|Fact { name, value }| (cut(&name, 64), cut(&value, 4096))).collect();
}

/// Waits until no effect is under way. The tracker can be used on.
async fn settled(effects: &TaskTracker) {
    effects.close();
    effects.wait().await;
    effects.reopen();
}

fn child_limits(limits: &EffectiveLimits) -> ChildLimits {
    ChildLimits {
        processes: limits.children,
        memory: limits.child_memory,
        file_size: limits.child_file,
        output: limits.output,
        overlay: limits.overlay,
    }
}
