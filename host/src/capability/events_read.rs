//! `foil:host/events-read`: what collectors recorded.

use super::Guest;
use super::guest::failure;
use crate::collector;
use crate::engine::bindings::imports::events_read::{Attribution, Event, Host, Page};
use crate::engine::bindings::types::{Error, Fact};

const MAX_EVENTS: u32 = 1000;

impl Host for Guest {
    async fn read(&mut self, collector: String, cursor: u64, limit: u32) -> wasmtime::Result<Result<Page, Error>> {
        self.begin()?;
        // A look repeats many times a second: only a refusal is worth a line in the audit log.
        if let Err(denial) = self.permission.collector(&collector) {
            return Ok(self.decide(&format!("read events of {collector}"), Err(denial)));
        }
        if !(1..=MAX_EVENTS).contains(&limit) {
            return Ok(Err(Error::Invalid(format!("`limit` is {limit}; it must be 1 to {MAX_EVENTS}"))));
        }
        if let Ok(mut asked) = self.asked.lock() {
            asked.insert(collector.clone());
        }
        let Some(source) = self.world.sources.get(&collector) else {
            let text = format!("the collector `{collector}` is not armed in this run");
            return Ok(Err(failure("dead-collector", text)));
        };
        // Lost events do not blind a look: what is there is there. They matter where nothing was found (`campaign`).
        // Only what is tied to the run: what others did on the machine is none of a module's business.
        let page = source.read_own(cursor, limit as usize);
        Ok(Ok(Page { events: page.events.into_iter().map(event).collect(), next: page.next, drained: page.drained }))
    }
}

fn event(event: collector::Event) -> Event {
    Event {
        sequence: event.sequence,
        at: event.at,
        kind: event.kind,
        attribution: match event.attribution {
            collector::Attribution::Tree => Attribution::Tree,
            collector::Attribution::Marker => Attribution::Marker,
            collector::Attribution::Likeness => Attribution::Likeness,
            collector::Attribution::Window => Attribution::Window,
            collector::Attribution::Stranger => Attribution::Stranger,
        },
        own_observation: event.own_observation,
        fields: event.fields.into_iter().map(|(name, value)| Fact { name, value }).collect(),
    }
}
