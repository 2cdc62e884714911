//! All rules of an environment, read once.

use super::events::{Programs, Stream, is_about, streams, views};
use super::files;
use super::sigma::{Logsource, Rule};
use crate::collector::Event;
use foil_manifest::Shown as _;
use foil_manifest::pattern::glob;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// A rule and where it stands.
#[derive(Debug)]
pub struct Loaded {
    /// The rule.
    pub rule: Rule,
    /// Its file.
    pub file: PathBuf,
}

/// Why a file gave no rule, or not the one that it seems to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it; begins with `line:column:` where there is a place.
    pub reason: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.file.shown(), self.reason)
    }
}

/// Rules that were read.
#[derive(Debug, Default)]
pub struct RuleSet {
    rules: Vec<Loaded>,
    problems: Vec<Problem>,
}

/// Which rules look at what: for each stream of a feed, the rules about it, by number.
#[derive(Debug)]
pub struct Plan(Vec<(Stream, Vec<usize>)>);

impl RuleSet {
    /// Reads files and folders (recursively, `*.yml` and `*.yaml`, symbolic links to folders are not followed). A file that
    /// gives no rule that can be evaluated is among the [`problems`](Self::problems).
    ///
    /// # Errors
    /// A path that is not there, or folders beyond 20,000 files or 16 levels.
    pub fn read(paths: &[PathBuf]) -> anyhow::Result<Self> {
        let files = files::list(paths)?;
        Ok(Self::of(files.into_iter().map(|file| {
            let text = files::read(&file);
            (file, text)
        })))
    }

    /// Of texts that were read.
    pub fn of(texts: impl IntoIterator<Item = (PathBuf, Result<String, String>)>) -> Self {
        let mut set = Self::default();
        let mut ids: HashMap<String, PathBuf> = HashMap::new();
        for (file, text) in texts {
            for rule in text.map_or_else(|reason| vec![Err(reason)], |text| Rule::parse_file(&text)) {
                match rule {
                    Ok(rule) => set.add(rule, &file, &mut ids),
                    Err(reason) => set.problems.push(Problem { file: file.clone(), reason }),
                }
            }
        }
        set
    }

    fn add(&mut self, rule: Rule, file: &Path, ids: &mut HashMap<String, PathBuf>) {
        let file = file.to_owned();
        if let Some(id) = &rule.id {
            if let Some(first) = ids.get(&id.to_lowercase()) {
                let reason = format!("its id {id} is that of {} too; both are evaluated", first.shown());
                self.problems.push(Problem { file: file.clone(), reason });
            } else {
                ids.insert(id.to_lowercase(), file.clone());
            }
        }
        self.rules.push(Loaded { rule, file });
    }

    /// What was read.
    pub fn rules(&self) -> &[Loaded] {
        &self.rules
    }

    /// What could not be read, or is there twice: for whoever names these rules to see.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The log sources that none of these feeds (collectors by full name) has, with how many rules look at each: those rules can
    /// never match.
    pub fn idle(&self, feeds: &[String]) -> BTreeMap<Logsource, usize> {
        let mut idle = BTreeMap::new();
        for loaded in self.rules.iter().filter(|loaded| loaded.is_idle(feeds)) {
            *idle.entry(loaded.rule.logsource.clone()).or_insert(0) += 1;
        }
        idle
    }

    /// How many rules look at this feed.
    pub fn about(&self, feed: &str) -> usize {
        self.rules.iter().filter(|loaded| loaded.looks_at(feed)).count()
    }

    /// The rules that a link names by id or by a pattern of their titles.
    pub fn named(&self, wanted: &str) -> impl Iterator<Item = &Loaded> {
        let fits = move |rule: &Rule| {
            rule.id.as_ref().is_some_and(|id| id.eq_ignore_ascii_case(wanted)) || glob(wanted, &rule.title)
        };
        self.rules.iter().filter(move |loaded| fits(&loaded.rule))
    }

    /// The rules with a tag that fits, or one of the same ATT&CK technique: how near it must be is the check's to judge.
    pub fn tagged(&self, wanted: &str) -> impl Iterator<Item = &Loaded> {
        let main = |tag: &str| tag.trim_start_matches("attack.").split('.').next().unwrap_or_default().to_owned();
        let wanted = wanted.to_ascii_lowercase();
        let fits = move |tag: &String| {
            let tag = tag.to_ascii_lowercase();
            glob(&wanted, &tag) || main(&tag) == main(&wanted)
        };
        self.rules.iter().filter(move |loaded| loaded.rule.tags.iter().any(&fits))
    }

    /// Which rules look at this feed. Made once a feed, so that an event is tried with these only.
    pub fn plan(&self, feed: &str) -> Plan {
        let about = |stream: Stream| {
            let rules = self.rules.iter().enumerate();
            rules
                .filter(|(_, l)| is_about(&l.rule.logsource, stream, feed))
                .map(|(number, _)| number)
                .collect::<Vec<_>>()
        };
        Plan(
            streams(feed)
                .iter()
                .map(|stream| (*stream, about(*stream)))
                .filter(|(_, rules)| !rules.is_empty())
                .collect(),
        )
    }

    /// The rules that an event of the plan's feed matches, each once.
    pub fn matching(&self, event: &Event, plan: &Plan, programs: &Programs) -> Vec<&Loaded> {
        let mut found = Vec::new();
        for (stream, rules) in &plan.0 {
            let views = views(event, *stream, programs);
            if !views.is_empty() {
                let matched = |loaded: &&Loaded| views.iter().any(|view| loaded.rule.matches(view));
                found.extend(rules.iter().filter_map(|number| self.rules.get(*number)).filter(matched));
            }
        }
        found
    }
}

impl Loaded {
    /// None of these feeds (collectors by full name) has what the rule looks at: it can never match.
    pub fn is_idle(&self, feeds: &[String]) -> bool {
        !feeds.iter().any(|feed| self.looks_at(feed))
    }

    /// This feed (a collector by full name) may have what the rule looks at.
    pub fn looks_at(&self, feed: &str) -> bool {
        streams(feed).iter().any(|stream| is_about(&self.rule.logsource, *stream, feed))
    }

    /// The file's name, without folders.
    pub fn file_name(&self) -> String {
        Path::file_name(&self.file).map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }
}
