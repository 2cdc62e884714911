//! One run of an experiment of checks only.

use super::super::arming::{Arming, Wanted};
use super::super::look::{Look, Looker};
use super::super::run::Host;
use super::super::watch::{self, Zero};
use super::PreparedChecks;
use crate::capability::{World, unix_nanos};
use crate::engine::bindings::types::{self, Context};
use foil_cluster::Session;
use foil_journal::{RunJournal, RunRecord};
use foil_manifest::{ShieldLevel, TiedBy};
use foil_record::{Detonation, Judged, LogLine, Outcome, RunReport, contradicted, judge};
use foil_report::Waiting;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio_util::task::TaskTracker;

/// Looks at every link to its verdict.
pub async fn run(host: &Host, prepared: &Arc<PreparedChecks>) -> RunReport {
    let started = Instant::now();
    let mut report = prepared.report();
    let looked = match &prepared.unmet {
        Some(unmet) => Err(Detonation::Inconclusive(unmet.clone())),
        None => look(host, prepared, &mut report).await,
    };
    let ended = looked.err().unwrap_or(Detonation::Done);
    let verdicts: Vec<_> = report.links.iter().map(|link| link.verdict).collect();
    for (link, contradicted) in report.links.iter_mut().zip(contradicted(&verdicts)) {
        link.contradicted = contradicted;
    }
    let links: Vec<_> = report.links.iter().map(Judged::of).collect();
    (report.verdict, report.reason) = judge(&ended, Outcome::Either, &links);
    report.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    report
}

async fn look(host: &Host, prepared: &Arc<PreparedChecks>, report: &mut RunReport) -> Result<(), Detonation> {
    if let Some(cluster) = &prepared.cluster {
        cluster.verify().await.map_err(|why| Detonation::Inconclusive(format!("refused: {why} (cluster)")))?;
    }
    let journal = begin(host, prepared).map_err(|error| Detonation::Error(format!("{error:#}")))?;
    let arming = Arming::of(&Wanted::of_checks(prepared), &journal);
    let lines: Arc<Mutex<Vec<LogLine>>> = Arc::default();
    let cluster = prepared.cluster.as_ref().map(|c| Arc::new(Session::of_check(Arc::clone(c), &prepared.run)));
    let world = Arc::new(World {
        run: prepared.run.clone(),
        level: ShieldLevel::Confined,
        shield: None,
        journal: Arc::clone(&journal),
        sources: arming.sources(),
        effects: TaskTracker::new(),
        observed: None,
        cluster,
        containers: Arc::default(),
        cancel: host.cancel.clone(),
    });
    let context = context(prepared);
    let zero = Zero { instant: tokio::time::Instant::now(), unix_ns: unix_nanos() };
    arming.detonate(zero.unix_ns);
    report.detonated = Some(jiff::Timestamp::now().to_string());
    let run = prepared.run.as_str();
    let waiting = prepared.links.iter().map(|link| Waiting {
        link: link.link.link.to_string(),
        until: link.link.within() + link.link.grace(),
        verdict: None,
    });
    host.progress.begin(run, &prepared.checks.name, waiting.collect());
    let watched = prepared.links.iter().enumerate().map(async |(index, link)| {
        let linked = link.authorised.permission.linked();
        let module = host.engine.prepare(link.check.bytes.clone(), link.check.code, &linked).await;
        let module = module.map_err(|error| format!("{error:#}"));
        let looker = Looker { engine: &host.engine, lines: &lines, live: None };
        let mut look = Look::new(looker, link, &world, &arming, &context, module, zero.unix_ns);
        // Nothing that is seen can be tied better.
        let settled = watch::watch(&link.link, zero, TiedBy::Time, &mut look).await;
        host.progress.link(run, index, settled.verdict);
        settled
    });
    report.links = futures_util::future::join_all(watched).await;
    host.progress.end(run);
    report.log = std::mem::take(&mut *lines.lock().unwrap_or_else(PoisonError::into_inner));
    // Blocking: a collector takes in what is still on its way.
    if !arming.finish().await {
        report.residue.push("the collectors broke off while they were stopped".into());
    }
    let verdict = serde_json::json!({ "links": report.links });
    if let Err(error) = journal.finish("clean", &verdict) {
        tracing::warn!("the end of run {} could not be written down: {error}", report.run);
    }
    if host.cancel.is_cancelled() {
        return Err(Detonation::Inconclusive("it was stopped before its links were settled".into()));
    }
    Ok(())
}

/// Writes the run down: what its checks ask for is in the audit log.
fn begin(host: &Host, prepared: &PreparedChecks) -> anyhow::Result<Arc<RunJournal>> {
    let ids: Vec<&str> = prepared.links.iter().map(|link| link.check.id()).collect();
    let digests: Vec<String> = prepared.links.iter().map(|link| link.check.digest.to_string()).collect();
    let journal = host.journal.begin(&RunRecord {
        run: prepared.run.clone(),
        started: jiff::Timestamp::now().to_string(),
        experiment: prepared.checks.name.clone(),
        technique: format!("checks only: {}", ids.join(", ")),
        digest: digests.join(", "),
        environment: prepared.environment.clone(),
        target: prepared.target.clone(),
        shield: ShieldLevel::Confined.to_string(),
        pid: std::process::id(),
    })?;
    Ok(Arc::new(journal))
}

/// What the checks may know of the run. It has no scratch folder, since nothing is made.
fn context(prepared: &PreparedChecks) -> Context {
    let cluster = prepared.cluster.as_ref().map(|cluster| types::Cluster {
        namespace: cluster.rule.namespace_of(prepared.run.as_str()),
        image: cluster.rule.image.clone(),
        node: prepared.node.clone(),
    });
    Context { run_id: prepared.run.to_string(), scratch: String::new(), dry: false, cluster }
}
