//! T1082: what an intruder types first.

use foil_sdk::prelude::*;

struct SystemInfo;

impl Technique for SystemInfo {
    type Parameters = NoParameters;

    fn detonate(context: &Context, _: &NoParameters, _: &State) -> Result<Evidence> {
        if context.dry {
            Command::new("/bin/true").run()?.ok()?;
            return Ok(Evidence::new("asked for nothing (dry)"));
        }
        let kernel = Command::new("/bin/uname").arg("-a").run()?.ok()?.text();
        let release = Command::new("/bin/cat").arg("/etc/os-release").run()?.ok()?.text();
        let processors = Command::new("/bin/cat").arg("/proc/cpuinfo").run()?.ok()?.text();

        let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or("unknown");
        let count = processors.lines().filter(|line| line.starts_with("processor")).count();
        Ok(Evidence::new("asked for the kernel, the distribution and the processors")
            .fact("kernel", kernel.trim())
            .fact("distribution", name.trim_matches('"'))
            .fact("processors", count))
    }
}

foil_sdk::technique!(SystemInfo);

#[cfg(test)]
mod tests {
    use super::*;
    use foil_sdk::fake;

    fn host() -> fake::Host {
        let host = fake::Host::for_technique(include_str!("../technique.toml"));
        host.on_exec("/bin/uname", |_| Ok(fake::output("Linux web-1 6.18.0 x86_64\n")));
        host.on_exec("/bin/true", |_| Ok(fake::output("")));
        host.on_exec("/bin/cat", |call| {
            Ok(match call.args[0].as_str() {
                "/etc/os-release" => fake::output("NAME=Debian\nPRETTY_NAME=\"Debian GNU/Linux 13\"\n"),
                "/proc/cpuinfo" => fake::output("processor\t: 0\nflags\t: x\nprocessor\t: 1\n"),
                other => fake::exit(1, format!("cat: {other}: No such file")),
            })
        });
        host
    }

    #[test]
    fn it_finds_out_all_three() {
        let host = host();
        let evidence = host.detonate::<SystemInfo>(&[]).unwrap();
        assert_eq!(evidence.get("kernel"), Some("Linux web-1 6.18.0 x86_64"));
        assert_eq!(evidence.get("distribution"), Some("Debian GNU/Linux 13"));
        assert_eq!(evidence.get("processors"), Some("2"));
        assert_eq!(host.commands(), ["/bin/uname -a", "/bin/cat /etc/os-release", "/bin/cat /proc/cpuinfo"]);
    }

    #[test]
    fn the_benign_twin_asks_for_nothing() {
        let host = host();
        host.dry(true);
        host.detonate::<SystemInfo>(&[]).unwrap();
        assert_eq!(host.commands(), ["/bin/true"]);
    }

    #[test]
    fn a_tool_that_fails_is_no_success() {
        let host = host();
        host.on_exec("/bin/uname", |_| Ok(fake::exit(1, "uname: no\n")));
        let error = host.detonate::<SystemInfo>(&[]).unwrap_err();
        assert_eq!(error.to_string(), "/bin/uname ended with status 1: uname: no (exit-status)");
    }
}
