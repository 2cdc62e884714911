//! What is looked for.

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
    pub collector: String,
}

impl Query {
    /// A query that any match of any rule would fit proves nothing.
    pub fn check(&self) -> Result<()> {
        let given = [&self.rule, &self.level, &self.tag];
        if given.iter().all(|text| text.is_none()) {
            let why = "say which rule by `rule`, `level` or `tag`: any rule at all would do";
            return Err(Error::Invalid(why.to_owned()));
        }
        if given.iter().any(|text| text.as_ref().is_some_and(|text| text.trim().is_empty())) {
            return Err(Error::Invalid("an empty text fits no rule: leave the parameter out".to_owned()));
        }
        Ok(())
    }

    /// Whether the match is what was asked for.
    pub fn matches(&self, event: &Event) -> bool {
        let field = |name: &str| event.field(name).unwrap_or_default();
        let fits = |wanted: &Option<String>, test: &dyn Fn(&str) -> bool| wanted.as_deref().is_none_or(test);
        fits(&self.rule, &|wanted| {
            wanted.eq_ignore_ascii_case(field("rule.id")) || pattern::matches(wanted, field("rule.title"))
        }) && fits(&self.level, &|wanted| rank(field("rule.level")) >= rank(wanted))
            && fits(&self.tag, &|wanted| field("rule.tags").split(',').any(|tag| pattern::matches(wanted, tag)))
    }
}

/// A level that nobody knows is none, and fits nothing.
fn rank(level: &str) -> Option<usize> {
    LEVELS.iter().position(|known| *known == level)
}
