//! T1057: who else is here.

use foil_sdk::prelude::*;

struct ProcessDiscovery;

impl Technique for ProcessDiscovery {
    type Parameters = NoParameters;

    fn detonate(context: &Context, _: &NoParameters, _: &State) -> Result<Evidence> {
        if context.dry {
            Command::new("/bin/true").run()?.ok()?;
            return Ok(Evidence::new("listed nothing (dry)"));
        }
        if let Some(output) = Command::new("/bin/ps").arg("aux").run_if_present()? {
            // The first line is the heading.
            return Ok(listed("ps aux", output.ok()?.text().lines().skip(1).count()));
        }
        let walk = Command::new("/usr/bin/find")
            .args(["/proc", "-mindepth", "2", "-maxdepth", "2", "-name", "cmdline"])
            .run_if_present()?
            .ok_or_else(|| Error::prerequisite("neither /bin/ps nor /usr/bin/find is there: install procps"))?;
        // A process may end during the walk, which `find` reports as a failure.
        match walk.text().lines().count() {
            0 => Err(walk.ok().err().unwrap_or_else(|| Error::other("no-process", "`find` saw no process in /proc"))),
            count => Ok(listed("find /proc", count)),
        }
    }
}

fn listed(how: &str, count: usize) -> Evidence {
    Evidence::new(format!("listed {count} processes with `{how}`")).fact("processes", count)
}

foil_sdk::technique!(ProcessDiscovery);

#[cfg(test)]
mod tests {
    use super::*;
    use foil_sdk::fake;

    fn host() -> fake::Host {
        fake::Host::for_technique(include_str!("../technique.toml"))
    }

    #[test]
    fn it_counts_what_ps_lists() {
        let host = host();
        host.on_exec("/bin/ps", |_| Ok(fake::output("USER PID\nroot 1\nroot 7\n")));
        assert_eq!(host.detonate::<ProcessDiscovery>(&[]).unwrap().get("processes"), Some("2"));
        assert_eq!(host.commands(), ["/bin/ps aux"]);
    }

    #[test]
    fn without_ps_it_walks_through_proc() {
        let host = host();
        host.on_exec("/usr/bin/find", |_| {
            Ok(fake::Output { stdout: b"/proc/1/cmdline\n".to_vec(), ..fake::exit(1, "find: /proc/9: gone") })
        });
        assert_eq!(host.detonate::<ProcessDiscovery>(&[]).unwrap().get("processes"), Some("1"));
    }

    #[test]
    fn with_neither_it_could_not_run() {
        assert_eq!(host().detonate::<ProcessDiscovery>(&[]).unwrap_err().code(), Some("prerequisite"));
    }

    #[test]
    fn a_walk_that_sees_nothing_is_no_success() {
        let host = host();
        host.on_exec("/usr/bin/find", |_| Ok(fake::exit(1, "find: /proc: denied")));
        assert!(host.detonate::<ProcessDiscovery>(&[]).unwrap_err().to_string().contains("denied"));
    }

    #[test]
    fn the_benign_twin_lists_nothing() {
        let host = host();
        host.on_exec("/bin/true", |_| Ok(fake::output("")));
        host.dry(true).detonate::<ProcessDiscovery>(&[]).unwrap();
        assert_eq!(host.commands(), ["/bin/true"]);
    }
}
