//! A run's evaluation: follows the feeds by cursor, and writes what matches into the run's own log.

use super::correlator::{Correlated, Correlator, Source};
use super::events::Programs;
use super::history::History;
use super::nearest::{self, Lacking};
use super::set::{Loaded, Plan, RuleSet};
use crate::loss::{Cause, Loss, Origin};
use crate::{Blindness, Event, EventLog, Interest, Judged, Recorded, lock};
use foil_record::Attribution;
use futures_util::future::select_all;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

/// Events that are taken at once, so that a thousand runs get their turns.
const BATCH: usize = 256;

/// A run's evaluation. Dropping it stops it.
#[derive(Debug)]
pub struct Evaluation {
    shared: Arc<Shared>,
    task: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    log: Arc<EventLog>,
    rules: Arc<RuleSet>,
    feeds: Vec<Feed>,
    /// What rules look at and could not be armed, and how many.
    absent: Vec<(String, usize)>,
    counting: Correlating,
    state: Mutex<State>,
}

/// What correlations count.
#[derive(Debug, Clone, Default)]
pub struct Correlating {
    /// The moment of detonation, nanoseconds since 1970: what happened before it, as in the warm-up, is not the technique. 0: all counts;
    /// [`u64::MAX`]: it is yet to come.
    pub detonated: Arc<AtomicU64>,
    /// What earlier steps of the campaign left.
    pub history: Option<History>,
}

#[derive(Debug)]
struct Feed {
    name: String,
    log: Arc<EventLog>,
    plan: Arc<Plan>,
}

/// How far it has come: a cursor for each feed.
#[derive(Debug)]
struct State {
    cursors: Vec<u64>,
    programs: Programs,
    correlator: Correlator,
}

impl Evaluation {
    /// Evaluates `rules` over what comes into `feeds` from now on, and writes matches into `log`. `all`: the names of the
    /// collectors that there should be, of which `feeds` are those that were armed.
    ///
    /// # Errors
    /// There is no feed, or no thread to evaluate on.
    pub fn arm(
        log: Arc<EventLog>,
        rules: Arc<RuleSet>,
        all: &[String],
        feeds: Vec<(String, Arc<EventLog>)>,
        counting: Correlating,
    ) -> Result<Self, Blindness> {
        let dead = |why: &str| Blindness::Dead(why.to_owned());
        if feeds.is_empty() {
            return Err(dead("none of the collectors that rules are evaluated over could be armed"));
        }
        let armed = |name: &String| feeds.iter().any(|(armed, _)| armed == name);
        let absent = all.iter().filter(|name| !armed(name)).map(|name| (name.clone(), rules.about(name)));
        let absent = absent.filter(|(_, count)| *count > 0).collect();
        let cursors = feeds.iter().map(|(_, feed)| feed.newest()).collect();
        let feed = |(name, log): (String, Arc<EventLog>)| Feed { plan: rules.plan(&name), name, log };
        let feeds = feeds.into_iter().map(feed).collect();
        let correlator = Correlator::new(&rules, counting.history.as_ref());
        let state = Mutex::new(State { cursors, programs: Programs::default(), correlator });
        let shared = Arc::new(Shared { log, rules, feeds, absent, counting, state });
        let worker = worker().ok_or_else(|| dead("no thread could be started to evaluate rules on"))?;
        let task = worker.spawn(follow(Arc::clone(&shared))).abort_handle();
        Ok(Self { shared, task })
    }

    /// Evaluates what is there, and says whether it has missed anything so far that such a link looks for, or what it evaluates
    /// has.
    pub fn verify_about(&self, interest: &Interest) -> Option<Blindness> {
        // Up to what is there now: a feed that fills faster than it is evaluated would keep us here.
        let ends: Vec<u64> = self.shared.feeds.iter().map(|feed| feed.log.newest()).collect();
        let is_past = || lock(&self.shared.state).cursors.iter().zip(&ends).all(|(cursor, end)| cursor >= end);
        while !self.shared.advance() && !is_past() {}
        self.shared.log.blind_about(interest).or_else(|| self.shared.blind_feed(interest))
    }

    /// Returns what was lacking to what a link names by id or by a pattern of titles, of the events that `counts` takes.
    pub fn lacking(&self, wanted: &str, counts: &dyn Fn(&Judged) -> bool) -> Lacking {
        let feeds: Vec<_> = self.shared.feeds.iter().map(|feed| (feed.name.as_str(), &*feed.log)).collect();
        let state = lock(&self.shared.state);
        nearest::find(&self.shared.rules, wanted, &feeds, (&state.programs, &state.correlator), counts)
    }

