//! Many senders at once: what was accepted is there, and all of it.

use super::support::{Client, inbox, log_of, values};
use foil_collector::{LogLimits, ProcessTree};
use std::collections::BTreeSet;

const CLIENTS: usize = 8;
const EACH: usize = 50_000 / CLIENTS;

#[test]
fn fifty_thousand_events_are_in_the_log_or_were_refused() {
    // A log that has room for fewer, so that both happen.
    for (room, all) in [(60_000, true), (30_000, false)] {
        let log = log_of(&ProcessTree::without_connector(), LogLimits { events: room, bytes: 256 << 20 });
        let (inbox, subscription) = inbox(&log);
        let address = inbox.address();
        let senders = (0..CLIENTS).map(|client| {
            std::thread::spawn(move || {
                let mut connection = Client::to(address);
                let send = |n: usize| {
                    let id = format!("{client}-{n}");
                    match connection.post("/events", format!(r#"{{"id":"{id}"}}"#)) {
                        (200, _) => Some(id),
                        (503, _) => None,
                        (_, answer) => panic!("{answer}"),
                    }
                };
                (0..EACH).filter_map(send).collect::<BTreeSet<_>>()
            })
        });
        let senders: Vec<_> = senders.collect();
        let accepted: BTreeSet<String> = senders.into_iter().flat_map(|s| s.join().expect("a sender")).collect();
        let there = values(&log, "id");
        assert_eq!(there.len(), accepted.len(), "nothing twice");
        assert!(there.into_iter().collect::<BTreeSet<_>>() == accepted, "accepted and there are the same");
        assert_eq!(accepted.len(), if all { CLIENTS * EACH } else { room });
        assert_eq!(subscription.verify().is_none(), all, "what was refused makes an absence worthless");
    }
}
