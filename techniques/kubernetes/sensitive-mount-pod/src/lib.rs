//! T1611: what a container should not see of its node.

use foil_sdk::prelude::*;
use serde_json::json;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Parameters {
    path: String,
}

struct SensitiveMountPod;

impl Technique for SensitiveMountPod {
    type Parameters = Parameters;

    fn detonate(context: &Context, parameters: &Parameters, _: &State) -> Result<Evidence> {
        let mut pod = kube::Pod::new(context, "mount")?;
        if context.dry {
            pod.mount(json!({ "emptyDir": {} }));
            return pod.detonate("created a pod with an empty folder (dry),");
        }
        let path = &parameters.path;
        // Without a type, container runtimes make what is missing, on the node, and nobody would take it away.
        let kind = if path.ends_with(".sock") { "Socket" } else { "Directory" };
        pod.mount(json!({ "hostPath": { "path": path, "type": kind } }));
        Ok(pod.detonate(&["created a pod with the node's ", path, ","].concat())?.fact("path", path))
    }
}

foil_sdk::technique!(SensitiveMountPod);

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
        let name = host.context().mark_for("mount");
        host.object_now(&kube::Kind::core("pods"), Some("security-testing"), &name).unwrap()
    }

    #[test]
    fn the_place_is_mounted_read_only_and_never_made() {
        for (path, kind) in [("/etc", "Directory"), ("/var/run/docker.sock", "Socket")] {
            let host = host();
            host.detonate::<SensitiveMountPod>(&[("path", path.into())]).unwrap();
            let spec = &pod(&host)["spec"];
            assert_eq!(spec["volumes"][0]["hostPath"], json!({ "path": path, "type": kind }));
            assert_eq!(spec["containers"][0]["volumeMounts"][0]["readOnly"], true);
        }
    }

    #[test]
    fn a_node_without_the_place_is_said() {
        let host = host();
        let evidence = host.pods_do_not_start().detonate::<SensitiveMountPod>(&[]).unwrap();
        assert_eq!((evidence.get("started"), evidence.get("path")), (Some("false"), Some("/etc")));
    }

    #[test]
    fn other_places_are_refused() {
        let host = host();
        for path in ["/", "/etc/ssh", "etc", ""] {
            assert!(host.detonate::<SensitiveMountPod>(&[("path", path.into())]).is_err(), "{path}");
        }
        assert!(host.kube_calls().is_empty());
    }

    #[test]
    fn the_twin_has_nothing_of_the_node() {
        let host = host();
        host.dry(true).detonate::<SensitiveMountPod>(&[]).unwrap();
        assert!(pod(&host)["spec"]["volumes"][0].get("hostPath").is_none());
    }
}
