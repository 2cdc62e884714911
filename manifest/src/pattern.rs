//! The one syntax for patterns in requests, grants and guardrails.
//!
//! - `*` stands for any characters but `/`, also none; `**` for any characters at all, also none.
//! - `?` stands for one character that is not `/`.
//! - `{run}` and `{scratch}` stand for the run's id and its scratch folder; `{namespace}` and `{image}` for what the environment
//!   says of its cluster.
//! - Everything else stands for itself. There is no escape: a name with `*` or `?` in it can only be matched by them.
//!
//! A path pattern is absolute and has no `.` or `..` part. A command pattern is words as a POSIX shell would split
//! them (quotes group, nothing expands): the program's path pattern, then one pattern an argument; the word `...` at the
//! end stands for any further arguments.

use foil_text::{QUOTE, code_point, is_hidden, visible};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A pattern was malformed; the text says why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PatternError(String);

/// What `{run}`, `{scratch}`, `{namespace}` and `{image}` stand for in one run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Variables {
    /// The run's id.
    pub run: String,
    /// The run's scratch folder, absolute.
    pub scratch: String,
    /// The cluster's namespace in which techniques work; empty where there is no cluster.
    pub namespace: String,
    /// The image that their pods run; empty likewise.
    pub image: String,
}

impl Variables {
    /// The text with the variables' values in it.
    pub fn expand(&self, text: &str) -> String {
        let all = [
            ("{run}", &self.run),
            ("{scratch}", &self.scratch),
            ("{namespace}", &self.namespace),
            ("{image}", &self.image),
        ];
        all.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }
}

/// Whether `text` matches `pattern`, in time linear in `pattern × text`.
///
/// Dynamic programming over characters: a hostile pattern or argument cannot make it back-track.
pub fn glob(pattern: &str, text: &str) -> bool {
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

/// Whether a scope of `events-read` names a collector: `file.*` means every followed log; anything else is a name.
pub fn names_collector(rule: &str, name: &str) -> bool {
    rule == name || rule.strip_suffix('*').is_some_and(|prefix| prefix.ends_with('.') && name.starts_with(prefix))
}

/// Reads a pattern over a field of an event, `NAME=PATTERN`. The SDK has the same reader for checks, and a test that they agree.
///
/// # Errors
/// What is wrong with it.
pub fn field(text: &str) -> Result<(&str, &str), String> {
    let example = "it must be NAME=PATTERN, such as `user.name=ann*`";
    let (name, pattern) = text.split_once('=').ok_or_else(|| format!("`{text}` has no `=`: {example}"))?;
    let (name, pattern) = (name.trim(), pattern.trim());
    if name.is_empty() {
        return Err(format!("`{text}` names no field: {example}"));
    }
    // `a!=b`, `a~=b`, `a==b`: another language's operators would be taken for parts of the name or the pattern.
    if name.ends_with(['!', '~', '<', '>', ':', '+']) || pattern.starts_with('=') {
        return Err(format!("`{text}` has another operator than `=`: {example}"));
    }
    Ok((name, pattern))
}

fn no_control(text: &str) -> Result<(), PatternError> {
    match text.chars().find(|c| is_hidden(*c)) {
        Some(c) => Err(PatternError(format!(
            "`{}` has the invisible or control character {} in it",
            visible(text, QUOTE),
            code_point(c)
        ))),
        None => Ok(()),
    }
}

/// A pattern over absolute paths.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = r"^(/|\{scratch\})"))]
pub struct PathPattern(String);

impl PathPattern {
    /// Whether the absolute path `path` matches. A path with `.`, `..` or empty parts never does.
    pub fn matches(&self, path: &str, variables: &Variables) -> bool {
        is_plain_path(path) && glob(&variables.expand(&self.0), path)
    }

    /// Whether the pattern names one path, so that whoever wrote it meant exactly that file.
    pub fn is_literal(&self) -> bool {
        !self.0.contains(['*', '?'])
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether the text is an absolute path without `.`, `..` or empty parts.
pub fn is_plain_path(path: &str) -> bool {
    path == "/"
        || path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(|p| !p.is_empty() && p != "." && p != ".."))
}

impl TryFrom<String> for PathPattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        no_control(&text)?;
        // `{scratch}` stands for an absolute path.
        let plain = is_plain_path(&text.replacen("{scratch}", "/scratch", 1));
        if !plain {
            return Err(PatternError(format!(
                "`{}` is no path pattern: it must be absolute, without `.`, `..` or empty parts",
                visible(&text, QUOTE)
            )));
        }
        Ok(Self(text))
    }
}

impl std::str::FromStr for PathPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        text.to_owned().try_into()
    }
}

impl From<PathPattern> for String {
    fn from(pattern: PathPattern) -> Self {
        pattern.0
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A pattern over a name: of a group, a kind, a namespace, an object, an image. The empty one matches the empty name alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct NamePattern(String);

impl NamePattern {
    /// Whether the name matches.
    pub fn matches(&self, name: &str, variables: &Variables) -> bool {
        glob(&variables.expand(&self.0), name)
    }

    /// It matches one name.
    pub fn is_literal(&self) -> bool {
        !self.0.contains(['*', '?'])
    }

    /// It matches the empty name alone.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for NamePattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        no_control(&text)?;
        if text.contains(' ') {
            return Err(PatternError(format!(
                "`{}` is no pattern of a name: it has a space in it",
                visible(&text, QUOTE)
            )));
        }
        Ok(Self(text))
    }
}

impl std::str::FromStr for NamePattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        text.to_owned().try_into()
    }
}

