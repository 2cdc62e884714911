//! One run: from the first line in the journal to the last.

use super::arming::Arming;
use super::canary::{self, Canaries};
use super::experiment::Hold;
use super::imported::{self, Aftermath, Stage};
use super::look::{Look, Looker};
use super::prepared::{Prepared, PreparedLink};
use super::scratch;
use super::undo_host::{Machine, broke_off};
use super::watch::{self, Sight as _, Zero};
use crate::capability::{Guest, World, unix_nanos};
use crate::engine::bindings::technique::Evidence;
use crate::engine::bindings::types::{Context, Fact};
use crate::engine::{Budget, Engine, Phase, PhaseError};
use foil_cluster::Session;
use foil_collector::tree::Containers;
use foil_collector::{ClockGrain, EventLog, Observed};
use foil_journal::{Journal, JournalError, RunJournal, RunRecord, UndoHost};
use foil_manifest::ShieldLevel;
use foil_panics::caught_in;
use foil_policy::EffectiveLimits;
use foil_record::{
    Detonation, Judged, LinkReport, LinkVerdict, LogLine, RunReport, SensorProof, UndoReport, contradicted, judge,
};
use foil_report::{Progress, Waiting};
use foil_shield::{ChildLimits, Launcher, RunSpec, ShieldedRun};
use foil_text::hint::{foil, of_state};
use foil_text::{clip, cut};
use futures_util::FutureExt as _;
use std::collections::BTreeMap;
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
    /// How many experiments may go on at once.
    pub parallel: usize,
    /// Nothing is begun after the first run that did not pass.
    pub fail_fast: bool,
    /// Shows what is waited for.
    pub progress: Progress,
    /// Shows whether sensors are alive.
    pub canaries: Canaries,
}

/// How long effects under way may take to end in the journal once the run is over.
const EFFECTS_END: Duration = Duration::from_secs(30);

/// Runs an experiment once, up to its verdict. What it did is put back by now, but for what is held; the rest is put back, and
/// the run is over, with [`Live::end`].
pub async fn begin(host: &Host, prepared: Arc<Prepared>, hold: Hold) -> (RunReport, Option<Live<'_>>) {
    let started = Instant::now();
    let mut report = prepared.report();
    let unmet = prepared.unmet.clone().or_else(|| prepared.windows.closed(jiff::Timestamp::now()));
    let (detonation, live) = match unmet {
        Some(unmet) => (Detonation::Inconclusive(unmet), None),
        None => match Live::begin(host, Arc::clone(&prepared), hold) {
            Err(error) => (Detonation::Error(format!("{error:#}")), None),
            Ok(mut live) => {
                let went = caught_in(live.go(&mut report)).await;
                let went = went.unwrap_or_else(|broken| {
                    host.progress.end(prepared.run.as_str());
                    Detonation::Error(broken.to_string())
                });
                (went, Some(live))
            }
        },
    };
    let verdicts: Vec<_> = report.links.iter().map(|link| link.verdict).collect();
    for (link, contradicted) in report.links.iter_mut().zip(contradicted(&verdicts)) {
        link.contradicted = contradicted;
    }
    let links: Vec<_> = report.links.iter().map(Judged::of).collect();
    (report.verdict, report.reason) = judge(&detonation, prepared.experiment.outcome, &links);
    report.duration_ms = millis(started.elapsed());
    (report, live)
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// A run that has begun: the journal knows of it.
pub struct Live<'a> {
    pub(super) host: &'a Host,
    pub(super) prepared: Arc<Prepared>,
    hold: Hold,
    pub(super) journal: Arc<RunJournal>,
    effects: TaskTracker,
    pub(super) lines: Arc<Mutex<Vec<LogLine>>>,
    /// Until it is closed.
    shield: Mutex<Option<Arc<ShieldedRun>>>,
    back: Mutex<Back>,
    /// The containers of the run's pods.
    containers: Arc<Containers>,
}

/// What was put back, and what was not.
#[derive(Debug, Default)]
pub(super) struct Back {
    /// Of an imported test.
    pub(super) aftermath: Aftermath,
    undo: UndoReport,
    residue: Vec<String>,
    /// What this machine could not give of the shield.
    gaps: Vec<String>,
}

