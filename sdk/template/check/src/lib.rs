//! @NAME@.
//!
//! `cargo test` runs it against a fake host; `foil build .` makes the module; an experiment's `check: @ID@` uses it.

use foil_sdk::prelude::*;

/// As the manifest declares them.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Parameters {
    event: String,
}

struct New;

impl Check for New {
    type Parameters = Parameters;

    // One look, and back. An error means that it could not look: never turn one into "nothing seen".
    fn probe(_context: &Context, parameters: &Parameters, cursor: u64) -> Result<Observation> {
        let (events, next) = events::read_all("linux.audit", cursor, 1_000)?;
        let mut observation = Observation::up_to(next, events.len());
        // Only what is surely this run's counts.
        for event in events.iter().filter(|event| event.is_ours() && event.kind == parameters.event) {
            let pid = event.field("pid").unwrap_or("unknown");
            observation.push(Sighting::of(event, format!("{} by process {pid}", event.kind)));
        }
        Ok(observation)
    }
}

foil_sdk::check!(New);

#[cfg(test)]
mod tests {
    use super::*;
    use foil_sdk::events::{Attribution, Event};
    use foil_sdk::fake;

    fn host() -> fake::Host {
        fake::Host::for_check(include_str!("../check.toml"))
    }

    #[test]
    fn it_sees_this_run_and_nobody_else() {
        let host = host();
        host.event("linux.audit", fake::event("execve").with("pid", 7));
        host.event("linux.audit", Event { attribution: Attribution::Stranger, ..fake::event("execve") });
        host.event("linux.audit", fake::event("openat"));
        let seen = host.probe::<New>(&[("event", "execve".into())], 0).unwrap();
        assert_eq!(seen.looked_at, 3);
        assert_eq!(seen.sightings.len(), 1);
        assert_eq!(seen.sightings[0].summary, "execve by process 7");
    }

    #[test]
    fn what_it_could_not_see_is_an_error() {
        let host = host();
        host.blind("linux.audit", "dead-collector");
        assert!(host.probe::<New>(&[("event", "execve".into())], 0).is_err());
    }
}
