//! What checks over a collector's events share: looking page by page, patterns over fields, and evidence of a bounded size.

use crate::events::{Attribution, Event, read};
use crate::{Error, Fact, Observation, Result, Sighting, pattern};

/// Events asked for at once.
const PAGE: u32 = 200;
/// Sightings after which a look ends: one settles a link, and all must fit into what a guest may return.
const ENOUGH: usize = 20;
/// The longest line of evidence, in bytes.
const LINE: usize = 300;
/// The longest value of a fact, in bytes.
const VALUE: usize = 512;
/// Most facts of a sighting.
const FACTS: usize = 48;

/// One look at a collector's log from `cursor` on: a sighting of each event for which `line` finds words, with the event's fields as
/// facts. Ends after 20 of them; nothing is skipped, since the cursor stands behind the last event that was looked at.
///
/// Every event of the run is asked for, however it is tied to the run: how strong a tie must be is the host's to judge.
///
/// # Errors
/// Those of [`read`].
pub fn search(collector: &str, cursor: u64, line: impl Fn(&Event) -> Option<String>) -> Result<Observation> {
    let mut observation = Observation::up_to(cursor, 0);
    loop {
        let page = read(collector, observation.cursor, PAGE)?;
        for event in page.events.iter().filter(|event| event.attribution != Attribution::Stranger) {
            observation.looked_at = observation.looked_at.saturating_add(1);
            observation.cursor = event.sequence;
            if let Some(line) = line(event) {
                observation.push(sighting(event, line));
            }
            if observation.sightings.len() >= ENOUGH {
                return Ok(observation);
            }
        }
        observation.cursor = page.next;
        if page.drained || page.events.is_empty() {
            return Ok(observation);
        }
    }
}

fn sighting(event: &Event, mut line: String) -> Sighting {
    cut(&mut line, LINE);
    let mut sighting = Sighting::of(event, line);
    sighting.facts.insert(0, Fact::new("tied", tie(event.attribution)));
    sighting.facts.truncate(FACTS);
    for fact in &mut sighting.facts {
        cut(&mut fact.value, VALUE);
    }
    sighting
}

/// How an event was tied to the run, in words that stand behind "tied".
pub fn tie(attribution: Attribution) -> &'static str {
    match attribution {
        Attribution::Tree => "by its process, which is of this run's tree",
        Attribution::Marker => "by this run's id, which is in it",
        Attribution::Likeness => {
            "by likeness: its program, parents, user and time are those of one that this run started"
        }
        Attribution::Window => "by its time only",
        Attribution::Stranger => "to somebody else",
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
    fn a_look_ends_when_it_has_enough_and_the_next_goes_on_there() {
        let host = fake::Host::new();
        for n in 0..50 {
            let mut event = fake::event("line").with("n", n).with("long", "é".repeat(1_000));
            event.attribution = [Attribution::Window, Attribution::Likeness, Attribution::Stranger][n % 3];
            host.event("file.x", event);
        }
        let look = |cursor| search("file.x", cursor, |event| event.field("n").map(|n| n.repeat(1_000))).unwrap();
        let (first, mut seen) = (look(0), Vec::new());
        assert_eq!((first.sightings.len(), first.looked_at), (20, 20));
        let second = look(first.cursor);
        assert_eq!((second.sightings.len(), second.cursor), (14, 50));
        for sighting in first.sightings.iter().chain(&second.sightings) {
            assert!(sighting.summary.len() <= LINE && sighting.facts.iter().all(|fact| fact.value.len() <= VALUE));
            seen.push(sighting.facts.iter().find(|fact| fact.name == "n").unwrap().value.parse::<usize>().unwrap());
        }
        assert_eq!(seen, (0..50).filter(|n| n % 3 != 2).collect::<Vec<_>>());
        assert_eq!(first.sightings[0].facts[0].value, "by its time only");
    }
}
