//! YAML as Foil reads it: strict, within budgets, and with errors that begin with where they are.
//!
//! ```
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct File {
//!     within: foil_yaml::Span,
//! }
//! let file: File = foil_yaml::parse_reviewed("within: 1h 30m\n")?;
//! assert_eq!(file.within.duration().as_secs(), 5400);
//! assert!(foil_yaml::parse::<File>("withn: 1h\n").is_err_and(|error| error.starts_with("1:1: ")));
//! # Ok::<(), String>(())
//! ```

// Whoever wrote a file may be hostile: nothing in it may end the host.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod span;

pub use span::{Span, parse as parse_span};

use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// Reads one document.
///
/// # Errors
/// `line:column: what`, for what is no YAML, unknown and duplicate keys, wrong types, and files that go beyond the budgets.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_saphyr::from_str_with_options(text, options()).map_err(|error| sentence(&error, text))
}

/// Reads a document that people review: an experiment, a campaign, an environment. Characters that nobody sees are errors, in comments
/// too; where a value needs one, it is written as an escape, which everybody sees.
///
/// # Errors
/// As of [`parse`].
pub fn parse_reviewed<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    foil_text::deceives_a_reviewer(text).map_or_else(|| parse(text), Err)
}

/// Small budgets: a file is some pages, and a few nested aliases can stand for gigabytes.
fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 100_000,
            max_nodes: 50_000,
            max_depth: 16,
            max_documents: 1,
            max_aliases: 100,
            max_anchors: 100,
            max_merge_keys: 0,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 10_000,
            max_replay_stack_depth: 4,
        },
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::Error,
        strict_booleans: true,
        with_snippet: false,
    }
}

/// The most bytes of empty lines before the documents of one file, all documents together. It bounds what a file of many short
/// documents costs.
const MAX_PADDING: usize = 32 << 20;

/// Splits a file into its documents, each behind as many empty lines as stand before it, so that places are those of the file.
/// Documents with nothing in them, or with comments and directives only, are left out.
///
/// `---` and `...` at the beginning of a line, before white space or the end of the line, are separators wherever they stand
/// (`c-forbidden` of YAML 1.2.2): text in a block scalar is indented, and a quoted text that is cut by one is an error of its document.
///
/// # Errors
/// `line:column: what`, for text on the line of a `...`, and for more documents than can be read from a file of this length.
pub fn documents(text: &str) -> Result<Vec<String>, String> {
    let mut documents = vec![String::new()];
    let mut padding: usize = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let behind = |mark: &str| {
            line.strip_prefix(mark).filter(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
        };
        let (begins, ends) = (behind("---"), behind("..."));
        if begins.is_some() || ends.is_some() {
            padding = padding.saturating_add(number);
            if padding > MAX_PADDING {
                let line = number.saturating_add(1);
                return Err(format!(
                    "{line}:1: the file has too many documents for its length: split it into several files"
                ));
            }
            documents.push("\n".repeat(number));
        }
        let Some(document) = documents.last_mut() else { continue };
        match (begins, ends) {
            // What may follow on the same line keeps its column.
            (Some(rest), _) => document.extend(["   ", rest]),
            (None, Some(rest)) if is_remark(rest) => document.push('\n'),
            (None, Some(_)) => {
                let line = number.saturating_add(1);
                return Err(format!(
                    "{line}:4: only a comment may stand on the line of a `...`, which ends a document"
                ));
            }
            (None, None) => document.push_str(line),
        }
    }
    // A directive such as `%YAML 1.2` stands before the `---` of its document.
    let is_empty = |document: &String| document.lines().all(|line| is_remark(line) || line.starts_with('%'));
    documents.retain(|document| !is_empty(document));
    Ok(documents)
}

/// Whether a line is blank or a comment.
fn is_remark(line: &str) -> bool {
    let line = line.trim_start_matches([' ', '\t', '\r', '\n']);
    line.is_empty() || line.starts_with('#')
}

/// Returns `line:column` of the first text of a document that is no comment; `1:1` where there is none.
pub fn beginning(document: &str) -> String {
    let (line, column) = begins(document);
    format!("{line}:{column}")
}

fn begins(document: &str) -> (u64, u64) {
    let mut lines = (1..).zip(document.lines());
    lines.find(|(_, line)| !is_remark(line)).map_or((1, 1), |(number, line)| {
        let indent = line.chars().take_while(|c| c.is_whitespace()).count();
        (number, u64::try_from(indent).unwrap_or(u64::MAX).saturating_add(1))
    })
}