    /// Evaluates what is there, and stops.
    pub fn finish(self) -> Option<Blindness> {
        self.verify_about(&Interest::default())
    }
}

impl Drop for Evaluation {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One thread evaluates for all runs: each costs a task that sleeps until a feed of its own has news.
fn worker() -> Option<&'static Handle> {
    static WORKER: OnceLock<Option<Handle>> = OnceLock::new();
    let start = || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().ok()?;
        let handle = runtime.handle().clone();
        let run = move || runtime.block_on(std::future::pending::<()>());
        std::thread::Builder::new().name("foil-rules".to_owned()).spawn(run).ok()?;
        Some(handle)
    };
    WORKER.get_or_init(start).as_ref()
}

async fn follow(shared: Arc<Shared>) {
    loop {
        while !shared.advance() {
            tokio::task::yield_now().await;
        }
        let cursors = lock(&shared.state).cursors.clone();
        let news = shared.feeds.iter().zip(cursors).map(|(feed, cursor)| Box::pin(feed.log.wait_beyond(cursor)));
        select_all(news).await;
    }
}

impl Shared {
    /// Why nothing can be said of what rules that look at this would match.
    fn blind_feed(&self, interest: &Interest) -> Option<Blindness> {
        let absent = self.absent.iter().find(|(name, _)| interest.is_fed_by(name));
        let absent = absent.map(|(name, count)| {
            let rules = if *count == 1 { "1 rule looks".to_owned() } else { format!("{count} rules look") };
            Blindness::Dead(format!("{rules} at `{name}`, which is not armed"))
        });
        // A match has the kind of its own log, and may be of any kind of event.
        let any = Interest { kinds: None, ..interest.clone() };
        let blind = |feed: &Feed| {
            let why = |text: &str| format!("`{}`: {text}", feed.name);
            Some(match feed.log.blind_about(&any)? {
                Blindness::Lost(text) => Blindness::Lost(why(&text)),
                Blindness::Shield(text) => Blindness::Shield(why(&text)),
                Blindness::Dead(text) => Blindness::Dead(why(&text)),
            })
        };
        absent.or_else(|| self.feeds.iter().filter(|feed| interest.is_fed_by(&feed.name)).find_map(blind))
    }

    /// Evaluates a batch of each feed; `true` once nothing is left for now.
    fn advance(&self) -> bool {
        let mut state = lock(&self.state);
        let State { cursors, programs, correlator } = &mut *state;
        let mut done = true;
        for (feed, cursor) in self.feeds.iter().zip(cursors) {
            let page = feed.log.read_own(*cursor, BATCH);
            *cursor = page.next;
            done &= page.drained;
            for event in page.events.iter().filter(|event| !event.own_observation) {
                if is_incomplete(event) && self.rules.about(&feed.name) > 0 {
                    let cause = Cause::Told(format!(
                        "`{}`: an event of this run is incomplete, so rules could not be tried on all of it",
                        feed.name
                    ));
                    self.log.lose(Loss { origin: of_feed(&feed.name), cause, count: 1 });
                }
                self.evaluate(event, feed, programs, correlator);
                programs.note(event);
            }
        }
        done
    }
}

impl Shared {
    /// Writes the rules that an event matches into the log, and the correlations that match with it.
    fn evaluate(&self, event: &Event, feed: &Feed, programs: &Programs, correlator: &mut Correlator) {
        let mut source: Option<Option<(Arc<Recorded>, Arc<Source>)>> = None;
        let mut correlated = Vec::new();
        self.rules.each_match(event, &feed.plan, programs, |number, view| {
            let Some(loaded) = self.rules.rules().get(number) else { return };
            // Asked once an event, where a rule matches it.
            let known = source.get_or_insert_with(|| {
                let recorded = feed.log.recorded(event.sequence)?;
                let source = Arc::new(of_event(event, &recorded, &feed.name));
                Some((recorded, source))
            });
            let Some((recorded, source)) = known else { return };
            self.log.push(matched(loaded, event, recorded, &feed.name));
            let detonated = self.counting.detonated.load(Ordering::Acquire);
            // As links count: only a coarse clock may date an event before what caused it.
            if recorded.grain().latest(event.at) >= detonated {
                let history = self.counting.history.as_ref().map(|history| (history, self.log.run().as_str()));
                correlated.extend(correlator.count(&self.rules, (number, view), (event.at, source), history));
            }
        });
        let dropped = correlator.take_dropped();
        if dropped > 0 {
            let why = format!("{dropped} match(es) that correlations count were dropped, since there were too many");
            self.log.lose(Loss { origin: of_feed(&feed.name), cause: Cause::Told(why), count: 1 });
        }
        match source {
            Some(None) => {
                let why = format!("`{}`: an event that a rule matches was pushed out of the log", feed.name);
                self.log.lose(Loss { origin: of_feed(&feed.name), cause: Cause::Told(why), count: 1 });
            }
            Some(Some((recorded, _))) => {
                for found in correlated {
                    if let Some(loaded) = self.rules.rules().get(found.rule) {
                        let (event, attribution) = correlation(loaded, event, &recorded, &found);
                        self.log.push_judged(event, attribution);
                    }
                }
            }
            None => {}
        }
    }
}

