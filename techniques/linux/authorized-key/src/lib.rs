//! T1098.004: a key under the mat, which fits no lock.

use foil_sdk::prelude::*;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Parameters {
    home: String,
}

/// In SSH's encoding: `ssh-ed25519` and 32 bytes that read "foil: nobody has the private key".
const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIGZvaWw6IG5vYm9keSBoYXMgdGhlIHByaXZhdGUga2V5";

struct AuthorizedKey;

impl Technique for AuthorizedKey {
    type Parameters = Parameters;

    fn warmup(_: &Context, parameters: &Parameters) -> Result<State> {
        let home = &parameters.home;
        if home != "/root" && !home.strip_prefix("/home/").is_some_and(|name| !name.is_empty() && !name.contains('/')) {
            return Err(Error::Invalid("`home` must be /root or a folder directly below /home".to_owned()));
        }
        if files::exists(home)? {
            return Ok(State::new());
        }
        Err(Error::prerequisite(format!("there is no {home}: name a home that exists by the parameter `home`")))
    }

    fn detonate(context: &Context, parameters: &Parameters, _: &State) -> Result<Evidence> {
        let line = format!(
            "restrict,command=\"/bin/false\",expiry-time=\"19700102\" ssh-ed25519 {KEY} {} (Foil, a detection test)\n",
            context.mark()
        );
        if context.dry {
            let twin = context.in_scratch("authorized_keys");
            files::create(&twin, line, 0o600)?;
            return Ok(Evidence::new("wrote the line into the run's own folder (dry)"));
        }
        let folder = [&parameters.home, "/.ssh"].concat();
        let file = [&folder, "/authorized_keys"].concat();
        match files::stat(&file) {
            Ok(there) => {
                // A last line without its end would swallow ours, and be broken by it.
                let whole = there.size == 0 || files::read(&file, there.size - 1, 1)? == b"\n";
                files::append(&file, [if whole { "" } else { "\n" }, &line].concat())?;
            }
            Err(error) if error.is_not_found() => {
                if !files::exists(&folder)? {
                    files::create_directory(&folder)?;
                }
                files::create(&file, line, 0o600)?;
            }
            Err(error) => return Err(error),
        }
        Ok(Evidence::new(format!("added an unusable key to {file}")).fact("file", file))
    }
}

foil_sdk::technique!(AuthorizedKey);

#[cfg(test)]
mod tests {
    use super::*;
    use foil_sdk::fake;

    fn host() -> fake::Host {
        fake::Host::for_technique(include_str!("../technique.toml"))
    }

    fn keys(host: &fake::Host, file: &str) -> String {
        String::from_utf8(host.content(file).unwrap()).unwrap()
    }

    #[test]
    fn folder_and_file_are_made_where_missing() {
        let host = host();
        host.directory("/root");
        host.detonate::<AuthorizedKey>(&[]).unwrap();
        assert_eq!(host.changes(), ["create-directory /root/.ssh", "create /root/.ssh/authorized_keys"]);
        assert_eq!(host.mode("/root/.ssh/authorized_keys"), Some(0o600));
    }

    #[test]
    fn nobody_can_log_in_by_the_line() {
        let host = host();
        host.file("/home/ann/.ssh/authorized_keys", "");
        host.detonate::<AuthorizedKey>(&[("home", "/home/ann".into())]).unwrap();
        let line = keys(&host, "/home/ann/.ssh/authorized_keys");
        assert_eq!(line.lines().count(), 1);
        assert!(line.starts_with("restrict,command=\"/bin/false\",expiry-time=\"19700102\" ssh-ed25519 AAAA"));
        assert!(line.contains(&host.context().mark()));
    }

    #[test]
    fn lines_that_were_there_stay_whole() {
        for (before, expected) in [("ssh-rsa A x\n", 2), ("ssh-rsa A x\nssh-rsa B y", 3)] {
            let host = host();
            host.file("/root/.ssh/authorized_keys", before);
            host.detonate::<AuthorizedKey>(&[]).unwrap();
            let after = keys(&host, "/root/.ssh/authorized_keys");
            assert!(after.starts_with(before));
            assert_eq!(after.lines().count(), expected);
            assert_eq!(host.changes(), ["append /root/.ssh/authorized_keys"]);
        }
    }

    #[test]
    fn other_places_are_refused() {
        let host = host();
        host.directory("/etc").directory("/home/ann/x");
        for home in ["/etc", "/home/", "/home/ann/x", "/home"] {
            let error = host.detonate::<AuthorizedKey>(&[("home", home.into())]).unwrap_err();
            assert!(matches!(error, Error::Invalid(_)), "{home}: {error}");
        }
        let error = host.detonate::<AuthorizedKey>(&[("home", "/home/bob".into())]).unwrap_err();
        assert_eq!(error.code(), Some("prerequisite"));
        assert!(host.changes().is_empty());
    }

    #[test]
    fn the_benign_twin_touches_no_home() {
        let host = host();
        host.file("/root/.ssh/authorized_keys", "x\n").dry(true).detonate::<AuthorizedKey>(&[]).unwrap();
        assert_eq!(host.changes(), [format!("create {}/authorized_keys", host.context().scratch)]);
    }
}
