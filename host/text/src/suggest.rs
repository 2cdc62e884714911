//! "Do you mean": the known name nearest to one that is not known.

/// The longest name that is compared, in characters.
const MAX_NAME: usize = 80;

/// Returns the known name nearest to `wanted`, or nothing where none is near. Case does not count.
pub fn nearest<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted: String = wanted.trim().to_lowercase().chars().take(MAX_NAME).collect();
    // A third of the letters may differ, and one of a short name: `ls` is not `w`.
    let most = (wanted.chars().count() / 3).clamp(1, 4);
    let distance = |name: &str| strsim::damerau_levenshtein(&name.to_lowercase(), &wanted);
    let near = known.into_iter().map(|name| (distance(name), name)).filter(|(distance, _)| *distance <= most);
    near.min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// Returns ` (do you mean `NAME`?)`, or nothing where no known name is near.
pub fn hint<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(wanted, known).map(|name| format!(" (do you mean `{name}`?)")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_near_and_another_word_is_not() {
        let calls = ["execve", "execveat", "openat", "open", "bpf"];
        for (wanted, found) in [
            ("execev", Some("execve")),
            ("execv", Some("execve")),
            ("EXECVE", Some("execve")),
            ("opnat", Some("openat")),
            ("bfp", Some("bpf")),
            ("frobnicate", None),
            ("", None),
        ] {
            assert_eq!(nearest(wanted, calls), found, "{wanted}");
        }
        assert_eq!(hint("linux.sytem-info", ["linux.system-info"]), " (do you mean `linux.system-info`?)");
        assert_eq!(hint(&"x".repeat(100_000), calls), "");
    }
}
