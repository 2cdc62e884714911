//! The clean environment of children: nothing of Foil's own gets in.

use crate::{Identity, RunSpec};
use nix::unistd::{Uid, User};

/// Where programs are looked for.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The variables that every child of a run gets.
pub fn base(spec: &RunSpec) -> Vec<(String, String)> {
    let (name, home) = match &spec.identity {
        Some(Identity { name, home, .. }) => (name.clone(), home.to_string_lossy().into_owned()),
        None => own(),
    };
    [
        ("PATH", PATH.to_owned()),
        ("HOME", home),
        ("LANG", "C.UTF-8".to_owned()),
        ("USER", name.clone()),
        ("LOGNAME", name),
        ("FOIL_RUN_ID", spec.run.to_string()),
        ("FOIL_SCRATCH", spec.scratch.to_string_lossy().into_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// Name and home of whoever runs Foil, by the user database rather than by its environment.
fn own() -> (String, String) {
    match User::from_uid(Uid::effective()) {
        Ok(Some(user)) => (user.name, user.dir.to_string_lossy().into_owned()),
        _ => (Uid::effective().to_string(), "/".to_owned()),
    }
}

/// The base with what the request adds or replaces, as `NAME=value`. An error names a variable that cannot be.
pub fn with(base: &[(String, String)], added: &[(String, String)]) -> Result<Vec<String>, String> {
    if let Some((name, _)) = added.iter().find(|(name, _)| name.is_empty() || name.contains('=')) {
        return Err(format!("{name:?} is no name of an environment variable"));
    }
    let kept = base.iter().filter(|(name, _)| !added.iter().any(|(other, _)| other == name));
    Ok(kept.chain(added).map(|(name, value)| format!("{name}={value}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_replaces_and_a_bad_name_is_refused() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let base = [pair("PATH", "/bin"), pair("HOME", "/")];
        assert_eq!(with(&base, &[pair("HOME", "/x"), pair("A", "1")]).unwrap(), ["PATH=/bin", "HOME=/x", "A=1"]);
        assert!(with(&base, &[pair("A=B", "1")]).is_err());
        assert!(with(&base, &[pair("", "1")]).is_err());
    }
}
