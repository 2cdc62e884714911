//! Correlations over the matches of one run, and of the earlier steps of its campaign: which matches lie in one window, and which events
//! they are of.

use super::history::{Entry, History};
use super::set::RuleSet;
use super::sigma::{Correlation, Counted, MAX_WINDOW, SigmaEvent};
use crate::Process;
use crate::foreign::Likeness;
use foil_record::Attribution;
use rsigma_eval::GroupKey;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Most matches that are kept for all correlations of a run together.
const MAX_HELD: usize = 16_384;

/// Most sources of a match of a correlation that others count; the newest.
const MAX_SOURCES: usize = 64;

/// An event that a correlation counted.
#[derive(Debug)]
pub struct Source {
    /// The collector that recorded it.
    pub feed: String,
    /// Its place in that collector's log.
    pub sequence: u64,
    /// How it is tied to its run.
    pub attribution: Attribution,
    /// The process that it names.
    pub process: Option<Process>,
    /// What else it says of who did it.
    pub likeness: Option<Box<Likeness>>,
    /// It was recorded by audit rules of Foil's own.
    pub own_rules: bool,
    /// The earlier step of the campaign that it is of.
    pub step: Option<Arc<str>>,
}

/// A match that a correlation counts.
#[derive(Debug, Clone)]
pub struct Hit {
    /// Nanoseconds since 1970.
    pub at: u64,
    /// Which of the correlation's references.
    pub reference: usize,
    /// What is counted of it.
    pub value: String,
    /// The weakest tie of its events.
    pub attribution: Attribution,
    /// The events that it rests on.
    pub sources: Vec<Arc<Source>>,
}

impl Counted for Hit {
    /// Events of one log and one moment are in the log's order; of two logs, nobody knows.
    fn may_follow(&self, other: &Self) -> bool {
        match self.sources.last().zip(other.sources.last()) {
            Some((own, before)) if self.at == other.at && own.feed == before.feed && own.step == before.step => {
                own.sequence >= before.sequence
            }
            _ => self.at >= other.at,
        }
    }

    fn reference(&self) -> usize {
        self.reference
    }

    fn value(&self) -> &str {
        &self.value
    }
}

/// A match of a correlation.
#[derive(Debug)]
pub struct Correlated {
    /// The number of the correlation in its set.
    pub rule: usize,
    /// The time of the newest event, nanoseconds since 1970.
    pub at: u64,
    /// The weakest tie of its events.
    pub attribution: Attribution,
    /// What the condition compared: a count, or what was made of values.
    pub value: f64,
    /// The group in words.
    pub group: String,
    /// The events that it rests on, oldest first.
    pub sources: Vec<Arc<Source>>,
}

#[derive(Debug, Default)]
struct Group {
    /// By time.
    hits: VecDeque<Hit>,
    /// When it was told, by the tie of what was told.
    told: Vec<(Attribution, u64)>,
}

/// The state of a run's correlations.
#[derive(Debug, Default)]
pub struct Correlator {
    groups: HashMap<(usize, GroupKey), Group>,
    held: usize,
    /// Matches that were dropped and that an answer may hang on.
    dropped: u64,
    /// By correlation, matches without a field that it groups by or counts.
    incomplete: HashMap<usize, u64>,
}

impl Correlator {
    /// With what the earlier steps of a campaign left.
    pub fn new(rules: &RuleSet, history: Option<&History>) -> Self {
        let mut correlator = Self::default();
        for entry in history.map(History::accepted).unwrap_or_default() {
            let of_file = |(_, loaded): &(usize, &super::set::Loaded)| {
                loaded.file == entry.file && loaded.rule.head.title == entry.title
            };
            let found = rules.rules().iter().enumerate().find(of_file);
            if let Some((rule, correlation)) = found.and_then(|(n, loaded)| Some((n, loaded.rule.correlation()?))) {
                correlator.keep(rule, correlation, &entry.group, entry.hit);
            }
        }
        correlator
    }

    /// Returns whether a match of one of a correlation's references was counted and is still kept.
    pub fn has(&self, correlation: usize, reference: usize) -> bool {
        let of = self.groups.iter().filter(|((number, _), _)| *number == correlation);
        of.flat_map(|(_, group)| &group.hits).any(|hit| hit.reference == reference)
    }

