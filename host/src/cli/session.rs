//! What `fire`, `run` and `plan` have in common: files found, modules listed, experiments prepared, runs run.

use super::load::Unit;
use super::mistakes::Mistakes;
use super::output::{Printer, Printing};
use super::{Exit, Global, InternalError, discover, grants_file};
use crate::campaign::canary::Canaries;
use crate::campaign::checks::{self, Checks, PreparedChecks};
use crate::campaign::references::EarlierStep;
use crate::campaign::{Experiment, Host, Preparation, PrepareError, PrepareErrors, Prepared, attempts, sequence};
use crate::console::err;
use crate::engine::{Compiler, Engine};
use crate::module::{Catalog, Module, NotFound};
use anyhow::Context as _;
use foil_cluster::Cluster;
use foil_journal::Journal;
use foil_panics::caught_in;
use foil_policy::{Environment, Grants};
use foil_record::{RunReport, Verdict};
use foil_report::{self as report, Progress};
use foil_shield::Launcher;
use foil_text::hint::of_state;
use std::cell::Cell;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// However many a file asks for: each run that acts has a shield with processes of its own.
const MOST_AT_ONCE: usize = 10_000;

/// The files that an experiment is judged by.
pub(super) struct Session<'a> {
    global: &'a Global,
    experiment: Option<&'a Path>,
    /// The modules.
    pub catalog: Catalog,
    grants: Grants,
    /// The environment.
    pub environment: Environment,
    own: Vec<String>,
    cluster: Option<Arc<Cluster>>,
    /// What is not granted may be, on a terminal.
    pub offers: bool,
    /// How many problems of the folders of modules were printed.
    told: Cell<usize>,
}

impl<'a> Session<'a> {
    /// Finds grants and environment beside `experiment` (`None`: this folder), then upwards.
    pub fn open(global: &'a Global, experiment: Option<&'a Path>) -> anyhow::Result<Self> {
        let catalog = Catalog::open(&global.modules);
        let grants = discover::grants(global, experiment)?;
        let environment = discover::environment(global, experiment)?;
        let own = grants_file::own(global, grants.path.as_deref(), &environment, experiment)?;
        let environment = environment.value;
        let cluster = environment.cluster.clone();
        let cluster = cluster.map(|rule| Arc::new(Cluster::new(rule, Path::new(&environment.folder))));
        Ok(Self {
            global,
            experiment,
            catalog,
            grants: grants.value,
            environment,
            own,
            cluster,
            offers: true,
            told: Cell::new(0),
        })
    }

    /// Finds a module, and says what is wrong in the folders where that had to be looked for.
    pub fn find(&self, name: &str) -> Result<Module, NotFound> {
        let found = self.catalog.find(name);
        self.tell_problems();
        found
    }

    fn tell_problems(&self) {
        let known = self.catalog.known_problems();
        self.told.set(known.skip(self.told.get()).fold(self.told.get(), |told, problem| {
            err!("foil: {problem}");
            told.saturating_add(1)
        }));
    }

    /// The report of a technique that is not run.
    pub fn refused(&self, module: &Module, why: &anyhow::Error) -> RunReport {
        let (_, host_name) = discover::this_host();
        crate::campaign::refused_report(module, self.environment.name.clone(), host_name, format!("refused: {why:#}"))
    }

    /// How many runs may go on at once.
    pub fn parallel(&self) -> usize {
        usize::try_from(self.environment.parallel).unwrap_or(1)
    }

    /// Prepares an experiment; on a terminal, offers to grant what is not granted.
    ///
    /// # Errors
    /// Every mistake. Nobody is asked for a grant while there are others to be mended first.
    pub fn prepare(&mut self, experiment: &Experiment, earlier: Option<&[EarlierStep]>) -> Result<Prepared, Mistakes> {
        self.settle(|preparation| preparation.prepare(experiment.clone(), earlier))
    }

    /// Prepares an experiment of checks only, likewise.
    pub fn checks(&mut self, checks: &Checks) -> Result<PreparedChecks, Mistakes> {
        self.settle(|preparation| preparation.checks(checks.clone()))
    }

