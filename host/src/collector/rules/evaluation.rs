//! A run's evaluation: follows the feeds by cursor, and writes what matches into the run's own log.

use super::events::Programs;
use super::set::{Loaded, Plan, RuleSet};
use crate::collector::loss::{Cause, Loss, Origin};
use crate::collector::{Blindness, Event, EventLog, Interest, Recorded, lock};
use futures_util::future::select_all;
use std::collections::BTreeMap;
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
    state: Mutex<State>,
}

#[derive(Debug)]
struct Feed {
    name: String,
    log: Arc<EventLog>,
    plan: Plan,
}

/// How far it has come: a cursor for each feed.
#[derive(Debug)]
struct State {
    cursors: Vec<u64>,
    programs: Programs,
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
        let state = Mutex::new(State { cursors, programs: Programs::default() });
        let shared = Arc::new(Shared { log, rules, feeds, absent, state });
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
        let State { cursors, programs } = &mut *state;
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
                let matching = self.rules.matching(event, &feed.plan, programs);
                if matching.is_empty() {
                    programs.note(event);
                    continue;
                }
                let Some(source) = feed.log.recorded(event.sequence) else {
                    let why = format!("`{}`: an event that a rule matches was pushed out of the log", feed.name);
                    self.log.lose(Loss { origin: of_feed(&feed.name), cause: Cause::Told(why), count: 1 });
                    continue;
                };
                for loaded in matching {
                    self.log.push(matched(loaded, event, &source, &feed.name));
                }
                programs.note(event);
            }
        }
        done
    }
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
    let rule = &loaded.rule;
    let said = [
        ("rule.id", rule.id.clone().unwrap_or_default()),
        ("rule.title", rule.title.clone()),
        ("rule.level", rule.level.to_string()),
        ("rule.tags", rule.tags.join(",")),
        ("rule.file", loaded.file_name()),
        ("feed", feed.to_owned()),
        ("event", event.kind.clone()),
    ];
    let mut fields: BTreeMap<String, String> = event.fields.clone();
    fields.extend(said.map(|(name, value)| (name.to_owned(), value)));
    Recorded { kind: "sigma".to_owned(), own_observation: false, fields, ..source.clone() }
}
