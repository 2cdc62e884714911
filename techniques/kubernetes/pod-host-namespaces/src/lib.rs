//! T1613: the way out of a container begins with a look at what is outside.

use foil_sdk::prelude::*;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Parameters {
    host_pid: bool,
}

struct PodHostNamespaces;

impl Technique for PodHostNamespaces {
    type Parameters = Parameters;

    fn warmup(context: &Context, parameters: &Parameters) -> Result<State> {
        let mut pod = kube::Pod::new(context, "namespaces")?;
        if parameters.host_pid && !context.dry {
            pod.spec["hostPID"] = true.into();
        }
        pod.start()?;
        Ok(State::new())
    }

    fn detonate(context: &Context, _: &Parameters, _: &State) -> Result<Evidence> {
        let pod = kube::Pod::new(context, "namespaces")?.target();
        let look = |folder: &str| kube::Command::new(&pod, "/bin/ls").args(["-l", folder]).run();
        let own = look("/proc/self/ns")?.ok()?.text();
        if context.dry {
            return Ok(Evidence::new("looked at the pod's own namespaces (dry)").about(&pod));
        }
        // `ls` may end with status 0 although the kernel refused every link.
        let first = look("/proc/1/ns")?;
        let (first_text, own) = (first.text(), links(&own));
        let seen = links(&first_text);
        if seen.is_empty() && !String::from_utf8_lossy(&first.stderr).contains("ermission denied") {
            first.ok()?;
            return Err(Error::other("unreadable", "`ls -l /proc/1/ns` lists no namespace in the pod"));
        }
        let others: Vec<&str> = seen.iter().filter(|link| !own.contains(link)).map(|(name, _)| *name).collect();
        let summary = match (seen.len(), others.len()) {
            (0, _) => "looked at the namespaces of PID 1, and the kernel refused to show them".to_owned(),
            (all, others) => format!("looked at {all} namespaces of PID 1, {others} of which are not the pod's own"),
        };
        Ok(Evidence::new(summary).about(&pod).fact("seen", seen.len()).fact("not-own", others.join(" ")))
    }
}

/// What `ls -l` says of links: their names, and what each points to.
fn links(listing: &str) -> Vec<(&str, &str)> {
    let link = |line| {
        let (before, to) = str::split_once(line, " -> ")?;
        Some((before.rsplit(' ').next()?, to))
    };
    listing.lines().filter_map(link).collect()
}

foil_sdk::technique!(PodHostNamespaces);

#[cfg(test)]
mod tests {
    use super::*;
    use foil_sdk::fake;

    const OWN: &str = "total 0\nlrwxrwxrwx 1 root root 0 Nov 22 09:04 net -> net:[2]\nlrwxrwxrwx 1 root root 0 Nov 22 09:04 pid -> pid:[7]\n";
    const NODE: &str = "total 0\nlrwxrwxrwx 1 root root 0 Nov 22 09:04 net -> net:[1]\nlrwxrwxrwx 1 root root 0 Nov 22 09:04 pid -> pid:[7]\n";

    fn host(first: kube::Output) -> fake::Host {
        let host = fake::Host::for_technique(include_str!("../technique.toml"));
        host.cluster().on_pod_exec(move |call| {
            Ok(if call.line.ends_with("/proc/1/ns") { first.clone() } else { fake::pod_output(OWN) })
        });
        host
    }

    fn has_host_pid(host: &fake::Host) -> bool {
        let name = host.context().mark_for("namespaces");
        let pod = host.object_now(&kube::Kind::core("pods"), Some("security-testing"), &name).unwrap();
        pod["spec"]["hostPID"] == true
    }

    #[test]
    fn what_is_not_its_own_is_named() {
        let host = host(fake::pod_output(NODE));
        let evidence = host.detonate::<PodHostNamespaces>(&[("host-pid", true.into())]).unwrap();
        assert_eq!((evidence.get("seen"), evidence.get("not-own")), (Some("2"), Some("net")));
        assert!(has_host_pid(&host));
    }

    #[test]
    fn a_refusal_by_the_kernel_is_a_look_too_and_any_other_failure_is_none() {
        let said =
            |status, stderr: &str| kube::Output { status, stderr: stderr.into(), ..fake::pod_output("total 0\n") };
        let evidence =
            host(said(0, "ls: /proc/1/ns/net: cannot read link: Permission denied")).detonate::<PodHostNamespaces>(&[]);
        assert_eq!(evidence.unwrap().get("seen"), Some("0"));
        for (status, code) in [(1, "exit-status"), (0, "unreadable")] {
            let error =
                host(said(status, "ls: /proc/1/ns: No such file")).detonate::<PodHostNamespaces>(&[]).unwrap_err();
            assert_eq!(error.code(), Some(code));
        }
    }

    #[test]
    fn the_twin_looks_at_itself_and_has_no_hosts_processes() {
        let host = host(fake::pod_output(NODE));
        host.dry(true).detonate::<PodHostNamespaces>(&[("host-pid", true.into())]).unwrap();
        assert!(!has_host_pid(&host));
        assert!(!host.kube_calls().iter().any(|call| call.contains("/proc/1/ns")));
    }
}
