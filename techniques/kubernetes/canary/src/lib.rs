//! What a Falco that lives must notice, wherever a pod runs.

use foil_sdk::prelude::*;

struct Canary;

impl Technique for Canary {
    type Parameters = NoParameters;

    fn warmup(context: &Context, _: &NoParameters) -> Result<State> {
        let pod = kube::Pod::new(context, "canary")?.start()?;
        Ok(State::new().with("node", kube::node_of(&kube::get(&pod)?)))
    }

    fn detonate(context: &Context, _: &NoParameters, state: &State) -> Result<Evidence> {
        let (pod, node) = (kube::Pod::new(context, "canary")?.target(), state.need("node")?);
        let run = |program: &str, args: &[&str]| kube::Command::new(&pod, program).args(args).discard_output().run();
        let evidence =
            |what: &str| Evidence::new([what, " on the node ", node].concat()).about(&pod).fact("node", node);
        if context.dry {
            run("/bin/cat", &["/proc/version"])?.ok()?;
            return Ok(evidence("read /proc/version in a pod (dry)"));
        }
        // A file that could not be opened is no alert.
        if run("/bin/cat", &["/etc/shadow"])?.status == 0 {
            return Ok(evidence("read /etc/shadow in a pod").fact("rule", "Read sensitive file untrusted"));
        }
        run("/bin/find", &["/etc", "-name", "id_rsa"])?;
        Ok(evidence("looked for private keys in a pod").fact("rule", "Search Private Keys or Passwords"))
    }
}

foil_sdk::technique!(Canary);

#[cfg(test)]
mod tests {
    use super::*;
    use foil_sdk::fake;

    fn host(shadow: bool) -> fake::Host {
        let host = fake::Host::for_technique(include_str!("../technique.toml"));
        host.cluster().on_pod_exec(move |call| {
            assert!(call.discarded, "what is read would come back");
            let status = i32::from(call.line.ends_with("/etc/shadow") && !shadow);
            Ok(kube::Output { status, ..fake::pod_output("root:*:0:0:::\n") })
        });
        host
    }

    #[test]
    fn it_says_the_node_and_the_rule() {
        let host = host(true);
        let evidence = host.detonate::<Canary>(&[]).unwrap();
        assert_eq!(evidence.summary, "read /etc/shadow in a pod on the node node-1");
        assert_eq!(evidence.get("rule"), Some("Read sensitive file untrusted"));
        assert!(host.kube_calls().last().unwrap().ends_with(": /bin/cat /etc/shadow"));
    }

    #[test]
    fn an_image_without_the_file_is_no_silent_canary() {
        let host = host(false);
        assert_eq!(host.detonate::<Canary>(&[]).unwrap().get("rule"), Some("Search Private Keys or Passwords"));
        assert!(host.kube_calls().last().unwrap().ends_with(": /bin/find /etc -name id_rsa"));
    }

    #[test]
    fn the_twin_does_neither() {
        let host = host(true);
        assert_eq!(host.dry(true).detonate::<Canary>(&[]).unwrap().get("rule"), None);
        assert!(!host.kube_calls().iter().any(|call| call.contains("shadow") || call.contains("find")));
    }
}
