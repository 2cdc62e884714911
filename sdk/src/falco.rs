//! What checks over Falco's alerts share.

use crate::attack::{AttackId, Relation};
use crate::events::Event;

/// The node that an alert came from: as the cluster says it, where the alert was read from a pod's log; else as Falco does, by its
/// host's name or the node's. Empty: it does not say.
pub fn nodes(event: &Event) -> Vec<&str> {
    match event.field("falco.node") {
        Some(node) => vec![node],
        None => ["hostname", "output_fields.k8s.node.name"].iter().filter_map(|name| event.field(name)).collect(),
    }
}

/// A row of the rule map: a rule of Falco's that notices a technique, or one test, though its tags do not say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The technique.
    pub attack: AttackId,
    /// The GUID of the one test that raises it; `None`: the technique does.
    pub test: Option<&'static str>,
    /// The rule's name.
    pub rule: &'static str,
}

/// The rule map, from `sdk/data/falco-rules.csv`, whose head says where it is from.
pub fn rule_map() -> impl Iterator<Item = Known> {
    let lines = include_str!("../data/falco-rules.csv").lines();
    lines.filter(|line| !line.starts_with('#')).skip(1).filter_map(|line| {
        let mut cells = line.split(',');
        let (attack, test, rule) = (cells.next()?, cells.next()?, cells.next()?);
        let test = Some(test).filter(|test| !test.is_empty());
        Some(Known { attack: AttackId::of_tag(attack)?, test, rule })
    })
}

/// The rows that speak of any of these techniques or of this test (its GUID). A row of a technique is one of its sub-techniques too,
/// and the other way round; siblings have nothing to do with each other.
pub fn known<'a>(asked: &'a [AttackId], test: Option<&'a str>) -> impl Iterator<Item = Known> + 'a {
    rule_map().filter(move |row| match row.test {
        Some(guid) => test.is_some_and(|test| test.eq_ignore_ascii_case(guid)),
        None => asked
            .iter()
            .any(|id| matches!(row.attack.relation_to(*id), Some(relation) if relation != Relation::Sibling)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::event;

    #[test]
    fn the_rule_map_is_read_whole_and_sorted() {
        let text = include_str!("../data/falco-rules.csv");
        let rows: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).skip(1).collect();
        assert_eq!(rule_map().count(), rows.len());
        assert!(
            rows.iter().all(|row| row.split(',').count() == 4 && row.ends_with(",seen") || row.ends_with(",read")),
            "{rows:?}"
        );
        let key = |row: &Known| (row.test.is_some(), row.attack, row.test, row.rule);
        let all: Vec<Known> = rule_map().collect();
        assert!(all.windows(2).all(|pair| key(&pair[0]) < key(&pair[1])), "sorted, and no row twice");
        assert!(all.iter().filter_map(|row| row.test).all(|guid| guid.len() == 36));
    }

    #[test]
    fn a_row_is_about_its_technique_and_a_tests_row_about_that_test() {
        let id = |text| AttackId::of_tag(text).unwrap();
        let rules = |ids: &[AttackId], test| known(ids, test).map(|row| row.rule).collect::<Vec<_>>();
        assert_eq!(rules(&[id("T1685.006")], None), ["Clear Log Activities"]);
        assert_eq!(rules(&[id("T1685")], None), ["Clear Log Activities"], "of a sub-technique");
        assert!(rules(&[id("T1685.002")], None).is_empty(), "a sibling");
        assert!(rules(&[id("T1036.005")], None).is_empty());
        assert_eq!(rules(&[id("T1036.005")], Some("812C3AB8-94b0-4698-a9bf-9420af23ce24")), ["Write below root"]);
    }

    #[test]
    fn the_clusters_word_counts_more_than_falcos() {
        let alert = event("falco").with("hostname", "a").with("output_fields.k8s.node.name", "b");
        assert_eq!(nodes(&alert), ["a", "b"]);
        assert_eq!(nodes(&alert.with("falco.node", "c")), ["c"]);
        assert!(nodes(&event("falco")).is_empty());
    }
}
