//! `linux.audit-event`: did the kernel's audit stream record what this run did?

mod line;
mod query;

use foil_sdk::prelude::*;
use query::Query;

/// Events asked for at once.
const PAGE: u32 = 200;

/// Sightings after which no further page is read: one settles a link, and all must fit into what a guest may return.
const ENOUGH: usize = 20;

struct AuditEvent;

impl Check for AuditEvent {
    type Parameters = Query;

    fn probe(_: &Context, query: &Query, cursor: u64) -> Result<Observation> {
        query.check()?;
        let mut observation = Observation::up_to(cursor, 0);
        let mut doubtful = false;
        loop {
            let page = events::read(&query.collector, observation.cursor, PAGE)?;
            let read = page.events.len();
            observation.looked_at = observation.looked_at.saturating_add(read as u32);
            for event in &page.events {
                if query.matches(event) {
                    observation.push(line::sighting(event));
                } else {
                    doubtful |= event.is_incomplete() && query.could_match(event);
                }
            }
            observation.cursor = page.next;
            if page.drained || read == 0 || observation.sightings.len() >= ENOUGH {
                let nothing = doubtful && observation.sightings.is_empty();
                return if nothing { Err(events::doubt()) } else { Ok(observation) };
            }
        }
    }
}

foil_sdk::check!(AuditEvent);

#[cfg(test)]
mod tests;