    /// Returns the most that a group has of what a correlation asks for, within its span, and the group in words. `None`: nothing was
    /// counted.
    pub fn fullest(&self, number: usize, correlation: &Correlation) -> Option<(usize, String)> {
        let of = self.groups.iter().filter(|((of, _), _)| *of == number);
        let counted = of.map(|((_, key), group)| (group.progress(correlation), key));
        let (most, key) = counted.max_by_key(|(progress, _)| *progress)?;
        (most > 0).then(|| (most, correlation.group_text(key)))
    }

    /// Returns how many matches a correlation could not count, since they lack a field that it groups by or counts.
    pub fn incomplete(&self, correlation: usize) -> u64 {
        self.incomplete.get(&correlation).copied().unwrap_or_default()
    }

    /// Returns how many matches were dropped since the last call, of which an answer may hang on one.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// Counts an event that a rule matches, and returns the correlations that match now. `view`: the event as the rule saw it.
    pub fn count(
        &mut self,
        rules: &RuleSet,
        (rule, view): (usize, &SigmaEvent<'_>),
        (at, source): (u64, &Arc<Source>),
        history: Option<(&History, &str)>,
    ) -> Vec<Correlated> {
        let Some(head) = rules.rules().get(rule).map(|loaded| &loaded.rule.head) else { return Vec::new() };
        let mut matched = Vec::new();
        for (number, reference) in rules.graph().counted_by(rule) {
            let Some(correlation) = rules.rules().get(*number).and_then(|loaded| loaded.rule.correlation()) else {
                continue;
            };
            let written = correlation.references().get(*reference).map(String::as_str);
            let names: Vec<&str> = [written, head.id.as_deref(), head.name.as_deref()].into_iter().flatten().collect();
            let (Some(group), Some(value)) = (correlation.group(view, &names), correlation.value(view)) else {
                *self.incomplete.entry(*number).or_default() += 1;
                continue;
            };
            let attribution = source.attribution;
            let hit = Hit { at, reference: *reference, value, attribution, sources: vec![Arc::clone(source)] };
            self.add(rules, (*number, &group), hit, history, &mut matched);
        }
        matched
    }

    /// Adds a match to a group, and to the correlations above what it makes match. Ends, since correlations have no cycles.
    fn add(
        &mut self,
        rules: &RuleSet,
        (number, group): (usize, &GroupKey),
        hit: Hit,
        history: Option<(&History, &str)>,
        matched: &mut Vec<Correlated>,
    ) {
        let Some(loaded) = rules.rules().get(number) else { return };
        let Some(correlation) = loaded.rule.correlation() else { return };
        if let Some((history, run)) = history {
            let (file, title) = (loaded.file.clone(), loaded.rule.head.title.clone());
            history.note(run, Entry { file, title, group: group.clone(), hit: hit.clone() });
        }
        let at = hit.at;
        self.keep(number, correlation, group, hit);
        let Some(state) = self.groups.get_mut(&(number, group.clone())) else { return };
        for found in state.matches(correlation, at) {
            for (above, reference) in rules.graph().counted_by(number) {
                let upper = rules.rules().get(*above).and_then(|loaded| loaded.rule.correlation());
                let Some(key) = upper.and_then(|upper| upper.group_of(correlation, group)) else { continue };
                let newest = found.sources.iter().rev().take(MAX_SOURCES).rev().cloned().collect();
                let (at, attribution) = (found.at, found.attribution);
                let hit = Hit { at, reference: *reference, value: String::new(), attribution, sources: newest };
                self.add(rules, (*above, &key), hit, history, matched);
            }
            let group = correlation.group_text(group);
            matched.push(Correlated { rule: number, group, ..found });
        }
    }

    fn keep(&mut self, number: usize, correlation: &Correlation, group: &GroupKey, hit: Hit) {
        let span = nanos(correlation);
        let state = self.groups.entry((number, group.clone())).or_default();
        let before = state.hits.len();
        let from = state.hits.partition_point(|other| other.at <= hit.at);
        state.hits.insert(from, hit);
        // Feeds are read one after the other: what is older than the newest by more than the span may still meet a late one. Twice the
        // span is kept.
        let newest = state.hits.back().map_or(0, |hit| hit.at);
        let oldest = newest.saturating_sub(span.saturating_mul(2));
        while state.hits.front().is_some_and(|hit| hit.at < oldest) {
            state.hits.pop_front();
        }
        if state.hits.len() > MAX_WINDOW {
            let dropped = state.hits.pop_front();
            let needed = dropped.is_some_and(|hit| hit.at >= newest.saturating_sub(span));
            self.dropped = self.dropped.saturating_add(u64::from(needed && !correlation.is_exact_when_full()));
        }
        self.held = self.held.saturating_add(state.hits.len()).saturating_sub(before);
        if self.held > MAX_HELD {
            self.forget_oldest();
        }
    }

    /// Makes room: the group whose newest match is the oldest goes.
    fn forget_oldest(&mut self) {
        let newest = |group: &Group| group.hits.back().map_or(0, |hit| hit.at);
        let oldest = self.groups.iter().min_by_key(|(_, group)| newest(group)).map(|(key, _)| key.clone());
        if let Some(group) = oldest.and_then(|key| self.groups.remove(&key)) {
            self.held = self.held.saturating_sub(group.hits.len());
            self.dropped = self.dropped.saturating_add(1);
        }
    }
}

impl Group {
    /// The most that a window has of what a correlation asks for.
    fn progress(&self, correlation: &Correlation) -> usize {
        let span = nanos(correlation);
        let window = |end: u64| self.hits.iter().filter(move |hit| (end.saturating_sub(span)..=end).contains(&hit.at));
        self.hits.iter().map(|hit| correlation.progress(window(hit.at))).max().unwrap_or(0)
    }

