//! T1611: a container that is none.

use foil_sdk::prelude::*;
use serde_json::json;

struct PrivilegedPod;

impl Technique for PrivilegedPod {
    type Parameters = NoParameters;

    fn detonate(context: &Context, _: &NoParameters, _: &State) -> Result<Evidence> {
        let mut pod = kube::Pod::new(context, "privileged")?;
        if context.dry {
            return pod.detonate("created an ordinary pod (dry),");
        }
        // The API refuses a privileged container that may not gain privileges.
        pod.container()["securityContext"] = json!({ "privileged": true, "readOnlyRootFilesystem": true });
        pod.detonate("created the privileged pod")
    }
}

foil_sdk::technique!(PrivilegedPod);

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
        let name = host.context().mark_for("privileged");
        host.object_now(&kube::Kind::core("pods"), Some("security-testing"), &name).unwrap()
    }

    #[test]
    fn the_pod_is_privileged_and_nothing_else() {
        let host = host();
        let evidence = host.detonate::<PrivilegedPod>(&[]).unwrap();
        assert_eq!(evidence.get("started"), Some("true"));
        let spec = &pod(&host)["spec"];
        assert_eq!(spec["containers"][0]["securityContext"]["privileged"], true);
        assert!(spec.get("hostPID").is_none() && spec.get("volumes").is_none());
    }

    #[test]
    fn the_twin_is_not_privileged() {
        let host = host();
        host.dry(true).detonate::<PrivilegedPod>(&[]).unwrap();
        assert_eq!(pod(&host)["spec"]["containers"][0]["securityContext"]["privileged"], false);
    }
}
