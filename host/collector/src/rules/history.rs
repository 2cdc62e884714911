//! What a campaign's earlier steps left for correlations.

use super::correlator::{Hit, Source};
use crate::lock;
use rsigma_eval::GroupKey;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// Most matches of a campaign that are kept.
const MOST: usize = 16_384;

/// The matches that correlations counted in the runs of a campaign. A run's own are noted as they come, and are the next steps' once
/// the step is over: of several attempts only those of the last.
#[derive(Debug, Clone, Default)]
pub struct History(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    accepted: Vec<Entry>,
    /// By run.
    noted: Vec<(String, Entry)>,
}

/// A match that a correlation counted. The correlation is named by its file and title: a later step may read other rules besides.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The correlation's file.
    pub file: PathBuf,
    /// The correlation's title.
    pub title: String,
    /// The group that it belongs to.
    pub group: GroupKey,
    /// The match.
    pub hit: Hit,
}

impl History {
    /// Notes a match of a run.
    pub fn note(&self, run: &str, entry: Entry) {
        let mut inner = lock(&self.0);
        if inner.noted.len() < MOST {
            inner.noted.push((run.to_owned(), entry));
        }
    }

    /// Makes what a step's run left the next steps'. What other runs noted, such as earlier attempts, is forgotten.
    pub fn accept(&self, run: &str, step: &str) {
        let mut inner = lock(&self.0);
        let noted = std::mem::take(&mut inner.noted);
        let room = MOST.saturating_sub(inner.accepted.len());
        let own = noted.into_iter().filter(|(of, _)| of == run).map(|(_, entry)| entry.of_step(step));
        inner.accepted.extend(own.take(room));
    }

    /// Returns what earlier steps left.
    pub fn accepted(&self) -> Vec<Entry> {
        lock(&self.0).accepted.clone()
    }
}

impl Entry {
    fn of_step(mut self, step: &str) -> Self {
        let step: Arc<str> = step.into();
        for source in &mut self.hit.sources {
            // One that an earlier step left keeps its name.
            if source.step.is_none() {
                let Source { feed, sequence, attribution, process, likeness, own_rules, .. } = &**source;
                *source = Arc::new(Source {
                    feed: feed.clone(),
                    sequence: *sequence,
                    attribution: *attribution,
                    process: *process,
                    likeness: likeness.clone(),
                    own_rules: *own_rules,
                    step: Some(Arc::clone(&step)),
                });
            }
        }
        self
    }
}