    fn settle<T>(&mut self, settle: impl Fn(&Preparation<'_>) -> Result<T, PrepareErrors>) -> Result<T, Mistakes> {
        let (machine_id, host_name) = discover::this_host();
        loop {
            let preparation = Preparation {
                catalog: &self.catalog,
                grants: &self.grants,
                environment: &self.environment,
                own: self.own.clone(),
                machine_id: machine_id.clone(),
                host_name: host_name.clone(),
                cluster: self.cluster.clone(),
            };
            let settled = settle(&preparation);
            self.tell_problems();
            let mut errors = match settled {
                Ok(prepared) => return Ok(prepared),
                Err(errors) => errors,
            };
            let grants_alone = errors.0.iter().all(|error| matches!(error, PrepareError::NotGranted { .. }));
            for error in &mut errors.0 {
                if let PrepareError::NotGranted { module, refusal, then } = error {
                    *then = super::hints::then(module, refusal, self.global, self.experiment);
                }
            }
            let granted = match errors.0.first() {
                Some(PrepareError::NotGranted { module, refusal, .. }) if grants_alone && self.offers => {
                    super::offer(module, refusal, self.experiment, self.global)?
                }
                _ => None,
            };
            match granted {
                Some(grants) => self.grants = grants,
                None => return Err(Mistakes::of(errors, &self.environment)),
            }
        }
    }
}

/// Starts the launcher. First of all: it is forked from a process without threads and without an engine, and gets ready while
/// files are read.
pub(super) fn launcher() -> anyhow::Result<Launcher> {
    Ok(Launcher::start().map_err(InternalError)?)
}

/// How several runs go on together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Conduct {
    /// At most so many at once.
    pub parallel: usize,
    /// None is begun after the first that did not pass.
    pub fail_fast: bool,
}

/// Runs what was prepared, prints the reports, those of what was `refused` too, and returns the exit code.
pub(super) fn run_all(
    global: &Global,
    launcher: Launcher,
    units: Vec<Unit>,
    conduct: Conduct,
    printing: &Printing,
    refused: Vec<RunReport>,
) -> anyhow::Result<Exit> {
    let expected = units.iter().map(Unit::runs).sum::<usize>().saturating_add(refused.len());
    let printer = Printer::new(printing, global, expected);
    let mut reports = run_units(global, launcher, units, conduct, &printer)?;
    refused.iter().try_for_each(|report| printer.refused(report))?;
    reports.extend(refused);
    printer.end(&reports)?;
    Ok(report::exit(&reports))
}

/// Runs what was prepared and returns the reports in its order.
pub(super) fn run_units(
    global: &Global,
    launcher: Launcher,
    units: Vec<Unit>,
    conduct: Conduct,
    printer: &Printer<'_>,
) -> anyhow::Result<Vec<RunReport>> {
    let state = state_folder(global)?;
    let journal = Journal::open(&state)?;
    warn_of_dead_runs(&journal);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8))
        .build()
        .context("the runtime")
        .map_err(InternalError)?;
    let engine = Engine::new(state.join("cache"), Compiler::this_program()).map_err(InternalError)?;
    let parallel = conduct.parallel.clamp(1, MOST_AT_ONCE);
    // What is redrawn in place and log lines would wipe each other out.
    let progress = if super::logs::shown() { Progress::default() } else { Progress::new() };
    let total = units.iter().map(Unit::runs).sum();
    let (cancel, canaries) = (CancellationToken::new(), Canaries::default());
    let host = Arc::new(Host {
        engine,
        journal,
        launcher,
        cancel,
        parallel,
        fail_fast: conduct.fail_fast,
        progress,
        canaries,
    });
    let reports = runtime.block_on(async {
        super::signals::watch(&host.cancel, &host.progress)?;
        let sensors = tokio::spawn(first_canaries(Arc::clone(&host), &units));
        let turns = Arc::new(Semaphore::new(parallel));
        let mut running = tokio::task::JoinSet::new();
        let mut reports = Vec::new();
        let mut unprinted = None;
        let mut failed = false;
        let mut waiting = units.into_iter().enumerate();
        let mut next = waiting.next();
        while next.is_some() || !running.is_empty() {
            if failed && conduct.fail_fast {
                for (index, unit) in next.take().into_iter().chain(waiting.by_ref()) {
                    reports.push((index, not_begun(&unit)));
                }
                if running.is_empty() {
                    break;
                }
            }
            let width = next.as_ref().map_or(1, |(_, unit)| unit.width().min(parallel));
            // In the order that was asked for, and each as soon as there is room.
            tokio::select! {
                turn = Arc::clone(&turns).acquire_many_owned(u32::try_from(width).unwrap_or(1)), if next.is_some() => {
                    if let (Ok(turn), Some((index, unit))) = (turn, std::mem::replace(&mut next, waiting.next())) {
                        let host = Arc::clone(&host);
                        running.spawn(async move { (index, run_unit(&host, unit).await, turn) });
                    }
                }
                Some(done) = running.join_next() => {
                    let (index, of_unit, _) =
                        done.with_context(|| format!("a run broke off; `{}` puts back what it left", of_state(["cleanup"]))).map_err(InternalError)?;
                    let printed = of_unit.iter().try_for_each(|report| printer.ended(report, total, &host.progress));
                    // A full disk behind our output is no reason to leave the other runs half-way.
                    unprinted = printed.err().or(unprinted);
                    failed |= of_unit.iter().any(|report| !report.passed());
                    reports.push((index, of_unit));
                }
            }
        }
        // Where all is settled, nobody waits for what a sensor says.
        host.canaries.stop();
        let broke_off = sensors.await.is_err();
        if broke_off {
            err!("foil: the look at the sensors broke off; `{}` puts back what it left", of_state(["cleanup"]));
        }
        for left in host.canaries.end().await {
            err!("foil: left behind: {left}");
        }
        if let Some(error) = unprinted {
            return Err(anyhow::Error::from(error).context("a report could not be printed; every run was put back"));
        }
        reports.sort_by_key(|(index, _)| *index);
        anyhow::Ok(reports.into_iter().flat_map(|(_, reports)| reports).collect::<Vec<_>>())
    });
    // Every run has ended by now. A thread that still compiles what was given up is not waited for.
    runtime.shutdown_background();
    reports
}

