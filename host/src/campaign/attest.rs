//! What a look showed, with what the host itself knows of it: when it happened and how it is tied to the run are never a check's to say.

use crate::capability::Reading;
use crate::engine::PhaseError;
use crate::engine::bindings::check::{Basis, EventReference, Observation, Sighting};
use foil_collector::Judged;
use foil_record::Attribution;
use foil_text::{clip, cut};
use std::collections::{BTreeMap, BTreeSet};

/// Most events that a sighting may rest on.
const MAX_EVENTS: usize = 16;

/// What one look showed.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// What was asked for and is there.
    pub sightings: Vec<Attested>,
    /// Handed to the next look.
    pub cursor: u64,
    /// How many events, rows or alerts were looked at.
    pub looked_at: u32,
    /// One line on how things are.
    pub remark: Option<String>,
}

/// A sighting, as far as the host vouches for it.
#[derive(Debug, Clone)]
pub struct Attested {
    /// When it happened, nanoseconds since 1970; of several events the latest.
    pub at: u64,
    /// How it is tied to the run; of several events the weakest.
    pub attribution: Attribution,
    /// One of its events was seen only by Foil itself.
    pub own_observation: bool,
    /// The events that it rests on. None: the check saw it elsewhere, and says so by its word alone.
    pub events: Vec<Cited>,
    /// The check's line.
    pub summary: String,
    /// The check's word for how bad it is.
    pub severity: Option<String>,
    /// What the check added.
    pub facts: BTreeMap<String, String>,
}

/// An event that a sighting rests on.
#[derive(Debug, Clone)]
pub struct Cited {
    /// The collector that recorded it.
    pub collector: String,
    /// What was recorded, and whose it is.
    pub judged: Judged,
}

/// Holds what a check says against what it read. `collectors`: those that the link looks at; empty, where it names none.
/// `elsewhere`: it is granted something besides events by which it may have seen what it says.
///
/// # Errors
/// A sighting rests on an event that this look did not read, on none, on too many, or on what the check cannot have seen: then nothing
/// that the check says is believed.
pub fn attest(
    observation: Observation,
    reading: &Reading,
    collectors: &BTreeSet<String>,
    elsewhere: bool,
) -> Result<Seen, PhaseError> {
    if !elsewhere && observation.sightings.iter().any(|sighting| matches!(sighting.basis, Basis::Elsewhere(_))) {
        return Err(PhaseError::Unfounded("something outside of the collectors, where it may look at nothing".into()));
    }
    let sightings = observation.sightings.into_iter().map(|sighting| one(sighting, reading, collectors));
    Ok(Seen {
        sightings: sightings.collect::<Result<_, _>>()?,
        cursor: observation.cursor,
        looked_at: observation.looked_at,
        remark: observation.remark,
    })
}

/// The events that a reference list stands for.
pub fn cited(
    references: &[EventReference],
    reading: &Reading,
    collectors: &BTreeSet<String>,
) -> Result<Vec<Cited>, PhaseError> {
    if !(1..=MAX_EVENTS).contains(&references.len()) {
        let why = format!("{} events for one sighting, which rests on 1 to {MAX_EVENTS}", references.len());
        return Err(PhaseError::Unfounded(why));
    }
    let find = |EventReference { collector, sequence }: &EventReference| {
        let name = cut(collector, 64);
        if !collectors.is_empty() && !collectors.contains(collector) {
            return Err(PhaseError::Unfounded(format!("an event of `{name}`, which this link does not look at")));
        }
        let judged = reading.handed(collector, *sequence);
        let judged = judged.ok_or_else(|| {
            PhaseError::Unfounded(format!("event {sequence} of `{name}`, which it did not read in this look"))
        })?;
        Ok(Cited { collector: collector.clone(), judged })
    };
    references.iter().map(find).collect()
}

fn one(sighting: Sighting, reading: &Reading, collectors: &BTreeSet<String>) -> Result<Attested, PhaseError> {
    let Sighting { basis, summary, severity, facts } = sighting;
    let (events, elsewhere) = match basis {
        Basis::Events(references) => (cited(&references, reading, collectors)?, None),
        Basis::Elsewhere(at) => (Vec::new(), Some(at)),
    };
    let latest = events.iter().map(|cited| cited.judged.event.at).max();
    let weakest = events.iter().map(|cited| cited.judged.attribution).max();
    Ok(Attested {
        at: latest.or(elsewhere).unwrap_or_default(),
        attribution: weakest.unwrap_or(Attribution::Window),
        own_observation: events.iter().any(|cited| cited.judged.event.own_observation),
        events,
        summary: cut(&summary, 1024),
        severity,
        facts: facts.into_iter().map(|fact| (cut(&fact.name, 64), clip(&fact.value, 1024))).collect(),
    })
}

#[cfg(test)]
mod tests;
