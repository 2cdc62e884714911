//! T1611: the node's files in a container.

use foil_sdk::prelude::*;
use serde_json::json;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Parameters {
    read_only: bool,
}

struct HostpathVolume;

impl Technique for HostpathVolume {
    type Parameters = Parameters;

    fn detonate(context: &Context, parameters: &Parameters, _: &State) -> Result<Evidence> {
        let mut pod = kube::Pod::new(context, "hostpath")?;
        if context.dry {
            pod.mount(json!({ "emptyDir": {} }));
            return pod.detonate("created a pod with an empty folder (dry),");
        }
        pod.mount(json!({ "hostPath": { "path": "/", "type": "Directory" } }));
        let sleep = pod.container()["command"].as_array().map(Vec::as_slice).unwrap_or_default();
        let sleep: Vec<&str> = sleep.iter().filter_map(serde_json::Value::as_str).collect();
        // What is read stays out of the pod's log. A container that cannot read it ends, so that the pod does not come up.
        let read = format!("cat {}/etc/passwd >/dev/null && exec {}", kube::MOUNT, sleep.join(" "));
        let container = pod.container();
        container["command"] = json!(["/bin/sh", "-c", read]);
        container["volumeMounts"][0]["readOnly"] = parameters.read_only.into();
        let evidence = pod.detonate("created a pod with the node's file system,")?;
        let read = evidence.get("started") == Some("true");
        Ok(evidence.fact("read", if read { "/etc/passwd" } else { "" }).fact("read-only", parameters.read_only))
    }
}

foil_sdk::technique!(HostpathVolume);

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
        let name = host.context().mark_for("hostpath");
        host.object_now(&kube::Kind::core("pods"), Some("security-testing"), &name).unwrap()
    }

    #[test]
    fn the_nodes_root_is_mounted_and_its_passwd_is_read() {
        for read_only in [false, true] {
            let host = host();
            let evidence = host.detonate::<HostpathVolume>(&[("read-only", read_only.into())]).unwrap();
            assert_eq!(evidence.get("read"), Some("/etc/passwd"));
            let spec = &pod(&host)["spec"];
            assert_eq!(spec["volumes"][0]["hostPath"]["path"], "/");
            let container = &spec["containers"][0];
            assert_eq!(container["volumeMounts"][0]["readOnly"], read_only);
            assert_eq!(container["command"][2], "cat /foil/etc/passwd >/dev/null && exec /bin/sleep 3600");
            assert_eq!(container["securityContext"]["privileged"], false);
        }
    }

    #[test]
    fn a_pod_that_was_made_counts_whatever_came_after() {
        let host = host();
        let evidence = host.pods_do_not_start().detonate::<HostpathVolume>(&[]).unwrap();
        assert_eq!((evidence.get("started"), evidence.get("read")), (Some("false"), Some("")));
    }

    #[test]
    fn the_twin_has_nothing_of_the_node() {
        let host = host();
        host.dry(true).detonate::<HostpathVolume>(&[]).unwrap();
        let spec = &pod(&host)["spec"];
        assert!(spec["volumes"][0].get("hostPath").is_none());
        assert_eq!(spec["containers"][0]["command"][0], "/bin/sleep");
    }
}