/// Looks at the beginning whether the sensors are alive, so that a dead one is told at once.
fn first_canaries(host: Arc<Host>, units: &[Unit]) -> impl Future<Output = ()> + Send + 'static {
    let experiments: Vec<_> = units.iter().flat_map(Unit::experiments).cloned().collect();
    async move {
        for proof in host.canaries.begin(&host, &experiments).await {
            if let Some(why) = proof.blinds().filter(|_| !host.cancel.is_cancelled()) {
                host.progress.aside(|| err!("foil: {why}: what it does not notice will be unknown"));
            }
        }
    }
}

/// Runs a unit. A fault in it is its own runs' error; the others go on.
async fn run_unit(host: &Host, unit: Unit) -> Vec<RunReport> {
    let ran = caught_in(async {
        match &unit {
            Unit::Experiment(prepared) => vec![attempts::experiment(host, prepared).await],
            Unit::Checks(prepared) => vec![checks::run(host, prepared).await],
            Unit::Campaign(prepared) => sequence::campaign(host, prepared).await,
        }
    });
    ran.await.unwrap_or_else(|broken| {
        let steps = match &unit {
            // It changed nothing, so that nothing is left of it.
            Unit::Checks(prepared) => return vec![prepared.not_run(Verdict::Error, broken.to_string())],
            Unit::Experiment(prepared) => vec![prepared],
            Unit::Campaign(campaign) => campaign.steps.iter().map(|(_, step)| step).collect(),
        };
        let left = format!("`{}` puts back what it left, if it had begun", of_state(["cleanup"]));
        let report = |step: &Arc<Prepared>| {
            let mut report = step.not_run(Verdict::Error, broken.to_string());
            report.residue.push(left.clone());
            report
        };
        steps.into_iter().map(report).collect()
    })
}

/// The reports of a unit that is not begun, since an earlier run did not pass.
fn not_begun(unit: &Unit) -> Vec<RunReport> {
    match unit {
        Unit::Experiment(prepared) => vec![prepared.skipped()],
        Unit::Checks(prepared) => vec![prepared.skipped()],
        Unit::Campaign(campaign) => sequence::skipped(campaign),
    }
}

fn state_folder(global: &Global) -> anyhow::Result<PathBuf> {
    match &global.state {
        Some(folder) => Ok(std::path::absolute(folder)?),
        None => foil_safe_path::state::default_folder(),
    }
}

fn warn_of_dead_runs(journal: &Journal) {
    match journal.to_recover() {
        Ok(left) if !left.is_empty() => err!(
            "foil: earlier runs left {} effect(s) that were not undone; `{}` undoes them, and `{}` lists what it cannot undo",
            left.len(),
            of_state(["cleanup"]),
            of_state(["journal", "residue"])
        ),
        Ok(_) => {}
        Err(error) => err!("foil: {error}"),
    }
}
