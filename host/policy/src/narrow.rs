//! Granting less than what is asked for.

mod kube;

use super::denial::Refusal;
use super::paths::contains;
use foil_manifest::pattern::Variables;
use foil_manifest::{Capability, CapabilityName, CommandPattern, ExecScope, Network, PathPattern};
use foil_text::quote;

/// One flag `--narrow KEY=VALUE`. All values of one key together replace what the module asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Narrowing {
    /// Such as `exec.allow`.
    pub key: String,
    /// A pattern, a path, a name.
    pub value: String,
}

impl std::str::FromStr for Narrowing {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, value) = text.split_once('=').ok_or("write it as KEY=VALUE, such as exec.allow='/usr/bin/id -u'")?;
        if !KEYS.contains(&key) && !kube::is_key(key) {
            return Err(format!("{} is none of {}, {}", quote(key), KEYS.join(", "), kube::keys()));
        }
        Ok(Self { key: key.to_owned(), value: value.to_owned() })
    }
}

const KEYS: [&str; 9] = [
    "exec.allow",
    "exec.reads",
    "exec.writes",
    "exec.env",
    "exec.network",
    "exec.privileges",
    "files-read.allow",
    "files-write.allow",
    "events-read.allow",
];

/// What is granted: the requested capabilities that `only` names (`None`: all), narrowed.
///
/// Patterns cannot be compared in general, so that a given pattern must be one of the requested ones to the letter, or
/// literal and matched by a requested one. A path of `reads` or `writes` must lie in a requested one.
pub fn narrow(
    requested: &[Capability],
    only: Option<&[CapabilityName]>,
    narrowings: &[Narrowing],
) -> Result<Vec<Capability>, Refusal> {
    if let Some(name) = only.into_iter().flatten().find(|name| !requested.iter().any(|c| c.name() == **name)) {
        return Err(Refusal(format!("`{name}` is not asked for, so that it cannot be granted")));
    }
    let kept: Vec<Capability> = requested
        .iter()
        .filter(|c| only.is_none_or(|names| names.contains(&c.name())))
        .cloned()
        .map(Capability::without_reason)
        .collect();
    for narrowing in narrowings {
        let name = narrowing.key.split('.').next().unwrap_or_default();
        if !kept.iter().any(|c| c.name().interface() == name) {
            return Err(Refusal(format!("`{}` narrows nothing: `{name}` is not granted", narrowing.key)));
        }
    }
    let values = |key: &str| -> Option<Vec<&str>> {
        let values: Vec<&str> = narrowings.iter().filter(|n| n.key == key).map(|n| n.value.as_str()).collect();
        (!values.is_empty()).then_some(values)
    };
    kept.into_iter()
        .map(|capability| {
            Ok(match capability {
                Capability::Exec(scope) => Capability::Exec(exec(scope, &values)?),
                Capability::FilesRead(mut scope) => {
                    scope.allow = list(scope.allow, values("files-read.allow"), covers_path)?;
                    Capability::FilesRead(scope)
                }
                Capability::FilesWrite(mut scope) => {
                    scope.allow = list(scope.allow, values("files-write.allow"), covers_path)?;
                    Capability::FilesWrite(scope)
                }
                Capability::EventsRead(mut scope) => {
                    scope.allow = list(scope.allow, values("events-read.allow"), |a, b| a == b)?;
                    Capability::EventsRead(scope)
                }
                Capability::KubeRead(scope) => {
                    Capability::KubeRead(kube::narrow(scope, CapabilityName::KubeRead, &values)?)
                }
                Capability::KubeWrite(scope) => {
                    Capability::KubeWrite(kube::narrow(scope, CapabilityName::KubeWrite, &values)?)
                }
                Capability::KubeExec(scope) => {
                    Capability::KubeExec(kube::narrow(scope, CapabilityName::KubeExec, &values)?)
                }
                other => other,
            })
        })
        .collect()
}

fn exec<'a>(mut scope: ExecScope, values: &impl Fn(&str) -> Option<Vec<&'a str>>) -> Result<ExecScope, Refusal> {
    scope.allow = list(scope.allow, values("exec.allow"), covers_command)?;
    let within = |outer: &String, inner: &String| super::paths::check_literal(inner).is_ok() && contains(outer, inner);
    scope.reads = list(scope.reads, values("exec.reads"), within)?;
    scope.writes = list(scope.writes, values("exec.writes"), within)?;
    scope.env = list(scope.env, values("exec.env"), |a, b| a == b)?;
    match values("exec.network").as_deref() {
        None => {}
        Some(["loopback"]) => scope.network = Network::Loopback,
        Some(["host"]) if scope.network == Network::Host => {}
        Some(other) => return Err(Refusal(format!("`exec.network` cannot be {} here", quote(&other.join(", "))))),
    }
    match values("exec.privileges").as_deref() {
        None => {}
        Some(["false"]) => scope.privileges = false,
        Some(["true"]) if scope.privileges => {}
        Some(other) => return Err(Refusal(format!("`exec.privileges` cannot be {} here", quote(&other.join(", "))))),
    }
    Ok(scope)
}

