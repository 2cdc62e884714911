//! What is looked for.

use foil_sdk::attack::{AttackId, Relation, closest};
use foil_sdk::events::Event;
use foil_sdk::{Error, Result, pattern};

/// Sigma's levels, least first.
const LEVELS: [&str; 5] = ["informational", "low", "medium", "high", "critical"];

/// The parameters: a match must fit all that are given.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Query {
    rule: Option<String>,
    level: Option<String>,
    tag: Option<String>,
    #[serde(default)]
    exact: bool,
    #[serde(default)]
    attack: Vec<String>,
    pub collector: String,
}

/// Why a match is what was asked for, where there is something to say of it.
pub(crate) type Reason = Option<String>;

impl Query {
    /// A query that any match of any rule would fit proves nothing.
    pub fn check(&self) -> Result<()> {
        if self.given().iter().all(|text| text.is_none()) && self.ids().is_empty() {
            let why = "say which rule by `rule`, `level` or `tag`: any rule at all would do";
            return Err(Error::Invalid(why.to_owned()));
        }
        if self.given().iter().any(|text| text.as_ref().is_some_and(|text| text.trim().is_empty())) {
            return Err(Error::Invalid("an empty text fits no rule: leave the parameter out".to_owned()));
        }
        Ok(())
    }

    fn given(&self) -> [&Option<String>; 3] {
        [&self.rule, &self.level, &self.tag]
    }

    /// The ATT&CK ids that a rule must be about.
    fn ids(&self) -> Vec<AttackId> {
        match &self.tag {
            Some(tag) if !self.exact => AttackId::of_query(tag).into_iter().collect(),
            None => self.attack.iter().filter_map(|id| AttackId::of_query(id)).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether the match is what was asked for, and why.
    pub fn matches(&self, event: &Event) -> Option<Reason> {
        let field = |name: &str| event.field(name).unwrap_or_default();
        let fits = |wanted: &Option<String>, test: &dyn Fn(&str) -> bool| wanted.as_deref().is_none_or(test);
        let tags = || field("rule.tags").split(',');
        let others = fits(&self.rule, &|wanted| {
            wanted.eq_ignore_ascii_case(field("rule.id")) || pattern::matches(wanted, field("rule.title"))
        }) && fits(&self.level, &|wanted| rank(field("rule.level")) >= rank(wanted));
        let ids = self.ids();
        if !others {
            None
        } else if ids.is_empty() {
            fits(&self.tag, &|wanted| tags().any(|tag| pattern::matches(wanted, tag))).then_some(None)
        } else {
            closest(tags(), &ids).map(|(tag, relation, asked)| {
                Some(match relation {
                    Relation::Same => format!("by its tag {tag}"),
                    relation => format!("by its tag {tag}, {relation} {asked}"),
                })
            })
        }
    }
}

/// A level that nobody knows is none, and fits nothing.
fn rank(level: &str) -> Option<usize> {
    LEVELS.iter().position(|known| *known == level)
}
