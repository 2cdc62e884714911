//! T1098.001: a token that is valid long after everybody has forgotten it. This one is gone at once.

use foil_sdk::prelude::*;
use std::time::Duration;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Parameters {
    lifetime: i64,
}

struct LongLivedToken;

impl Technique for LongLivedToken {
    type Parameters = Parameters;

    fn warmup(context: &Context, parameters: &Parameters) -> Result<State> {
        lifetime(parameters)?;
        Ok(State::new().with("account", kube::create_service_account(context, "long-lived")?.name))
    }

    fn detonate(context: &Context, parameters: &Parameters, state: &State) -> Result<Evidence> {
        let account = kube::Kind::core("serviceaccounts").named(&context.cluster()?.namespace, state.need("account")?);
        if context.dry {
            return Ok(Evidence::new("made a service account and asked for no token of it (dry)").about(&account));
        }
        let namespace = account.namespace.as_deref().unwrap_or_default();
        let token = kube::request_token(namespace, &account.name, &[], lifetime(parameters)?)?;
        let ends = clock::rfc3339(token.expires_at);
        Ok(Evidence::new(format!("had a token issued of {} until {ends}, and kept nothing of it", account.name))
            .about(&account)
            .fact("subject", token.subject)
            .fact("expires-at", ends))
    }
}

fn lifetime(parameters: &Parameters) -> Result<Duration> {
    match u64::try_from(parameters.lifetime) {
        Ok(seconds @ 600..=315_360_000) => Ok(Duration::from_secs(seconds)),
        _ => Err(Error::Invalid("`lifetime` must be 600 to 315360000 seconds".to_owned())),
    }
}

foil_sdk::technique!(LongLivedToken);

#[cfg(test)]
mod tests {
    use super::*;
    use foil_sdk::fake;

    fn host() -> fake::Host {
        let host = fake::Host::for_technique(include_str!("../technique.toml"));
        host.cluster();
        host
    }

    #[test]
    fn a_token_of_its_own_account_is_asked_for() {
        let host = host();
        let evidence = host.detonate::<LongLivedToken>(&[("lifetime", 315_360_000.into())]).unwrap();
        let name = host.context().mark_for("long-lived");
        let calls = ["create", "token"].map(|verb| format!("{verb} serviceaccounts security-testing/{name}"));
        assert_eq!(host.kube_calls(), calls);
        assert_eq!(evidence.get("expires-at"), Some("2027-01-15T08:00:00Z"));
    }

    #[test]
    fn lifetimes_that_make_no_sense_are_refused() {
        let host = host();
        for seconds in [-1, 0, 599, 315_360_001, i64::MAX] {
            let error = host.detonate::<LongLivedToken>(&[("lifetime", seconds.into())]).unwrap_err();
            assert!(matches!(error, Error::Invalid(_)), "{seconds}: {error}");
        }
        assert!(host.kube_calls().is_empty());
    }

    #[test]
    fn the_twin_asks_for_none() {
        let host = host();
        host.dry(true).detonate::<LongLivedToken>(&[]).unwrap();
        assert_eq!(host.kube_calls().len(), 1);
    }
}
