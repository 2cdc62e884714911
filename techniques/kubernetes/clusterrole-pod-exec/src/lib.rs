//! T1098.006: a role that opens a shell in every pod.

use foil_sdk::kube::RoleRule;
use foil_sdk::prelude::*;

const RULE: RoleRule<'static> = RoleRule { groups: &[""], resources: &["pods/exec"], verbs: &["create", "get"] };

struct ClusterRolePodExec;

impl Technique for ClusterRolePodExec {
    type Parameters = NoParameters;

    fn detonate(context: &Context, _: &NoParameters, _: &State) -> Result<Evidence> {
        let rule = if context.dry { RoleRule::ORDINARY } else { RULE };
        let role = kube::create_cluster_role(context, "exec", rule)?;
        let what = if context.dry { " for reading ConfigMaps (dry)" } else { "" };
        Ok(Evidence::new(["created the ClusterRole ", &role.name, what].concat()).about(&role))
    }
}

foil_sdk::technique!(ClusterRolePodExec);

#[cfg(test)]
mod tests {
    use super::*;
    use foil_sdk::fake;

    /// The rule of the role that was made, and all that was asked of the cluster.
    fn made(dry: bool) -> (serde_json::Value, Vec<String>) {
        let host = fake::Host::for_technique(include_str!("../technique.toml"));
        let evidence = host.cluster().dry(dry).detonate::<ClusterRolePodExec>(&[]).unwrap();
        let role = host.object_now(&kube::Kind::rbac("clusterroles"), None, evidence.get("name").unwrap()).unwrap();
        (role["rules"][0].clone(), host.kube_calls())
    }

    #[test]
    fn both_verbs_of_exec_are_allowed() {
        let (rule, calls) = made(false);
        assert_eq!(rule["resources"][0], "pods/exec");
        // By SPDY it is `create`, by WebSocket `get`.
        assert_eq!(rule["verbs"].as_array().unwrap().len(), 2);
        assert_eq!(calls.len(), 1);
    }

    #[test]
    fn the_twin_reads_configmaps() {
        let (rule, calls) = made(true);
        assert_eq!((&rule["resources"][0], &rule["verbs"][0]), (&"configmaps".into(), &"get".into()));
        assert_eq!((rule["resources"].as_array().unwrap().len(), calls.len()), (1, 1));
    }
}