/// `line:column` of what stands at a path of keys and numbers, or of the last part of the path that there is. For mistakes that
/// show only when a file is held against something else.
pub fn locate(text: &str, path: &[String]) -> Option<String> {
    let mut here: Spanned<Node> = serde_saphyr::from_str_with_options(text, options()).ok()?;
    for part in path {
        let below = match &mut here.value {
            Node::Map(entries) => entries.iter().position(|(key, _)| key == part).map(|at| entries.swap_remove(at).1),
            Node::List(items) => {
                part.parse().ok().filter(|at| *at < items.len()).map(|at: usize| items.swap_remove(at))
            }
            Node::Leaf => None,
        };
        match below {
            Some(below) => here = below,
            None => break,
        }
    }
    Some(format!("{}:{}", here.referenced.line(), here.referenced.column()))
}

/// A document of which only the places matter.
enum Node {
    Map(Vec<(String, Spanned<Node>)>),
    List(Vec<Spanned<Node>>),
    Leaf,
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Nodes)
    }
}

struct Nodes;

impl<'de> Visitor<'de> for Nodes {
    type Value = Node;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("YAML")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Map(entries))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
        Ok(Node::Leaf)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Leaf)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
        Ok(Node::Leaf)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Leaf)
    }

    fn visit_str<E>(self, _: &str) -> Result<Node, E> {
        Ok(Node::Leaf)
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Leaf)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Leaf)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }
}

fn sentence(error: &serde_saphyr::Error, document: &str) -> String {
    let error = error.without_snippet();
    let (line, column) = error.location().map_or_else(|| begins(document), |l| (l.line(), l.column()));
    let wanted = match error {
        serde_saphyr::Error::InvalidScalar { ty, .. } => Some(expected(ty)),
        serde_saphyr::Error::InvalidBooleanStrict { .. } => Some(expected("bool")),
        serde_saphyr::Error::Unexpected { expected: "sequence start", .. } => {
            Some("a list (`[a, b]`, or lines that begin with `- `)".to_owned())
        }
        serde_saphyr::Error::Unexpected { expected: "mapping start", .. } => Some("a map (`key: value`)".to_owned()),
        _ => None,
    };
    if let Some(wanted) = wanted {
        let nth = |number: u64| usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
        let there = document.lines().nth(nth(line)).unwrap_or_default();
        let there: String = there.chars().skip(nth(column)).collect();
        let there = match there.split([',', ']', '}', '#']).next().unwrap_or_default().trim() {
            "" => "nothing".to_owned(),
            there => format!("`{}`", foil_text::one_line(there)),
        };
        return format!("{line}:{column}: {wanted} is expected here, not {there}");
    }
    let second = matches!(
        error,
        serde_saphyr::Error::MultipleDocuments { .. }
            | serde_saphyr::Error::Budget { breach: serde_saphyr::budget::BudgetBreach::Documents { .. }, .. }
    );
    if second {
        return format!(
            "{line}:{column}: a second document begins here, and only one can be used: move it to a file of its own"
        );
    }
    if matches!(error, serde_saphyr::Error::UnknownAnchor { .. }) {
        return format!(
            "{line}:{column}: what begins with `*` stands for a named value, and none has this name: put it in quotes"
        );
    }
    let text = error.to_string();
    // The library adds the place at the end as well.
    let text = text.split(" at line ").next().unwrap_or_default();
    format!("{line}:{column}: {}", foil_text::one_line(text))
}

/// A type of Rust's, as the library names it, in words.
fn expected(ty: &str) -> String {
    let most = match ty {
        "u8" => u64::from(u8::MAX),
        "u16" => u64::from(u16::MAX),
        "u32" => u64::from(u32::MAX),
        "u64" | "usize" => u64::MAX,
        "bool" | "boolean" => return "`true` or `false`".to_owned(),
        "floating point" => return "a number".to_owned(),
        _ if ty.starts_with('i') => return "a whole number".to_owned(),
        _ => return format!("a value of the type {ty}"),
    };
    format!("a whole number from 0 to {most}")
}

#[cfg(test)]
mod tests {
    use super::{documents, locate, parse};
    use serde::Deserialize;

