//! `sigma.match`: does a rule's logic fit what was recorded of this run?

mod line;
mod query;

use foil_sdk::prelude::*;
use query::Query;

/// Events asked for at once.
const PAGE: u32 = 200;

/// Sightings after which no further page is read: one settles a link, and all must fit into what a guest may return.
const ENOUGH: usize = 20;

struct SigmaMatch;

impl Check for SigmaMatch {
    type Parameters = Query;

    fn probe(_: &Context, query: &Query, cursor: u64) -> Result<Observation> {
        query.check()?;
        let mut observation = Observation::up_to(cursor, 0);
        loop {
            let page = events::read(&query.collector, observation.cursor, PAGE)?;
            let read = page.events.len();
            observation.looked_at = observation.looked_at.saturating_add(read as u32);
            for event in &page.events {
                if let Some(reason) = query.matches(event) {
                    observation.push(line::sighting(event, reason));
                }
            }
            observation.cursor = page.next;
            if page.drained || read == 0 || observation.sightings.len() >= ENOUGH {
                return Ok(observation);
            }
        }
    }
}

foil_sdk::check!(SigmaMatch);

#[cfg(test)]
mod tests;
