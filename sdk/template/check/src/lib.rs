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
        // Every event that is handed out is this run's: the host judges that, and it knows when each happened.
        for event in events.iter().filter(|event| event.kind == parameters.event) {
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
    use foil_sdk::fake;

    fn host() -> fake::Host {
        fake::Host::for_check(include_str!("../check.toml"))
    }

    #[test]
    fn it_sees_what_was_asked_for() {
        let host = host();
        host.event("linux.audit", fake::event("execve").with("pid", 7));
        host.event("linux.audit", fake::event("openat"));
        let seen = host.probe::<New>(&[("event", "execve".into())], 0).unwrap();
        assert_eq!(seen.looked_at, 2);
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
