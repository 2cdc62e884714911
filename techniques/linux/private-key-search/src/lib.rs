//! T1552.004: what opens other doors. Counted, never read.

use foil_sdk::exec::Output;
use foil_sdk::prelude::*;
use std::time::Duration;

/// What private keys are called.
const NAMES: [&str; 5] = ["id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "*.pem"];

/// How the first line of one begins.
const HEADERS: [&str; 3] = ["BEGIN OPENSSH PRIVATE KEY", "BEGIN RSA PRIVATE KEY", "BEGIN PRIVATE KEY"];

struct PrivateKeySearch;

impl Technique for PrivateKeySearch {
    type Parameters = NoParameters;

    fn detonate(context: &Context, _: &NoParameters, _: &State) -> Result<Evidence> {
        let find = Command::new("/usr/bin/find").args(["/root", "/home", "/etc", "-xdev", "-maxdepth"]);
        let find = find.timeout(Duration::from_secs(30));
        if context.dry {
            // Folders that this user may not read are no failure of the search.
            lines(find.args(["1", "-name", &context.mark()]).run()?, 1)?;
            return Ok(Evidence::new("searched for a name that nothing has (dry)"));
        }
        let mut find = find.args(["4", "-type", "f", "("]);
        for (i, name) in NAMES.iter().enumerate() {
            find = find.args(&["-o", "-name", name][usize::from(i == 0)..]);
        }
        let by_name = lines(find.arg(")").run()?, 1)?;

        let mut grep = Command::new("/bin/grep").args(["-rlIs", "-m", "1"]).timeout(Duration::from_secs(30));
        for header in HEADERS {
            grep = grep.args(["-e", header]);
        }
        // 1: nothing was found; 2: some folder is not there.
        let by_content = lines(grep.args(["/root/.ssh", "/etc/ssh", "/etc/ssl/private"]).run()?, 2)?;

        Ok(Evidence::new(format!("found {by_name} files by name and {by_content} by content"))
            .fact("by-name", by_name)
            .fact("by-content", by_content))
    }
}

/// How many lines it wrote, where its status is no more than `most`.
fn lines(output: Output, most: u8) -> Result<usize> {
    if output.status().is_some_and(|status| status <= most) {
        return Ok(output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count());
    }
    output.ok().map(|_| 0)
}

foil_sdk::technique!(PrivateKeySearch);

#[cfg(test)]
mod tests {
    use super::*;
    use foil_sdk::fake;

    fn host() -> fake::Host {
        let host = fake::Host::for_technique(include_str!("../technique.toml"));
        host.on_exec("/usr/bin/find", |_| {
            Ok(fake::Output {
                stdout: b"/root/.ssh/id_rsa\n/etc/ssl/x.pem\n".to_vec(),
                ..fake::exit(1, "find: denied")
            })
        });
        host.on_exec("/bin/grep", |_| {
            Ok(fake::Output { stdout: b"/root/.ssh/id_rsa\n".to_vec(), ..fake::exit(2, "") })
        });
        host
    }

    #[test]
    fn files_are_counted_and_not_named() {
        let host = host();
        let evidence = host.detonate::<PrivateKeySearch>(&[]).unwrap();
        assert_eq!((evidence.get("by-name"), evidence.get("by-content")), (Some("2"), Some("1")));
        assert!(!format!("{evidence:?}").contains("id_rsa"));
        assert!(
            host.commands()[0]
                .ends_with("( -name id_rsa -o -name id_dsa -o -name id_ecdsa -o -name id_ed25519 -o -name *.pem )")
        );
        assert!(host.commands()[1].contains("-e BEGIN OPENSSH PRIVATE KEY"));
    }

    #[test]
    fn nothing_found_is_a_success_and_a_broken_tool_is_not() {
        let host = host();
        host.on_exec("/usr/bin/find", |_| Ok(fake::output("")));
        host.on_exec("/bin/grep", |_| Ok(fake::exit(1, "")));
        assert_eq!(host.detonate::<PrivateKeySearch>(&[]).unwrap().get("by-content"), Some("0"));
        host.on_exec("/bin/grep", |_| Ok(fake::exit(127, "grep: broken")));
        assert!(host.detonate::<PrivateKeySearch>(&[]).unwrap_err().to_string().contains("broken"));
    }

    #[test]
    fn the_benign_twin_searches_for_no_key() {
        let host = host();
        host.dry(true).detonate::<PrivateKeySearch>(&[]).unwrap();
        let commands = host.commands();
        assert_eq!(commands.len(), 1);
        assert!(!commands[0].contains("id_") && !commands[0].contains("pem"), "{}", commands[0]);
    }
}
