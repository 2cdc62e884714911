//! T1610: a pod that sits where the node sits.

use foil_sdk::prelude::*;

struct HostNetworkPod;

impl Technique for HostNetworkPod {
    type Parameters = NoParameters;

    fn detonate(context: &Context, _: &NoParameters, _: &State) -> Result<Evidence> {
        let mut pod = kube::Pod::new(context, "network")?;
        if context.dry {
            return pod.detonate("created an ordinary pod (dry),");
        }
        pod.spec["hostNetwork"] = true.into();
        pod.detonate("created a pod in the node's network,")
    }
}

foil_sdk::technique!(HostNetworkPod);

#[cfg(test)]
mod tests {
    use super::*;
    use foil_sdk::fake;

    fn host() -> fake::Host {
        let host = fake::Host::for_technique(include_str!("../technique.toml"));
        host.cluster();
        host
    }

    fn pod(host: &fake::Host) -> serde_json::Value {
        let name = host.context().mark_for("network");
        host.object_now(&kube::Kind::core("pods"), Some("security-testing"), &name).unwrap()
    }

    #[test]
    fn the_pod_is_in_the_nodes_network_and_has_no_privilege() {
        let host = host();
        let evidence = host.detonate::<HostNetworkPod>(&[]).unwrap();
        assert_eq!(evidence.get("node"), Some("node-1"));
        let spec = &pod(&host)["spec"];
        assert_eq!(spec["hostNetwork"], true);
        assert_eq!(spec["containers"][0]["securityContext"]["privileged"], false);
    }

    #[test]
    fn the_twin_is_not() {
        let host = host();
        host.dry(true).detonate::<HostNetworkPod>(&[]).unwrap();
        assert!(pod(&host)["spec"].get("hostNetwork").is_none());
    }
}
