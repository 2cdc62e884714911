//! `inbox`: events that sensors push to the host over HTTP.

use super::{Blindness, EventLog};
use crate::policy::sources::InboxSource;
use std::path::Path;
use std::sync::Arc;

/// Its name.
pub const NAME: &str = "inbox";

/// The server. It listens as long as it lives.
#[derive(Debug)]
pub struct Inbox;

impl Inbox {
    /// Listens. Relative paths are relative to `folder`.
    pub fn open(source: &InboxSource, folder: &Path) -> anyhow::Result<Arc<Self>> {
        anyhow::bail!("the inbox {} cannot be opened yet ({})", source.listen, folder.display())
    }

    /// Events from now on go to `log` too, until the subscription is dropped.
    pub fn subscribe(self: &Arc<Self>, log: &Arc<EventLog>) -> Subscription {
        Subscription { log: Arc::clone(log), _inbox: Arc::clone(self) }
    }
}

/// A run's part in the inbox. Dropping it ends it.
#[derive(Debug)]
pub struct Subscription {
    log: Arc<EventLog>,
    _inbox: Arc<Inbox>,
}

impl Subscription {
    /// Whether anything was missed so far.
    pub fn verify(&self) -> Option<Blindness> {
        self.log.blind()
    }
}
