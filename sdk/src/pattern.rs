//! The patterns that experiments write, in the one syntax that manifests and grants have too.

/// Whether `text` matches `pattern`: `*` stands for any characters but `/`, also none; `**` for any characters at all; `?` for
/// one character that is not `/`; everything else for itself. There is no escape.
///
/// Its time grows with `pattern × text` and no faster: neither can make it back-track.
pub fn matches(pattern: &str, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    // row[j]: the pattern read so far matches the first j characters.
    let mut row = vec![false; text.len() + 1];
    row[0] = true;
    let mut pattern = pattern.chars().peekable();
    while let Some(c) = pattern.next() {
        let mut next = vec![false; text.len() + 1];
        if c == '*' {
            let any = pattern.next_if_eq(&'*').is_some();
            next[0] = row[0];
            for (j, t) in text.iter().enumerate() {
                next[j + 1] = row[j + 1] || (next[j] && (any || *t != '/'));
            }
        } else {
            for (j, t) in text.iter().enumerate() {
                next[j + 1] = row[j] && (*t == c || (c == '?' && *t != '/'));
            }
        }
        row = next;
    }
    row[text.len()]
}

/// Reads a pattern over a field, `NAME=PATTERN`. `None`: it is malformed, and the host refuses it before anything runs.
pub fn field(text: &str) -> Option<(&str, &str)> {
    let (name, pattern) = text.split_once('=')?;
    let (name, pattern) = (name.trim(), pattern.trim());
    let foreign = name.ends_with(['!', '~', '<', '>', ':', '+']) || pattern.starts_with('=');
    (!name.is_empty() && !foreign).then_some((name, pattern))
}

#[cfg(test)]
mod tests {
    use super::matches;

    const CASES: [(&str, &str, bool); 12] = [
        ("/usr/bin/uname", "/usr/bin/uname", true),
        ("/usr/bin/uname", "/usr/bin/unam", false),
        ("/usr/bin/*", "/usr/bin/uname", true),
        ("/usr/*", "/usr/bin/uname", false),
        ("/usr/**", "/usr/bin/uname", true),
        ("**/uname", "/usr/bin/uname", true),
        ("**/uname", "/usr/bin/uname2", false),
        ("/proc/*/mem", "/proc/12/mem", true),
        ("/proc/*/mem", "/proc/12/task/12/mem", false),
        ("/a?c", "/abc", true),
        ("/a?c", "/a/c", false),
        ("", "", true),
    ];

    #[test]
    fn stars_stop_at_slashes_and_double_stars_do_not() {
        for (pattern, text, expected) in CASES {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[cfg(feature = "manifest")]
    #[test]
    fn fields_are_read_as_the_host_reads_them() {
        for text in ["a=b", " a.b = c*", "a=", "a b=c", "", "a", "=b", "a!=b", "a~=b", "a==b", "a: b", "a:=b"] {
            assert_eq!(super::field(text), foil_manifest::pattern::field(text).ok(), "{text}");
        }
    }

    /// One syntax: what an experiment means by a pattern is what a grant means by it.
    #[cfg(feature = "manifest")]
    #[test]
    fn it_is_the_syntax_of_manifests() {
        use foil_manifest::pattern::Variables;
        for (pattern, text, expected) in CASES.iter().filter(|(pattern, ..)| pattern.starts_with('/')) {
            let manifest: foil_manifest::PathPattern = pattern.parse().unwrap();
            assert_eq!(manifest.matches(text, &Variables::default()), *expected, "{pattern} {text}");
        }
    }
}
