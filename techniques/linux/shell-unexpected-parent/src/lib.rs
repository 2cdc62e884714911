//! T1059.004: a shell where none should be.

use foil_sdk::prelude::*;

struct ShellUnexpectedParent;

impl Technique for ShellUnexpectedParent {
    type Parameters = NoParameters;

    fn warmup(context: &Context, _: &NoParameters) -> Result<State> {
        let server = context.in_scratch("httpd");
        Command::new("/bin/cp").args(["/bin/sh", &server]).run()?.ok()?;
        Ok(State::new().with("server", server))
    }

    fn detonate(context: &Context, _: &NoParameters, state: &State) -> Result<Evidence> {
        let mark = context.mark();
        let (program, script) = if context.dry {
            ("/bin/sh", format!("echo {mark}"))
        } else {
            // Shells replace themselves by their last command, which must therefore be neither of the two.
            (state.need("server")?, format!("/bin/sh -c \"echo {mark}\"; /bin/uname -s; exit 0"))
        };
        let output = Command::new(program).args(["-c", &script]).run()?;
        if !output.text().lines().any(|line| line == mark) {
            // A busybox is told by its name what to be, and becomes a real web server.
            let why = format!("{program} is no plain shell (is /bin/sh a busybox?), so nothing was started by it");
            return Err(output.ok().err().unwrap_or_else(|| Error::prerequisite(why)));
        }
        Ok(Evidence::new(format!("{program} started a shell")).fact("parent", program).fact("parent-pid", output.pid))
    }
}

foil_sdk::technique!(ShellUnexpectedParent);

#[cfg(test)]
mod tests {
    use super::*;
    use foil_sdk::fake;

    fn host(says: impl Fn(&fake::Host) -> String) -> fake::Host {
        let host = fake::Host::for_technique(include_str!("../technique.toml"));
        let answer = says(&host);
        host.on_exec("/bin/cp", |_| Ok(fake::output("")));
        for program in ["/bin/sh".to_owned(), host.context().in_scratch("httpd")] {
            let answer = answer.clone();
            host.on_exec(&program, move |_| Ok(fake::output(&answer)));
        }
        host
    }

    #[test]
    fn the_parent_is_named_like_a_server() {
        let host = host(|host| format!("{}\nLinux\n", host.context().mark()));
        let evidence = host.detonate::<ShellUnexpectedParent>(&[]).unwrap();
        let (scratch, mark) = (host.context().scratch, host.context().mark());
        assert_eq!(evidence.get("parent"), Some(format!("{scratch}/httpd").as_str()));
        assert_eq!(
            host.commands(),
            [
                format!("/bin/cp /bin/sh {scratch}/httpd"),
                format!("{scratch}/httpd -c /bin/sh -c \"echo {mark}\"; /bin/uname -s; exit 0"),
            ]
        );
    }

    #[test]
    fn a_shell_that_never_spoke_is_no_success() {
        let host = host(|_| "httpd: applet usage\n".to_owned());
        assert_eq!(host.detonate::<ShellUnexpectedParent>(&[]).unwrap_err().code(), Some("prerequisite"));
        host.on_exec(&host.context().in_scratch("httpd"), |_| Ok(fake::exit(126, "cannot run")));
        assert!(host.detonate::<ShellUnexpectedParent>(&[]).unwrap_err().to_string().contains("cannot run"));
    }

    #[test]
    fn the_benign_twin_has_no_odd_parent() {
        let host = host(|host| host.context().mark() + "\n");
        host.dry(true).detonate::<ShellUnexpectedParent>(&[]).unwrap();
        assert_eq!(host.commands()[1..], [format!("/bin/sh -c echo {}", host.context().mark())]);
    }
}
