//! The Sigma rules that experiments name: read once, and held against what links ask for before anything runs.

use crate::campaign::{PrepareError, Prepared, PreparedLink};
use crate::collector::rules::{self, RuleSet};
use crate::engine::bindings::types::Value;
use crate::policy::sources::Sources;
use anyhow::Context as _;
use foil_manifest::pattern::glob;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rules by the files and folders that were named.
#[derive(Default)]
pub(super) struct RuleFiles(BTreeMap<Vec<PathBuf>, Arc<RuleSet>>);

impl RuleFiles {
    /// Gives an experiment its rules: those of its environment, and its own. What they lack is said where they are first read.
    ///
    /// # Errors
    /// A file or folder that cannot be read, and a link that no rule can ever make seen.
    pub fn settle(&mut self, prepared: &mut Prepared) -> anyhow::Result<()> {
        if !prepared.collectors().contains(rules::NAME) {
            return Ok(());
        }
        let (sources, folder) = &prepared.sources;
        let feeds = feeds(sources);
        let mut paths = paths(sources, Path::new(folder));
        paths.extend(prepared.experiment.rules.iter().cloned());
        if paths.is_empty() {
            return Ok(());
        }
        let set = match self.0.get(&paths) {
            Some(set) => Arc::clone(set),
            None => {
                let set = Arc::new(RuleSet::read(&paths).context("`rules`")?);
                lacking(&set, &feeds).iter().for_each(|line| anstream::eprintln!("foil: {line}"));
                self.0.insert(paths, Arc::clone(&set));
                set
            }
        };
        for (number, link) in prepared.links.iter().enumerate() {
            named(link, &set, &feeds).map_err(|(parameter, why)| PrepareError::Placed {
                path: ["expect", &number.to_string(), "with", parameter].map(str::to_owned).into(),
                error: Box::new(PrepareError::Wrong(format!("the link `{}`: {why}", link.link.link))),
            })?;
        }
        prepared.rules = Some(set);
        Ok(())
    }
}

/// The rules' files and folders of an environment.
pub(super) fn paths(sources: &Sources, folder: &Path) -> Vec<PathBuf> {
    sources.rules.iter().map(|path| folder.join(path)).collect()
}

/// The collectors that rules are evaluated over.
pub(super) fn feeds(sources: &Sources) -> Vec<String> {
    let files = sources.files.keys().map(|name| format!("{}{name}", crate::collector::file::PREFIX));
    std::iter::once(crate::collector::audit::NAME.to_owned()).chain(files).collect()
}

/// What an operator should know of the rules: what could not be read, and what can never match.
pub(super) fn lacking(rules: &RuleSet, feeds: &[String]) -> Vec<String> {
    let unread = rules.problems().iter().map(ToString::to_string);
    let idle = rules.idle(feeds).into_iter().map(|(logsource, count)| {
        format!(
            "{count} rule(s) look at {logsource}, which no collector here has: they can never match; name a log with it under \
             `files` in foil.yaml"
        )
    });
    unread.chain(idle).collect()
}

/// Whether the rules that a link names are there, and fed. The parameter that names them, and why not.
fn named<'a>(link: &'a PreparedLink, set: &RuleSet, feeds: &[String]) -> Result<(), (&'a str, String)> {
    for parameter in &link.parameters {
        let declared = link.check.manifest.parameters.get(&parameter.name);
        let (Some(true), Value::Text(wanted)) = (declared.map(|declared| declared.rule), &parameter.value) else {
            continue;
        };
        let fits = |rule: &rules::Rule| {
            rule.id.as_ref().is_some_and(|id| id.eq_ignore_ascii_case(wanted)) || glob(wanted, &rule.title)
        };
        let mut fitting = set.rules().iter().filter(|loaded| fits(&loaded.rule)).peekable();
        let Some(first) = fitting.peek() else {
            let count = set.rules().len();
            let why = format!("none of the {count} Sigma rule(s) that were read has the id or title `{wanted}`");
            return Err((&parameter.name, why));
        };
        let (title, logsource) = (first.rule.title.clone(), first.rule.logsource.clone());
        if fitting.all(|loaded| loaded.is_idle(feeds)) {
            let why = format!(
                "the rule `{title}` looks at {logsource}, which no collector here has, so that it can never match: name a log \
                 with it under `files` in foil.yaml"
            );
            return Err((&parameter.name, why));
        }
    }
    Ok(())
}
