//! A collector's log: written by one thread, read by cursor by anybody.

mod judged;

pub use judged::{Judged, JudgedPage};

use super::foreign::Likeness;
use super::loss::{Interest, Loss, Losses};
use super::tree::{ProcessTree, Whose};
use super::{Blindness, ClockGrain, Event, clock, lock};
use foil_record::Attribution;
use foil_text::RunId;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

/// How much a log holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLimits {
    /// Events. Each costs some 3 KiB.
    pub events: usize,
    /// Bytes of field names and values, together.
    pub bytes: usize,
}

impl Default for LogLimits {
    /// 50,000 events, 64 MiB: some minutes of a busy machine whose rules record every `execve`.
    fn default() -> Self {
        Self { events: 50_000, bytes: 64 << 20 }
    }
}

/// The process that an event is about, as the kernel's first pid namespace numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// It.
    pub pid: u32,
    /// Its parent at the time, where the event says.
    pub ppid: Option<u32>,
    /// When it began, nanoseconds since 1970, where the event says: a process id alone is used again.
    pub start: Option<u64>,
}

/// An event as a collector hands it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Nanoseconds since 1970.
    pub at: u64,
    /// The collector's word for it.
    pub kind: String,
    /// Seen only by Foil itself.
    pub own_observation: bool,
    /// Who did it.
    pub process: Option<Process>,
    /// What else a foreign sensor says of who did it. `None`: of the kernel or of Foil, which always know the process.
    pub likeness: Option<Box<Likeness>>,
    /// The sensor's fields.
    pub fields: BTreeMap<String, String>,
}

impl Recorded {
    /// How exact its time is.
    pub fn grain(&self) -> ClockGrain {
        match &self.likeness {
            Some(likeness) => likeness.grain,
            // Of the process connector and the launcher.
            None if self.own_observation => ClockGrain::EXACT,
            None => ClockGrain::COARSE,
        }
    }

    /// It says which process it is about, or what that was like, so that whose it is can be told or should be.
    pub fn names_a_process(&self) -> bool {
        // The kernel and Foil always know the process.
        self.process.is_some() || self.likeness.as_ref().is_none_or(|likeness| !likeness.is_silent())
    }
}

/// A part of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Oldest first.
    pub events: Vec<Event>,
    /// The cursor to read on from.
    pub next: u64,
    /// Nothing is left beyond `next` for now.
    pub drained: bool,
}

#[derive(Debug)]
struct Entry {
    sequence: u64,
    size: usize,
    /// Shared by the logs of all runs that it came to.
    event: Arc<Recorded>,
    /// Whose it is, where whoever handed it in knows: of an event that rests on several others.
    judged: Option<Attribution>,
}

#[derive(Debug, Default)]
struct Inner {
    entries: VecDeque<Entry>,
    bytes: usize,
    newest: u64,
    dropped: u64,
    /// When strangers were last thrown out; not more than once a second.
    compacted: u64,
    blind: Option<Blindness>,
    losses: Losses,
}

/// Strangers are thrown out of a full log when they are this old (nanoseconds): by then nothing that is still on its way can
/// make them the run's.
const SETTLED: u64 = 5_000_000_000;

/// The same for a foreign sensor's event: it comes by a longer way than the kernel's word on who is whose child.
const SETTLED_FOREIGN: u64 = 1_000_000_000;

/// The log. Sequence numbers start at 1, so that cursor 0 is the moment it was made.
#[derive(Debug)]
pub struct EventLog {
    run: RunId,
    tree: Option<Arc<ProcessTree>>,
    limits: LogLimits,
    /// When it was made, nanoseconds since 1970.
    armed: u64,
    inner: Mutex<Inner>,
    changed: Notify,
}

impl EventLog {
    /// An empty log. With a `tree`, events are tied to the run by their process; without one, an event that carries no
    /// marker is the run's by its time only.
    pub fn new(run: RunId, tree: Option<Arc<ProcessTree>>, limits: LogLimits) -> Self {
        Self { run, tree, limits, armed: clock::realtime(), inner: Mutex::default(), changed: Notify::new() }
    }

    /// The run that it is for.
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// Adds an event. Where the log is full, old events of strangers make room; where that is not enough the oldest goes, and
    /// the log is blind from then on.
    pub fn push(&self, event: impl Into<Arc<Recorded>>) {
        self.add(event.into(), None);
    }

    /// Adds an event of which is known whose it is, since it rests on other events.
    pub fn push_judged(&self, event: impl Into<Arc<Recorded>>, attribution: Attribution) {
        self.add(event.into(), Some(attribution));
    }

