//! Everything that can be settled without touching the target.

use super::cluster::with_falco;
use super::experiment::{Experiment, Link};
use super::mistakes::{Collected, PrepareError, PrepareErrors};
use super::outputs::{self, Facts};
use super::prepared::{Prepared, PreparedLink, control, scratch, variables};
use super::references::{self, EarlierStep};
use super::{imported, parameters, preflight, sensors};
use crate::engine::bindings::types::Parameter;
use crate::module::{Catalog, Module, Source};
use foil_cluster::Cluster;
use foil_collector::{audit, kubernetes};
use foil_manifest::pattern::Variables;
use foil_manifest::{CapabilityName, Kind, Manifest, ParameterType, ShieldLevel};
use foil_policy::{Authorised, Case, Environment, Grants, Judged, authorise};
use foil_shield::Identity;
use foil_text::RunId;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// What preparing needs to know.
pub struct Preparation<'a> {
    /// The modules.
    pub catalog: &'a Catalog,
    /// What reviewers allowed.
    pub grants: &'a Grants,
    /// What the operator allows.
    pub environment: &'a Environment,
    /// Foil's own folders and files, which no grant may reach.
    pub own: Vec<String>,
    /// `/etc/machine-id`, where there is one.
    pub machine_id: Option<String>,
    /// The host's name.
    pub host_name: String,
    /// The environment's cluster, where it names one.
    pub cluster: Option<Arc<Cluster>>,
}

/// The technique of an experiment, settled.
struct Technique {
    module: Module,
    authorised: Authorised,
    parameters: Vec<Parameter>,
    control_parameters: Vec<Parameter>,
    identity: Option<Identity>,
    unmet: Option<String>,
}

