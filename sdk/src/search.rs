//! What checks over a collector's events share: looking page by page, patterns over fields, and evidence of a bounded size.

use crate::events::{Event, doubt, read};
use crate::{Error, Observation, Result, Sighting, pattern};

/// Events asked for at once.
const PAGE: u32 = 200;
/// Sightings after which a look ends: one settles a link, and all must fit into what a guest may return.
const ENOUGH: usize = 20;
/// The longest line of evidence, in bytes.
const LINE: usize = 300;

/// One look at a collector's log from `cursor` on: a sighting of each event for which `line` finds words. Ends after 20 of them;
/// nothing is skipped, since the cursor stands behind the last event that was looked at.
///
/// # Errors
/// Those of [`read`].
pub fn search(collector: &str, cursor: u64, line: impl Fn(&Event) -> Option<String>) -> Result<Observation> {
    search_with(collector, cursor, |event| line(event).map(|line| Sighting::of(event, line)))
}

/// The same, where `sighting` says more of an event than a line.
///
/// # Errors
/// Those of [`read`].
pub fn search_with(collector: &str, cursor: u64, sighting: impl Fn(&Event) -> Option<Sighting>) -> Result<Observation> {
    search_or_doubt(collector, cursor, sighting, |_| false)
}

/// The same, where `could` says of an incomplete event without a sighting whether it may be one that was looked for all the same.
///
/// # Errors
/// Those of [`read`]; [`doubt`] where nothing was found and there was such an event. The next look begins at the same place.
pub fn search_or_doubt(
    collector: &str,
    cursor: u64,
    sighting: impl Fn(&Event) -> Option<Sighting>,
    could: impl Fn(&Event) -> bool,
) -> Result<Observation> {
    let mut doubtful = false;
    let mut observation = Observation::up_to(cursor, 0);
    loop {
        let page = read(collector, observation.cursor, PAGE)?;
        for event in &page.events {
            observation.looked_at = observation.looked_at.saturating_add(1);
            observation.cursor = event.sequence;
            match sighting(event) {
                Some(mut sighting) => {
                    cut(&mut sighting.summary, LINE);
                    observation.push(sighting);
                }
                None => doubtful |= event.is_incomplete() && could(event),
            }
            if observation.sightings.len() >= ENOUGH {
                return Ok(observation);
            }
        }
        observation.cursor = page.next;
        if page.drained || page.events.is_empty() {
            return if doubtful && observation.sightings.is_empty() { Err(doubt()) } else { Ok(observation) };
        }
    }
}

/// Cuts a text to at most `most` bytes, at a character's border.
pub fn cut(text: &mut String, most: usize) {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most.saturating_sub('…'.len_utf8())));
        text.push('…');
    }
}

/// Patterns over an event's fields, each written as `NAME=PATTERN`, and a text. An event must fit all of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wanted {
    fields: Vec<(String, String)>,
    contains: Option<String>,
}

impl Wanted {
    /// Reads what a check's parameters say.
    ///
    /// # Errors
    /// `invalid`: a pattern without a name, or an empty text, which everything would contain.
    pub fn new(fields: &[String], contains: Option<&str>) -> Result<Self> {
        let split = |text: &String| {
            let (name, wanted) = pattern::field(text).ok_or_else(|| {
                Error::Invalid(format!("`{text}` in `fields` is not NAME=PATTERN, such as `user.name=ann*`"))
            })?;
            Ok((name.to_owned(), wanted.to_owned()))
        };
        if contains.is_some_and(|text| text.trim().is_empty()) {
            return Err(Error::Invalid("`contains` is empty, which everything contains: leave it out".to_owned()));
        }
        let fields = fields.iter().map(split).collect::<Result<_>>()?;
        Ok(Self { fields, contains: contains.map(ToOwned::to_owned) })
    }

