//! What a check is.

use crate::__bindings::check::exports::foil::host::probing;
use crate::__bindings::host::types;
use crate::events::Event;
use crate::{Context, Fact, Result};
use serde::de::DeserializeOwned;

/// A check: it looks once and returns. The host calls it again, with the cursor that it returned, until it has seen what the
/// experiment expects or time is up. By type a check cannot act: its world has nothing that changes anything.
///
/// An error means that it could not look: the link is `unknown`, never `missed`. So never turn an error into an empty
/// [`Observation`].
///
/// ```
/// use foil_sdk::prelude::*;
///
/// struct AnyExec;
///
/// impl Check for AnyExec {
///     type Parameters = NoParameters;
///
///     fn probe(_: &Context, _: &NoParameters, cursor: u64) -> Result<Observation> {
///         let (events, next) = events::read_all("linux.audit", cursor, 1_000)?;
///         let mut observation = Observation::up_to(next, events.len());
///         for event in events.iter().filter(|e| e.kind == "execve") {
///             observation.push(Sighting::of(event, "a program was started"));
///         }
///         Ok(observation)
///     }
/// }
///
/// foil_sdk::check!(AnyExec);
///
/// let host = foil_sdk::fake::Host::new();
/// host.event("linux.audit", foil_sdk::fake::event("execve"));
/// assert_eq!(host.probe::<AnyExec>(&[], 0).unwrap().sightings.len(), 1);
/// ```
pub trait Check {
    /// Its parameters, as the manifest declares them; [`NoParameters`](crate::NoParameters) where there are none.
    type Parameters: DeserializeOwned;

    /// One look at what there is from `cursor` on; 0 is the moment before the detonation.
    fn probe(context: &Context, parameters: &Self::Parameters, cursor: u64) -> Result<Observation>;
}

/// What one look showed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Observation {
    /// What was asked for and is there.
    pub sightings: Vec<Sighting>,
    /// Handed to the next look.
    pub cursor: u64,
    /// How many events, rows or alerts were looked at: the difference between "none of 4,000" and "there were none".
    pub looked_at: u32,
    /// One line on how things are, shown where nothing was seen: `2 of 3 nodes; not on node-7`.
    pub remark: Option<String>,
}

impl Observation {
    /// Nothing seen in `looked_at` events, up to `cursor`.
    pub fn up_to(cursor: u64, looked_at: usize) -> Self {
        Self { sightings: Vec::new(), cursor, looked_at: u32::try_from(looked_at).unwrap_or(u32::MAX), remark: None }
    }

    /// Adds a sighting.
    pub fn push(&mut self, sighting: Sighting) {
        self.sightings.push(sighting);
    }
}

/// Something that the check was asked to find.
#[derive(Debug, Clone, PartialEq)]
pub struct Sighting {
    /// What it rests on.
    pub basis: Basis,
    /// One line of evidence.
    pub summary: String,
    /// In the source's own word, where it has one.
    pub severity: Option<String>,
    /// More, by name. The fields of the events that it rests on are in the report already.
    pub facts: Vec<Fact>,
}

/// What a sighting rests on.
#[derive(Debug, Clone, PartialEq)]
pub enum Basis {
    /// Events that this look read, 1 to 16. The host knows the rest: when they happened, and how they are tied to the run. Of several
    /// the weakest tie and the latest moment count.
    Events(Vec<EventReference>),
    /// Something else, such as objects of a cluster, and the moment at which it was so, nanoseconds since 1970-01-01T00:00:00Z. It is
    /// tied to the run by time only.
    Elsewhere(u64),
}

impl Sighting {
    /// The sighting of a collector's event.
    pub fn of(event: &Event, summary: impl Into<String>) -> Self {
        Self::of_all([event], summary)
    }

    /// What several events show together.
    pub fn of_all<'a>(events: impl IntoIterator<Item = &'a Event>, summary: impl Into<String>) -> Self {
        Self::on(Basis::Events(events.into_iter().map(Event::reference).collect()), summary.into())
    }

    /// What no collector recorded, as it was at the moment `at`, nanoseconds since 1970-01-01T00:00:00Z.
    pub fn elsewhere(at: u64, summary: impl Into<String>) -> Self {
        Self::on(Basis::Elsewhere(at), summary.into())
    }

    fn on(basis: Basis, summary: String) -> Self {
        Self { basis, summary, severity: None, facts: Vec::new() }
    }

    /// The same with the severity that the source gives it, where it gives one.
    #[must_use]
    pub fn severity(self, word: Option<&str>) -> Self {
        Self { severity: word.map(ToOwned::to_owned), ..self }
    }
}

/// An event that a look read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventReference {
    /// The collector that recorded it.
    pub collector: String,
    /// Its place in the collector's log.
    pub sequence: u64,
}

impl From<EventReference> for probing::EventReference {
    fn from(reference: EventReference) -> Self {
        Self { collector: reference.collector, sequence: reference.sequence }
    }
}

impl Event {
    /// What a sighting refers to it by.
    pub fn reference(&self) -> EventReference {
        EventReference { collector: self.collector.clone(), sequence: self.sequence }
    }
}

#[doc(hidden)]
pub fn __probe<C: Check>(
    context: Context,
    parameters: Vec<types::Parameter>,
    cursor: u64,
) -> std::result::Result<probing::Observation, types::Error> {
    let parameters = crate::decode(parameters)?;
    let observation = C::probe(&context, &parameters, cursor)?;
    let sightings = observation.sightings.into_iter().map(|s| probing::Sighting {
        basis: match s.basis {
            Basis::Events(events) => probing::Basis::Events(events.into_iter().map(Into::into).collect()),
            Basis::Elsewhere(at) => probing::Basis::Elsewhere(at),
        },
        summary: s.summary,
        severity: s.severity,
        facts: s.facts,
    });
    Ok(probing::Observation {
        sightings: sightings.collect(),
        cursor: observation.cursor,
        looked_at: observation.looked_at,
        remark: observation.remark,
    })
}

/// Exports a type that implements [`Check`] as the module's check. It must be a unit struct. Once a crate; natively, where
/// unit tests run, nothing is exported.
#[macro_export]
macro_rules! check {
    ($check:ident) => {
        const _: () = {
            // Nothing else makes a value of it, so that the compiler would call it dead code.
            const _: $check = $check;

            struct Module;

            impl $crate::__bindings::check::exports::foil::host::probing::Guest for Module {
                fn probe(
                    context: $crate::Context,
                    parameters: ::std::vec::Vec<$crate::__bindings::host::types::Parameter>,
                    cursor: u64,
                ) -> ::std::result::Result<
                    $crate::__bindings::check::exports::foil::host::probing::Observation,
                    $crate::__bindings::host::types::Error,
                > {
                    $crate::__private::probe::<$check>(context, parameters, cursor)
                }
            }

            #[cfg(target_arch = "wasm32")]
    $crate::__bindings::check::export_check!(Module with_types_in $crate::__bindings::check);
        };
    };
}