impl From<NamePattern> for String {
    fn from(pattern: NamePattern) -> Self {
        pattern.0
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A pattern over a program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = r#"^\s*['"]?(/|\{scratch\})"#))]
pub struct CommandPattern {
    source: String,
    program: PathPattern,
    arguments: Vec<String>,
    more: bool,
}

impl CommandPattern {
    /// Whether the command matches, word by word.
    pub fn matches(&self, program: &str, arguments: &[String], variables: &Variables) -> bool {
        self.program.matches(program, variables)
            && (arguments.len() == self.arguments.len() || (self.more && arguments.len() > self.arguments.len()))
            && self.arguments.iter().zip(arguments).all(|(p, a)| glob(&variables.expand(p), a))
    }

    /// The patterns of its arguments, and whether any further ones may follow.
    pub fn arguments(&self) -> (&[String], bool) {
        (&self.arguments, self.more)
    }

    /// The program's pattern.
    pub fn program(&self) -> &PathPattern {
        &self.program
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.source
    }
}

impl TryFrom<String> for CommandPattern {
    type Error = PatternError;

    fn try_from(source: String) -> Result<Self, PatternError> {
        // Tabs and new lines may stand inside a quoted script.
        no_control(&source.replace(['\n', '\t'], " "))?;
        let mut words = shell_words::split(&source)
            .map_err(|_| PatternError(format!("`{}` has a quote that is not closed", visible(&source, QUOTE))))?;
        if words.is_empty() {
            return Err(PatternError("a command pattern needs a program: `/usr/bin/id`, `/bin/sh -c ...`".to_owned()));
        }
        let program = words.remove(0).try_into()?;
        let more = words.last().is_some_and(|w| w == "...");
        if more {
            words.pop();
        }
        Ok(Self { source, program, arguments: words, more })
    }
}

impl std::str::FromStr for CommandPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        text.to_owned().try_into()
    }
}

impl From<CommandPattern> for String {
    fn from(pattern: CommandPattern) -> Self {
        pattern.source
    }
}

impl fmt::Display for CommandPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(pattern: &str, path: &str) -> bool {
        let variables = Variables { run: "01abc".into(), scratch: "/tmp/foil-01abc".into(), ..Variables::default() };
        pattern.parse::<PathPattern>().expect(pattern).matches(path, &variables)
    }

    #[test]
    fn stars_stop_at_slashes_and_double_stars_do_not() {
        assert!(path("/etc/*", "/etc/passwd"));
        assert!(!path("/etc/*", "/etc/ssh/key"));
        assert!(path("/etc/**", "/etc/ssh/key"));
        assert!(!path("/etc/**", "/etc"));
        assert!(path("/home/*/.ssh/id_?sa", "/home/ann/.ssh/id_rsa"));
        assert!(path("/dev/shm/foil-{run}*", "/dev/shm/foil-01abc.x"));
        assert!(path("{scratch}/**", "/tmp/foil-01abc/a/b"));
    }

    #[test]
    fn paths_that_could_mean_another_place_never_match() {
        for sly in ["/etc/../root/x", "/etc/./x", "/etc//x", "etc/x", "/etc/x/", ""] {
            assert!(!path("/**", sly), "{sly}");
        }
        for bad in ["etc/*", "/etc/../x", "/etc//x", "", "/a\u{7}"] {
            assert!(bad.parse::<PathPattern>().is_err(), "{bad}");
        }
    }

    #[test]
    fn commands_match_word_by_word() {
        let matches = |pattern: &str, words: &[&str]| {
            let arguments: Vec<String> = words[1..].iter().map(|w| (*w).to_owned()).collect();
            pattern.parse::<CommandPattern>().expect(pattern).matches(words[0], &arguments, &Variables::default())
        };
        assert!(matches("/bin/uname -a", &["/bin/uname", "-a"]));
        assert!(!matches("/bin/uname -a", &["/bin/uname", "-a", "-r"]));
        assert!(!matches("/bin/uname -a", &["/bin/uname"]));
        assert!(matches("/bin/echo ...", &["/bin/echo"]));
        assert!(matches("/bin/echo a ...", &["/bin/echo", "a", "b", "c"]));
        assert!(matches("/bin/sh -c 'echo hello'", &["/bin/sh", "-c", "echo hello"]));
        assert!(!matches("/bin/sh -c 'echo hello'", &["/bin/sh", "-c", "echo hello; id"]));
        assert!("/bin/sh -c 'x".parse::<CommandPattern>().is_err());
    }

    proptest::proptest! {
        #[test]
        fn glob_is_what_a_plain_recursion_says(pattern in "[ab/*?]{0,8}", text in "[ab/]{0,10}") {
            fn slow(p: &[u8], t: &[u8]) -> bool {
                match p {
                    [] => t.is_empty(),
                    [b'*', b'*', rest @ ..] => (0..=t.len()).any(|i| slow(rest, &t[i..])),
                    [b'*', rest @ ..] =>
                        (0..=t.len()).take_while(|i| !t[..*i].contains(&b'/')).any(|i| slow(rest, &t[i..])),
                    [c, rest @ ..] => t.first().is_some_and(|x| x == c || (*c == b'?' && *x != b'/')) && slow(rest, &t[1..]),
                }
            }
            proptest::prop_assert_eq!(glob(&pattern, &text), slow(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
