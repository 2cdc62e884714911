//! Selections: maps of fields, lists of keywords, and lists of both.

use super::event::SigmaEvent;
use super::field::{Asked, Field};
use serde_json::Value as Yaml;

/// A part of a detection that holds or does not.
#[derive(Debug)]
pub(super) enum Selection {
    /// A map: every field.
    Fields(Vec<Field>),
    /// A list: one of them.
    Any(Vec<Selection>),
}

impl Selection {
    /// Of what a rule has below the selection's name.
    pub(super) fn new(value: &Yaml) -> Result<Self, String> {
        match value {
            Yaml::Object(map) if map.is_empty() => Err("it is empty".to_owned()),
            Yaml::Object(map) => {
                let field = |(key, value): (&String, &Yaml)| match key.as_str() {
                    // `|all`: keywords that must all be there.
                    key if key.starts_with('|') => Field::new(&keyword_key(key), value),
                    key => Field::new(key, value),
                };
                Ok(Self::Fields(map.iter().map(field).collect::<Result<_, _>>()?))
            }
            Yaml::Array(list) if list.is_empty() => Err("it is empty".to_owned()),
            Yaml::Array(list) => {
                let (maps, keywords): (Vec<_>, Vec<_>) = list.iter().cloned().partition(Yaml::is_object);
                let mut any = maps.iter().map(Self::new).collect::<Result<Vec<_>, _>>()?;
                if !keywords.is_empty() {
                    any.push(Self::Fields(vec![Field::new(&keyword_key(""), &Yaml::Array(keywords))?]));
                }
                Ok(Self::Any(any))
            }
            keyword => Ok(Self::Fields(vec![Field::new(&keyword_key(""), keyword)?])),
        }
    }

    /// May it hold, where `may` says it of its fields?
    pub(super) fn may_hold(&self, may: &dyn Fn(&Asked<'_>) -> bool) -> bool {
        match self {
            Self::Fields(fields) => fields.iter().filter_map(Field::asked).all(|asked| may(&asked)),
            Self::Any(any) => any.iter().any(|selection| selection.may_hold(may)),
        }
    }

    /// The fields that must be there together, for each way in which it may hold.
    pub(super) fn ways(&self) -> Vec<Vec<Asked<'_>>> {
        match self {
            Self::Fields(fields) => vec![fields.iter().filter_map(Field::asked).collect()],
            Self::Any(any) => any.iter().flat_map(Self::ways).collect(),
        }
    }

    pub(super) fn holds(&self, event: &SigmaEvent<'_>) -> bool {
        match self {
            Self::Fields(fields) => fields.iter().all(|field| field.holds(event)),
            Self::Any(any) => any.iter().any(|selection| selection.holds(event)),
        }
    }
}

/// A keyword stands anywhere in any field, unless the rule says otherwise.
fn keyword_key(key: &str) -> String {
    let placed = key.split('|').any(|word| matches!(word, "re" | "contains" | "startswith" | "endswith"));
    if placed { key.to_owned() } else { format!("|contains{key}") }
}
