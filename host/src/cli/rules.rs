//! The Sigma rules that experiments name: read once, and held against what links ask for before anything runs.

use crate::campaign::{PrepareError, PrepareErrors, Prepared, PreparedLink};
use crate::console::err;
use crate::engine::bindings::types::Value;
use foil_collector::rules::{self, Loaded, RuleSet};
use foil_manifest::ParameterType;
use foil_policy::sources::Sources;
use foil_text::suggest::hint;
use foil_text::{Shown as _, cut};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The longest line about a rule, in bytes.
const LONGEST: usize = 600;

/// Rules by the files and folders that were named.
#[derive(Default)]
pub(super) struct RuleFiles(BTreeMap<Vec<PathBuf>, Arc<RuleSet>>);

impl RuleFiles {
    /// Gives an experiment its rules: those of its environment, and its own. What they lack is said where they are first read.
    ///
    /// # Errors
    /// Files and folders that cannot be read, and links that no rule can ever make seen.
    pub fn settle(&mut self, prepared: &mut Prepared) -> Result<(), PrepareErrors> {
        prepared.rules = self.of(&mut prepared.links, &prepared.experiment.rules, &prepared.sources)?;
        Ok(())
    }

    /// The rules that these links read, which are told what those that they name look at; `None` where none reads any. `own`: those that the experiment names.
    ///
    /// # Errors
    /// As of [`settle`](Self::settle).
    pub fn of(
        &mut self,
        links: &mut [PreparedLink],
        own: &[PathBuf],
        (sources, folder): &(Sources, String),
    ) -> Result<Option<Arc<RuleSet>>, PrepareErrors> {
        if !links.iter().any(|link| link.collectors.contains(rules::NAME)) {
            let missing = missing(own);
            return if missing.is_empty() { Ok(None) } else { Err(PrepareErrors(missing)) };
        }
        let feeds = rules::feeds(sources.files.keys());
        let environment = paths(sources, Path::new(folder));
        let named: Vec<Named> = Named::all(&environment, false).chain(Named::all(own, true)).collect();
        let paths: Vec<PathBuf> = named.iter().map(|named| named.path.clone()).collect();
        if paths.is_empty() {
            return Ok(None);
        }
        let missing: Vec<PrepareError> = named.iter().filter_map(Named::missing).collect();
        if !missing.is_empty() {
            return Err(PrepareErrors(missing));
        }
        let set = match self.0.get(&paths) {
            Some(set) => Arc::clone(set),
            None => {
                let read = RuleSet::read(&paths).map_err(|error| PrepareError::Wrong(format!("`rules`: {error:#}")))?;
                let set = Arc::new(read);
                lacking(&set, &feeds).iter().for_each(|line| err!("foil: {line}"));
                self.0.insert(paths, Arc::clone(&set));
                set
            }
        };
        let mut wrong: Vec<PrepareError> = named.iter().filter_map(|named| named.useless(&set)).collect();
        for (number, link) in links.iter_mut().enumerate() {
            link.rule_feeds = looked_at(link, &set, &feeds);
            wrong.extend(unmatched(link, &set, &feeds).map(|(parameter, why)| PrepareError::Placed {
                path: ["expect", &number.to_string(), "with", parameter].map(str::to_owned).into(),
                error: Box::new(PrepareError::Wrong(format!("the link `{}`: {why}", link.link.link))),
            }));
        }
        if wrong.is_empty() { Ok(Some(set)) } else { Err(PrepareErrors(wrong)) }
    }
}

/// A file or folder of rules that somebody named.
struct Named {
    path: PathBuf,
    /// Its place in the list.
    number: usize,
    /// The experiment names it, and not `foil.yaml`.
    own: bool,
}

/// Files and folders of an experiment's own `rules` that cannot be looked at.
pub(super) fn missing(own: &[PathBuf]) -> Vec<PrepareError> {
    Named::all(own, true).filter_map(|named| named.missing()).collect()
}

impl Named {
    fn all(paths: &[PathBuf], own: bool) -> impl Iterator<Item = Self> {
        paths.iter().enumerate().map(move |(number, path)| Self { path: path.clone(), number, own })
    }

    fn wrong(&self, why: String) -> PrepareError {
        let path = ["rules".to_owned(), self.number.to_string()].into();
        match self.own {
            true => PrepareError::Placed { path, error: Box::new(PrepareError::Wrong(why)) },
            false => PrepareError::Environment { path, why },
        }
    }

