//! Experiment files, prepared.

use super::mistakes::{Mistakes, elsewhere_already, placed};
use super::only::Only;
use super::rules::RuleFiles;
use super::session::Session;
use super::sources::Source;
use super::{Global, discover};
use crate::campaign::beside::Beside;
use crate::campaign::checks::{Checks, PreparedChecks};
use crate::campaign::document::{self, Campaign, Document, Order, Part, Step, StepSource};
use crate::campaign::references::{EarlierStep, unpromised};
use crate::campaign::sequence::PreparedCampaign;
use crate::campaign::{Experiment, PrepareError, Prepared, experiment};
use crate::console::err;
use crate::module::{Catalog, Filter, Module, OBTAIN};
use anyhow::{Context as _, anyhow, bail};
use foil_collector::Sensors;
use foil_manifest::{AttackId, Kind};
use foil_policy::sources::Sources;
use foil_record::RunReport;
use foil_text::Shown as _;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What can be run, and reports of what may not.
pub(super) type Settled = (Vec<Unit>, Vec<RunReport>);

/// What is run as one.
#[derive(Debug, Clone)]
pub(super) enum Unit {
    /// An experiment by itself.
    Experiment(Arc<Prepared>),
    /// One of checks only.
    Checks(Arc<PreparedChecks>),
    /// A campaign.
    Campaign(PreparedCampaign),
}

impl Unit {
    /// The name in its file.
    pub fn name(&self) -> &str {
        match self {
            Self::Experiment(prepared) => &prepared.experiment.name,
            Self::Checks(prepared) => &prepared.checks.name,
            Self::Campaign(campaign) => &campaign.name,
        }
    }

    /// Its experiments.
    pub fn experiments(&self) -> impl Iterator<Item = &Arc<Prepared>> {
        let (one, steps) = match self {
            Self::Experiment(prepared) => (Some(prepared), None),
            Self::Checks(_) => (None, None),
            Self::Campaign(campaign) => (None, Some(campaign.steps.iter().map(|(_, step)| step))),
        };
        one.into_iter().chain(steps.into_iter().flatten())
    }

    fn experiments_mut(&mut self) -> Vec<&mut Arc<Prepared>> {
        match self {
            Self::Experiment(prepared) => vec![prepared],
            Self::Checks(_) => Vec::new(),
            Self::Campaign(campaign) => campaign.steps.iter_mut().map(|(_, step)| step).collect(),
        }
    }

    /// How many of its experiments want to run at once.
    pub fn width(&self) -> usize {
        match self {
            Self::Campaign(campaign) if campaign.order == Order::AtOnce => campaign.steps.len(),
            _ => 1,
        }
    }

    /// How many reports come of it.
    pub fn runs(&self) -> usize {
        match self {
            Self::Experiment(_) | Self::Checks(_) => 1,
            Self::Campaign(campaign) => campaign.steps.len(),
        }
    }

    /// Some of its techniques is this one or a sub-technique of it.
    pub fn is_about(&self, wanted: &AttackId) -> bool {
        self.experiments().any(|e| e.technique.manifest.attack.iter().any(|id| id.is_within(wanted)))
    }

    /// The same once more, as runs of its own.
    pub fn renewed(&self) -> Self {
        let mut again = self.clone();
        if let Self::Checks(checks) = &mut again {
            *checks = Arc::new(checks.renewed());
        }
        for experiment in again.experiments_mut() {
            *experiment = Arc::new(experiment.renewed());
        }
        again
    }
}

/// Sessions by folder: a hundred experiments of one folder read its grants once.
pub(super) struct Loader<'a> {
    global: &'a Global,
    sessions: BTreeMap<PathBuf, Session<'a>>,
    rules: RuleFiles,
    /// Imported tests obtain their prerequisites.
    pub obtain: bool,
    /// Of files, only experiments and campaigns of these names are settled.
    pub only: Only,
}

impl<'a> Loader<'a> {
    pub fn new(global: &'a Global) -> Self {
        Self { global, sessions: BTreeMap::new(), rules: RuleFiles::default(), obtain: false, only: Only::default() }
    }

