//! T1098.001: a token that is valid long after everybody has forgotten it. This one is gone at once.

use foil_sdk::kube::{Kind, Target};
use foil_sdk::prelude::*;
use std::time::Duration;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Parameters {
    account: Account,
    by: By,
    lifetime: i64,
}

#[derive(serde::Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Account {
    Own,
    KubeSystem,
    ClusterroleAggregationController,
}

#[derive(serde::Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum By {
    Request,
    Secret,
}

const SYSTEM: &str = "kube-system";
/// It may change every ClusterRole, and every cluster has it.
const CONTROLLER: &str = "clusterrole-aggregation-controller";

struct LongLivedToken;

impl Technique for LongLivedToken {
    type Parameters = Parameters;

    fn warmup(context: &Context, parameters: &Parameters) -> Result<State> {
        lifetime(parameters)?;
        match whose(context, parameters) {
            Account::Own => kube::create_service_account(context, "long-lived").map(drop)?,
            Account::KubeSystem => kube::create_service_account_in(context, SYSTEM, "long-lived").map(drop)?,
            Account::ClusterroleAggregationController => {}
        }
        Ok(State::new())
    }

    fn detonate(context: &Context, parameters: &Parameters, _: &State) -> Result<Evidence> {
        let account = account(context, whose(context, parameters))?;
        if context.dry {
            return Ok(Evidence::new("made a service account and asked for no token of it (dry)").about(&account));
        }
        let namespace = account.namespace.as_deref().unwrap_or_default();
        let of = format!("{namespace}/{}", account.name);
        if parameters.by == By::Secret {
            let secret = kube::create_token_secret(context, "long-lived", &account)?;
            return Ok(Evidence::new(format!("had a Secret filled with a token of {of}, and read it"))
                .about(&account)
                .fact("token-secret", secret.name));
        }
        let token = kube::request_token(namespace, &account.name, &[], lifetime(parameters)?)?;
        let ends = clock::rfc3339(token.expires_at);
        Ok(Evidence::new(format!("had a token issued of {of} until {ends}, and kept nothing of it"))
            .about(&account)
            .fact("subject", token.subject)
            .fact("expires-at", ends))
    }
}

/// The benign twin keeps away from what detections watch.
fn whose(context: &Context, parameters: &Parameters) -> Account {
    if context.dry { Account::Own } else { parameters.account }
}

fn account(context: &Context, whose: Account) -> Result<Target> {
    let accounts = Kind::core("serviceaccounts");
    let own = context.mark_for("long-lived");
    Ok(match whose {
        Account::Own => accounts.named(&context.cluster()?.namespace, &own),
        Account::KubeSystem => accounts.named(SYSTEM, &own),
        Account::ClusterroleAggregationController => accounts.named(SYSTEM, CONTROLLER),
    })
}

fn lifetime(parameters: &Parameters) -> Result<Duration> {
    match u64::try_from(parameters.lifetime) {
        Ok(seconds @ 600..=946_080_000) => Ok(Duration::from_secs(seconds)),
        _ => Err(Error::Invalid("`lifetime` must be 600 to 946080000 seconds".to_owned())),
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
        for (account, namespace) in [("own", "security-testing"), ("kube-system", "kube-system")] {
            let host = host();
            let given = [("account", account.into()), ("lifetime", 946_080_000.into())];
            let evidence = host.detonate::<LongLivedToken>(&given).unwrap();
            let name = host.context().mark_for("long-lived");
            let calls = ["create", "token"].map(|verb| format!("{verb} serviceaccounts {namespace}/{name}"));
            assert_eq!(host.kube_calls(), calls);
            assert_eq!(evidence.get("expires-at"), Some("2027-01-15T08:00:00Z"));
        }
    }

    #[test]
    fn a_token_of_the_controllers_account_is_asked_for_and_nothing_is_made() {
        let host = host();
        host.detonate::<LongLivedToken>(&[("account", CONTROLLER.into())]).unwrap();
        assert_eq!(host.kube_calls(), [format!("token serviceaccounts kube-system/{CONTROLLER}")]);
    }

    #[test]
    fn a_secret_is_made_beside_its_account() {
        for (account, namespace, of) in [
            ("own", "security-testing", "foil-01k0000000000000000000test-long-lived"),
            (CONTROLLER, "kube-system", CONTROLLER),
        ] {
            let host = host();
            let given = [("account", account.into()), ("by", "secret".into())];
            let evidence = host.detonate::<LongLivedToken>(&given).unwrap();
            let name = evidence.get("token-secret").unwrap();
            let secret = host.object_now(&Kind::core("secrets"), Some(namespace), name).unwrap();
            assert_eq!(secret["metadata"]["annotations"]["kubernetes.io/service-account.name"], of);
            assert!(!host.kube_calls().iter().any(|call| call.starts_with("token")));
        }
    }

    #[test]
    fn lifetimes_that_make_no_sense_are_refused() {
        let host = host();
        for seconds in [-1, 0, 599, 946_080_001, i64::MAX] {
            let error = host.detonate::<LongLivedToken>(&[("lifetime", seconds.into())]).unwrap_err();
            assert!(matches!(error, Error::Invalid(_)), "{seconds}: {error}");
        }
        assert!(host.kube_calls().is_empty());
    }

    #[test]
    fn the_twin_asks_for_none() {
        for account in ["own", "kube-system", CONTROLLER] {
            let host = host();
            host.dry(true).detonate::<LongLivedToken>(&[("account", account.into()), ("by", "secret".into())]).unwrap();
            let name = host.context().mark_for("long-lived");
            assert_eq!(host.kube_calls(), [format!("create serviceaccounts security-testing/{name}")]);
        }
    }
}