    /// Why it cannot be read.
    fn missing(&self) -> Option<PrepareError> {
        let error = std::fs::metadata(&self.path).err()?;
        Some(self.wrong(format!("`rules`: cannot look at {}: {error}", self.path.shown())))
    }

    /// Why a file, which was named by itself, gives no rule.
    fn useless(&self, set: &RuleSet) -> Option<PrepareError> {
        let problem = set.problems().iter().find(|problem| problem.file == self.path)?;
        let gives = set.rules().iter().any(|loaded| loaded.file == self.path);
        (!gives).then(|| self.wrong(format!("`rules`: {problem}")))
    }
}

/// The rules' files and folders of an environment.
pub(super) fn paths(sources: &Sources, folder: &Path) -> Vec<PathBuf> {
    sources.rules.iter().map(|path| folder.join(path)).collect()
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
    let never = rules.rules().iter().filter_map(|loaded| {
        let why = rules.never(loaded, feeds)?;
        Some(format!("{}: the rule can never match: {why}", loaded.file.shown()))
    });
    // Rules are often a public collection: what they say is shown, and not obeyed by a terminal.
    unread.chain(never).chain(idle).map(|line| cut(&line, LONGEST)).collect()
}

/// The feeds that the rules look at which a link names by themselves or by a tag; `None`: it names none.
fn looked_at(link: &PreparedLink, set: &RuleSet, feeds: &[String]) -> Option<BTreeSet<String>> {
    let named = |wanted: ParameterType| {
        link.parameters.iter().find_map(|parameter| match &parameter.value {
            Value::Text(text) if link.check.manifest.parameters.get(&parameter.name)?.kind == wanted => Some(text),
            _ => None,
        })
    };
    let of = |rules: Vec<&Loaded>| {
        feeds.iter().filter(|feed| rules.iter().any(|loaded| loaded.looks_at(feed))).cloned().collect()
    };
    if !link.collectors.contains(rules::NAME) {
        return None;
    }
    let by_name = named(ParameterType::SigmaRule).map(|rule| set.named(rule).collect());
    by_name.or_else(|| named(ParameterType::Tag).map(|tag| set.tagged(tag).collect())).map(of)
}

/// What no rule can match of what a link names: the parameters that name it, and why not.
fn unmatched<'a>(link: &'a PreparedLink, set: &RuleSet, feeds: &[String]) -> Option<(&'a str, String)> {
    if !link.collectors.contains(rules::NAME) {
        return None;
    }
    link.parameters.iter().find_map(|parameter| {
        let declared = link.check.manifest.parameters.get(&parameter.name)?;
        let Value::Text(wanted) = &parameter.value else { return None };
        let why = match declared.kind {
            ParameterType::SigmaRule => unmatched_rule(wanted, set, feeds),
            ParameterType::Tag => unmatched_tag(wanted, set),
            _ => None,
        };
        why.map(|why| (parameter.name.as_str(), why))
    })
}

/// Why no rule of that id or title can match.
fn unmatched_rule(wanted: &str, set: &RuleSet, feeds: &[String]) -> Option<String> {
    let mut fitting = set.named(wanted).peekable();
    let Some(first) = fitting.peek() else {
        let hint = hint(wanted, set.rules().iter().map(|loaded| loaded.rule.head.title.as_str()));
        let count = set.rules().len();
        return Some(format!("none of the {count} Sigma rule(s) that were read has the id or title `{wanted}`{hint}"));
    };
    let (title, logsource) = (first.rule.head.title.clone(), first.looks_at_sources());
    let never = set.never(first, feeds);
    if let Some(why) = never.filter(|_| set.named(wanted).all(|loaded| set.never(loaded, feeds).is_some())) {
        return Some(format!("the rule `{title}` can never match: {why}"));
    }
    fitting.all(|loaded| loaded.is_idle(feeds)).then(|| {
        format!(
            "the rule `{title}` looks at {logsource}, which no collector here has, so that it can never match: name a log \
             with it under `files` in foil.yaml"
        )
    })
}

/// Why no rule has a tag that fits.
fn unmatched_tag(wanted: &str, set: &RuleSet) -> Option<String> {
    if set.tagged(wanted).next().is_some() {
        return None;
    }
    let tags = || set.rules().iter().flat_map(|loaded| &loaded.rule.head.tags);
    let (count, hint) = (set.rules().len(), hint(wanted, tags().map(String::as_str)));
    Some(format!("none of the {count} Sigma rule(s) that were read has the tag `{wanted}`{hint}"))
}
