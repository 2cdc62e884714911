//! T1685.006: making the record go away.

use foil_sdk::prelude::*;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Parameters {
    log: Option<String>,
}

/// What most systems have at least one of; the juiciest first.
const LOGS: [&str; 6] = [
    "/var/log/syslog",
    "/var/log/auth.log",
    "/var/log/messages",
    "/var/log/secure",
    "/var/log/dpkg.log",
    "/var/log/wtmp",
];

struct ClearLogs;

impl Technique for ClearLogs {
    type Parameters = Parameters;

    fn warmup(_: &Context, parameters: &Parameters) -> Result<State> {
        let named = parameters.log.as_deref();
        if named.is_some_and(|log| !log.starts_with("/var/log/")) {
            return Err(Error::Invalid("`log` must be a path below /var/log".to_owned()));
        }
        let candidates = named.map_or(LOGS.to_vec(), |log| vec![log]);
        for log in candidates {
            if files::exists(log)? {
                return Ok(State::new().with("log", log));
            }
        }
        let wanted = named.unwrap_or("any of the usual logs in /var/log");
        Err(Error::prerequisite(format!("there is no {wanted}: name one that exists by the parameter `log`")))
    }

    fn detonate(context: &Context, _: &Parameters, state: &State) -> Result<Evidence> {
        let twin = context.in_scratch("twin.log");
        let log = if context.dry { &twin } else { state.need("log")? };
        Command::new("/bin/cp").args(["/dev/null", log]).run()?.ok()?;
        Command::new("/bin/rm").args(["-f", log]).run()?.ok()?;
        Ok(Evidence::new(format!("emptied and deleted {log}, in an overlay")).fact("log", log))
    }
}

foil_sdk::technique!(ClearLogs);

#[cfg(test)]
mod tests {
    use super::*;
    use foil_sdk::fake;

    fn host() -> fake::Host {
        let host = fake::Host::for_technique(include_str!("../technique.toml"));
        host.on_exec("/bin/cp", |_| Ok(fake::output("")));
        host.on_exec("/bin/rm", |_| Ok(fake::output("")));
        host
    }

    #[test]
    fn the_first_log_that_exists_is_taken() {
        let host = host();
        host.file("/var/log/wtmp", "x").file("/var/log/dpkg.log", "x");
        let evidence = host.detonate::<ClearLogs>(&[]).unwrap();
        assert_eq!(evidence.get("log"), Some("/var/log/dpkg.log"));
        assert_eq!(host.commands(), ["/bin/cp /dev/null /var/log/dpkg.log", "/bin/rm -f /var/log/dpkg.log"]);
    }

    #[test]
    fn a_named_log_must_exist_and_lie_below_var_log() {
        let host = host();
        host.file("/var/log/syslog", "x").file("/var/log/nginx/access.log", "x");
        host.detonate::<ClearLogs>(&[("log", "/var/log/nginx/access.log".into())]).unwrap();
        let missing = host.detonate::<ClearLogs>(&[("log", "/var/log/none".into())]).unwrap_err();
        assert_eq!(missing.code(), Some("prerequisite"));
        let outside = host.detonate::<ClearLogs>(&[("log", "/etc/passwd".into())]).unwrap_err();
        assert!(matches!(outside, Error::Invalid(_)), "{outside}");
        // Its type alone stops it: a path has no `..`.
        let sly = host.detonate::<ClearLogs>(&[("log", "/var/log/../../etc/passwd".into())]).unwrap_err();
        assert!(matches!(sly, Error::Invalid(_)), "{sly}");
        assert_eq!(host.commands().len(), 2);
    }

    #[test]
    fn without_any_log_it_could_not_run() {
        let host = host();
        assert_eq!(host.detonate::<ClearLogs>(&[]).unwrap_err().code(), Some("prerequisite"));
        assert!(host.commands().is_empty());
    }

    #[test]
    fn the_benign_twin_touches_no_log() {
        let host = host();
        host.file("/var/log/syslog", "x").dry(true).detonate::<ClearLogs>(&[]).unwrap();
        assert!(host.commands().iter().all(|command| command.ends_with("/twin.log")), "{:?}", host.commands());
    }
}