    /// It wants nothing: every event would fit.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.contains.is_none()
    }

    /// Whether an incomplete event may fit: what it lacks, or was cut, may be anything.
    pub fn could_fit(&self, event: &Event, prefixes: &[&str]) -> bool {
        let could = |(name, wanted): &(String, String)| {
            event.could_have(name, wanted)
                || prefixes.iter().any(|prefix| event.could_have(&[prefix, name.as_str()].concat(), wanted))
        };
        event.is_incomplete() && self.fields.iter().all(could)
    }

    /// Whether the event fits. A name stands for the field below one of `prefixes` too: `proc.name` for `output_fields.proc.name`.
    pub fn fits(&self, event: &Event, prefixes: &[&str]) -> bool {
        let value = |name: &str| {
            let below = || prefixes.iter().find_map(|prefix| event.field(&[prefix, name].concat()));
            event.field(name).or_else(below)
        };
        let contains = |text: &String| event.fields.iter().any(|field| field.value.contains(text.as_str()));
        self.fields.iter().all(|(name, wanted)| value(name).is_some_and(|value| pattern::matches(wanted, value)))
            && self.contains.as_ref().is_none_or(contains)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake;

    #[test]
    fn every_pattern_and_the_text_must_fit() {
        let event =
            fake::event("line").with("user.name", "ann").with("p.path", "/etc/shadow").with("line", "Ann read it");
        let fits = |fields: &[&str], contains| {
            let fields: Vec<String> = fields.iter().map(|field| (*field).to_owned()).collect();
            Wanted::new(&fields, contains).unwrap().fits(&event, &["p."])
        };
        assert!(fits(&["user.name=a*", "path = /etc/*"], Some("read")));
        assert!(!fits(&["user.name=a*", "path=/*"], None) && !fits(&["path=/etc/*"], Some("wrote")));
        assert!(!fits(&["absent=**"], None), "a field that is not there fits nothing");
        for bad in ["", "name", "=x", "name!=x", "name==x"] {
            assert!(matches!(Wanted::new(&[bad.to_owned()], None), Err(Error::Invalid(_))), "{bad}");
        }
        assert!(matches!(Wanted::new(&[], Some(" ")), Err(Error::Invalid(_))));
    }

    #[test]
    fn an_incomplete_event_is_a_doubt_where_it_could_fit() {
        let wanted = |text: &str| Wanted::new(&[text.to_owned()], None).unwrap();
        let look = |event: Event, text: &str| {
            let host = fake::Host::new();
            host.event("file.x", event);
            let wanted = wanted(text);
            let found = |e: &Event| wanted.fits(e, &[]).then(|| Sighting::of(e, String::new()));
            search_or_doubt("file.x", 0, found, |e| wanted.could_fit(e, &[]))
        };
        let event = || fake::event("line").with("a", "1").with("long", "x".repeat(16 << 10));
        let cut = || event().with("incomplete", "yes");
        let doubtful = |event: Event, text: &str| look(event, text).is_err_and(|e| e.code() == Some("incomplete"));
        assert!(doubtful(cut(), "absent=1") && doubtful(cut(), "long=y"));
        assert!(!doubtful(cut(), "a=2") && !doubtful(event(), "absent=1"));
        assert_eq!(look(cut(), "a=1").unwrap().sightings.len(), 1);
        let truncated = || event().with("annotations.audit.k8s.io/truncated", "true");
        assert!(doubtful(truncated(), "requestObject.spec.x=1") && doubtful(truncated(), "responseObject=1"));
        assert!(!doubtful(truncated(), "objectRef.name=x") && !doubtful(truncated(), "long=y"));
    }

    #[test]
    fn a_look_ends_when_it_has_enough_and_the_next_goes_on_there() {
        let host = fake::Host::new();
        for n in 0..50 {
            host.event("file.x", fake::event("line").with("n", n));
        }
        let look = |cursor| {
            let line = |event: &Event| event.field("n").filter(|n| !n.ends_with('3')).map(|n| n.repeat(1_000));
            search("file.x", cursor, line).unwrap()
        };
        let first = look(0);
        assert_eq!((first.sightings.len(), first.looked_at), (20, 22));
        let (second, third) = (look(first.cursor), look(look(first.cursor).cursor));
        assert_eq!((second.sightings.len(), third.sightings.len(), third.cursor), (20, 5, 50));
        let seen = first.sightings.iter().chain(&second.sightings).chain(&third.sightings);
        let mut numbers = Vec::new();
        for sighting in seen {
            assert!(sighting.summary.len() <= LINE);
            let crate::Basis::Events(events) = &sighting.basis else { panic!("it rests on an event") };
            assert_eq!((events.len(), events[0].collector.as_str()), (1, "file.x"));
            numbers.push(events[0].sequence - 1);
        }
        assert_eq!(numbers, (0..50).filter(|n| n % 10 != 3).collect::<Vec<_>>());
    }
}
