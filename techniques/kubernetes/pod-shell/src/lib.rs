//! T1609: a shell where no shell should be.

use foil_sdk::prelude::*;

struct PodShell;

impl Technique for PodShell {
    type Parameters = NoParameters;

    fn warmup(context: &Context, _: &NoParameters) -> Result<State> {
        kube::Pod::new(context, "shell")?.start()?;
        Ok(State::new())
    }

    fn detonate(context: &Context, _: &NoParameters, _: &State) -> Result<Evidence> {
        let pod = kube::Pod::new(context, "shell")?.target();
        if context.dry {
            kube::get(&pod)?;
            return Ok(Evidence::new("looked at the pod and started nothing in it (dry)").about(&pod));
        }
        // A shell that ends at once takes what its terminal has not yet passed on with it.
        let said = kube::Command::new(&pod, "/bin/sh").args(["-c", "id; uname -a; sleep 1"]).tty().run()?.ok()?.text();
        let (user, kernel) = said.split_once('\n').unwrap_or((&said, ""));
        Ok(Evidence::new(["started a shell in the pod ", &pod.name].concat())
            .about(&pod)
            .fact("user", user.trim())
            .fact("kernel", kernel.trim()))
    }
}

foil_sdk::technique!(PodShell);

#[cfg(test)]
mod tests {
    use super::*;
    use foil_sdk::fake;

    fn host() -> fake::Host {
        let host = fake::Host::for_technique(include_str!("../technique.toml"));
        host.cluster();
        host
    }

    #[test]
    fn a_shell_says_who_it_is() {
        let host = host();
        host.on_pod_exec(|call| {
            assert_eq!(call.line, "/bin/sh -c id; uname -a; sleep 1");
            Ok(fake::pod_output("uid=0(root) gid=0(root)\nLinux foil 6.18\n"))
        });
        let evidence = host.detonate::<PodShell>(&[]).unwrap();
        assert_eq!(evidence.get("user"), Some("uid=0(root) gid=0(root)"));
        assert_eq!(evidence.get("kernel"), Some("Linux foil 6.18"));
        assert_eq!(evidence.get("namespace"), Some("security-testing"));
    }

    #[test]
    fn a_shell_that_failed_is_no_success() {
        let host = host();
        host.on_pod_exec(|_| Ok(kube::Output { status: 127, ..fake::pod_output("") }));
        assert_eq!(host.detonate::<PodShell>(&[]).unwrap_err().code(), Some("exit-status"));
    }

    #[test]
    fn the_pod_has_no_privilege_and_the_twin_starts_nothing_in_it() {
        let host = host();
        host.dry(true).detonate::<PodShell>(&[]).unwrap();
        let calls = host.kube_calls();
        assert!(
            calls.iter().all(|call| call.starts_with("create pods ") || call.starts_with("get pods ")),
            "{calls:?}"
        );
        let name = host.context().mark_for("shell");
        let pod = host.object_now(&kube::Kind::core("pods"), Some("security-testing"), &name).unwrap();
        assert_eq!(pod["spec"]["automountServiceAccountToken"], false);
        assert_eq!(pod["spec"]["containers"][0]["securityContext"]["capabilities"]["drop"][0], "ALL");
    }
}
