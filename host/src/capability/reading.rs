//! What a check reads in one look: which events it is shown, and which it was shown. What a sighting rests on is looked up here, so
//! that a check cannot say of an event what is not so.

use super::unix_nanos;
use foil_collector::{Counting, EventLog, Judged};
use foil_record::Attribution;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// Which events of the run's collectors a guest is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum View {
    /// None: it is no check.
    #[default]
    Nothing,
    /// Those that count.
    Counting(Counting),
    /// All that happened since this moment, nanoseconds since 1970, whoever did it: nothing is fired to which it could be tied.
    Since(u64),
    /// Those that do not, to tell how many of them the check would have taken.
    Rest(Counting),
}

/// What one look reads.
#[derive(Debug, Default)]
pub struct Reading {
    view: View,
    asked: Mutex<BTreeSet<String>>,
    handed: Mutex<BTreeMap<String, BTreeMap<u64, Judged>>>,
}

impl Reading {
    /// A look that has read nothing yet.
    pub fn new(view: View) -> Self {
        Self { view, ..Self::default() }
    }

    /// At most `limit` events of a log after `cursor`, of those that the view shows: events, where to read on, whether that is all.
    pub fn read(&self, collector: &str, log: &EventLog, cursor: u64, limit: usize) -> (Vec<Judged>, u64, bool) {
        let now = unix_nanos();
        let mut page = log.read_judged(cursor, limit, |judged| match &self.view {
            View::Nothing => false,
            View::Counting(counting) => counting.counts(judged, now),
            View::Since(moment) => (*moment..=now).contains(&judged.event.at),
            View::Rest(counting) => !counting.counts(judged, now),
        });
        if let View::Since(_) = self.view {
            page.events.iter_mut().for_each(|judged| judged.attribution = Attribution::Window);
        }
        let mut handed = self.handed.lock().unwrap_or_else(PoisonError::into_inner);
        let of_collector = handed.entry(collector.to_owned()).or_default();
        of_collector.extend(page.events.iter().map(|judged| (judged.sequence, judged.clone())));
        (page.events, page.next, page.drained)
    }

    pub(super) fn note(&self, collector: &str) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(collector.to_owned());
    }

    /// The collectors that the guest asked for events: only their blindness is its own.
    pub fn asked(&self) -> BTreeSet<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many events the guest was handed.
    pub fn count(&self) -> usize {
        let handed = self.handed.lock().unwrap_or_else(PoisonError::into_inner);
        handed.values().map(BTreeMap::len).sum()
    }

    /// An event that the guest was handed, as it was judged then.
    pub fn handed(&self, collector: &str, sequence: u64) -> Option<Judged> {
        let handed = self.handed.lock().unwrap_or_else(PoisonError::into_inner);
        handed.get(collector)?.get(&sequence).cloned()
    }
}