impl<'a> Live<'a> {
    fn begin(host: &'a Host, prepared: Arc<Prepared>, hold: Hold) -> anyhow::Result<Self> {
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
        // A test cleans up by itself once its links are settled.
        let hold = if prepared.technique.imported.is_some() { Hold::Verdict } else { hold };
        Ok(Self {
            host,
            prepared,
            hold,
            journal: Arc::new(journal),
            effects: TaskTracker::new(),
            lines: Arc::default(),
            shield: Mutex::default(),
            back: Mutex::default(),
            containers: Arc::default(),
        })
    }

    /// Everything between the first line in the journal and the verdict.
    async fn go(&mut self, report: &mut RunReport) -> Detonation {
        // Listening comes first: a process that was started before auditing was switched on is never audited.
        let arming = Arming::arm(&self.prepared, &self.journal);
        tracing::info!(run = %self.prepared.run, technique = self.prepared.technique.id(), "collectors are armed");
        self.containers = Arc::clone(&arming.tree.containers);
        let linked = self.prepared.authorised.permission.linked();
        let technique = &self.prepared.technique;
        let module = self.host.engine.prepare(technique.bytes.clone(), technique.code, &linked);
        // At once: one waits for the disk and the kernel, the other computes.
        let detonation = match tokio::join!(Box::pin(self.set_up(&arming)), Box::pin(module)) {
            (Err(detonation), _) => detonation,
            (Ok(_), _) if self.host.cancel.is_cancelled() => Detonation::Inconclusive("it was stopped".into()),
            (Ok(_), Err(error)) => Detonation::Error(format!("{error:#}")),
            (Ok(world), Ok(module)) => Box::pin(self.act(&module, world, &arming, report)).await,
        };
        report.observed = arming.observed();
        report.gaps = self.back().gaps.clone();
        if !arming.finish().await {
            report.residue.push("the collectors broke off while they were stopped".into());
        }
        detonation
    }

    pub(super) fn shield(&self) -> std::sync::MutexGuard<'_, Option<Arc<ShieldedRun>>> {
        self.shield.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the tree which processes are the run's, as far as the launcher knows by now.
    pub(super) fn feed(&self, arming: &Arming) {
        if let Some(shield) = &*self.shield() {
            arming.tree.feed(&shield.tree());
        }
    }

    /// The scratch folder and the shield, where the technique can act at all.
    async fn set_up(&self, arming: &Arming) -> Result<Arc<World>, Detonation> {
        let authorised = &self.prepared.authorised;
        let cluster = self.reach_cluster().await?;
        if !self.prepared.acts() {
            return Ok(Arc::new(self.world(arming.sources(), arming.observer(), None, cluster)));
        }
        let identity = self.prepared.identity.as_ref();
        scratch::make(&self.journal, &self.prepared.scratch, identity, authorised.shield)
            .map_err(|e| Detonation::Error(format!("{e:#}")))?;
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
        self.back().gaps = shield.gaps().to_vec();
        *self.shield() = Some(Arc::clone(&shield));
        self.feed(arming);
        arming.tree.follow(shield.births());
        Ok(Arc::new(self.world(arming.sources(), arming.observer(), Some(shield), cluster)))
    }

    /// What guests act through, and see through.
    pub(super) fn world(
        &self,
        sources: BTreeMap<String, Arc<EventLog>>,
        observed: Option<Arc<Observed>>,
        shield: Option<Arc<ShieldedRun>>,
        cluster: Option<Arc<Session>>,
    ) -> World {
        World {
            run: self.prepared.run.clone(),
            level: self.prepared.authorised.shield,
            shield,
            journal: Arc::clone(&self.journal),
            sources,
            effects: self.effects.clone(),
            observed,
            cluster,
            containers: Arc::clone(&self.containers),
            cancel: self.host.cancel.clone(),
        }
    }

