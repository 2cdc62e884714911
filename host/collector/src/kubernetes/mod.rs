//! `kubernetes.falco`: the alerts that the cluster's Falco pods write to their logs.
//!
//! One poller reads for all runs of a cluster, about once a second. What it cannot read now it reads later, from where it was left, so
//! that this blinds for the moment only; what a kubelet has thrown away by then blinds for good. See docs/collectors.md.
//!
//! | file | is |
//! |---|---|
//! | `poller` | the thread, who listens, and when an absence may be believed |
//! | `round` | one look at all pods |
//! | `pods` | what the API says of a pod, and how far its log was read |
//! | `trouble` | why a pod's log is not known to its end, and which links that blinds |
//! | `text` | a piece of a log: which of its lines are new |

mod pods;
mod poller;
mod round;
mod text;
mod trouble;

use super::{Blindness, EventLog, Interest};
use foil_cluster::Cluster;
use poller::Poller;
use std::sync::Arc;

/// The kind of an alert; what else is written there is a `line`.
const KIND: &str = "falco";

/// Its name.
pub const NAME: &str = "kubernetes.falco";

/// A run's part in Falco's logs. Dropping it ends it.
#[derive(Debug)]
pub struct FalcoLogs {
    log: Arc<EventLog>,
    poller: Arc<Poller>,
    number: u64,
}

impl FalcoLogs {
    /// Listens from now on. Asks the cluster nothing yet: logs keep what is written until they are first looked at.
    ///
    /// # Errors
    /// No thread could be started.
    pub fn arm(log: Arc<EventLog>, cluster: &Cluster) -> Result<Self, Blindness> {
        let poller = Poller::of(cluster).map_err(Blindness::Dead)?;
        let number = poller.subscribe(&log);
        Ok(Self { log, poller, number })
    }

    /// Looks at all logs once more, and says whether anything was missed so far.
    pub fn verify(&self) -> Option<Blindness> {
        self.verify_about(&Interest::default())
    }

    /// The same for what such a link looks for: a node that it is not about blinds no link.
    pub fn verify_about(&self, interest: &Interest) -> Option<Blindness> {
        let before = self.log.newest();
        let trouble = trouble::about(&self.poller.catch_up(), interest);
        let late = || {
            // The link's own last look is over: what came after it would be taken for an absence.
            let more = self.log.read_own(before, 1_000);
            more.events.iter().any(|event| event.kind == KIND).then(|| {
                Blindness::Lost("alerts were read after the link's last look: give it more time by `grace`".into())
            })
        };
        self.log.blind_about(interest).or(trouble).or_else(late)
    }

    /// Stops. What is still to come is nobody's any more.
    pub fn finish(self) -> Option<Blindness> {
        self.log.blind()
    }
}

impl Drop for FalcoLogs {
    fn drop(&mut self) {
        self.poller.unsubscribe(self.number);
    }
}

#[cfg(test)]
mod tests;
