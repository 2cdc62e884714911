//! Which alert is asked for, and why an alert is one of these.

use foil_sdk::attack::{AttackId, Relation, closest};
use foil_sdk::events::Event;
use foil_sdk::{falco, pattern};
use std::fmt;

/// What an alert must bear.
#[derive(Debug, Clone, PartialEq)]
pub enum Expected {
    /// Any: other parameters say which.
    Any,
    /// A tag that fits this pattern, and nothing else.
    Tag(String),
    /// A tag that is related to one of these ids, or a rule that is known to notice them or this test.
    Attack(Vec<AttackId>, Option<String>),
}

/// Why an alert is what was asked for, best first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Its rule bears the id itself.
    Tag(AttackId),
    /// The rule map says that its rule notices the technique.
    Map(AttackId),
    /// The rule map says that its rule notices this very test, by something that it does besides.
    Test(AttackId),
    /// Its rule bears an id that is related to the one asked for.
    Related(Relation, AttackId, AttackId),
}

impl fmt::Display for Reason {
    /// Words that stand behind "matched".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(id) => write!(f, "by its tag {id}"),
            Self::Map(id) => write!(f, "by the rule map for {id}"),
            Self::Test(id) => write!(f, "by the rule map for this test of {id}"),
            Self::Related(relation, tag, asked) => write!(f, "by its tag {tag}, {relation} {asked}"),
        }
    }
}

impl Expected {
    /// Of what a link gives; `attack` and `test` count where there is no `tag`.
    pub fn new(tag: Option<&str>, exact: bool, attack: &[String], test: Option<&str>) -> Self {
        let ids: Vec<AttackId> = attack.iter().filter_map(|id| AttackId::of_query(id)).collect();
        match tag {
            Some(tag) => match AttackId::of_query(tag).filter(|_| !exact) {
                Some(id) => Self::Attack(vec![id], None),
                None => Self::Tag(tag.to_owned()),
            },
            None if !(ids.is_empty() && test.is_none()) => Self::Attack(ids, test.map(ToOwned::to_owned)),
            None => Self::Any,
        }
    }

    /// Whether an alert of this rule is what was asked for: `None` for no, else why, where there is something to say.
    pub fn fits(&self, event: &Event, rule: &str) -> Option<Option<Reason>> {
        let tags = || event.field("tags").unwrap_or_default().split(' ');
        match self {
            Self::Any => Some(None),
            Self::Tag(wanted) => tags().any(|tag| pattern::matches(wanted, tag)).then_some(None),
            Self::Attack(asked, test) => {
                let tagged = closest(tags(), asked).map(|(tag, relation, of)| match relation {
                    Relation::Same => Reason::Tag(tag),
                    relation => Reason::Related(relation, tag, of),
                });
                let known = falco::known(asked, test.as_deref()).filter(|row| row.rule == rule);
                let known = known
                    .map(|row| if row.test.is_some() { Reason::Test(row.attack) } else { Reason::Map(row.attack) });
                tagged.into_iter().chain(known).min().map(Some)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use foil_sdk::fake;

    /// How an alert of this rule with these tags matches what is asked for.
    fn reason(expected: &Expected, rule: &str, tags: &str) -> String {
        match expected.fits(&fake::event("falco").with("tags", tags), rule) {
            None => "no".to_owned(),
            Some(None) => "yes".to_owned(),
            Some(Some(reason)) => reason.to_string(),
        }
    }

    fn tag(tag: &str, exact: bool) -> Expected {
        Expected::new(Some(tag), exact, &[], None)
    }

    #[test]
    fn an_id_takes_its_relatives_and_the_rule_map_along() {
        for (asked, rule, tags, how) in [
            (
                "T1070.003",
                "Delete or rename shell history",
                "T1070 container",
                "by its tag T1070, the parent of T1070.003",
            ),
            ("T1070.003", "Modify Shell Configuration File", "T1546.004", "by the rule map for T1070.003"),
            ("T1685.006", "Clear Log Activities", "T1070 host", "by the rule map for T1685.006"),
            ("T1070.004*", "Remove Bulk Data from Disk", "T1485", "by the rule map for T1070.004"),
            ("T1552.004", "Search Private Keys or Passwords", "T1552.001", "by the rule map for T1552.004"),
            ("T1059.004", "Some rule", "T1059.006 x", "by its tag T1059.006, a sibling of T1059.004"),
            ("T1059", "Some rule", "T1059.006", "by its tag T1059.006, a sub-technique of T1059"),
            ("T1548.001", "Set Setuid or Setgid bit", "T1548.001 users", "by its tag T1548.001"),
            ("T1611", "Read sensitive file untrusted", "T1555 container", "no"),
            ("T1059.004", "Write below root", "TA0003", "no"),
        ] {
            assert_eq!(reason(&tag(asked, false), rule, tags), how, "{asked} {rule}");
        }
    }

    #[test]
    fn an_exact_tag_and_a_pattern_take_nothing_along() {
        assert_eq!(reason(&tag("T1070.003", true), "Delete or rename shell history", "T1070"), "no");
        assert_eq!(reason(&tag("T1070*", true), "x", "T1070.003"), "yes");
        assert_eq!(reason(&tag("mitre_*", false), "x", "T1070 mitre_execution"), "yes");
        assert_eq!(reason(&tag("T155", false), "x", "T1555"), "no");
    }

    #[test]
    fn what_the_technique_is_counts_with_its_test() {
        let (attack, guid) = (["T1036.005".to_owned()], "812c3ab8-94b0-4698-a9bf-9420af23ce24");
        let of_test = Expected::new(None, false, &attack, Some(guid));
        assert_eq!(reason(&of_test, "Write below root", "TA0003"), "by the rule map for this test of T1036.005");
        assert_eq!(reason(&Expected::new(None, false, &attack, None), "Write below root", "TA0003"), "no");
        assert_eq!(Expected::new(None, false, &[], None), Expected::Any);
    }
}