    /// Warms up, detonates, and watches the links from that moment.
    async fn act(
        &self,
        module: &InstancePre<Guest>,
        world: Arc<World>,
        arming: &Arming,
        report: &mut RunReport,
    ) -> Detonation {
        let prepared = &*self.prepared;
        let context = self.context();
        let parameters = match imported::parameters(prepared, Stage::Command) {
            Ok(parameters) => parameters,
            Err(why) => return Detonation::Error(why),
        };
        let warm = Box::pin(crate::engine::warmup(self.phase(module, &world), &context, &parameters)).await;
        let state = match self.phase_over(&world, arming, warm).await {
            Ok(state) => state,
            Err(detonation) => return detonation.in_warm_up(),
        };
        self.look_before(world.shield.as_ref()).await;
        // The warm-up's last event and the detonation's first must not share a tick of the sensor's clock, where one is asked.
        if !prepared.links.is_empty() && world.shield.as_ref().is_some_and(|shield| !shield.tree().children.is_empty())
        {
            tokio::time::sleep(ClockGrain::COARSE.into()).await;
        }
        tracing::info!(run = %prepared.run, shield = %prepared.authorised.shield, "warmed up; it detonates");
        let zero = Zero { instant: tokio::time::Instant::now(), unix_ns: unix_nanos() };
        arming.detonate(zero.unix_ns);
        report.detonated = Some(jiff::Timestamp::now().to_string());
        // What looks neither acts nor keeps what acted from being put back.
        let looking = prepared.cluster.as_ref().map(|c| Arc::new(Session::of_check(Arc::clone(c), &prepared.run)));
        let seen = Arc::new(self.world(arming.sources(), arming.observer(), None, looking));
        let detonate = async {
            let done = crate::engine::detonate(self.phase(module, &world), &context, &parameters, &state).await;
            let done = self.phase_over(&world, arming, done).await;
            drop(world);
            if self.hold == Hold::No {
                self.put_back().await;
            }
            done
        };
        // Gone as soon as it is over.
        let mut detonate = Box::pin(detonate).fuse();
        let run = prepared.run.as_str();
        let waiting = prepared.links.iter().map(|PreparedLink { link, .. }| Waiting {
            link: link.link.to_string(),
            until: link.within() + link.grace(),
            verdict: None,
        });
        self.host.progress.begin(run, &prepared.experiment.name, waiting.collect());
        let watched = prepared.links.iter().enumerate().map(async |(index, link)| {
            let settled = self.watch(link, &seen, arming, &context, zero).await;
            tracing::info!(run, link = settled.link, verdict = %settled.verdict, "a link is settled");
            self.host.progress.link(run, index, settled.verdict);
            settled
        });
        let mut watched = Box::pin(futures_util::future::join_all(watched));
        // Links are watched from the first moment, and to their end only where the technique did what it does.
        let (done, links) = tokio::select! {
            done = &mut detonate => match done {
                Ok(evidence) => (Ok(evidence), watched.as_mut().await),
                Err(detonation) => (Err(detonation), Vec::new()),
            },
            links = &mut watched => ((&mut detonate).await, links),
        };
        self.host.progress.end(run);
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

    pub(super) fn phase<'b>(&'b self, module: &'b InstancePre<Guest>, world: &Arc<World>) -> Phase<'b> {
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
            // What a test leaves running is its own clean-up's business, and then looked for.
            if self.prepared.technique.imported.is_none()
                && let Err(error) = shield.end_phase().await
            {
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
                "prerequisite" | "shield" | "not-found" | "cluster" | "not-ours" => {
                    Detonation::Inconclusive(format!("{message} ({code})"))
                }
                // The cluster itself said no: no shield of ours stands between.
                "admission" => Detonation::Blocked(format!("the cluster refused it: {message}")),
                "rbac" if self.prepared.impersonates() => {
                    Detonation::Blocked(format!("the identity that it acts as may not: {message}"))
                }
                "rbac" => Detonation::Inconclusive(format!(
                    "{message}; `{}` prints what it needs (rbac)",
                    foil(["show", &self.prepared.technique.called(), "--rbac"])
                )),
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
        let module = self.host.engine.prepare(link.check.bytes.clone(), link.check.code, &linked).await;
        let module = module.map_err(|e| format!("{e:#}"));
        let looker = Looker { engine: &self.host.engine, lines: &self.lines, live: Some(self) };
        let mut look = Look::new(looker, link, world, arming, context, module, zero.unix_ns);
        let mut report = watch::watch(&link.link, zero, link.tied_by, &mut look).await;
        report.own_rules = arming.own_rules(&look.read(), &report.evidence);
        if report.verdict == LinkVerdict::Missed && !self.host.cancel.is_cancelled() {
            self.doubt(link, &look, zero, &mut report).await;
        }
        report
    }

    /// Looks whether the sensors of a link that saw nothing are alive: a miss is not believed otherwise.
    async fn doubt(&self, link: &PreparedLink, look: &Look<'_>, zero: Zero, report: &mut LinkReport) {
        let deadline = zero.instant + link.link.within() + link.link.grace();
        let plans = canary::plans(&self.prepared, link, &look.read());
        let prove = |plan| self.host.canaries.prove(self.host, &self.prepared, plan, deadline);
        report.sensors = futures_util::future::join_all(plans.iter().map(prove)).await;
        let silent = report.sensors.iter().find_map(SensorProof::blinds);
        // What was lost is mostly said some time later.
        if let Some(why) = silent.or_else(|| look.blind().map(|blind| blind.to_string())) {
            (report.verdict, report.reason) = (LinkVerdict::Unknown, Some(why));
        }
    }

    /// Ends the children, and undoes what the technique did.
    async fn put_back(&self) {
        self.clean_up().await;
        let mut residue = Vec::new();
        if tokio::time::timeout(EFFECTS_END, settled(&self.effects)).await.is_err() {
            residue
                .push(format!("an effect had not ended when the run did; `{}` will look at it", of_state(["cleanup"])));
        }
        let shield = self.shield().take();
        let closed = match shield.map(Arc::try_unwrap) {
            None => Ok(()),
            Some(Ok(shield)) => shield.close().await,
            // An effect that has not ended still holds it: what runs in it dies all the same.
            Some(Err(shared)) => shared.end_phase().await.map(drop),
        };
        if let Err(error) = closed {
            residue.push(format!("children may still be running: {error}"));
        }
        self.undo(RunJournal::undo_acts).await;
        self.back().residue.extend(residue);
    }

    pub(super) fn back(&self) -> std::sync::MutexGuard<'_, Back> {
        self.back.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn undo(&self, undo: fn(&RunJournal, &dyn UndoHost) -> Result<UndoReport, JournalError>) {
        if !self.journal.has_effects() {
            return;
        }
        let journal = Arc::clone(&self.journal);
        // Blocking: undo reads and writes files, and waits for the disk.
        let undone = tokio::task::spawn_blocking(move || undo(&journal, &Machine)).await;
        let mut back = self.back();
        match undone {
            // What an earlier look left undone was looked at once more: the later word counts.
            Ok(Ok(report)) => {
                tracing::info!(run = report.run, effects = report.effects.len(), "undone");
                back.undo.effects.retain(|(what, _)| !report.effects.iter().any(|(again, _)| again == what));
                back.undo.effects.extend(report.effects);
            }
            Ok(Err(error)) => back.residue.push(format!("the clean-up could not be done: {error}")),
            Err(error) => back.residue.push(broke_off(&error)),
        }
    }

    /// Puts back what was held, and writes the last line in the journal.
    pub async fn end(self, report: &mut RunReport) {
        let begun = Instant::now();
        // Whatever breaks off here, the rest is put back all the same.
        for part in [caught_in(self.put_back()).await, caught_in(self.undo(RunJournal::undo_all)).await] {
            if let Err(broken) = part {
                self.back().residue.push(broke_off(&broken));
            }
        }
        report.duration_ms = report.duration_ms.saturating_add(millis(begun.elapsed()));
        report.log = std::mem::take(&mut *self.lines.lock().unwrap_or_else(PoisonError::into_inner));
        let back = std::mem::take(&mut *self.back());
        report.undo = UndoReport { run: report.run.clone(), effects: back.undo.effects };
        report.residue.extend(back.residue);
        report.test = back.aftermath.report(&self.prepared);
        let left = !report.residue.is_empty() || report.undo.residue().next().is_some();
        let verdict = serde_json::json!({ "verdict": report.verdict, "links": report.links });
        if let Err(error) = self.journal.finish(if left { "residue" } else { "clean" }, &verdict) {
            tracing::warn!("the end of run {} could not be written down: {error}", report.run);
        }
    }
}

fn took(report: &mut RunReport, evidence: Evidence) {
    report.summary = Some(cut(&evidence.summary, 1024));
    report.facts =
        evidence.facts.into_iter().map(|Fact { name, value }| (cut(&name, 64), clip(&value, 4096))).collect();
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
