//! T1003.008: the password hashes, none of which leave the child.

use foil_sdk::prelude::*;

struct ShadowRead;

impl Technique for ShadowRead {
    type Parameters = NoParameters;

    fn detonate(context: &Context, _: &NoParameters, _: &State) -> Result<Evidence> {
        let (file, script) = if context.dry {
            ("/etc/passwd", "cat /etc/passwd | wc -c")
        } else {
            ("/etc/shadow", "cat /etc/shadow | wc -c")
        };
        let output = Command::new("/bin/sh").args(["-c", script]).run()?.ok()?;
        // The status of a pipe is that of its last command, so a `cat` that was refused shows only as nothing read.
        let bytes = output.text().trim().parse::<u64>().unwrap_or(0);
        if bytes == 0 {
            let why = String::from_utf8_lossy(&output.stderr);
            let why = why.lines().next().unwrap_or("it is empty");
            return Err(Error::other("unreadable", format!("nothing could be read from {file}: {why}")));
        }
        Ok(Evidence::new(format!("read {bytes} bytes from {file}")).fact("bytes", bytes))
    }
}

foil_sdk::technique!(ShadowRead);

#[cfg(test)]
mod tests {
    use super::*;
    use foil_sdk::fake;

    fn host(answer: fake::Output) -> fake::Host {
        let host = fake::Host::for_technique(include_str!("../technique.toml"));
        host.on_exec("/bin/sh", move |_| Ok(answer.clone()));
        host
    }

    #[test]
    fn only_the_number_of_bytes_comes_back() {
        let host = host(fake::output("1187\n"));
        let evidence = host.detonate::<ShadowRead>(&[]).unwrap();
        assert_eq!(evidence.get("bytes"), Some("1187"));
        assert_eq!(host.commands(), ["/bin/sh -c cat /etc/shadow | wc -c"]);
    }

    #[test]
    fn a_read_that_was_refused_is_no_success() {
        let refused =
            fake::Output { stdout: b"0\n".to_vec(), ..fake::exit(0, "cat: /etc/shadow: Permission denied\n") };
        let error = host(refused).detonate::<ShadowRead>(&[]).unwrap_err();
        assert!(error.to_string().contains("Permission denied"), "{error}");
    }

    #[test]
    fn the_benign_twin_reads_what_everybody_may() {
        let host = host(fake::output("900\n"));
        host.dry(true).detonate::<ShadowRead>(&[]).unwrap();
        assert_eq!(host.commands(), ["/bin/sh -c cat /etc/passwd | wc -c"]);
    }
}
