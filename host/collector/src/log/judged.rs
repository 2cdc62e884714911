//! Events with what is known of whose they are, for readers that decide for themselves what they take.

use super::{EventLog, Likeness, Recorded, Whose, lock};
use foil_record::{Attribution, NotCounted};
use std::sync::Arc;

/// Most events that one page looks at: a page may be empty and not drained.
const MOST: usize = 20_000;

/// An event, and whose it is as far as that is known by now.
#[derive(Debug, Clone)]
pub struct Judged {
    /// Its place in the log.
    pub sequence: u64,
    /// Whose it is.
    pub attribution: Attribution,
    /// What was recorded.
    pub event: Arc<Recorded>,
}

/// A part of a log.
#[derive(Debug)]
pub struct JudgedPage {
    /// Oldest first.
    pub events: Vec<Judged>,
    /// The cursor to read on from.
    pub next: u64,
    /// Nothing is left beyond `next` for now.
    pub drained: bool,
}

impl EventLog {
    /// At most `limit` events after `cursor` of those that `take` takes. What it leaves is read over at a bounded pace. `take` must not
    /// read the log.
    pub fn read_judged(&self, cursor: u64, limit: usize, take: impl Fn(&Judged) -> bool) -> JudgedPage {
        let end = self.newest();
        if let Some(tree) = &self.tree {
            // As `read` does: what comes meanwhile waits for the next look.
            tree.catch_up();
        }
        let inner = lock(&self.inner);
        let from = inner.entries.partition_point(|entry| entry.sequence <= cursor);
        let (mut events, mut looked) = (Vec::new(), 0_usize);
        let mut next = cursor;
        for entry in inner.entries.iter().skip(from).take(MOST) {
            if events.len() >= limit || entry.sequence > end {
                break;
            }
            looked = looked.saturating_add(1);
            next = entry.sequence;
            let attribution = self.attribute(entry);
            let judged = Judged { sequence: entry.sequence, attribution, event: Arc::clone(&entry.event) };
            if take(&judged) {
                events.push(judged);
            }
        }
        // Where nothing is left, what was thrown out of a full log is passed over too.
        let drained = from.saturating_add(looked) >= inner.entries.len();
        JudgedPage { events, next: if drained { inner.newest.max(cursor) } else { next }, drained }
    }

    /// Why an event that was judged a stranger's is one. `detonated`: the moment of detonation, nanoseconds since 1970.
    pub(crate) fn why_stranger(&self, event: &Recorded, detonated: u64) -> NotCounted {
        let tree = self.tree.as_ref();
        if tree.is_some_and(|tree| tree.says_foil(event)) {
            return NotCounted::Foil;
        }
        let by_time = |likeness: &Likeness| self.is_ours_at_some_time(event, likeness);
        match event.likeness.as_deref() {
            Some(likeness) if likeness.names_another(self.run.as_str()) => NotCounted::OtherRun,
            Some(likeness) if by_time(likeness) && event.at < detonated => {
                NotCounted::BeforeDetonation { by_ns: detonated.saturating_sub(event.at) }
            }
            Some(likeness) if by_time(likeness) => NotCounted::OutOfTime,
            // A process of the run that executed nothing yet.
            _ if tree.is_some_and(|tree| tree.whose(event) == Whose::Foil) => NotCounted::Foil,
            _ => NotCounted::OtherProcess,
        }
    }

    /// Whether an event would be this run's if its time were put aside: clocks differ.
    fn is_ours_at_some_time(&self, event: &Recorded, likeness: &Likeness) -> bool {
        if self.is_marked(event, likeness) {
            return true;
        }
        match (&self.tree, event.process) {
            (Some(tree), Some(process)) => tree.had(process),
            (Some(tree), None) if !likeness.is_silent() => tree.resembles_at_some_time(likeness),
            // It says nothing of any process: only its time spoke against it.
            _ => true,
        }
    }
}
