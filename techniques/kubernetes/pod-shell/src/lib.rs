//! T1609: a shell where no shell should be.

use foil_sdk::prelude::*;
use std::time::Duration;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Parameters {
    program: String,
    command: Option<String>,
    seconds: i64,
}

/// A shell that ends at once takes what its terminal has not yet passed on with it.
const LOOK: &str = "id; uname -a; sleep 1";
const SPAWN: &str = r#"import pty, sys; sys.exit(pty.spawn(["/bin/sh", "-c", "id; uname -a; sleep 1"]))"#;

struct PodShell;

impl Technique for PodShell {
    type Parameters = Parameters;

    fn warmup(context: &Context, parameters: &Parameters) -> Result<State> {
        patience(parameters)?;
        if parameters.command.as_ref().is_some_and(|command| command.trim().is_empty()) {
            return Err(Error::Invalid("`command` is empty: leave it out, or say what is run".to_owned()));
        }
        kube::Pod::new(context, "shell")?.start()?;
        Ok(State::new())
    }

    fn detonate(context: &Context, parameters: &Parameters, _: &State) -> Result<Evidence> {
        let pod = kube::Pod::new(context, "shell")?.target();
        if context.dry {
            kube::get(&pod)?;
            return Ok(Evidence::new("looked at the pod and started nothing in it (dry)").about(&pod));
        }
        let program = parameters.program.as_str();
        let own = if program.ends_with("python3") { SPAWN } else { LOOK };
        let command = parameters.command.as_deref().unwrap_or(own);
        let evidence = Evidence::new(["started ", program, " in the pod ", &pod.name].concat())
            .about(&pod)
            .fact("program", program)
            .fact("command", command);
        let started =
            kube::Command::new(&pod, program).args(["-c", command]).tty().timeout(patience(parameters)?).run();
        let output = match started {
            Ok(output) => output,
            // A shell that waits for input was started, and that is the act.
            Err(Error::Timeout) => return Ok(evidence.fact("ended", false)),
            Err(error) if error.code() == Some("not-executable") => {
                let image = &context.cluster()?.image;
                return Err(Error::prerequisite(format!(
                    "the image {image} has no {program}: name one that has it by `kubernetes: image:` of foil.yaml"
                )));
            }
            Err(error) => return Err(error),
        };
        let evidence = evidence.fact("ended", true);
        if parameters.command.is_some() {
            return Ok(evidence.fact("status", output.status).fact("bytes", output.stdout.len()));
        }
        let said = output.ok()?.text();
        let (user, kernel) = said.split_once('\n').unwrap_or((&said, ""));
        Ok(evidence.fact("user", user.trim()).fact("kernel", kernel.trim()))
    }
}

fn patience(parameters: &Parameters) -> Result<Duration> {
    match u64::try_from(parameters.seconds) {
        Ok(seconds @ 1..=45) => Ok(Duration::from_secs(seconds)),
        _ => Err(Error::Invalid("`seconds` must be 1 to 45".to_owned())),
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
        for (program, line) in [
            ("/bin/sh", "/bin/sh -c id; uname -a; sleep 1"),
            ("/usr/bin/python3", &["/usr/bin/python3 -c ", SPAWN].concat()),
        ] {
            let (host, line) = (host(), line.to_owned());
            host.on_pod_exec(move |call| {
                assert_eq!(call.line, line);
                Ok(fake::pod_output("uid=0(root) gid=0(root)\nLinux foil 6.18\n"))
            });
            let evidence = host.detonate::<PodShell>(&[("program", program.into())]).unwrap();
            assert_eq!(evidence.get("user"), Some("uid=0(root) gid=0(root)"));
            assert_eq!(evidence.get("kernel"), Some("Linux foil 6.18"));
            assert_eq!(evidence.get("namespace"), Some("security-testing"));
        }
    }

    #[test]
    fn another_command_is_run_as_it_is_given() {
        let spawn = r#"import pty; pty.spawn("/bin/sh")"#;
        let given = [("program", "/usr/bin/python3".into()), ("command", spawn.into()), ("seconds", 3.into())];
        let host = host();
        host.on_pod_exec(move |call| {
            assert_eq!(call.line, ["/usr/bin/python3 -c ", spawn].concat());
            Err(Error::Timeout)
        });
        // The shell that it spawns waits for input.
        assert_eq!(host.detonate::<PodShell>(&given).unwrap().get("ended"), Some("false"));
        let host = self::host();
        host.on_pod_exec(|_| Ok(kube::Output { status: 3, ..fake::pod_output("abc") }));
        let evidence = host.detonate::<PodShell>(&given).unwrap();
        assert_eq!((evidence.get("status"), evidence.get("bytes")), (Some("3"), Some("3")));
    }

    #[test]
    fn a_shell_that_failed_is_no_success_and_a_missing_program_is_the_images_fault() {
        let host = host();
        host.on_pod_exec(|_| Ok(kube::Output { status: 127, ..fake::pod_output("") }));
        assert_eq!(host.detonate::<PodShell>(&[]).unwrap_err().code(), Some("exit-status"));
        let host = self::host();
        host.on_pod_exec(|_| Err(Error::other("not-executable", "no such file")));
        let error = host.detonate::<PodShell>(&[("program", "/usr/bin/python3".into())]).unwrap_err();
        assert!(error.code() == Some("prerequisite") && error.to_string().contains("/usr/bin/python3"), "{error}");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let host = host();
        for given in
            [("seconds", 0.into()), ("seconds", 46.into()), ("command", " ".into()), ("program", "/bin/dash".into())]
        {
            let error = host.detonate::<PodShell>(std::slice::from_ref(&given)).unwrap_err();
            assert!(matches!(error, Error::Invalid(_)), "{given:?}: {error}");
        }
        assert!(host.kube_calls().is_empty());
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