    /// Reads files, and prepares what [`Loader::only`] picks of them. What is not picked need not be granted.
    ///
    /// # Errors
    /// Every mistake in any of them.
    pub fn load_all(&mut self, files: &'a [PathBuf]) -> Result<Vec<Unit>, Mistakes> {
        let (mut sources, mut wrong) = (Vec::new(), Vec::new());
        for file in files {
            match Source::read(file) {
                Ok(source) => sources.push(source),
                Err(mistakes) => wrong.extend(mistakes.0),
            }
        }
        let names: Vec<&str> =
            sources.iter().flat_map(|source| &source.documents).filter_map(|part| part.document.name()).collect();
        self.only.check(&names)?;
        let passed: Vec<(&Path, Beside)> =
            sources.iter().filter_map(|source| Some((source.file, source.beside()?))).collect();
        let mut units = Vec::new();
        for Source { file, documents } in sources {
            for Part { text, document } in documents {
                if document.name().is_none_or(|name| !self.only.picks(name)) {
                    continue;
                }
                match self.load(file, &text, document) {
                    Ok(unit) => units.extend(unit),
                    Err(mistakes) => wrong.extend(mistakes.0),
                }
            }
        }
        if !wrong.is_empty() {
            return Err(Mistakes(wrong));
        }
        match passed.first().filter(|_| units.is_empty()) {
            None => {
                say_passed(&passed);
                Ok(units)
            }
            Some((file, beside)) => {
                let why = "which runs nothing: name experiments, campaigns, or folders of them";
                Err(anyhow!("{} is {}, {why}", file.shown(), beside.words()).into())
            }
        }
    }

    /// Prepares one document of a file; `None`: it runs nothing.
    fn load(&mut self, file: &'a Path, text: &str, document: Document) -> Result<Option<Unit>, Mistakes> {
        match document {
            Document::Experiment(mut experiment) => {
                from_here(&mut experiment, file);
                let prepared = self.settle(file, &experiment, None).map_err(|errors| errors.placed(file, text, &[]))?;
                Ok(Some(Unit::Experiment(Arc::new(prepared))))
            }
            Document::Checks(checks) => {
                let prepared = self.checks(file, *checks).map_err(|errors| errors.placed(file, text, &[]))?;
                Ok(Some(Unit::Checks(Arc::new(prepared))))
            }
            Document::Campaign(campaign) => self.campaign(file, text, campaign).map(Unit::Campaign).map(Some),
            Document::Beside(_) => Ok(None),
        }
    }

    /// Reads one experiment's file, and its text.
    pub fn experiment(&self, file: &Path) -> anyhow::Result<(Experiment, String)> {
        let text = discover::read_trusted(file, experiment::MAX_EXPERIMENT)?;
        let parsed = document::parse_single(&text).map_err(|error| anyhow!("{}:{error}", file.shown()));
        let (mut read, text) = parsed?;
        from_here(&mut read, file);
        Ok((read, text))
    }

    /// Prepares an experiment of a file that has this text.
    pub fn prepare(&mut self, file: &'a Path, text: &str, experiment: &Experiment) -> Result<Prepared, Mistakes> {
        self.settle(file, experiment, None).map_err(|errors| errors.placed(file, text, &[]))
    }

    /// The same; where a mistake has a place, it is a [`PrepareError::Placed`]. `earlier`: it is a step that runs after these.
    fn settle(
        &mut self,
        file: &'a Path,
        experiment: &Experiment,
        earlier: Option<&[EarlierStep]>,
    ) -> Result<Prepared, Mistakes> {
        let obtain = self.obtain;
        let session = self.session(file)?;
        let mut experiment = experiment.clone();
        if obtain && session.catalog.find(&experiment.technique).is_ok_and(|module| module.imported.is_some()) {
            experiment.with.entry(OBTAIN.to_owned()).or_insert(true.into());
        }
        let mut prepared = match session.prepare(&experiment, earlier) {
            Ok(prepared) => prepared,
            Err(mut mistakes) => {
                // Told with the others, and not only once those are mended.
                mistakes.0.extend(super::rules::missing(&experiment.rules).into_iter().map(anyhow::Error::from));
                return Err(mistakes);
            }
        };
        match self.rules.settle(&mut prepared) {
            Ok(()) => Ok(prepared),
            Err(errors) => Err(Mistakes::of(errors, &self.session(file)?.environment)),
        }
    }

    /// Settles an experiment of checks only.
    fn checks(&mut self, file: &'a Path, mut checks: Checks) -> Result<PreparedChecks, Mistakes> {
        relative_to(&mut checks.rules, file);
        let mut prepared = self.session(file)?.checks(&checks)?;
        match self.rules.of(&mut prepared.links, &prepared.checks.rules, &prepared.sources) {
            Ok(rules) => prepared.rules = rules,
            Err(errors) => return Err(Mistakes::of(errors, &self.session(file)?.environment)),
        }
        Ok(prepared)
    }