impl Preparation<'_> {
    /// Settles an experiment. `earlier`: it is a step that runs after these, and its `{step.fact}` are filled in when they have run.
    ///
    /// # Errors
    /// Every mistake that can be told from the others.
    pub fn prepare(&self, experiment: Experiment, earlier: Option<&[EarlierStep]>) -> Result<Prepared, PrepareErrors> {
        // The target is verified first: nothing else matters on the wrong host.
        self.environment.admits_host(self.machine_id.as_deref(), &self.host_name).map_err(PrepareError::from)?;
        let later = earlier.is_some();
        let mut wrong = Collected::default();
        wrong.add(self.own_rules(&experiment));
        wrong.add(references::check(&experiment, earlier));
        let mut experiment = if later {
            experiment
        } else {
            // What is no step has nothing to be filled in but doubled braces.
            outputs::fill_experiment(&experiment, &Facts::new()).map_err(PrepareError::Wrong)?
        };
        let run = RunId::new();
        let scratch = scratch(&run).map_err(PrepareError::Wrong)?;
        let variables = variables(&run, &scratch, self.cluster.as_deref());
        let technique = wrong.take(self.technique(&experiment, &variables, later));
        // What a check is told of the technique does not hang on whether that may run.
        let about = self.module(&experiment.technique, Kind::Technique).ok();
        let mut links = Vec::new();
        for (number, link) in experiment.expect.iter().enumerate() {
            let settled = self.link(&experiment, link, about.as_ref(), &variables, later);
            links.extend(wrong.take(settled.map_err(|errors| errors.map(|error| error.of_link(number, link)))));
        }
        wrong.all()?;
        let Some(Technique { module: technique, authorised, parameters, control_parameters, identity, mut unmet }) =
            technique
        else {
            // Its mistakes were returned above.
            return Err(PrepareError::Wrong("the technique could not be settled".to_owned()).into());
        };
        // With what checks were told of the technique, which stays when parameters are filled in later.
        experiment.expect = links.iter().map(|prepared| prepared.link.clone()).collect();
        let needed = asks_cluster(&technique, &authorised) || links.iter().any(PreparedLink::needs_cluster);
        if needed {
            unmet = unmet.or_else(|| no_cluster(self.cluster.as_deref()));
        }
        Ok(Prepared {
            run,
            scratch,
            experiment,
            technique,
            authorised,
            parameters,
            links,
            environment: self.environment.name.clone(),
            target: self.host_name.clone(),
            identity,
            unmet,
            sensors: Arc::default(),
            rules: None,
            history: None,
            sources: (self.environment.sources.clone(), self.environment.folder.clone()),
            shields: self.environment.shield.clone(),
            windows: self.environment.windows.clone(),
            cluster: self.cluster.clone().filter(|_| needed),
            node: None,
            dry: false,
            control_parameters,
        })
    }

    /// What is wrong with the audit rules that the experiment asks for.
    fn own_rules(&self, experiment: &Experiment) -> Vec<PrepareError> {
        let Some(request) = &experiment.audit.own_rules else { return Vec::new() };
        let mut wrong = audit::check_request(request);
        if !self.environment.own_audit_rules {
            let why = format!(
                "the experiment {} asks for audit rules of Foil's own, which {} does not allow: set `own-audit-rules: true` in foil.yaml",
                experiment.name,
                self.environment.title()
            );
            wrong.push((Vec::new(), why));
        }
        let placed =
            |(path, why): (Vec<String>, String)| PrepareError::Wrong(why).below(path).under(["audit", "own-rules"]);
        wrong.into_iter().map(placed).collect()
    }

    fn technique(
        &self,
        experiment: &Experiment,
        variables: &Variables,
        later: bool,
    ) -> Result<Technique, PrepareErrors> {
        let of_technique = |error: PrepareError| error.under(["technique"]);
        let module = self.module(&experiment.technique, Kind::Technique).map_err(of_technique)?;
        let manifest = &module.manifest;
        let mut wrong = Collected::default();
        let authorised = wrong
            .take(self.authorise(&module, experiment.shield, variables).map_err(|error| of_technique(error).into()));
        let parameters = wrong.take(parameters::resolve(manifest, &experiment.with, later).map_err(Into::into));
        let control_parameters = wrong.take(control(manifest, experiment, later));
        let root = rustix::process::geteuid().is_root();
        let identity = match &self.environment.run_as {
            Some(user) if root && !manifest.root => {
                let of_file = |why| PrepareError::Environment { path: vec!["run-as".to_owned()], why };
                wrong.take(identity(user).map(Some).map_err(|why| of_file(why).into())).flatten()
            }
            _ => None,
        };
        let mut unmet = preflight::unmet(manifest, root);
        if let (Some(imported), Some(parameters)) = (&module.imported, &parameters) {
            let beyond = imported::unmet(imported, parameters);
            let beyond = wrong.take(beyond.map_err(|why| PrepareError::Wrong(why).under(["with"]).into()));
            unmet = unmet.or(beyond.flatten());
        }
        wrong.all()?;
        match (authorised, parameters, control_parameters) {
            (Some(authorised), Some(parameters), Some(control_parameters)) => {
                Ok(Technique { module, authorised, parameters, control_parameters, identity, unmet })
            }
            // Their mistakes were returned above.
            _ => Err(PrepareError::Wrong(format!("{} could not be settled", module.id())).into()),
        }
    }

    /// The links of an experiment of checks only, and what the file says of each.
    pub(super) fn links(
        &self,
        run: &RunId,
        experiment: Experiment,
    ) -> Result<(Vec<Link>, Vec<PreparedLink>), PrepareErrors> {
        let mut wrong = Collected::default();
        wrong.add(references::check(&experiment, None));
        let experiment = outputs::fill_experiment(&experiment, &Facts::new()).map_err(PrepareError::Wrong)?;
        let variables = variables(run, Path::new(""), self.cluster.as_deref());
        let mut links = Vec::new();
        for (number, link) in experiment.expect.iter().enumerate() {
            let settled = self.link(&experiment, link, None, &variables, false);
            links.extend(wrong.take(settled.map_err(|errors| errors.map(|error| error.of_link(number, link)))));
        }
        wrong.all()?;
        Ok((experiment.expect, links))
    }

    fn link(
        &self,
        experiment: &Experiment,
        link: &Link,
        technique: Option<&Module>,
        variables: &Variables,
        later: bool,
    ) -> Result<PreparedLink, PrepareErrors> {
        let of_check = |error: PrepareError| error.under(["check"]);
        let check = self.module(&link.check, Kind::Check).map_err(of_check)?;
        let mut link = link.clone();
        if let Some(technique) = technique {
            tell(&mut link.with, &check.manifest, technique);
        }
        let mut wrong = Collected::default();
        let authorised = wrong.take(self.authorise(&check, None, variables).map_err(|error| of_check(error).into()));
        let with = with_falco(check.id(), &link.with, self.cluster.as_deref());
        let parameters = wrong.take(parameters::resolve(&check.manifest, &with, later).map_err(PrepareErrors::from));
        let (Some(authorised), Some(parameters)) = (authorised, parameters) else {
            wrong.all()?;
            return Err(PrepareError::Wrong(format!("{} could not be settled", check.id())).into());
        };
        let collectors = sensors::collectors(&check.manifest, &parameters);
        let allowed = |name: &str| authorised.permission.collector(name).map_err(|denial| denial.to_string());
        wrong.add(sensors::check(self.environment, experiment, &check.manifest, &parameters, &collectors, &allowed));
        wrong.all()?;
        let demands = [check.manifest.tied_by, link.tied_by, experiment.tied_by, self.environment.tied_by];
        let tied_by = demands.into_iter().flatten().min().unwrap_or_default();
        Ok(PreparedLink { link, check, authorised, parameters, collectors, rule_feeds: None, tied_by })
    }

    fn module(&self, name: &str, kind: Kind) -> Result<Module, PrepareError> {
        let module = self.catalog.find(name)?;
        if module.manifest.kind != kind {
            let is = module.manifest.kind;
            return Err(PrepareError::Wrong(format!("`{}` is a {is}; a {kind} is needed here", module.manifest.id)));
        }
        Ok(module)
    }

    fn authorise(
        &self,
        module: &Module,
        shield: Option<ShieldLevel>,
        variables: &Variables,
    ) -> Result<Authorised, PrepareError> {
        let judged = Judged {
            manifest: &module.manifest,
            digest: module.digest,
            judged: module.judged(),
            builtin: module.source == Source::Builtin,
            script: module.imported.is_some(),
            imports: &module.imports.interfaces,
        };
        let grant = self.grants.find(&judged, jiff::Timestamp::now()).map_err(|refusal| PrepareError::NotGranted {
            module: Box::new(module.clone()),
            refusal: Box::new(refusal),
            then: String::new(),
        })?;
        let is_folder = |path: &str| std::fs::metadata(path).is_ok_and(|m| m.is_dir());
        let logs = followed(self.environment);
        let case = Case {
            manifest: &module.manifest,
            grant,
            environment: self.environment,
            shield,
            variables: variables.clone(),
            own: &self.own,
            logs: &logs,
            is_folder: &is_folder,
        };
        self.all_linked(module, authorise(case)?)
    }

    /// An interface that the module imports and not every layer allows is not linked, so that the module could not even
    /// start: said here, before anything happens.
    fn all_linked(&self, module: &Module, authorised: Authorised) -> Result<Authorised, PrepareError> {
        let linked = authorised.permission.linked();
        let imported = |name: &CapabilityName| {
            let prefix = format!("foil:host/{}@", name.interface());
            // Types alone grant nothing.
            let calls =
                |(name, functions): (&String, &BTreeSet<String>)| name.starts_with(&prefix) && !functions.is_empty();
            module.imports.interfaces.iter().any(calls)
        };
        match CapabilityName::ALL.iter().find(|name| imported(name) && !linked.contains(name)) {
            None => Ok(authorised),
            Some(name) => Err(PrepareError::Wrong(format!(
                "{} imports `{name}`, which the grant or {} does not allow at all: a module loads only with all that it \
                 imports, so narrow the scope instead (option `--narrow` of foil grant)",
                module.id(),
                self.environment.title()
            ))),
        }
    }
}

