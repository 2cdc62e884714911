//! All rules of an environment, read once.

use super::events::{Programs, Stream, is_about, may_match, never, records, streams, views};
use super::files;
use super::graph::Graph;
use super::sigma::{Document, Filter, Logsource, Rule, SigmaEvent};
use crate::{Event, lock};
use foil_manifest::pattern::glob;
use foil_text::Shown as _;
use rsigma_eval::Engine;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// A rule and where it stands.
#[derive(Debug)]
pub struct Loaded {
    /// The rule.
    pub rule: Rule,
    /// Its file.
    pub file: PathBuf,
    /// The log sources that it looks at; of a correlation those of each rule that it refers to.
    sources: Vec<Vec<Logsource>>,
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
    graph: Graph,
    /// By feed. Runs share them: an index over thousands of rules takes megabytes.
    plans: Mutex<BTreeMap<String, Arc<Plan>>>,
}

/// Which rules look at what: for each stream of a feed, indices of the rules about it.
#[derive(Debug)]
pub struct Plan(Vec<(Stream, Vec<Index>)>);

/// The rules that may match a record of this type; `None`: of any other.
struct Index {
    record: Option<&'static str>,
    engine: Engine,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Index").field(&self.record).field(&self.engine.rule_count()).finish()
    }
}

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

    /// Returns the rules of texts that were read.
    pub fn of(texts: impl IntoIterator<Item = (PathBuf, Result<String, String>)>) -> Self {
        let mut set = Self::default();
        let (mut drafts, mut correlations, mut filters) = (Vec::new(), Vec::new(), Vec::new());
        for (file, text) in texts {
            for document in text.map_or_else(|reason| vec![Err(reason)], |text| Document::parse_file(&text)) {
                match document {
                    Ok(Document::Rule(draft)) => drafts.push((*draft, file.clone())),
                    Ok(Document::Correlation(rule)) => correlations.push((*rule, file.clone())),
                    Ok(Document::Filter(filter)) => filters.push((*filter, file.clone())),
                    Err(reason) => set.problems.push(Problem { file: file.clone(), reason }),
                }
            }
        }
        let names = |name: &String| drafts.iter().any(|(draft, _)| draft.head.is_called(name));
        set.problems.extend(filters.iter().filter_map(|(filter, file)| unnamed(filter, file, &names)));
        let mut ids = HashMap::new();
        for (mut draft, file) in drafts {
            filters.iter().enumerate().for_each(|(number, (filter, _))| draft.exclude(filter, number));
            match draft.compile() {
                Ok(rule) => set.add(rule, file, &mut ids),
                Err(reason) => set.problems.push(Problem { file, reason }),
            }
        }
        set.correlate(correlations, &mut ids);
        set.problems.sort_by(|one, other| one.file.cmp(&other.file));
        set
    }

    /// Adds the correlations whose references are known, those that others refer to first.
    fn correlate(&mut self, mut waiting: Vec<(Rule, PathBuf)>, ids: &mut HashMap<String, PathBuf>) {
        loop {
            let before = waiting.len();
            for (rule, file) in std::mem::take(&mut waiting) {
                match self.references(&rule) {
                    Ok(references) => {
                        self.graph.add(self.rules.len(), references);
                        self.add(rule, file, ids);
                    }
                    Err(_) => waiting.push((rule, file)),
                }
            }
            if waiting.is_empty() || waiting.len() == before {
                break;
            }
        }
        for (rule, file) in &waiting {
            let Err(unknown) = self.references(rule) else { continue };
            let waits = waiting.iter().any(|(other, _)| other.head.is_called(&unknown));
            let why = if waits {
                "which refers back to it, or cannot be evaluated"
            } else {
                "which no rule that was read has as its id or name"
            };
            let (title, unknown) = (foil_text::cut(&rule.head.title, 80), foil_text::cut(&unknown, 80));
            let reason = format!("the correlation `{title}` refers to `{unknown}`, {why}");
            self.problems.push(Problem { file: file.clone(), reason });
        }
    }

    /// The rules that each reference of a correlation stands for; an error is a reference that is not known.
    fn references(&self, rule: &Rule) -> Result<Vec<Vec<usize>>, String> {
        let called = |reference: &String| {
            let fits = self.rules.iter().enumerate().filter(|(_, loaded)| loaded.rule.head.is_called(reference));
            let fits: Vec<usize> = fits.map(|(number, _)| number).collect();
            if fits.is_empty() { Err(reference.clone()) } else { Ok(fits) }
        };
        rule.correlation().into_iter().flat_map(|correlation| correlation.references()).map(called).collect()
    }

    fn add(&mut self, rule: Rule, file: PathBuf, ids: &mut HashMap<String, PathBuf>) {
        if let Some(id) = &rule.head.id {
            if let Some(first) = ids.get(&id.to_lowercase()) {
                let reason = format!("its id {id} is that of {} too; both are evaluated", first.shown());
                self.problems.push(Problem { file: file.clone(), reason });
            } else {
                ids.insert(id.to_lowercase(), file.clone());
            }
        }
        let of = |numbers: &Vec<usize>| {
            let loaded = numbers.iter().filter_map(|number| self.rules.get(*number));
            loaded.flat_map(|loaded| loaded.sources.iter().flatten().cloned()).collect()
        };
        let sources = match rule.detection() {
            Some(detection) => vec![vec![detection.logsource.clone()]],
            None => self.graph.references(self.rules.len()).iter().map(of).collect(),
        };
        self.rules.push(Loaded { rule, file, sources });
    }

    /// Returns what was read: rules over single events, then correlations.
    pub fn rules(&self) -> &[Loaded] {
        &self.rules
    }

    /// Returns what could not be read, or is there twice: for whoever names these rules to see.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Returns which correlations count the matches of which rules.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The log sources that none of these feeds (collectors by full name) has, with how many rules look at each: those rules can
    /// never match.
    pub fn idle(&self, feeds: &[String]) -> BTreeMap<Logsource, usize> {
        let mut idle = BTreeMap::new();
        for loaded in self.rules.iter().filter(|loaded| loaded.is_idle(feeds)) {
            if let Some(detection) = loaded.rule.detection() {
                *idle.entry(detection.logsource.clone()).or_insert(0) += 1;
            }
        }
        idle
    }

    /// Returns why a rule can never match what these feeds (collectors by full name) record; `None` where it may.
    pub fn never(&self, loaded: &Loaded, feeds: &[String]) -> Option<String> {
        if let Some(detection) = loaded.rule.detection() {
            return never(detection, feeds);
        }
        let number = self.rules.iter().position(|other| std::ptr::eq(other, loaded))?;
        let correlation = loaded.rule.correlation()?;
        let of = |numbers: &Vec<usize>| {
            let all = numbers.iter().filter_map(|number| self.rules.get(*number));
            let whys: Option<Vec<String>> = all.map(|lower| self.never(lower, feeds)).collect();
            whys?.into_iter().next()
        };
        let named = self.graph.references(number).iter().zip(correlation.references());
        let whys: Vec<_> = named.map(|(numbers, reference)| Some((reference, of(numbers)?))).collect();
        let (reference, why) = match correlation.needs_all() {
            true => whys.into_iter().flatten().next()?,
            false => whys.into_iter().collect::<Option<Vec<_>>>()?.into_iter().next()?,
        };
        Some(format!("it counts matches of `{}`, which can never match: {why}", foil_text::cut(reference, 80)))
    }

    /// How many rules look at this feed.
    pub fn about(&self, feed: &str) -> usize {
        self.rules.iter().filter(|loaded| loaded.looks_at(feed)).count()
    }

    /// The rules that a link names by id or by a pattern of their titles.
    pub fn named(&self, wanted: &str) -> impl Iterator<Item = &Loaded> {
        let fits = move |rule: &Rule| {
            let head = &rule.head;
            head.id.as_ref().is_some_and(|id| id.eq_ignore_ascii_case(wanted)) || glob(wanted, &head.title)
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
        self.rules.iter().filter(move |loaded| loaded.rule.head.tags.iter().any(&fits))
    }

    /// Returns an index of the rules that look at this feed. Made once a feed.
    pub fn plan(&self, feed: &str) -> Arc<Plan> {
        let of = |stream: &Stream| {
            let indices: Vec<Index> = records(*stream).map(|record| self.index(*stream, record, feed)).collect();
            indices.iter().any(|index| index.engine.rule_count() > 0).then_some((*stream, indices))
        };
        let plan = || Arc::new(Plan(streams(feed).iter().filter_map(of).collect()));
        Arc::clone(lock(&self.plans).entry(feed.to_owned()).or_insert_with(plan))
    }

    fn index(&self, stream: Stream, record: Option<&'static str>, feed: &str) -> Index {
        let about = self.rules.iter().enumerate().filter_map(|(number, loaded)| {
            let detection = loaded.rule.detection().filter(|detection| {
                is_about(&detection.logsource, stream, feed) && may_match(detection, stream, record)
            })?;
            let mut compiled = detection.compiled.clone();
            // What a match says of its rule: a number, since ids and titles need not be the rule's own.
            compiled.id = Some(number.to_string());
            compiled.title = String::new();
            (compiled.tags, compiled.custom_attributes) = (Vec::new(), Arc::default());
            compiled.include_event = false;
            Some(compiled)
        });
        let mut engine = Engine::new();
        engine.extend_compiled_rules(about);
        Index { record, engine }
    }

    /// Tells `found` of each rule that an event of the plan's feed matches, once: its number, and the view of the event that it matched.
    pub fn each_match(
        &self,
        event: &Event,
        plan: &Plan,
        programs: &Programs,
        mut found: impl FnMut(usize, &SigmaEvent<'_>),
    ) {
        for (stream, indices) in &plan.0 {
            let mut told: Vec<usize> = Vec::new();
            for view in views(event, *stream, programs) {
                let Some(engine) = index(indices, &view) else { continue };
                let matched = engine.evaluate(&view).into_iter().filter_map(|found| found.header.rule_id?.parse().ok());
                for number in matched {
                    if !told.contains(&number) {
                        told.push(number);
                        found(number, &view);
                    }
                }
            }
        }
    }

    /// Returns the rules over single events that an event of the plan's feed matches, each once.
    pub fn matching(&self, event: &Event, plan: &Plan, programs: &Programs) -> Vec<&Loaded> {
        let mut found = Vec::new();
        self.each_match(event, plan, programs, |number, _| found.extend(self.rules.get(number)));
        found
    }
}

/// The index of the rules that may match this view of an event.
fn index<'a>(indices: &'a [Index], view: &SigmaEvent<'_>) -> Option<&'a Engine> {
    let kind = view.first("type");
    let of_kind = indices.iter().find(|index| index.record.is_some() && index.record == kind);
    let index = of_kind.or_else(|| indices.iter().find(|index| index.record.is_none()))?;
    (index.engine.rule_count() > 0).then_some(&index.engine)
}

/// That a filter names a rule that is not there: what it is to exclude may stand in the rule's place.
fn unnamed(filter: &Filter, file: &Path, known: &dyn Fn(&String) -> bool) -> Option<Problem> {
    let unknown = filter.names()?.iter().find(|name| !known(name))?;
    let (title, unknown) = (foil_text::cut(&filter.title, 80), foil_text::cut(unknown, 80));
    let reason = format!("the filter `{title}` names `{unknown}`, which no rule that was read has as its id or name");
    Some(Problem { file: file.to_owned(), reason })
}

impl Loaded {
    /// None of these feeds (collectors by full name) has what the rule looks at: it can never match.
    pub fn is_idle(&self, feeds: &[String]) -> bool {
        let has =
            |sources: &Vec<Logsource>| sources.iter().any(|source| feeds.iter().any(|feed| has_source(feed, source)));
        match self.rule.correlation().is_some_and(super::sigma::Correlation::needs_all) {
            true => !self.sources.iter().all(has),
            false => !self.sources.iter().any(has),
        }
    }

    /// This feed (a collector by full name) may have what the rule looks at.
    pub fn looks_at(&self, feed: &str) -> bool {
        self.sources.iter().flatten().any(|source| has_source(feed, source))
    }

    /// Returns the log sources that it looks at, in words.
    pub fn looks_at_sources(&self) -> String {
        let mut all: Vec<String> = self.sources.iter().flatten().map(ToString::to_string).collect();
        all.sort();
        all.dedup();
        all.join(" and ")
    }

    /// The file's name, without folders.
    pub fn file_name(&self) -> String {
        Path::file_name(&self.file).map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

fn has_source(feed: &str, source: &Logsource) -> bool {
    streams(feed).iter().any(|stream| is_about(source, *stream, feed))
}
