//! Foil's own folders: no grant may reach the journal, which is a list of things to do with Foil's rights, the grants
//! file, or the compiled modules.

use super::children::written;
use super::paths::contains;
use super::permission::path_scopes;
use foil_manifest::{Capability, CapabilityName};

/// The first rule of `list` that lets something change one of `own` (absolute paths of folders or files), if any:
/// a `files-write` pattern that can match it or something below it, or an `exec` write that contains it or lies in it.
pub fn covering_rule(list: &[Capability], own: &[String]) -> Option<String> {
    let patterns = path_scopes(list, CapabilityName::FilesWrite).flat_map(|s| s.allow.iter().map(|p| p.as_str()));
    let pattern = patterns.into_iter().find(|p| own.iter().any(|o| may_match_within(p, o)));
    let write = || written(list).find(|path| own.iter().any(|o| path_covers_own(path, o))).map(String::as_str);
    pattern.or_else(write).map(str::to_owned)
}

/// Whether a literal path contains one of Foil's own, or lies in it.
pub fn path_covers_own(path: &str, own: &str) -> bool {
    contains(path, own) || contains(own, path)
}

/// Whether some path that is `folder` or below it can match `pattern`. Errs towards yes: what `{run}` and `{scratch}`
/// will stand for is taken to be anything (the scratch folder itself never lies in Foil's own).
fn may_match_within(pattern: &str, folder: &str) -> bool {
    if pattern.starts_with("{scratch}") {
        return false;
    }
    let pattern = pattern.replace("{run}", "*").replace("{scratch}", "**");
    let pattern: Vec<Token> = tokens(&pattern);
    // Which positions of the pattern can be reached by reading all of `folder`?
    let mut reached = closure(vec![0], &pattern);
    for c in folder.trim_end_matches('/').chars() {
        let next = reached
            .iter()
            .filter_map(|at| {
                let token = pattern.get(*at)?;
                token.admits(c).then_some(if token.repeats() { *at } else { at.saturating_add(1) })
            })
            .collect();
        reached = closure(next, &pattern);
    }
    // The folder itself matches, or the pattern goes on with a slash: then something below it can match.
    reached.iter().any(|at| pattern.get(*at).is_none_or(|token| token.admits('/')))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    Char(char),
    One,
    Many,
    Any,
}

impl Token {
    fn repeats(self) -> bool {
        matches!(self, Self::Many | Self::Any)
    }

    fn admits(self, c: char) -> bool {
        match self {
            Self::Char(x) => x == c,
            Self::One | Self::Many => c != '/',
            Self::Any => true,
        }
    }
}

fn tokens(pattern: &str) -> Vec<Token> {
    let mut chars = pattern.chars().peekable();
    let mut tokens = Vec::new();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '*' if chars.next_if_eq(&'*').is_some() => Token::Any,
            '*' => Token::Many,
            '?' => Token::One,
            c => Token::Char(c),
        });
    }
    tokens
}

/// Adds the positions after stars that match nothing.
fn closure(mut positions: Vec<usize>, pattern: &[Token]) -> Vec<usize> {
    let mut i = 0;
    while let Some(at) = positions.get(i).copied() {
        let after = at.saturating_add(1);
        if pattern.get(at).is_some_and(|t| t.repeats()) && !positions.contains(&after) {
            positions.push(after);
        }
        i = i.saturating_add(1);
    }
    positions.sort_unstable();
    positions.dedup();
    positions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_that_can_reach_a_folder_are_found() {
        for pattern in [
            "/var/lib/foil/**",
            "/var/**",
            "/**",
            "/var/lib/*",
            "/var/lib/foi?",
            "/var/lib/foil",
            "/var/*/foil/x",
            "/var/lib/foil/{run}",
            "/v*/lib/f*/a/b",
        ] {
            assert!(may_match_within(pattern, "/var/lib/foil"), "{pattern}");
        }
        for pattern in ["/var/lib/foilx", "/var/*", "/var/lib", "/etc/**", "{scratch}/**", "/var/lib/foil-*", "/*"] {
            assert!(!may_match_within(pattern, "/var/lib/foil"), "{pattern}");
        }
    }

    #[test]
    fn a_found_pattern_is_a_matching_one() {
        use foil_manifest::{PathPattern, pattern::Variables};
        // Against the real matcher: whatever matches a path within the folder is found.
        let names = ["/a", "/a/b", "/a/b/c", "/a/c", "/ab"];
        let parts = ["a", "b", "*", "**", "?", "a*", "?b"];
        for x in parts {
            for y in parts {
                for z in parts {
                    for text in [format!("/{x}"), format!("/{x}/{y}"), format!("/{x}/{y}/{z}")] {
                        let pattern: PathPattern = text.parse().expect("well-formed");
                        let matches =
                            names.iter().any(|n| contains("/a", n) && pattern.matches(n, &Variables::default()));
                        assert!(!matches || may_match_within(&text, "/a"), "{text}");
                    }
                }
            }
        }
    }

    #[test]
    fn exec_writes_above_and_below_count() {
        let exec = |path: &str| {
            vec![Capability::Exec(foil_manifest::ExecScope { writes: vec![path.into()], ..Default::default() })]
        };
        let own = ["/var/lib/foil".to_owned()];
        assert_eq!(covering_rule(&exec("/var"), &own).as_deref(), Some("/var"));
        assert!(covering_rule(&exec("/var/lib/foil/journal.db"), &own).is_some());
        assert!(covering_rule(&exec("/"), &own).is_some());
        assert!(covering_rule(&exec("/var/lib/foilx"), &own).is_none());
        assert!(covering_rule(&exec("/var/log"), &own).is_none());
    }
}
