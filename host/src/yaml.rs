//! YAML as Foil reads it: strict, within budgets, and with errors that begin with where they are.

use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// Reads one document.
///
/// # Errors
/// `line:column: what`, for what is no YAML, unknown and duplicate keys, wrong types, and files that go beyond the budgets.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_saphyr::from_str_with_options(text, options()).map_err(|error| sentence(&error))
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

fn sentence(error: &serde_saphyr::Error) -> String {
    let error = error.without_snippet();
    let (line, column) = error.location().map_or((1, 1), |l| (l.line(), l.column()));
    let text = error.to_string();
    // The library adds the place at the end as well.
    let text = text.split(" at line ").next().unwrap_or_default();
    format!("{line}:{column}: {text}")
}

#[cfg(test)]
mod tests {
    use super::locate;

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