    /// Every technique with one of these ATT&CK ids, each held to what the environment of this folder expects by itself; reports of
    /// those that may not run.
    pub fn library(&mut self, attack: &[AttackId]) -> anyhow::Result<Settled> {
        let here = Path::new(discover::ENVIRONMENT);
        let expected = discover::expectations(self.global, Some(here))?.value;
        if expected.expect.is_empty() {
            err!("foil: `default: expect:` of foil.yaml names no link: nothing is expected to notice");
        }
        let session = self.session(here)?;
        let mut modules = Vec::new();
        for wanted in attack {
            let filter = Filter { kind: Some(Kind::Technique), attack: Some(wanted.clone()), ..Filter::default() };
            let found = session.catalog.modules(&filter);
            if found.is_empty() {
                bail!("`--attack {wanted}`: no technique has that id; `--modules` names folders with imported ones");
            }
            modules.extend(found);
        }
        modules.sort_by(|a, b| a.manifest.id.cmp(&b.manifest.id));
        modules.dedup_by(|a, b| a.manifest.id == b.manifest.id);
        let of_each = modules.into_iter().map(|module| (expected.of(module.id()), module)).collect();
        match self.settle_each(of_each) {
            Ok(settled) => Ok(settled),
            Err(mistakes) => Err(self.expected(mistakes)?.into()),
        }
    }

    /// Prepares techniques in this folder, each as an experiment by itself. On a terminal, no grant is offered.
    ///
    /// # Errors
    /// Mistakes that are not a technique's own, such as one in foil.yaml.
    pub fn settle_each(&mut self, of_each: Vec<(Experiment, Module)>) -> Result<Settled, Mistakes> {
        let here = Path::new(discover::ENVIRONMENT);
        self.session(here)?.offers = false;
        let (mut units, mut refused) = (Vec::new(), Vec::new());
        for (experiment, module) in of_each {
            let errors = match self.settle(here, &experiment, None) {
                Ok(prepared) => {
                    units.push(Unit::Experiment(Arc::new(prepared)));
                    continue;
                }
                Err(errors) => errors,
            };
            // A technique that may not run is no reason not to run the others; any other mistake is.
            let own = |error: &anyhow::Error| of_the_module(error, &experiment);
            let (of_module, others) = errors.0.into_iter().partition::<Vec<_>, _>(own);
            if !others.is_empty() {
                return Err(Mistakes(others));
            }
            refused.push(self.session(here)?.refused(&module, &Mistakes(of_module).into()));
        }
        Ok((units, refused))
    }

    /// The modules that are known in the folder of this file.
    pub fn catalog(&mut self, file: &'a Path) -> anyhow::Result<&Catalog> {
        Ok(&self.session(file)?.catalog)
    }

    /// Mistakes in what `default` of foil.yaml expects, with their places there.
    pub fn expected(&mut self, errors: Mistakes) -> anyhow::Result<Mistakes> {
        let file = PathBuf::from(&self.session(Path::new(discover::ENVIRONMENT))?.environment.file);
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        Ok(errors.placed(&file, &text, &["default".to_owned()]))
    }

    /// How many runs may go on at once: the least that an environment in use says.
    pub fn parallel(&self) -> usize {
        self.sessions.values().map(Session::parallel).min().unwrap_or(1)
    }

