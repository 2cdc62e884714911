//! T1098.006: a role of which nobody can say what it will allow tomorrow.

use foil_sdk::kube::RoleRule;
use foil_sdk::prelude::*;

const RULE: RoleRule<'static> = RoleRule { groups: &[""], resources: &["*"], verbs: &["get", "list"] };

struct ClusterRoleWildcard;

impl Technique for ClusterRoleWildcard {
    type Parameters = NoParameters;

    fn detonate(context: &Context, _: &NoParameters, _: &State) -> Result<Evidence> {
        let rule = if context.dry { RoleRule::ORDINARY } else { RULE };
        let role = kube::create_cluster_role(context, "wildcard", rule)?;
        let what = if context.dry { " for reading ConfigMaps (dry)" } else { "" };
        Ok(Evidence::new(["created the ClusterRole ", &role.name, what].concat()).about(&role))
    }
}

foil_sdk::technique!(ClusterRoleWildcard);

#[cfg(test)]
mod tests {
    use super::*;
    use foil_sdk::fake;

    /// The rule of the role that was made, and all that was asked of the cluster.
    fn made(dry: bool) -> (serde_json::Value, Vec<String>) {
        let host = fake::Host::for_technique(include_str!("../technique.toml"));
        let evidence = host.cluster().dry(dry).detonate::<ClusterRoleWildcard>(&[]).unwrap();
        let role = host.object_now(&kube::Kind::rbac("clusterroles"), None, evidence.get("name").unwrap()).unwrap();
        (role["rules"][0].clone(), host.kube_calls())
    }

    #[test]
    fn the_wildcard_is_among_the_resources_alone() {
        let (rule, calls) = made(false);
        assert_eq!(rule["resources"][0], "*");
        assert!(!rule["verbs"].to_string().contains('*'));
        assert_eq!(calls.len(), 1);
    }

    #[test]
    fn the_twin_reads_configmaps() {
        let (rule, calls) = made(true);
        assert_eq!((&rule["resources"][0], &rule["verbs"][0]), (&"configmaps".into(), &"get".into()));
        assert_eq!((rule["resources"].as_array().unwrap().len(), calls.len()), (1, 1));
    }
}