fn of_event(event: &Event, recorded: &Recorded, feed: &str) -> Source {
    Source {
        feed: feed.to_owned(),
        sequence: event.sequence,
        attribution: event.attribution,
        process: recorded.process,
        likeness: recorded.likeness.clone(),
        own_rules: is_own(event.fields.get("rules")),
        step: None,
    }
}

fn is_own(rules: Option<&String>) -> bool {
    rules.is_some_and(|rules| rules == "own")
}

/// Of a rule, whichever kind of event it looks for.
fn of_feed(name: &str) -> Origin {
    Origin { feed: Some(name.to_owned()), ..Origin::default() }
}

/// Parts of it were left out: by Foil, which keeps a bounded part of an event, or by a Kubernetes API server.
fn is_incomplete(event: &Event) -> bool {
    let says = |name: &str, value: &str| event.fields.get(name).is_some_and(|said| said == value);
    says("incomplete", "yes") || says("annotations.audit.k8s.io/truncated", "true")
}

/// A match, with all that the source event says, so that it is tied to the run in the same way.
fn matched(loaded: &Loaded, event: &Event, source: &Recorded, feed: &str) -> Recorded {
    let mut fields = said(loaded, event);
    fields.insert("feed".to_owned(), feed.to_owned());
    Recorded { kind: "sigma".to_owned(), own_observation: false, fields, ..source.clone() }
}

/// Most events that a match of a correlation names; the newest.
const MAX_NAMED: usize = 16;

/// A match of a correlation, with what the event that completed it says. It is tied to the run as the weakest of its events is.
fn correlation(loaded: &Loaded, event: &Event, newest: &Recorded, found: &Correlated) -> (Recorded, Attribution) {
    let mut fields = said(loaded, event);
    let named = |source: &Source| match &source.step {
        Some(step) => format!("{} {} of the step {step}", source.feed, source.sequence),
        None => format!("{} {}", source.feed, source.sequence),
    };
    let mut feeds: Vec<&str> = found.sources.iter().map(|source| source.feed.as_str()).collect();
    feeds.sort_unstable();
    feeds.dedup();
    let left_out = found.sources.len().saturating_sub(MAX_NAMED);
    let events = found.sources.iter().skip(left_out).map(|source| named(source)).collect::<Vec<_>>().join(", ");
    let events = if left_out > 0 { format!("{left_out} more, {events}") } else { events };
    let kind = loaded.rule.correlation().map(super::sigma::Correlation::kind).unwrap_or_default();
    let more = [
        ("feed", feeds.join(",")),
        ("correlation.type", kind.to_owned()),
        ("correlation.value", found.value.to_string()),
        ("correlation.group", found.group.clone()),
        ("correlation.count", found.sources.len().to_string()),
        ("correlation.events", events),
    ];
    fields.extend(more.map(|(name, value)| (name.to_owned(), value)));
    // It would not be there without any of its events.
    fields.remove("rules");
    if found.sources.iter().any(|source| source.own_rules) {
        fields.insert("rules".to_owned(), "own".to_owned());
    }
    let weakest = found.sources.iter().max_by_key(|source| source.attribution);
    let (process, likeness) = match weakest {
        Some(source) => (source.process, source.likeness.clone()),
        None => (newest.process, newest.likeness.clone()),
    };
    let kind = "sigma".to_owned();
    (Recorded { at: found.at, kind, own_observation: false, process, likeness, fields }, found.attribution)
}

/// What is said of a rule that matches, beside the fields of the event.
fn said(loaded: &Loaded, event: &Event) -> BTreeMap<String, String> {
    let head = &loaded.rule.head;
    let said = [
        ("rule.id", head.id.clone().unwrap_or_default()),
        ("rule.title", head.title.clone()),
        ("rule.level", head.level.to_string()),
        ("rule.tags", head.tags.join(",")),
        ("rule.file", loaded.file_name()),
        ("event", event.kind.clone()),
    ];
    let mut fields: BTreeMap<String, String> = event.fields.clone();
    fields.extend(said.map(|(name, value)| (name.to_owned(), value)));
    fields
}