    #[test]
    fn a_value_of_another_type_is_told_in_words() {
        #[derive(Debug, Default, Deserialize)]
        #[serde(default)]
        #[allow(dead_code, reason = "only read")]
        struct All {
            count: Option<u32>,
            port: u16,
            level: i64,
            share: f64,
            is: bool,
            list: Vec<String>,
            map: std::collections::BTreeMap<String, String>,
        }
        for (text, says) in [
            ("count: rooot", "1:8: a whole number from 0 to 4294967295 is expected here, not `rooot`"),
            ("{ port: 70000, level: 1 } # x", "1:9: a whole number from 0 to 65535 is expected here, not `70000`"),
            ("\ncount: -1 # none", "2:8: a whole number from 0 to 4294967295 is expected here, not `-1`"),
            ("level: 1.5", "1:8: a whole number is expected here, not `1.5`"),
            ("share: much", "1:8: a number is expected here, not `much`"),
            ("is: yes", "1:5: `true` or `false` is expected here, not `yes`"),
            ("list: a", "1:7: a list (`[a, b]`, or lines that begin with `- `) is expected here, not `a`"),
            ("map: word", "1:6: a map (`key: value`) is expected here, not `word`"),
            (
                "list: [*/uname]",
                "1:8: what begins with `*` stands for a named value, and none has this name: put it in quotes",
            ),
        ] {
            assert_eq!(parse::<All>(text).unwrap_err(), says, "{text}");
        }
    }

    #[test]
    fn a_second_document_is_told_where_there_may_be_one() {
        type Map = std::collections::BTreeMap<String, u32>;
        for text in ["a: 1\n---\nb: 2\n", "a: 1\n...\n---\nb: 2\n"] {
            let error = parse::<Map>(text).unwrap_err();
            let (at, what) = error.split_once(": ").unwrap();
            assert!(what.starts_with("a second document begins here") && at != "1:1", "{error}");
        }
        assert_eq!(parse::<Map>("---\na: 1\n").unwrap().len(), 1);
    }

    #[test]
    fn documents_are_those_that_the_library_finds() {
        for text in [
            "",
            "a",
            "---",
            "---\na\n---\n",
            "a: 1\n---\nb: 2\n...\n# x\n---\nc: 3\n",
            "a: |\n  ---\n  ...\n---\nb: '---'\n",
            "--- a\n---\tb\n---\r\nc\r\n",
            "---a: 1\n----: 2\n--- # x\n- ---\n",
            "%YAML 1.2\n---\na\n...\n%YAML 1.2\n---\nb\n",
            "--- |\n a\n--- >\n b\n",
            "a: [1,\n 2]\n---\n{ b: 1 }\n... # end\n",
            "--- \u{a0}\n---\u{a0}a\n",
        ] {
            let found = serde_saphyr::from_multiple::<serde::de::IgnoredAny>(text).unwrap();
            assert_eq!(count(text), found.len(), "{text:?}");
        }
        // What neither takes: a quoted text that a separator cuts, and text behind the end of a document.
        for text in ["a: 'x\n---\ny'\n", "a: 1\n... b\n"] {
            assert!(serde_saphyr::from_multiple::<serde::de::IgnoredAny>(text).is_err(), "{text:?}");
            let ours = documents(text);
            assert!(
                ours.map_or(true, |all| all.iter().any(|one| parse::<serde::de::IgnoredAny>(one).is_err())),
                "{text:?}"
            );
        }
    }

    fn count(text: &str) -> usize {
        documents(text).expect("valid").len()
    }

    #[test]
    fn documents_keep_their_places() {
        let text = "# a file\n---\na: 1\n--- # two\nb: |\n  ---\n---x: 1\n...\n---\n# nothing\n--- {c: 2}\n";
        let all = documents(text).expect("valid");
        let shown: Vec<&str> = all.iter().map(|d| d.trim()).collect();
        assert_eq!(shown, ["a: 1", "# two\nb: |\n  ---\n---x: 1", "{c: 2}"]);
        assert_eq!(locate(&all[0], &["a".to_owned()]).as_deref(), Some("3:4"));
        assert_eq!(locate(&all[2], &["c".to_owned()]).as_deref(), Some("11:9"));
        assert_eq!(["", "a: 1", "--- \n...\n"].map(count), [0, 1, 0]);
    }

    #[test]
    fn what_stands_at_a_path_is_found() {
        let text = "a: 1\nwith:\n  port: yes\n  list: [x, {y: 2.5}, null]\n";
        for (path, place) in [
            (&[][..], "1:1"),
            (&["with"], "3:3"),
            (&["with", "port"], "3:9"),
            (&["with", "list", "1", "y"], "4:17"),
            (&["with", "list", "9"], "4:9"),
            (&["with", "nothing", "below"], "3:3"),
            (&["a", "b"], "1:4"),
        ] {
            let path: Vec<String> = path.iter().map(|part| (*part).to_owned()).collect();
            assert_eq!(locate(text, &path).as_deref(), Some(place), "{path:?}");
        }
        assert_eq!(locate("a: [", &[]), None);
    }
}