    fn add(&self, event: Arc<Recorded>, judged: Option<Attribution>) {
        let size = size(&event);
        {
            let mut inner = lock(&self.inner);
            if let Some(host) = event.fields.get("hostname").filter(|_| event.likeness.is_some()) {
                inner.losses.saw(host);
            }
            if self.is_full(&inner, size) {
                self.compact(&mut inner);
            }
            while self.is_full(&inner, size) {
                let Some(oldest) = inner.entries.pop_front() else { break };
                inner.bytes = inner.bytes.saturating_sub(oldest.size);
                inner.dropped = inner.dropped.saturating_add(1);
            }
            inner.newest = inner.newest.saturating_add(1);
            inner.bytes = inner.bytes.saturating_add(size);
            let sequence = inner.newest;
            inner.entries.push_back(Entry { sequence, size, event, judged });
        }
        self.changed.notify_waiters();
    }

    /// Whether these events can be added without dropping any that is not a stranger's. Only a log with one writer can say.
    pub fn has_room_for(&self, events: &[Arc<Recorded>]) -> bool {
        let bytes = events.iter().fold(0_usize, |sum, event| sum.saturating_add(size(event)));
        let mut inner = lock(&self.inner);
        let fits = |inner: &Inner| {
            inner.entries.len().saturating_add(events.len()) <= self.limits.events
                && inner.bytes.saturating_add(bytes) <= self.limits.bytes
        };
        if !fits(&inner) {
            self.compact(&mut inner);
        }
        fits(&inner)
    }

    fn is_full(&self, inner: &Inner, size: usize) -> bool {
        inner.entries.len() >= self.limits.events || inner.bytes.saturating_add(size) > self.limits.bytes
    }

    fn compact(&self, inner: &mut Inner) {
        let now = clock::monotonic();
        if inner.compacted != 0 && now.saturating_sub(inner.compacted) < 1_000_000_000 {
            return;
        }
        inner.compacted = now;
        let now = clock::realtime();
        let settled = |event: &Recorded| if event.likeness.is_some() { SETTLED_FOREIGN } else { SETTLED };
        inner.entries.retain(|e| {
            e.event.at > now.saturating_sub(settled(&e.event)) || self.attribute(e) != Attribution::Stranger
        });
        inner.bytes = inner.entries.iter().fold(0, |sum, e| sum.saturating_add(e.size));
    }

    /// At most `limit` events after `cursor`, each with the attribution that is known by now.
    pub fn read(&self, cursor: u64, limit: usize) -> Page {
        let end = self.newest();
        if let Some(tree) = &self.tree {
            // What the kernel has already said of forks is taken in first, and what the run's processes said of themselves: both
            // came before the event did. Events that come meanwhile wait for the next look.
            tree.catch_up();
        }
        let inner = lock(&self.inner);
        let from = inner.entries.partition_point(|e| e.sequence <= cursor);
        let known = inner.entries.iter().skip(from).take(limit).take_while(|e| e.sequence <= end);
        let events: Vec<Event> = known.map(|e| self.event(e)).collect();
        let drained = from.saturating_add(events.len()) >= inner.entries.len();
        // Where nothing is left, what was thrown out of a full log is passed over too.
        let next = if drained { inner.newest.max(cursor) } else { events.last().map_or(cursor, |e| e.sequence) };
        Page { events, next, drained }
    }

    /// The same without strangers' events, which are read over at a bounded pace: a page may be empty and not drained.
    pub fn read_own(&self, cursor: u64, limit: usize) -> Page {
        const MOST: usize = 20_000;
        let mut page = self.read(cursor, limit.min(MOST));
        let mut looked = page.events.len();
        page.events.retain(|e| e.attribution != Attribution::Stranger);
        while !page.drained && page.events.len() < limit && looked < MOST {
            let more = self.read(page.next, limit.saturating_sub(page.events.len()));
            looked = looked.saturating_add(more.events.len());
            page.events.extend(more.events.into_iter().filter(|e| e.attribution != Attribution::Stranger));
            (page.next, page.drained) = (more.next, more.drained);
        }
        page
    }

    /// An event as it was handed in, as long as it is in the log.
    pub fn recorded(&self, sequence: u64) -> Option<Arc<Recorded>> {
        let inner = lock(&self.inner);
        let at = inner.entries.binary_search_by_key(&sequence, |entry| entry.sequence).ok()?;
        inner.entries.get(at).map(|entry| Arc::clone(&entry.event))
    }

    /// The number of the newest event; 0 where there is none yet.
    pub fn newest(&self) -> u64 {
        lock(&self.inner).newest
    }

    /// Waits until there may be something after `cursor`: an event, or the end of the collector. May return early; never
    /// returns where nothing happens, so give it a deadline.
    pub async fn wait_beyond(&self, cursor: u64) {
        let changed = self.changed.notified();
        tokio::pin!(changed);
        // Counted from here on, so that an event between the look and the wait is not slept through.
        changed.as_mut().enable();
        if lock(&self.inner).newest <= cursor {
            changed.await;
        }
    }

