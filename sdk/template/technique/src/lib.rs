//! @NAME@.
//!
//! `cargo test` runs it against a fake host; `foil build .` makes the module; `foil fire @ID@` runs it.

use foil_sdk::prelude::*;

/// As the manifest declares them.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Parameters {
    text: String,
}

struct New;

impl Technique for New {
    type Parameters = Parameters;

    // Prepare in `warmup`, where there is something to prepare; act in `detonate`. Never clean up: the host does.
    fn detonate(context: &Context, parameters: &Parameters, _state: &State) -> Result<Evidence> {
        if context.dry {
            // The benign twin does everything but what a sensor should notice.
            return Ok(Evidence::new("said nothing (dry)"));
        }
        // Whatever you make carries the run's mark, so that people and sensors can tell whose it is.
        let said = Command::new("/bin/echo").arg(context.mark()).arg(&parameters.text).run()?.ok()?.text();
        Ok(Evidence::new("said something").fact("said", said.trim()))
    }
}

foil_sdk::technique!(New);

#[cfg(test)]
mod tests {
    use super::*;
    use foil_sdk::fake;

    fn host() -> fake::Host {
        let host = fake::Host::for_technique(include_str!("../technique.toml"));
        host.on_exec("/bin/echo", |call| Ok(fake::output(call.args.join(" "))));
        host
    }

    #[test]
    fn it_says_what_it_is_told_to() {
        let host = host();
        let evidence = host.detonate::<New>(&[("text", "ahoy".into())]).unwrap();
        let said = format!("{} ahoy", host.context().mark());
        assert_eq!(evidence.get("said"), Some(said.as_str()));
        assert_eq!(host.commands(), [format!("/bin/echo {said}")]);
    }

    #[test]
    fn the_benign_twin_says_nothing() {
        let host = host();
        host.dry(true).detonate::<New>(&[]).unwrap();
        assert!(host.commands().is_empty());
    }

    #[test]
    fn what_the_manifest_does_not_ask_for_is_denied() {
        let error = host().detonate::<New>(&[("text", "a/b".into())]).unwrap_err();
        assert!(matches!(error, Error::Denied(_)), "{error}");
    }
}
