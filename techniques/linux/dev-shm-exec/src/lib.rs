//! T1027.011: a program that never touches a disk.

use foil_sdk::prelude::*;

/// The most that the host writes at once, in bytes; `true` is a hundredth of it.
const MOST: usize = 8 << 20;

struct DevShmExec;

impl Technique for DevShmExec {
    type Parameters = NoParameters;

    fn warmup(context: &Context, _: &NoParameters) -> Result<State> {
        let copy = ["/dev/shm/", &context.mark()].concat();
        for original in ["/usr/bin/true", "/bin/true"] {
            // A link, such as to busybox, would not know by the copy's name what it is to do.
            match files::stat(original) {
                Ok(there) if there.kind == files::Kind::File => {}
                Ok(_) => continue,
                Err(error) if error.is_not_found() => continue,
                Err(error) => return Err(error),
            }
            let program = files::read_all(original, MOST)?;
            return match files::create(&copy, program, 0o755) {
                Err(error) if error.is_not_found() => Err(Error::prerequisite("there is no /dev/shm on this system")),
                written => written.map(|()| State::new().with("copy", copy)),
            };
        }
        Err(Error::prerequisite("neither /usr/bin/true nor /bin/true is a plain program that could be copied"))
    }

    fn detonate(context: &Context, _: &NoParameters, state: &State) -> Result<Evidence> {
        let copy = state.need("copy")?;
        if context.dry {
            return Ok(Evidence::new(format!("put {copy} there and did not run it (dry)")));
        }
        let output = Command::new(copy).run()?.ok()?;
        Ok(Evidence::new(format!("ran {copy}")).fact("program", copy).fact("pid", output.pid))
    }
}

foil_sdk::technique!(DevShmExec);

#[cfg(test)]
mod tests {
    use super::*;
    use foil_sdk::fake;

    fn host() -> (fake::Host, String) {
        let host = fake::Host::for_technique(include_str!("../technique.toml"));
        host.directory("/dev/shm");
        let copy = format!("/dev/shm/{}", host.context().mark());
        host.on_exec(&copy, |_| Ok(fake::output("")));
        (host, copy)
    }

    #[test]
    fn the_copy_is_whole_executable_and_run() {
        let (host, copy) = host();
        let program: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
        host.file("/bin/true", &program);
        host.detonate::<DevShmExec>(&[]).unwrap();
        assert!(host.content(&copy).unwrap() == program);
        assert_eq!(host.mode(&copy), Some(0o755));
        assert_eq!(host.commands(), [copy]);
    }

    #[test]
    fn what_is_no_plain_program_is_not_copied() {
        let (host, _) = host();
        host.directory("/usr/bin/true");
        assert_eq!(host.detonate::<DevShmExec>(&[]).unwrap_err().code(), Some("prerequisite"));
        assert!(host.changes().is_empty());
    }

    #[test]
    fn without_shared_memory_it_could_not_run() {
        let host = fake::Host::for_technique(include_str!("../technique.toml"));
        host.file("/usr/bin/true", "x");
        assert_eq!(host.detonate::<DevShmExec>(&[]).unwrap_err().code(), Some("prerequisite"));
    }

    #[test]
    fn the_benign_twin_runs_nothing() {
        let (host, copy) = host();
        host.file("/usr/bin/true", "x").dry(true).detonate::<DevShmExec>(&[]).unwrap();
        assert!(host.content(&copy).is_some());
        assert!(host.commands().is_empty());
    }
}