    /// The matches that a new hit at this time makes: of the window that ends with it, and of those that end with later ones, where
    /// it came late.
    fn matches(&mut self, correlation: &Correlation, at: u64) -> Vec<Correlated> {
        let span = nanos(correlation);
        let mut ends: Vec<u64> = self.hits.iter().map(|hit| hit.at).collect();
        ends.retain(|end| (at..=at.saturating_add(span)).contains(end));
        ends.dedup();
        ends.into_iter().filter_map(|end| self.match_at(correlation, end, span)).collect()
    }

    /// The match of the window that ends at this time, by the best ties that are enough: a check that asks for these must see it, although
    /// events with weaker ties are there too.
    fn match_at(&mut self, correlation: &Correlation, end: u64, span: u64) -> Option<Correlated> {
        let window = || self.hits.iter().filter(|hit| (end.saturating_sub(span)..=end).contains(&hit.at));
        let mut ties: Vec<Attribution> = window().map(|hit| hit.attribution).collect();
        ties.sort_unstable();
        ties.dedup();
        let holds = |tie: Attribution| {
            let counted = || window().filter(move |hit| hit.attribution <= tie);
            // Of earlier steps alone it was theirs to tell.
            let own = counted().any(|hit| hit.sources.iter().any(|source| source.step.is_none()));
            let value = correlation.holds(counted()).filter(|_| own)?;
            Some((tie, value))
        };
        let (attribution, value) = ties.into_iter().find_map(holds)?;
        // Told once a window: further matches of the same group say nothing new.
        let same = |(tie, at): &(Attribution, u64)| *tie <= attribution && end.abs_diff(*at) <= span;
        if self.told.iter().any(same) {
            return None;
        }
        let counted = window().filter(|hit| hit.attribution <= attribution);
        let sources = counted.flat_map(|hit| hit.sources.iter().cloned()).collect();
        let found = Correlated { rule: 0, at: end, attribution, value, group: String::new(), sources };
        self.told.retain(|(_, at)| end.abs_diff(*at) <= span);
        self.told.push((attribution, end));
        Some(found)
    }
}

fn nanos(correlation: &Correlation) -> u64 {
    u64::try_from(correlation.timespan().as_nanos()).unwrap_or(u64::MAX)
}
