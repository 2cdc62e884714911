//! `foil:host/events-read`: what collectors recorded.

use super::Guest;
use super::guest::failure;
use crate::engine::bindings::imports::events_read::{Event, Host, Page};
use crate::engine::bindings::types::{Error, Fact};
use foil_collector::Judged;

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
        self.reading.note(&collector);
        let Some(source) = self.world.sources.get(&collector) else {
            let text = format!("the collector `{collector}` is not armed in this run");
            return Ok(Err(failure("dead-collector", text)));
        };
        // Lost events do not blind a look: what is there is there. They matter where nothing was found (`campaign`).
        let (events, next, drained) = self.reading.read(&collector, source, cursor, limit as usize);
        Ok(Ok(Page { events: events.iter().map(|judged| event(&collector, judged)).collect(), next, drained }))
    }
}

fn event(collector: &str, Judged { sequence, event, .. }: &Judged) -> Event {
    let fact = |(name, value): (&String, &String)| Fact { name: name.clone(), value: value.clone() };
    Event {
        collector: collector.to_owned(),
        sequence: *sequence,
        at: event.at,
        kind: event.kind.clone(),
        fields: event.fields.iter().map(fact).collect(),
    }
}
