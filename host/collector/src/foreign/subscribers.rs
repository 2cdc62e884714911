//! Who gets a foreign event: the run that it names, else every run that listens.

use super::super::loss::{Loss, Origin};
use super::super::{EventLog, Recorded};
use super::Internal;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Length of a run's id.
const ID: usize = 26;

/// What stands before the id in the names of what runs make.
const MARK: &[u8] = b"foil-";

/// The logs of the runs that listen to one source.
#[derive(Debug, Default)]
pub struct Subscribers {
    next: u64,
    logs: BTreeMap<u64, Arc<EventLog>>,
    by_run: HashMap<String, Vec<u64>>,
}

impl Subscribers {
    /// Adds a log; the number is for [`remove`](Self::remove).
    pub fn add(&mut self, log: &Arc<EventLog>) -> u64 {
        self.next = self.next.saturating_add(1);
        self.logs.insert(self.next, Arc::clone(log));
        self.by_run.entry(log.run().as_str().to_owned()).or_default().push(self.next);
        self.next
    }

    /// Takes a log out.
    pub fn remove(&mut self, number: u64) {
        let Some(log) = self.logs.remove(&number) else { return };
        if let Some(numbers) = self.by_run.get_mut(log.run().as_str()) {
            numbers.retain(|n| *n != number);
            if numbers.is_empty() {
                self.by_run.remove(log.run().as_str());
            }
        }
    }

    /// All logs.
    pub fn all(&self) -> impl Iterator<Item = &Arc<EventLog>> {
        self.logs.values()
    }

    /// Tells all logs what was lost on the way in.
    pub fn lose(&self, loss: &Loss) {
        self.all().for_each(|log| log.lose(loss.clone()));
    }

    /// Tells all logs what Falco says of itself. A `node` is the cluster's word for where it is.
    pub fn tell(&self, internal: Internal, kind: Option<&'static str>, node: Option<&str>) {
        match internal {
            Internal::Lost(loss) => {
                let origin = Origin { kind, node: node.map(ToOwned::to_owned), ..loss.origin };
                self.lose(&Loss { origin, ..loss });
            }
            Internal::Total(host, count) => {
                let host = node.map(ToOwned::to_owned).or(host);
                self.all().for_each(|log| log.lost_in_all(host.clone(), count));
            }
            Internal::Other => {}
        }
    }

    /// Notes in the event which runs `raw` names, and says whose it is: theirs, or everybody's where it names none that listens.
    pub fn route(&self, event: &mut Recorded, raw: &[u8]) -> Vec<&Arc<EventLog>> {
        let mentions = self.mentions(raw);
        let named = mentions.iter().filter_map(|id| self.by_run.get(id)).flatten();
        let targets: Vec<_> = named.filter_map(|number| self.logs.get(number)).collect();
        let targets = if targets.is_empty() { self.logs.values().collect() } else { targets };
        event.likeness.get_or_insert_default().mentions = mentions;
        targets
    }

    /// The runs whose ids stand in `raw`, in small letters or capitals: those that listen whatever stands around them, and those of
    /// other processes and times where they are marked as runs by `foil-`, as their folders and objects are.
    fn mentions(&self, raw: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        if self.by_run.is_empty() {
            return found;
        }
        let is_marked = |at: usize| {
            let before = at.checked_sub(MARK.len()).and_then(|from| raw.get(from..at));
            before.is_some_and(|before| before.eq_ignore_ascii_case(MARK))
        };
        for (at, id) in run_ids(raw) {
            if (self.by_run.contains_key(&id) || is_marked(at)) && !found.contains(&id) {
                found.push(id);
            }
        }
        found
    }
}

/// What may be the id of a run in a text, in small letters, and where it stands.
pub fn run_ids(raw: &[u8]) -> impl Iterator<Item = (usize, String)> {
    // The first character of an id is the time's highest bits: `0` for the next centuries. That spares most look-ups.
    let begins = raw.iter().enumerate().filter(|(_, byte)| **byte == b'0').map(|(at, _)| at);
    begins.filter_map(|at| {
        let text = std::str::from_utf8(raw.get(at..at.checked_add(ID)?)?).ok()?;
        text.bytes().all(|byte| byte.is_ascii_alphanumeric()).then(|| (at, text.to_ascii_lowercase()))
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::{LogLimits, ProcessTree};
    use super::*;
    use foil_text::RunId;

    fn log() -> Arc<EventLog> {
        Arc::new(EventLog::new(RunId::new(), Some(ProcessTree::without_connector()), LogLimits::default()))
    }

    #[test]
    fn an_event_goes_to_the_run_that_it_names_and_else_to_all() {
        let mut subscribers = Subscribers::default();
        let logs: Vec<_> = (0..3).map(|_| log()).collect();
        let numbers: Vec<_> = logs.iter().map(|log| subscribers.add(log)).collect();
        let (first, second) = (logs[0].run().to_string(), logs[1].run().to_string());
        let targets = |subscribers: &Subscribers, raw: &str| -> Vec<String> {
            let mut event = super::super::event("x", BTreeMap::new(), None, 1);
            subscribers.route(&mut event, raw.as_bytes()).iter().map(|log| log.run().to_string()).collect()
        };
        assert_eq!(targets(&subscribers, &format!("agent=foil/{first}, 0")), std::slice::from_ref(&first));
        assert_eq!(targets(&subscribers, &format!("x0{}y", second.to_uppercase())), std::slice::from_ref(&second));
        assert_eq!(targets(&subscribers, &format!("{first}0{second}")), [first.clone(), second]);
        assert_eq!(targets(&subscribers, "0 of nobody, 00000000000000000000000000000000").len(), 3);
        assert_eq!(targets(&subscribers, &first[..25]).len(), 3);
        subscribers.remove(numbers[0]);
        assert_eq!(targets(&subscribers, &first).len(), 2);
        // A run that does not listen any more, or is another process's, is noted where it is sure to be one.
        let mentions = |raw: String| subscribers.mentions(raw.as_bytes());
        assert_eq!(mentions(format!("/tmp/foil-{first}/scratch")), std::slice::from_ref(&first));
        assert_eq!(mentions(format!("FOIL-{}", first.to_uppercase())), std::slice::from_ref(&first));
        assert!(mentions(format!("foil{first} {first}")).is_empty());
        numbers.iter().for_each(|number| subscribers.remove(*number));
        assert!(targets(&subscribers, &first).is_empty() && subscribers.by_run.is_empty());
    }
}
