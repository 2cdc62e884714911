//! T1070.004: removing what was brought along.

use foil_sdk::prelude::*;

#[derive(Clone, Copy, PartialEq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Method {
    Both,
    Rm,
    Shred,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Parameters {
    method: Method,
}

impl Parameters {
    /// What to delete each file with, and its name.
    fn deletions(&self) -> impl Iterator<Item = (&'static [&'static str], &'static str)> {
        const RM: &[&str] = &["/bin/rm", "-f"];
        const SHRED: &[&str] = &["/usr/bin/shred", "-u"];
        let method = self.method;
        [(Method::Rm, RM, "tool-rm.txt"), (Method::Shred, SHRED, "tool-shred.txt")]
            .into_iter()
            .filter(move |(this, ..)| method == Method::Both || method == *this)
            .map(|(_, command, name)| (command, name))
    }
}

struct FileDelete;

impl Technique for FileDelete {
    type Parameters = Parameters;

    fn warmup(context: &Context, parameters: &Parameters) -> Result<State> {
        for (_, name) in parameters.deletions() {
            let content = format!("{}: a file that the technique linux.file-delete deletes\n", context.mark());
            Command::new("/usr/bin/tee").arg(context.in_scratch(name)).stdin(content).run()?.ok()?;
        }
        Ok(State::new())
    }

    fn detonate(context: &Context, parameters: &Parameters, _: &State) -> Result<Evidence> {
        if context.dry {
            return Ok(Evidence::new("deleted nothing (dry)"));
        }
        let mut evidence = Evidence::new("");
        for (command, name) in parameters.deletions() {
            let path = context.in_scratch(name);
            let [program, option] = command else { continue };
            Command::new(*program).arg(*option).arg(&path).run()?.ok()?;
            if files::exists(&path)? {
                return Err(Error::other(
                    "still-there",
                    format!("{program} said that it deleted {path}, but it is there"),
                ));
            }
            evidence = evidence.fact("deleted", path);
        }
        evidence.summary = format!("deleted {} of its own files", evidence.facts.len());
        Ok(evidence)
    }
}

foil_sdk::technique!(FileDelete);

#[cfg(test)]
mod tests {
    use super::*;
    use foil_sdk::fake;

    fn host() -> fake::Host {
        let host = fake::Host::for_technique(include_str!("../technique.toml"));
        let files = host.clone();
        host.on_exec("/usr/bin/tee", move |call| {
            files.file(&call.args[0], &call.stdin);
            Ok(fake::output(&call.stdin))
        });
        for program in ["/bin/rm", "/usr/bin/shred"] {
            let files = host.clone();
            host.on_exec(program, move |call| {
                files.delete(&call.args[1]);
                Ok(fake::output(""))
            });
        }
        host
    }

    #[test]
    fn both_files_are_made_marked_and_deleted() {
        let host = host();
        let evidence = host.detonate::<FileDelete>(&[]).unwrap();
        assert_eq!(evidence.summary, "deleted 2 of its own files");
        let scratch = host.context().scratch;
        assert_eq!(
            host.commands()[2..],
            [format!("/bin/rm -f {scratch}/tool-rm.txt"), format!("/usr/bin/shred -u {scratch}/tool-shred.txt")]
        );
        assert!(String::from_utf8_lossy(&host.calls()[0].stdin).contains(&host.context().mark()));
        assert_eq!(host.content(&format!("{scratch}/tool-rm.txt")), None);
    }

    #[test]
    fn one_method_deletes_one_file() {
        let host = host();
        host.detonate::<FileDelete>(&[("method", "shred".into())]).unwrap();
        let commands = host.commands();
        assert_eq!(commands.len(), 2);
        assert!(commands[1].starts_with("/usr/bin/shred -u "));
        assert!(host.detonate::<FileDelete>(&[("method", "magic".into())]).is_err());
    }

    #[test]
    fn a_file_that_stays_is_no_success() {
        let host = host();
        host.on_exec("/bin/rm", |_| Ok(fake::output("")));
        let error = host.detonate::<FileDelete>(&[("method", "rm".into())]).unwrap_err();
        assert_eq!(error.code(), Some("still-there"));
    }

    #[test]
    fn the_benign_twin_deletes_nothing() {
        let host = host();
        host.dry(true).detonate::<FileDelete>(&[]).unwrap();
        assert!(host.commands().iter().all(|command| command.starts_with("/usr/bin/tee ")));
    }
}
