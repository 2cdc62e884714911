//! T1055.009: writing into another process through its memory file.

use foil_sdk::prelude::*;
use std::time::Duration;

/// What the manifest shows a reviewer, word for word.
const SCRIPT: &str = include_str!("inject.sh");

struct ProcMemoryWrite;

impl Technique for ProcMemoryWrite {
    type Parameters = NoParameters;

    fn detonate(context: &Context, _: &NoParameters, _: &State) -> Result<Evidence> {
        let mark = context.mark();
        let mode = if context.dry { "dry" } else { "write" };
        let shell = Command::new("/bin/sh").args(["-c", SCRIPT, "foil", mode]).stdin(mark.as_str());
        let output = shell.timeout(Duration::from_secs(20)).run()?;
        match output.status() {
            Some(3) => return Err(Error::other("no-victim", "the child `sleep` did not start within five seconds")),
            Some(4) => return Err(Error::prerequisite("the child's stack cannot be seen in /proc/PID/maps")),
            _ => {}
        }
        let output = output.ok()?;
        if context.dry {
            return Ok(Evidence::new("found a child's stack and wrote nothing (dry)"));
        }
        if output.text() != mark {
            let why = "the child's memory does not hold what was written: the kernel may refuse such writes";
            return Err(Error::other("not-written", why));
        }
        Ok(Evidence::new("wrote the run's mark into a child's stack and read it back").fact("bytes", mark.len()))
    }
}

foil_sdk::technique!(ProcMemoryWrite);

#[cfg(test)]
mod tests {
    use super::*;
    use foil_sdk::fake;

    fn host(answer: impl Fn(&fake::Call) -> fake::Output + 'static) -> fake::Host {
        let host = fake::Host::for_technique(include_str!("../technique.toml"));
        host.on_exec("/bin/sh", move |call| Ok(answer(call)));
        host
    }

    #[test]
    fn it_believes_what_was_read_back_only() {
        let host = host(|call| fake::output(&call.stdin));
        host.detonate::<ProcMemoryWrite>(&[]).unwrap();
        let call = host.calls().remove(0);
        // The script reads back as many bytes as the mark has.
        assert!(SCRIPT.contains(&format!("count={} ", call.stdin.len())));
        assert_eq!(call.args[3], "write");

        let other = self::host(|_| fake::output("nothing"));
        assert_eq!(other.detonate::<ProcMemoryWrite>(&[]).unwrap_err().code(), Some("not-written"));
    }

    #[test]
    fn a_child_that_cannot_be_used_is_said() {
        let code = |status| {
            let host = host(move |_| fake::exit(status, ""));
            host.detonate::<ProcMemoryWrite>(&[]).unwrap_err().code().map(ToOwned::to_owned)
        };
        assert_eq!(code(3).as_deref(), Some("no-victim"));
        assert_eq!(code(4).as_deref(), Some("prerequisite"));
        assert_eq!(code(1).as_deref(), Some("exit-status"));
    }

    #[test]
    fn the_benign_twin_writes_nothing() {
        let host = host(|call| fake::output(if call.args[3] == "dry" { "" } else { "wrote" }));
        let evidence = host.dry(true).detonate::<ProcMemoryWrite>(&[]).unwrap();
        assert!(evidence.summary.contains("wrote nothing"));
        assert_eq!(host.calls()[0].args[3], "dry");
    }

    #[test]
    fn a_refused_write_says_why() {
        let host = host(|_| fake::exit(1, "/bin/dd: failed to open '/proc/7/mem': Permission denied\n"));
        let error = host.detonate::<ProcMemoryWrite>(&[]).unwrap_err();
        assert!(error.to_string().ends_with("'/proc/7/mem': Permission denied (exit-status)"), "{error}");
    }

    /// The real script, with a child of this test: it needs no root.
    #[test]
    fn the_script_does_what_it_says() {
        use std::io::Write;
        use std::process::{Command, Stdio};

        let scratch = std::env::temp_dir().join(format!("foil-test-{}", std::process::id()));
        std::fs::create_dir(&scratch).unwrap();
        let run = |mode: &str| {
            let mut shell = Command::new("/bin/sh")
                .args(["-c", SCRIPT, "foil", mode])
                .env("FOIL_SCRATCH", &scratch)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            shell.stdin.take().unwrap().write_all(b"foil-01k0000000000000000000test").unwrap();
            shell.wait_with_output().unwrap()
        };
        let (dry, wrote) = (run("dry"), run("write"));
        std::fs::remove_dir_all(&scratch).unwrap();
        assert_eq!((dry.status.code(), dry.stdout.as_slice()), (Some(0), &b""[..]));
        assert_eq!(wrote.status.code(), Some(0), "{}", String::from_utf8_lossy(&wrote.stderr));
        assert!(String::from_utf8_lossy(&wrote.stderr).contains("copied"), "dd speaks through the script");
        assert_eq!(String::from_utf8_lossy(&wrote.stdout), "foil-01k0000000000000000000test");
    }
}
