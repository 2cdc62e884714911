//! `inbox`: events that sensors push to the host over HTTP.
//!
//! A request is answered with success only once its events are in the log of every run that they are for; where one of these has no
//! room, nothing is taken and the sender is told to come again. So nothing that was accepted is lost. What is refused blinds the runs
//! that listen, for events of that kind: not every sender comes again.

mod decode;
mod request;
mod server;
mod token;

use super::foreign::{Subscribers, internal};
use super::loss::{Cause, Origin};
use super::{Blindness, EventLog, Interest, Loss, Recorded, lock};
use anyhow::Context as _;
use decode::Sender;
use foil_policy::sources::InboxSource;
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};
use std::thread::JoinHandle;
use token::Token;
use tokio_util::sync::CancellationToken;

/// Its name.
pub const NAME: &str = "inbox";

/// All servers of this process.
static SERVERS: Mutex<Vec<Weak<Inbox>>> = Mutex::new(Vec::new());

/// Checks what can be told of an inbox before it listens: its `token-file`.
///
/// # Errors
/// A sentence: the token file is missing, weak, or readable by everybody.
pub fn check(source: &InboxSource, folder: &Path) -> anyhow::Result<()> {
    let token_file = source.token_file.as_ref().map(|file| folder.join(file));
    token_file.as_deref().map(Token::read).transpose().map(drop)
}

/// The server. It listens as long as it lives.
#[derive(Debug)]
pub struct Inbox {
    address: SocketAddr,
    token_file: Option<PathBuf>,
    shared: Arc<Shared>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

/// What connections share.
#[derive(Debug)]
struct Shared {
    token: Option<Token>,
    subscribers: Mutex<Subscribers>,
}

impl Inbox {
    /// Listens; where this process listens on that address already, with the server that there is. Relative paths are relative to
    /// `folder`. Port 0 is any that is free, and always a server of its own.
    ///
    /// # Errors
    /// A sentence: the address is in use or not this machine's, or the token file is missing, weak, or readable by everybody.
    pub fn open(source: &InboxSource, folder: &Path) -> anyhow::Result<Arc<Self>> {
        let address: SocketAddr = source.listen.parse().with_context(|| {
            format!("inbox: `listen: {}` is no address and port, such as 127.0.0.1:2801", source.listen)
        })?;
        let token_file = source.token_file.as_ref().map(|file| folder.join(file));
        let mut servers = lock(&SERVERS);
        servers.retain(|server| server.strong_count() > 0);
        if let Some(known) = servers.iter().filter_map(Weak::upgrade).find(|known| known.address == address) {
            anyhow::ensure!(
                known.token_file == token_file,
                "inbox: this foil listens on {address} already, with another `token-file`: name the same one, or another port"
            );
            return Ok(known);
        }
        let inbox = Arc::new(Self::start(address, token_file)?);
        servers.push(Arc::downgrade(&inbox));
        Ok(inbox)
    }

    fn start(address: SocketAddr, token_file: Option<PathBuf>) -> anyhow::Result<Self> {
        let token = token_file.as_deref().map(Token::read).transpose()?;
        let listener = TcpListener::bind(address).with_context(|| {
            format!("inbox: cannot listen on {address}: is another program (or foil) there? `listen` in foil.yaml names the port")
        })?;
        listener.set_nonblocking(true).context("inbox: the listening socket")?;
        let address = listener.local_addr().context("inbox: the listening socket")?;
        let shared = Arc::new(Shared { token, subscribers: Mutex::default() });
        let stop = CancellationToken::new();
        // A thread and a runtime of its own: guests that compute must not make senders wait.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("inbox: cannot start its runtime")?;
        let serving = server::serve(listener, Arc::clone(&shared), stop.clone());
        let serve = move || {
            if let Err(error) = runtime.block_on(serving) {
                tracing::error!("the inbox on {address} ended: {error}");
            }
        };
        let thread = std::thread::Builder::new().name("foil-inbox".into()).spawn(serve);
        let thread = Some(thread.context("inbox: no thread to listen with")?);
        Ok(Self { address, token_file, shared, stop, thread })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Events from now on go to `log` too, until the subscription is dropped.
    pub fn subscribe(self: &Arc<Self>, log: &Arc<EventLog>) -> Subscription {
        let number = lock(&self.shared.subscribers).add(log);
        Subscription { log: Arc::clone(log), inbox: Arc::clone(self), number }
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.stop.cancel();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the inbox on {} panicked", self.address);
        }
    }
}

/// There is no room for an event that is some run's.
#[derive(Debug, PartialEq, Eq)]
struct Full;

impl Shared {
    /// Tells all runs that listen what was lost on the way in.
    fn lose(&self, loss: Loss) {
        lock(&self.subscribers).lose(&loss);
    }

    /// All of these events go into all logs that they are for, or none into any. With each event comes its text, for the ids in it.
    fn deliver(&self, kind: &'static str, events: Vec<(Recorded, Vec<u8>)>) -> Result<(), Full> {
        // Held to the end: who says that there is room must be the only one who takes it.
        let subscribers = lock(&self.subscribers);
        let mut events = events;
        events.retain(|(event, _)| match internal::of(&event.fields) {
            Some(internal) => {
                subscribers.tell(internal, Some(kind).filter(|kind| *kind == Sender::Falco.kind()), None);
                false
            }
            None => true,
        });
        let mut by_log: BTreeMap<*const EventLog, (&Arc<EventLog>, Vec<Arc<Recorded>>)> = BTreeMap::new();
        for (mut event, raw) in events {
            let targets = subscribers.route(&mut event, &raw);
            let event = Arc::new(event);
            for log in targets {
                by_log.entry(Arc::as_ptr(log)).or_insert_with(|| (log, Vec::new())).1.push(Arc::clone(&event));
            }
        }
        if by_log.values().any(|(log, events)| !log.has_room_for(events)) {
            // Not every sender comes again.
            let cause = Cause::Told("pushed events were refused (HTTP 503), since a run's log was full".to_owned());
            let origin = Origin { kind: Some(kind), ..Origin::default() };
            by_log.values().for_each(|(log, events)| {
                let count = u64::try_from(events.len()).unwrap_or(u64::MAX);
                log.lose(Loss { origin: origin.clone(), cause: cause.clone(), count });
            });
            return Err(Full);
        }
        for (log, events) in by_log.into_values() {
            events.into_iter().for_each(|event| log.push(event));
        }
        Ok(())
    }
}

/// A run's part in the inbox. Dropping it ends it.
#[derive(Debug)]
pub struct Subscription {
    log: Arc<EventLog>,
    inbox: Arc<Inbox>,
    number: u64,
}

impl Subscription {
    /// Whether anything was missed so far.
    pub fn verify(&self) -> Option<Blindness> {
        self.verify_about(&Interest::default())
    }

    /// Whether anything was missed so far that such a link looks for.
    pub fn verify_about(&self, interest: &Interest) -> Option<Blindness> {
        let ended = self.inbox.thread.as_ref().is_none_or(JoinHandle::is_finished);
        let dead = || Blindness::Dead(format!("the inbox on {} has ended", self.inbox.address));
        self.log.blind_about(interest).or_else(|| ended.then(dead))
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        lock(&self.inbox.shared.subscribers).remove(self.number);
    }
}
