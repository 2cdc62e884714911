//! Literal paths and what contains what.

use foil_manifest::pattern::Variables;

/// An absolute path without `.`, `..`, empty parts or control characters.
pub(super) fn is_plain(path: &str) -> bool {
    !path.chars().any(char::is_control)
        && (path == "/"
            || path
                .strip_prefix('/')
                .is_some_and(|rest| rest.split('/').all(|part| !part.is_empty() && part != "." && part != "..")))
}

/// Whether `outer` is `inner` or one of the folders above it, by whole parts: `/etc` does not contain `/etcx`.
pub(super) fn contains(outer: &str, inner: &str) -> bool {
    outer == "/" || inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether the variables that `text` uses have values that mean what the text says. An empty scratch folder would turn
/// `{scratch}/**` into `/**`, and a star in one would turn a name into a pattern: such a rule allows nothing.
pub(super) fn usable(text: &str, variables: &Variables) -> bool {
    let special = |value: &str| value.contains(['*', '?', '{', '}']);
    let run = !variables.run.is_empty() && !variables.run.contains('/') && !special(&variables.run);
    let scratch = variables.scratch != "/" && is_plain(&variables.scratch) && !special(&variables.scratch);
    // What a cluster is called has no place in a path of this machine.
    let foreign = ["{namespace}", "{image}"].iter().any(|name| text.contains(name));
    !foreign && (run || !text.contains("{run}")) && (scratch || !text.contains("{scratch}"))
}

/// A literal path of a rule with its variables filled in; nothing where it is no plain absolute path.
pub(super) fn expand(path: &str, variables: &Variables) -> Option<String> {
    if !usable(path, variables) {
        return None;
    }
    let path = path.replace("{run}", &variables.run).replace("{scratch}", &variables.scratch);
    is_plain(&path).then_some(path)
}

/// Refuses what cannot stand in a list of literal paths.
pub(super) fn check_literal(path: &str) -> Result<(), String> {
    if path.contains(['*', '?']) {
        return Err(format!(
            "{} has a pattern in it: `reads` and `writes` take folders and files, each with all below",
            foil_text::quote(path)
        ));
    }
    path.parse::<foil_manifest::PathPattern>().map(|_| ()).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containment_is_by_whole_parts() {
        for (outer, inner) in [("/", "/etc"), ("/", "/"), ("/etc", "/etc"), ("/etc", "/etc/ssh/key")] {
            assert!(contains(outer, inner), "{outer} {inner}");
        }
        for (outer, inner) in [("/etc", "/etcx"), ("/etc/ssh", "/etc"), ("/etc", "/")] {
            assert!(!contains(outer, inner), "{outer} {inner}");
        }
    }

    #[test]
    fn variables_without_a_proper_value_void_the_rule() {
        let none = Variables::default();
        assert_eq!(expand("{scratch}/x", &none), None);
        assert_eq!(expand("/tmp/{run}", &none), None);
        assert_eq!(expand("/etc", &none).as_deref(), Some("/etc"));
        for scratch in ["/", "/tmp/*", "tmp", "/tmp/../etc", "/tmp/"] {
            let sly = Variables { run: "r".into(), scratch: scratch.into(), ..Variables::default() };
            assert_eq!(expand("{scratch}/x", &sly), None, "{scratch}");
        }
        let good = Variables { run: "r".into(), scratch: "/tmp/foil-r".into(), ..Variables::default() };
        assert_eq!(expand("{scratch}/{run}", &good).as_deref(), Some("/tmp/foil-r/r"));
        assert_eq!(expand("/a/../b", &good), None);
    }
}
