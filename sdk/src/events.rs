//! What a collector recorded of this run (capability `events-read`, checks only). Whose an event is, the host judges: a check is handed
//! only what may count, and refers to what it found.

use crate::{Result, context, seam};

pub use crate::__bindings::host::events_read::{Event, Page};

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
}