/// The paths of the logs that an environment follows, as they are named and as what they lead to.
fn followed(environment: &Environment) -> Vec<String> {
    let named = environment.sources.files.values().map(|source| Path::new(&environment.folder).join(&source.path));
    let absolute = named.filter_map(|path| std::path::absolute(path).ok());
    let both =
        absolute.flat_map(|path| path.canonicalize().ok().filter(|real| *real != path).into_iter().chain([path]));
    both.map(|path| path.to_string_lossy().into_owned()).collect()
}

/// Fills in what a check wants to know of the technique, where the experiment does not say what the check is to look for.
fn tell(with: &mut BTreeMap<String, serde_json::Value>, check: &Manifest, technique: &Module) {
    if check.one_of.iter().any(|name| with.contains_key(name)) {
        return;
    }
    for (name, declared) in &check.parameters {
        let told = match declared.kind {
            ParameterType::AttackIds => Some(technique.manifest.attack.iter().map(ToString::to_string).collect()),
            ParameterType::AtomicTest => {
                technique.imported.as_ref().and_then(|test| test.script.guid.clone()).map(Into::into)
            }
            _ => None,
        };
        if let Some(told) = told {
            with.entry(name.clone()).or_insert(told);
        }
    }
}

/// Whether a module may ask anything of a cluster.
fn asks_cluster(module: &Module, authorised: &Authorised) -> bool {
    let linked = authorised.permission.linked();
    CapabilityName::KUBE.iter().any(|name| linked.contains(name) && module.manifest.request(*name).is_some())
}

impl PreparedLink {
    /// Whether its check or a collector that it reads asks anything of a cluster.
    pub(super) fn needs_cluster(&self) -> bool {
        self.collectors.contains(kubernetes::NAME) || asks_cluster(&self.check, &self.authorised)
    }
}

/// Why a cluster cannot be used, as far as the file says it.
pub(super) fn no_cluster(cluster: Option<&Cluster>) -> Option<String> {
    match cluster {
        None => Some("it needs a Kubernetes cluster, and foil.yaml names none: add `kubernetes: { context: … }`".into()),
        Some(cluster) if cluster.reference().uid.is_empty() => Some(
            "foil.yaml does not say which cluster it is: `foil doctor` prints the UID to write under `kubernetes: cluster:`"
                .into(),
        ),
        Some(_) => None,
    }
}

/// The user of that name, with its groups.
fn identity(user: &str) -> Result<Identity, String> {
    let failed = |why: String| format!("`run-as: {user}` of foil.yaml cannot be used: {why}");
    let entry = nix::unistd::User::from_name(user)
        .map_err(|e| failed(e.to_string()))?
        .ok_or_else(|| failed("there is no such user on this host".to_owned()))?;
    let name = std::ffi::CString::new(user).map_err(|e| failed(e.to_string()))?;
    let groups = nix::unistd::getgrouplist(&name, entry.gid).map_err(|e| failed(e.to_string()))?;
    Ok(Identity {
        uid: entry.uid.as_raw(),
        gid: entry.gid.as_raw(),
        groups: groups.into_iter().map(nix::unistd::Gid::as_raw).collect(),
        name: entry.name,
        home: entry.dir,
    })
}
