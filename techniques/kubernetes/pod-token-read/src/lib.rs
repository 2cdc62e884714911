//! T1528: the key that every pod has in its pocket. It stays there.

use foil_sdk::prelude::*;

struct PodTokenRead;

const FOLDER: &str = "/var/run/secrets/kubernetes.io/serviceaccount/";

impl Technique for PodTokenRead {
    type Parameters = NoParameters;

    fn warmup(context: &Context, _: &NoParameters) -> Result<State> {
        let account = kube::create_service_account(context, "token")?;
        let mut pod = kube::Pod::new(context, "token")?;
        pod.give_token_of(&account);
        pod.start()?;
        Ok(State::new())
    }

    fn detonate(context: &Context, _: &NoParameters, _: &State) -> Result<Evidence> {
        let pod = kube::Pod::new(context, "token")?.target();
        let file = [FOLDER, if context.dry { "namespace" } else { "token" }].concat();
        let output = kube::Command::new(&pod, "/bin/cat").args([&file]).discard_output().run()?.ok()?;
        if output.stdout_dropped == 0 {
            return Err(Error::other("unreadable", [&file, " is empty in the pod"].concat()));
        }
        Ok(Evidence::new(format!("read {} bytes from {file} in the pod {}", output.stdout_dropped, pod.name))
            .about(&pod)
            .fact("bytes", output.stdout_dropped))
    }
}

foil_sdk::technique!(PodTokenRead);

#[cfg(test)]
mod tests {
    use super::*;
    use foil_sdk::fake;

    fn host(said: &'static str) -> fake::Host {
        let host = fake::Host::for_technique(include_str!("../technique.toml"));
        host.cluster().on_pod_exec(move |call| {
            assert!(call.discarded, "the token would come back");
            Ok(fake::pod_output(said))
        });
        host
    }

    #[test]
    fn only_the_number_of_bytes_comes_back() {
        let host = host("eyJhbGciOi");
        let evidence = host.detonate::<PodTokenRead>(&[]).unwrap();
        assert_eq!(evidence.get("bytes"), Some("10"));
        assert!(!format!("{evidence:?}").contains("eyJ"));
        let name = host.context().mark_for("token");
        let pod = host.object_now(&kube::Kind::core("pods"), Some("security-testing"), &name).unwrap();
        assert_eq!(pod["spec"]["serviceAccountName"], name.as_str());
        assert!(
            host.kube_calls()
                .last()
                .unwrap()
                .ends_with(": /bin/cat /var/run/secrets/kubernetes.io/serviceaccount/token")
        );
    }

    #[test]
    fn nothing_read_is_no_success() {
        assert_eq!(host("").detonate::<PodTokenRead>(&[]).unwrap_err().code(), Some("unreadable"));
    }

    #[test]
    fn the_twin_reads_no_token() {
        let host = host("security-testing");
        host.dry(true).detonate::<PodTokenRead>(&[]).unwrap();
        assert!(host.kube_calls().last().unwrap().ends_with("/serviceaccount/namespace"));
    }
}
