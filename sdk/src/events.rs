//! What a collector recorded of this run (capability `events-read`, checks only). Whose an event is, the host judges: a check is handed
//! only what may count, and refers to what it found.

use crate::{Error, Result, context, pattern, seam};

pub use crate::__bindings::host::events_read::{Event, Page};

/// A value of this length or more may have been cut, in bytes: hosts keep 16 KiB of a field of JSON, 64 KiB of one of audit.
const LONG: usize = 15 << 10;

/// What a check answers that found nothing, where an event of the run was incomplete and may have been what it looks for. The link is
/// then `unknown`, unless a later look finds something.
pub fn doubt() -> Error {
    Error::other("incomplete", "an event of this run is incomplete, and what it lacks may be what was looked for")
}

/// Reads at most `limit` (1 to 1,000) events from `cursor` on; 0 is the moment the collector was armed.
///
/// # Errors
/// `denied`: the manifest does not name the collector. `other(dead-collector)`: it could not be armed. Pass all of them on: the
/// link is then `unknown`. Events that the collector lost are the host's business: it then believes a sighting, but not an
/// absence.
pub fn read(collector: &str, cursor: u64, limit: u32) -> Result<Page> {
    Ok(seam::events_read(collector, cursor, limit)?)
}

/// Reads page after page, until nothing is left for now or at least `enough` events were read; returns them and the cursor
/// to go on from.
///
/// # Errors
/// Those of [`read`].
pub fn read_all(collector: &str, cursor: u64, enough: usize) -> Result<(Vec<Event>, u64)> {
    let (mut events, mut cursor) = (Vec::new(), cursor);
    loop {
        let page = read(collector, cursor, 1_000)?;
        // A page that is empty and does not say that it is the last would keep us here for ever.
        let last = page.drained || page.events.is_empty();
        events.extend(page.events);
        cursor = page.next;
        if last || events.len() >= enough {
            return Ok((events, cursor));
        }
    }
}

impl Event {
    /// The sensor's field of this name.
    pub fn field(&self, name: &str) -> Option<&str> {
        context::value(&self.fields, name)
    }

    /// Whether parts of it were left out: by the host, which keeps a bounded part of an event, or by a Kubernetes API server, which cuts
    /// objects out of large audit events.
    pub fn is_incomplete(&self) -> bool {
        self.may_lack("")
    }

    /// Whether a field of this name may have been left out.
    pub fn may_lack(&self, name: &str) -> bool {
        let object = || {
            ["", "requestObject", "responseObject"].contains(&name)
                || name.starts_with("requestObject.")
                || name.starts_with("responseObject.")
        };
        self.field("incomplete") == Some("yes")
            || (self.field("annotations.audit.k8s.io/truncated") == Some("true") && object())
    }

    /// Whether a field has a value that fits the pattern, or may have one: it was left out, or cut.
    pub fn could_have(&self, name: &str, wanted: &str) -> bool {
        match self.field(name) {
            Some(value) => {
                pattern::matches(wanted, value) || (value.len() >= LONG && self.field("incomplete") == Some("yes"))
            }
            None => self.may_lack(name),
        }
    }
}
