//! T1098.006: an account that may do everything, and a door that nobody walks through.

use foil_sdk::kube::{Kind, RoleRule};
use foil_sdk::prelude::*;
use serde_json::json;

const EVERYTHING: RoleRule<'static> = RoleRule { groups: &["*"], resources: &["*"], verbs: &["*"] };

struct AdminClusterRole;

impl Technique for AdminClusterRole {
    type Parameters = NoParameters;

    fn detonate(context: &Context, _: &NoParameters, _: &State) -> Result<Evidence> {
        let rule = if context.dry { RoleRule::ORDINARY } else { EVERYTHING };
        let role = kube::create_cluster_role(context, "admin", rule)?;
        let account = kube::create_service_account(context, "admin")?;
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": { "name": role.name },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role.name },
            "subjects": [{ "kind": "ServiceAccount", "name": account.name, "namespace": account.namespace }],
        });
        kube::create(&Kind::rbac("clusterrolebindings"), None, &binding)?;
        let rights = if context.dry { "that may read ConfigMaps (dry)" } else { "that may do everything" };
        Ok(Evidence::new(format!("made the service account {} {rights}", account.name))
            .about(&role)
            .fact("account", &account.name))
    }
}

foil_sdk::technique!(AdminClusterRole);

#[cfg(test)]
mod tests {
    use super::*;
    use foil_sdk::fake;

    fn host() -> fake::Host {
        let host = fake::Host::for_technique(include_str!("../technique.toml"));
        host.cluster();
        host
    }

    fn object(host: &fake::Host, plural: &str) -> serde_json::Value {
        host.object_now(&Kind::rbac(plural), None, &host.context().mark_for("admin")).unwrap()
    }

    #[test]
    fn role_account_and_binding_belong_together() {
        let host = host();
        host.detonate::<AdminClusterRole>(&[]).unwrap();
        let name = host.context().mark_for("admin");
        assert_eq!(
            host.kube_calls(),
            [
                format!("create clusterroles {name}"),
                format!("create serviceaccounts security-testing/{name}"),
                format!("create clusterrolebindings {name}"),
            ]
        );
        assert_eq!(object(&host, "clusterroles")["rules"][0]["verbs"][0], "*");
        let binding = object(&host, "clusterrolebindings");
        assert_eq!(binding["roleRef"]["name"], name.as_str());
        assert_eq!(binding["subjects"][0]["namespace"], "security-testing");
    }

    #[test]
    fn the_twin_gives_no_right_worth_having() {
        let host = host();
        host.dry(true).detonate::<AdminClusterRole>(&[]).unwrap();
        assert!(!object(&host, "clusterroles")["rules"].to_string().contains('*'));
    }
}
