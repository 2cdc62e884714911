//! T1133: a port to the outside, with nothing behind it.

use foil_sdk::prelude::*;
use serde_json::{Value, json};

struct NodePortService;

impl Technique for NodePortService {
    type Parameters = NoParameters;

    fn detonate(context: &Context, _: &NoParameters, _: &State) -> Result<Evidence> {
        let kind = if context.dry { "ClusterIP" } else { "NodePort" };
        let service = kube::Kind::core("services").named(&context.cluster()?.namespace, &context.mark_for("nodeport"));
        let object = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": { "name": service.name, "namespace": service.namespace },
            // No pod has this label: one without a selector could be given endpoints by anybody.
            "spec": { "type": kind, "selector": { "foil.dev/nothing": "nothing" }, "ports": [{ "port": 80 }] },
        });
        let made = kube::create(&service.kind, service.namespace.as_deref(), &object)?;
        let evidence = Evidence::new(["created the ", kind, " service ", &service.name].concat()).about(&service);
        match made.pointer("/spec/ports/0/nodePort").and_then(Value::as_u64) {
            Some(port) => Ok(evidence.fact("node-port", port)),
            None => Ok(evidence),
        }
    }
}

foil_sdk::technique!(NodePortService);

#[cfg(test)]
mod tests {
    use super::*;
    use foil_sdk::fake;

    /// The service that was made.
    fn made(dry: bool) -> Value {
        let host = fake::Host::for_technique(include_str!("../technique.toml"));
        let evidence = host.cluster().dry(dry).detonate::<NodePortService>(&[]).unwrap();
        assert_eq!(host.kube_calls().len(), 1);
        let kind = kube::Kind::core("services");
        host.object_now(&kind, evidence.get("namespace"), evidence.get("name").unwrap()).unwrap()
    }

    #[test]
    fn the_port_leads_to_no_pod() {
        let spec = &made(false)["spec"];
        assert_eq!(spec["type"], "NodePort");
        assert!(spec["selector"].as_object().is_some_and(|labels| !labels.is_empty()));
    }

    #[test]
    fn the_twin_opens_no_port_of_a_node() {
        assert_eq!(made(true)["spec"]["type"], "ClusterIP");
    }
}
