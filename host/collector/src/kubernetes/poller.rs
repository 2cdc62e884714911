//! The one poller of a cluster: a thread that lives as long as anybody listens.

use super::super::file::line::{Lines, Read};
use super::super::foreign::Subscribers;
use super::super::loss::{Cause, Loss, Origin};
use super::super::{Blindness, EventLog, lock};
use super::pods::Pod;
use super::round::Rounds;
use super::trouble::Trouble;
use foil_cluster::{Cluster, ClusterRef, Session};
use foil_policy::cluster::FalcoPods;
use jiff::{SignedDuration, Timestamp};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Between two rounds; and never less than the last one took, so that a large cluster is not asked all the time.
const PAUSE: Duration = Duration::from_secs(1);
/// How long whoever asks whether anything was missed waits for a round.
const PATIENCE: Duration = Duration::from_secs(15);
/// How far a node's clock may be behind ours for what it writes to be read; what an event says of its own time is judged with it.
const BEHIND: SignedDuration = SignedDuration::from_secs(2);
/// The longest line, in bytes.
const MAX_LINE: usize = 1 << 20;

type Key = (ClusterRef, FalcoPods);

/// All pollers of this process.
static POLLERS: Mutex<Vec<(Key, Weak<Poller>)>> = Mutex::new(Vec::new());

/// The poller. It polls as long as it lives.
#[derive(Debug)]
pub struct Poller {
    listeners: Arc<Listeners>,
    stop: CancellationToken,
    thread: JoinHandle<()>,
}

/// Who listens, and what the thread tells them.
#[derive(Debug, Default)]
pub struct Listeners {
    subscribers: Mutex<Subscribers>,
    rounds: Mutex<Told>,
    ended: Condvar,
    hurry: Notify,
}

#[derive(Debug, Default)]
struct Told {
    begun: u64,
    ended: u64,
    trouble: Vec<Trouble>,
}

impl Poller {
    /// The poller of this cluster: the one that there is, or a new one.
    ///
    /// # Errors
    /// A sentence: no thread.
    pub fn of(cluster: &Cluster) -> Result<Arc<Self>, String> {
        let key = (cluster.reference().clone(), cluster.rule.falco.clone());
        let mut pollers = lock(&POLLERS);
        pollers.retain(|(_, poller)| poller.strong_count() > 0);
        let known = pollers.iter().find(|(known, _)| *known == key).and_then(|(_, poller)| poller.upgrade());
        if let Some(known) = known.filter(|known| !known.thread.is_finished()) {
            return Ok(known);
        }
        let poller = Arc::new(Self::start(cluster.apart())?);
        pollers.push((key, Arc::downgrade(&poller)));
        Ok(poller)
    }

    fn start(cluster: Arc<Cluster>) -> Result<Self, String> {
        let no_thread = |error: std::io::Error| format!("Falco's logs cannot be read: {error}");
        // A thread and a runtime of its own: guests that compute must not make alerts late.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(no_thread)?;
        let (listeners, stop) = (Arc::<Listeners>::default(), CancellationToken::new());
        let armed = Timestamp::now();
        let rounds = Rounds::new(Session::of_foil(cluster), armed.checked_sub(BEHIND).unwrap_or(armed));
        let polling = stop.clone().run_until_cancelled_owned(poll(rounds, Arc::clone(&listeners)));
        let run = move || {
            runtime.block_on(polling);
        };
        let thread = std::thread::Builder::new().name("foil-falco".into()).spawn(run).map_err(no_thread)?;
        Ok(Self { listeners, stop, thread })
    }

    /// What is read from now on goes to `log` too.
    pub fn subscribe(&self, log: &Arc<EventLog>) -> u64 {
        lock(&self.listeners.subscribers).add(log)
    }

    /// Ends a subscription.
    pub fn unsubscribe(&self, number: u64) {
        lock(&self.listeners.subscribers).remove(number);
    }

    /// Waits for a round that begins now. Says why an absence proves nothing for the moment, and where.
    pub fn catch_up(&self) -> Vec<Trouble> {
        let wait = || self.wait();
        match Handle::try_current().map(|handle| handle.runtime_flavor()) {
            // Others go on meanwhile.
            Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(wait),
            _ => wait(),
        }
    }

    fn wait(&self) -> Vec<Trouble> {
        let Listeners { rounds, ended, hurry, .. } = &*self.listeners;
        let told = lock(rounds);
        let wanted = told.begun.saturating_add(1);
        hurry.notify_one();
        let waits = |told: &mut Told| told.ended < wanted && !self.thread.is_finished();
        let (told, late) = ended.wait_timeout_while(told, PATIENCE, waits).unwrap_or_else(PoisonError::into_inner);
        if self.thread.is_finished() {
            return vec![Trouble::All(Blindness::Dead("whoever reads Falco's logs has ended".into()))];
        }
        let mut trouble = told.trouble.clone();
        if late.timed_out() {
            let slow = format!("Falco's logs were not read within {PATIENCE:?}");
            trouble.push(Trouble::All(Blindness::Lost(slow)));
        }
        trouble
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn poll(mut rounds: Rounds, listeners: Arc<Listeners>) {
    loop {
        let begun = tokio::time::Instant::now();
        {
            let mut told = lock(&listeners.rounds);
            told.begun = told.begun.saturating_add(1);
        }
        let trouble = rounds.next(&listeners).await;
        {
            let mut told = lock(&listeners.rounds);
            (told.ended, told.trouble) = (told.begun, trouble);
        }
        listeners.ended.notify_all();
        let pause = PAUSE.max(begun.elapsed());
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = listeners.hurry.notified() => {}
        }
    }
}

impl Listeners {
    /// A line that a pod wrote.
    pub fn deliver(&self, pod: &Pod, written: Timestamp, line: &[u8]) {
        let written = u64::try_from(written.as_nanosecond()).unwrap_or_default();
        let head = line.get(..MAX_LINE);
        let read = match head {
            Some(head) => Read { event: Some(Lines::json().cut(head)), ..Read::default() },
            None => Lines::json().read_at(line, written),
        };
        if let Some(internal) = read.internal {
            lock(&self.subscribers).tell(internal, None, Some(&pod.node));
        }
        let Some(mut event) = read.event else { return };
        let unparsed = event.fields.contains_key("unparsed");
        // What Falco itself logs is text: only an object that was torn, or that not all could be read of, was an alert.
        if head.is_some() || (read.unreadable && (!unparsed || line.trim_ascii().starts_with(b"{"))) {
            self.lost(&pod.node, &format!("a line of the pod {} was cut, and what it says was not read", pod.name));
        } else if !unparsed {
            super::KIND.clone_into(&mut event.kind);
        }
        // Over whatever a line may say of it: these are not Falco's words but the cluster's.
        event.fields.insert("falco.pod".into(), pod.name.clone());
        event.fields.insert("falco.node".into(), pod.node.clone());
        let subscribers = lock(&self.subscribers);
        let targets = subscribers.route(&mut event, line);
        let event = Arc::new(event);
        targets.iter().for_each(|log| log.push(Arc::clone(&event)));
    }

    /// What was written on this node is lost: all who listen now are told. An empty `node` may be any.
    pub fn lost(&self, node: &str, why: &str) {
        let node = Some(node).filter(|node| !node.is_empty()).map(ToOwned::to_owned);
        let origin = Origin { node, ..Origin::default() };
        lock(&self.subscribers).lose(&Loss { origin, cause: Cause::Told(why.to_owned()), count: 1 });
    }
}