    fn campaign(&mut self, file: &'a Path, text: &str, campaign: Campaign) -> Result<PreparedCampaign, Mistakes> {
        let in_order = campaign.order == Order::InOrder;
        let (mut steps, mut earlier, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
        for (number, step) in campaign.steps.into_iter().enumerate() {
            let name = step.name.clone();
            let earlier_steps = in_order.then_some(earlier.as_slice());
            let settled = self.step(file, text, (number, step), &campaign.hypothesis, earlier_steps);
            earlier.push(EarlierStep::new(&name, settled.as_ref().ok()));
            match settled {
                Ok(prepared) => steps.push((name, Arc::new(prepared))),
                Err(mistakes) => wrong.extend(mistakes.0),
            }
        }
        if !wrong.is_empty() {
            return Err(Mistakes(wrong));
        }
        Ok(PreparedCampaign { name: campaign.name, order: campaign.order, hold: campaign.hold, steps })
    }

    fn step(
        &mut self,
        file: &'a Path,
        text: &str,
        (number, step): (usize, Step),
        hypothesis: &str,
        earlier: Option<&[EarlierStep]>,
    ) -> Result<Prepared, Mistakes> {
        let step_of = |keys: &[&str]| -> Vec<String> {
            let step = ["steps".to_owned(), number.to_string()].into_iter();
            step.chain(keys.iter().map(|key| (*key).to_owned())).collect()
        };
        let mut elsewhere = None;
        let of_step = |error: anyhow::Error| match elsewhere_already(&error) {
            true => error,
            false => error.context(format!("step `{}`", step.name)),
        };
        let mut experiment = match step.source {
            StepSource::Inline(mut experiment) => {
                from_here(&mut experiment, file);
                *experiment
            }
            StepSource::File(name) => {
                let path = file.parent().unwrap_or(Path::new("")).join(name);
                let wrong = |error| placed(file, text, &step_of(&["file"]), of_step(error));
                let (experiment, read) = self.experiment(&path).map_err(wrong)?;
                elsewhere = Some((path, read));
                experiment
            }
        };
        experiment.with.extend(step.with.clone());
        if experiment.hypothesis.is_empty() {
            experiment.hypothesis = hypothesis.to_owned();
        }
        for line in unpromised(&experiment, earlier.unwrap_or_default()) {
            err!("foil: {}: step `{}`: {line}", file.shown(), step.name);
        }
        self.settle(file, &experiment, earlier).map_err(|errors| {
            errors.map(|error| {
                // What the step replaces stands in the campaign's file, the rest where the experiment was read.
                let replaced = matches!(error.downcast_ref(), Some(PrepareError::Placed { path, .. })
                    if matches!(path.as_slice(), [with, name, ..] if with == "with" && step.with.contains_key(name)));
                match &elsewhere {
                    _ if replaced => placed(file, text, &step_of(&[]), of_step(error)),
                    None => placed(file, text, &step_of(&["experiment"]), of_step(error)),
                    Some((path, read)) => {
                        let there = placed(path, read, &[], error);
                        placed(file, text, &step_of(&["file"]), of_step(there))
                    }
                }
            })
        })
    }

    fn session(&mut self, file: &'a Path) -> anyhow::Result<&mut Session<'a>> {
        let folder = match file.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        match self.sessions.entry(folder) {
            std::collections::btree_map::Entry::Occupied(entry) => Ok(entry.into_mut()),
            std::collections::btree_map::Entry::Vacant(entry) => {
                Ok(entry.insert(Session::open(self.global, Some(file))?))
            }
        }
    }

    /// Opens the sensors that the experiments read: each environment's once.
    pub fn open_sensors(&self, units: &mut [Unit]) -> anyhow::Result<()> {
        let mut opened: BTreeMap<String, Arc<Sensors>> = BTreeMap::new();
        let mut open = |needed: BTreeSet<String>, (sources, folder): &(Sources, String)| {
            if !needed.iter().any(|name| Sensors::is_configured(name)) {
                return Ok(None);
            }
            if let Some(sensors) = opened.get(folder) {
                return Ok(Some(Arc::clone(sensors)));
            }
            let sensors = Sensors::open(sources, Path::new(folder));
            let sensors = Arc::new(sensors.with_context(|| format!("a sensor of the environment in {folder}"))?);
            opened.insert(folder.clone(), Arc::clone(&sensors));
            anyhow::Ok(Some(sensors))
        };
        for unit in units {
            if let Unit::Checks(checks) = unit
                && let Some(sensors) = open(checks.collectors(), &checks.sources)?
            {
                Arc::make_mut(checks).sensors = sensors;
            }
            for experiment in unit.experiments_mut() {
                if let Some(sensors) = open(experiment.collectors(), &experiment.sources)? {
                    Arc::make_mut(experiment).sensors = sensors;
                }
            }
        }
        Ok(())
    }
}

/// Says which files run nothing: somebody may have meant one of them for an experiment. Of `foil.yaml` everybody knows.
fn say_passed(files: &[(&Path, Beside)]) {
    let files = files.iter().map(|(file, _)| file);
    let mut names = files.filter(|file| file.file_name().is_none_or(|name| name != discover::ENVIRONMENT));
    let first: Vec<String> = names.by_ref().take(3).map(|file| file.shown()).collect();
    let more = match names.count() {
        0 => String::new(),
        others => format!(" and {others} others"),
    };
    if !first.is_empty() {
        err!("foil: skipped {}{more}: rules or environments, not experiments", first.join(", "));
    }
}

/// Whether a refusal is about the module, and not about what foil.yaml says or the caller gave.
fn of_the_module(error: &anyhow::Error, experiment: &Experiment) -> bool {
    match error.downcast_ref() {
        Some(PrepareError::Placed { path, .. }) => match path.as_slice() {
            [key, name, ..] if key == "with" => !experiment.with.contains_key(name),
            [key, ..] => key == "technique" || key == "with",
            [] => true,
        },
        Some(PrepareError::NotGranted { module, .. }) => module.manifest.kind == Kind::Technique,
        Some(PrepareError::Environment { .. }) => false,
        Some(_) => true,
        None => false,
    }
}

/// The experiment's own rules, relative to its file.
fn from_here(experiment: &mut Experiment, file: &Path) {
    relative_to(&mut experiment.rules, file);
}

fn relative_to(paths: &mut [PathBuf], file: &Path) {
    let folder = file.parent().unwrap_or(Path::new(""));
    for path in paths {
        *path = folder.join(&*path);
    }
}