/// The given values, each covered by a requested one; the requested ones where none are given. An empty value stands
/// for an empty list.
fn list<T>(requested: Vec<T>, given: Option<Vec<&str>>, covers: impl Fn(&T, &T) -> bool) -> Result<Vec<T>, Refusal>
where
    T: std::str::FromStr + PartialEq,
    T::Err: std::fmt::Display,
{
    let Some(given) = given else { return Ok(requested) };
    let mut kept = Vec::new();
    for text in given.into_iter().filter(|text| !text.is_empty()) {
        let value: T = text.parse().map_err(|e: T::Err| Refusal(e.to_string()))?;
        if !requested.iter().any(|r| *r == value || covers(r, &value)) {
            return Err(beyond(text));
        }
        if !kept.contains(&value) {
            kept.push(value);
        }
    }
    Ok(kept)
}

fn beyond(text: &str) -> Refusal {
    Refusal(format!(
        "{} is not within what is asked for: give a requested pattern to the letter, or something literal that one of them \
         matches",
        quote(text)
    ))
}

/// Values that no real pattern mentions, so that `{run}` in a request covers `{run}` in a grant and nothing else does
/// by accident. A run decides by its real ones anyway.
fn stand_ins() -> Variables {
    Variables {
        run: "0foilrun0".into(),
        scratch: "/0foilscratch0".into(),
        namespace: "0foilnamespace0".into(),
        // With a slash, as real ones have, so that a star does not cover it.
        image: "0foil/image0".into(),
    }
}

fn filled(text: &str) -> String {
    stand_ins().expand(text)
}

fn covers_path(requested: &PathPattern, given: &PathPattern) -> bool {
    given.is_literal() && requested.matches(&filled(given.as_str()), &stand_ins())
}

fn covers_command(requested: &CommandPattern, given: &CommandPattern) -> bool {
    let Ok(words) = shell_words::split(&filled(given.as_str())) else { return false };
    let literal = !given.as_str().contains(['*', '?']) && words.last().is_some_and(|w| w != "...");
    match words.split_first() {
        Some((program, arguments)) => literal && requested.matches(program, arguments, &stand_ins()),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Vec<Capability> {
        [
            "name = 'exec'\nallow = ['/usr/bin/id ...', '/bin/cat /etc/*', '/bin/cp {scratch}/a /tmp/**']\nreads = ['/etc']\nenv = ['A', 'B']\nnetwork = 'host'\nprivileges = true\nreason = 'x'",
            "name = 'files-write'\nallow = ['/tmp/foil-*', '{scratch}/**']\nreason = 'x'",
        ]
        .iter()
        .map(|t| toml::from_str(t).expect(t))
        .collect()
    }

    fn flags(texts: &[&str]) -> Vec<Narrowing> {
        texts.iter().map(|t| t.parse().expect(t)).collect()
    }

    #[test]
    fn nothing_given_grants_all_without_reasons() {
        let granted = narrow(&request(), None, &[]).expect("all");
        assert_eq!(granted.len(), 2);
        assert!(granted.iter().all(|c| c.reason().is_empty()));
    }

    #[test]
    fn only_what_a_request_covers() {
        for good in [
            "exec.allow=/usr/bin/id ...",
            "exec.allow=/usr/bin/id -u root",
            "exec.allow=/bin/cat /etc/passwd",
            "exec.allow=/bin/cp {scratch}/a /tmp/x/y",
            "exec.reads=/etc/ssh",
            "exec.reads=",
            "exec.env=A",
            "exec.network=loopback",
            "exec.privileges=false",
            "files-write.allow=/tmp/foil-{run}",
            "files-write.allow={scratch}/x",
        ] {
            assert!(narrow(&request(), None, &flags(&[good])).is_ok(), "{good}");
        }
        for bad in [
            "exec.allow=/usr/bin/ls",
            "exec.allow=/usr/bin/id -*",
            "exec.allow=/bin/cat /etc/a/b",
            "exec.allow=/bin/cat ...",
            "exec.allow=/bin/cat '/etc/x",
            "exec.reads=/",
            "exec.reads=/etc/../root",
            "exec.writes=/etc",
            "exec.env=C",
            "exec.network=none",
            "files-write.allow=/tmp/*",
            "files-write.allow={scratch}x/y",
            "files-read.allow=/tmp/x",
        ] {
            assert!(narrow(&request(), None, &flags(&[bad])).is_err(), "{bad}");
        }
    }

    #[test]
    fn given_values_replace_and_only_selects() {
        let granted =
            narrow(&request(), Some(&[CapabilityName::Exec]), &flags(&["exec.allow=/usr/bin/id", "exec.env="]))
                .expect("within the request");
        let [Capability::Exec(scope)] = granted.as_slice() else { panic!("{granted:?}") };
        assert_eq!(scope.allow.iter().map(CommandPattern::as_str).collect::<Vec<_>>(), ["/usr/bin/id"]);
        assert!(scope.env.is_empty() && scope.network == Network::Host);
        assert!(narrow(&request(), Some(&[CapabilityName::FilesRead]), &[]).is_err());
        assert!(narrow(&request(), Some(&[CapabilityName::Exec]), &flags(&["files-write.allow=/tmp/foil-x"])).is_err());
    }
}