    /// Why absence proves nothing, wherever one looks.
    pub fn blind(&self) -> Option<Blindness> {
        self.blind_about(&Interest::default())
    }

    /// Why absence proves nothing to a link that looks for this.
    pub fn blind_about(&self, interest: &Interest) -> Option<Blindness> {
        let inner = lock(&self.inner);
        let full = || {
            let LogLimits { events, bytes } = self.limits;
            Blindness::Lost(format!(
                "{} were dropped because the log holds only {events} events and {bytes} bytes",
                inner.dropped
            ))
        };
        let lost = || inner.losses.about(interest).map(|loss| Blindness::Lost(loss.to_string()));
        inner.blind.clone().or_else(|| (inner.dropped > 0).then(full)).or_else(lost)
    }

    /// Says that something was lost on the way in.
    pub fn lose(&self, loss: Loss) {
        lock(&self.inner).losses.add(loss);
        self.changed.notify_waiters();
    }

    /// Says how many events a host's Falco has lost since its start.
    pub fn lost_in_all(&self, host: Option<String>, count: u64) {
        lock(&self.inner).losses.total(host, count);
    }

    /// Says that absence proves nothing from now on. The first reason stands.
    pub fn set_blind(&self, why: Blindness) {
        lock(&self.inner).blind.get_or_insert(why);
        self.changed.notify_waiters();
    }

    fn event(&self, entry: &Entry) -> Event {
        Event {
            sequence: entry.sequence,
            at: entry.event.at,
            kind: entry.event.kind.clone(),
            attribution: self.attribute(entry),
            own_observation: entry.event.own_observation,
            fields: entry.event.fields.clone(),
        }
    }

    fn attribute(&self, entry: &Entry) -> Attribution {
        entry.judged.unwrap_or_else(|| self.judge(&entry.event))
    }

    fn judge(&self, event: &Recorded) -> Attribution {
        // Foil's own doings carry the run's id too (its folders are named so), and are nobody's technique.
        let whose = self.tree.as_ref().map(|tree| tree.whose(event));
        if whose == Some(Whose::Foil) {
            return Attribution::Stranger;
        }
        if let Some(likeness) = event.likeness.as_deref() {
            return self.attribute_foreign(event, likeness, whose);
        }
        let by_process = match (whose, event.process) {
            (Some(whose), Some(_)) => whose.into(),
            (Some(_), None) => Attribution::Stranger,
            (None, _) => Attribution::Window,
        };
        if by_process != Attribution::Tree && self.carries_marker(event) { Attribution::Marker } else { by_process }
    }

    /// An event of a foreign sensor: it may say less of who did it than the kernel does, and be about anything, also long ago.
    fn attribute_foreign(&self, event: &Recorded, likeness: &Likeness, whose: Option<Whose>) -> Attribution {
        let anothers = likeness.run.as_ref().is_some_and(|run| run != self.run.as_str());
        if likeness.grain.latest(event.at) < self.armed || anothers {
            return Attribution::Stranger;
        }
        let by_process = match (&self.tree, whose) {
            // Its ancestors cannot be told: what it looks like may.
            (Some(tree), Some(Whose::Unknown)) if event.process.is_some() => {
                tree.resembles(likeness, event.at).min(Attribution::Window)
            }
            (Some(_), Some(told)) if event.process.is_some() => told.into(),
            (Some(tree), _) if !likeness.is_silent() => tree.resembles(likeness, event.at),
            _ => Attribution::Window,
        };
        if self.is_marked(event, likeness) {
            by_process.min(Attribution::Marker)
        } else if by_process != Attribution::Tree && likeness.names_another(self.run.as_str()) {
            Attribution::Stranger
        } else {
            by_process
        }
    }

    /// The run's id is in it, or the id of a container of a pod of the run.
    fn is_marked(&self, event: &Recorded, likeness: &Likeness) -> bool {
        let container = ["output_fields.container.id", "container.id"].iter().find_map(|name| event.fields.get(*name));
        let in_pod = |tree: &Arc<ProcessTree>| container.is_some_and(|id| tree.containers.has(id));
        likeness.mentions.iter().any(|id| id == self.run.as_str()) || self.tree.as_ref().is_some_and(in_pod)
    }

    /// The run's id is in a field other than the rule's key, which has it from us.
    fn carries_marker(&self, event: &Recorded) -> bool {
        event.fields.iter().any(|(name, value)| name != "key" && value.contains(self.run.as_str()))
    }
}

fn size(event: &Recorded) -> usize {
    event.fields.iter().fold(128, |sum, (n, v)| sum.saturating_add(n.len()).saturating_add(v.len()).saturating_add(64))
}

#[cfg(test)]
mod tests;
