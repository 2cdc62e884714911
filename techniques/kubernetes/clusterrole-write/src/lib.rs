//! T1098.006: a role that may change what runs.

use foil_sdk::kube::RoleRule;
use foil_sdk::prelude::*;

const RULE: RoleRule<'static> =
    RoleRule { groups: &["apps"], resources: &["deployments"], verbs: &["create", "update", "patch", "delete"] };

struct ClusterRoleWrite;

impl Technique for ClusterRoleWrite {
    type Parameters = NoParameters;

    fn detonate(context: &Context, _: &NoParameters, _: &State) -> Result<Evidence> {
        let rule = if context.dry { RoleRule::ORDINARY } else { RULE };
        let role = kube::create_cluster_role(context, "write", rule)?;
        let what = if context.dry { " for reading ConfigMaps (dry)" } else { "" };
        Ok(Evidence::new(["created the ClusterRole ", &role.name, what].concat()).about(&role))
    }
}

foil_sdk::technique!(ClusterRoleWrite);

#[cfg(test)]
mod tests {
    use super::*;
    use foil_sdk::fake;

    /// The rule of the role that was made, and all that was asked of the cluster.
    fn made(dry: bool) -> (serde_json::Value, Vec<String>) {
        let host = fake::Host::for_technique(include_str!("../technique.toml"));
        let evidence = host.cluster().dry(dry).detonate::<ClusterRoleWrite>(&[]).unwrap();
        let role = host.object_now(&kube::Kind::rbac("clusterroles"), None, evidence.get("name").unwrap()).unwrap();
        (role["rules"][0].clone(), host.kube_calls())
    }

    #[test]
    fn it_may_write_and_names_no_wildcard() {
        let (rule, calls) = made(false);
        assert!(rule["verbs"].as_array().unwrap().contains(&"patch".into()));
        assert!(!rule.to_string().contains('*'));
        assert_eq!(calls.len(), 1);
    }

    #[test]
    fn the_twin_reads_configmaps() {
        let (rule, calls) = made(true);
        assert_eq!((&rule["resources"][0], &rule["verbs"][0]), (&"configmaps".into(), &"get".into()));
        assert_eq!((rule["resources"].as_array().unwrap().len(), calls.len()), (1, 1));
    }
}
