//! T1611: the node's files in a container.

use foil_sdk::prelude::*;
use serde_json::json;

struct HostpathVolume;

impl Technique for HostpathVolume {
    type Parameters = NoParameters;

    fn detonate(context: &Context, _: &NoParameters, _: &State) -> Result<Evidence> {
        let mut pod = kube::Pod::new(context, "hostpath")?;
        let (volume, what) = if context.dry {
            (json!({ "emptyDir": {} }), "created a pod with an empty folder (dry),")
        } else {
            (json!({ "hostPath": { "path": "/", "type": "Directory" } }), "created a pod with the node's file system,")
        };
        pod.mount(volume);
        let evidence = pod.detonate(what)?;
        if evidence.get("started") != Some("true") {
            return Ok(evidence);
        }
        // The pod was the act: that it cannot be looked into does not undo it.
        let listed = kube::Command::new(&pod.target(), "/bin/ls").args(["-A", kube::MOUNT]).run();
        match listed.and_then(kube::Output::ok) {
            Ok(output) => Ok(evidence.fact("entries", output.text().lines().count())),
            Err(Error::Cancelled) => Err(Error::Cancelled),
            Err(why) => Ok(evidence.fact("not-listed", why)),
        }
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
    fn the_nodes_root_is_mounted_read_only_and_its_names_are_counted() {
        let host = host();
        host.on_pod_exec(|_| Ok(fake::pod_output("bin\netc\nusr\n")));
        let evidence = host.detonate::<HostpathVolume>(&[]).unwrap();
        assert_eq!(evidence.get("entries"), Some("3"));
        let spec = &pod(&host)["spec"];
        assert_eq!(spec["volumes"][0]["hostPath"]["path"], "/");
        assert_eq!(spec["containers"][0]["volumeMounts"][0]["readOnly"], true);
    }

    #[test]
    fn a_pod_that_was_made_counts_whatever_came_after() {
        let host = host();
        host.on_pod_exec(|_| Err(Error::Timeout));
        assert!(host.detonate::<HostpathVolume>(&[]).unwrap().get("not-listed").is_some());
        let host = self::host();
        let evidence = host.pods_do_not_start().detonate::<HostpathVolume>(&[]).unwrap();
        assert_eq!(evidence.get("started"), Some("false"));
    }

    #[test]
    fn the_twin_has_nothing_of_the_node() {
        let host = host();
        host.on_pod_exec(|_| Ok(fake::pod_output("")));
        host.dry(true).detonate::<HostpathVolume>(&[]).unwrap();
        assert!(pod(&host)["spec"]["volumes"][0].get("hostPath").is_none());
    }
}
