//! T1613: past the API server, to the node itself.

use foil_sdk::kube::{Kind, RoleRule};
use foil_sdk::prelude::*;
use serde_json::Value;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Parameters {
    node: Option<String>,
    r#as: Who,
}

#[derive(serde::Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Who {
    Account,
    Foil,
}

const RULE: RoleRule<'static> = RoleRule { groups: &[""], resources: &["nodes/proxy"], verbs: &["get", "create"] };
const PATH: &str = "/runningpods/";

struct NodesProxy;

impl Technique for NodesProxy {
    type Parameters = Parameters;

    fn warmup(context: &Context, parameters: &Parameters) -> Result<State> {
        let named = parameters.node.clone().or(context.cluster()?.node.clone());
        let node = match named {
            Some(node) => node,
            None => first()?,
        };
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
        if !(1..=253).contains(&node.len()) || !node.chars().all(plain) {
            return Err(Error::Invalid(
                "`node` must be the name of a node, such as `kubectl get nodes` lists".to_owned(),
            ));
        }
        // The twin goes past nobody, and a role with `nodes/proxy` is noticed by itself.
        if parameters.r#as == Who::Account && !context.dry {
            let role = kube::create_cluster_role(context, "proxy", RULE)?;
            let account = kube::create_service_account(context, "proxy")?;
            kube::bind_cluster_role(context, "proxy", &role, &account)?;
        }
        Ok(State::new().with("node", node))
    }

    fn detonate(context: &Context, parameters: &Parameters, state: &State) -> Result<Evidence> {
        let node = Kind::core("nodes").of_cluster(state.need("node")?);
        if context.dry {
            kube::get(&node)?;
            return Ok(Evidence::new(["got the object of the node ", &node.name, " (dry)"].concat()).about(&node));
        }
        let account = Kind::core("serviceaccounts").named(&context.cluster()?.namespace, &context.mark_for("proxy"));
        let (answer, who) = match parameters.r#as {
            Who::Account => (kube::proxy_as(&account, &node, PATH)?, account.name.as_str()),
            Who::Foil => (kube::proxy(&node, PATH)?, "Foil's own identity"),
        };
        let list: Value = serde_json::from_slice(&answer)
            .map_err(|_| Error::other("kubernetes", "the kubelet answered with what is no JSON"))?;
        let pods = list.get("items").and_then(Value::as_array).map_or(0, Vec::len);
        Ok(Evidence::new(format!("asked the kubelet of {} for its pods, as {who}: {pods}", node.name))
            .about(&node)
            .fact("as", who)
            .fact("pods", pods)
            .fact("bytes", answer.len()))
    }
}

fn first() -> Result<String> {
    let nodes = kube::list(&Kind::core("nodes"), None, "", 1)?;
    let name = nodes.first().and_then(|node| node.pointer("/metadata/name")?.as_str());
    name.map(ToOwned::to_owned).ok_or_else(|| Error::prerequisite("the cluster has no node"))
}

foil_sdk::technique!(NodesProxy);

#[cfg(test)]
mod tests {
    use super::*;
    use foil_sdk::fake;

    fn host() -> fake::Host {
        let host = fake::Host::for_technique(include_str!("../technique.toml"));
        let node = serde_json::json!({"metadata": {"name": "node-1"}});
        host.cluster().object(&Kind::core("nodes"), None, node);
        host.on_proxy("/runningpods/", r#"{"kind": "PodList", "items": [{}, {}]}"#);
        host
    }

    #[test]
    fn the_first_nodes_pods_are_counted() {
        let host = host();
        let evidence = host.detonate::<NodesProxy>(&[]).unwrap();
        assert_eq!((evidence.get("pods"), evidence.get("name")), (Some("2"), Some("node-1")));
        let name = host.context().mark_for("proxy");
        assert_eq!(
            host.kube_calls(),
            [
                "list nodes".to_owned(),
                format!("create clusterroles {name}"),
                format!("create serviceaccounts security-testing/{name}"),
                format!("create clusterrolebindings {name}"),
                format!("token serviceaccounts security-testing/{name}"),
                "proxy nodes node-1 at /runningpods/".to_owned(),
            ]
        );
        let role = host.object_now(&Kind::rbac("clusterroles"), None, &name).unwrap();
        assert_eq!(role["rules"][0]["resources"][0], "nodes/proxy");
    }

    #[test]
    fn a_named_node_is_taken_and_none_is_listed() {
        let host = host();
        host.detonate::<NodesProxy>(&[("node", "node-9.example".into()), ("as", "foil".into())]).unwrap();
        assert_eq!(host.kube_calls(), ["proxy nodes node-9.example at /runningpods/"]);
        for node in ["", "a/b", "Node", "a?b"] {
            let error = host.detonate::<NodesProxy>(&[("node", node.into())]).unwrap_err();
            assert!(matches!(error, Error::Invalid(_)), "{node}: {error}");
        }
    }

    #[test]
    fn what_is_no_list_is_an_error() {
        let host = host();
        host.on_proxy("/runningpods/", "404 page not found");
        assert_eq!(host.detonate::<NodesProxy>(&[]).unwrap_err().code(), Some("kubernetes"));
    }

    #[test]
    fn the_twin_goes_past_nobody() {
        let host = host();
        host.dry(true).detonate::<NodesProxy>(&[]).unwrap();
        assert_eq!(host.kube_calls(), ["list nodes", "get nodes node-1"]);
    }
}
