//! `falco.heartbeat`: does the Falco of one node notice what happens there?

use foil_sdk::events::Event;
use foil_sdk::prelude::*;
use foil_sdk::search::search;
use foil_sdk::{falco, pattern};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// Nodes that a remark names.
const NAMED: usize = 5;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Query {
    node: Option<String>,
    rule: String,
    collector: String,
}

/// Alerts of this run that are no heartbeat of this node's.
#[derive(Default)]
struct Elsewhere {
    nodes: BTreeSet<String>,
    first: Option<u64>,
}

struct Heartbeat;

impl Check for Heartbeat {
    type Parameters = Query;

    fn probe(context: &Context, query: &Query, cursor: u64) -> Result<Observation> {
        let about = context.cluster.as_ref().and_then(|cluster| cluster.node.as_ref());
        let node =
            query.node.as_ref().or(about).filter(|node| !node.is_empty()).ok_or_else(|| {
                Error::Invalid("say which `node`, or run with `--each-node`, which says it".to_owned())
            })?;
        let elsewhere = RefCell::new(Elsewhere::default());
        let mut observation = search(&query.collector, cursor, |event| {
            let rule = event.field("rule")?;
            if !pattern::matches(&query.rule, rule) {
                return None;
            }
            let nodes = falco::nodes(event);
            if nodes.contains(&node.as_str()) {
                return Some(line(node, rule));
            }
            elsewhere.borrow_mut().take(event, &nodes);
            None
        })?;
        let elsewhere = elsewhere.into_inner();
        if let Some(first) = elsewhere.first.filter(|_| observation.sightings.is_empty()) {
            observation.remark = Some(elsewhere.remark(node));
            // Looked at again the next time, or that would have nothing to remark.
            observation.cursor = first.saturating_sub(1);
        }
        Ok(observation)
    }
}

impl Elsewhere {
    fn take(&mut self, event: &Event, nodes: &[&str]) {
        self.first.get_or_insert(event.sequence);
        let said = nodes.first().copied().unwrap_or("a node that it does not name");
        self.nodes.insert(said.to_owned());
    }

    fn remark(&self, node: &str) -> String {
        let named: Vec<&str> = self.nodes.iter().take(NAMED).map(String::as_str).collect();
        ["this run's alert came from ", &named.join(", "), ", none from ", node].concat()
    }
}

/// Such as `node-7: Read sensitive file untrusted`.
fn line(node: &str, rule: &str) -> String {
    [node, ": ", rule].concat()
}

foil_sdk::check!(Heartbeat);

#[cfg(test)]
mod tests {
    use super::*;
    use foil_sdk::{Value, fake};

    const LOGS: &str = "kubernetes.falco";

    fn alert(node: &str) -> Event {
        fake::event("falco").with("rule", "Read sensitive file untrusted").with("falco.node", node)
    }

    fn host() -> fake::Host {
        let host = fake::Host::for_check(include_str!("../check.toml"));
        host.arm(LOGS);
        host
    }

    fn probe(host: &fake::Host, cursor: u64) -> Observation {
        host.probe::<Heartbeat>(&[("node", "node-7".into())], cursor).unwrap()
    }

    #[test]
    fn an_alert_from_the_node_is_its_heartbeat() {
        let host = host();
        host.event(LOGS, alert("node-8")).event(LOGS, alert("node-7"));
        let seen = probe(&host, 0);
        assert_eq!(seen.sightings[0].summary, "node-7: Read sensitive file untrusted");
        assert_eq!((seen.sightings.len(), seen.remark), (1, None));
    }

    #[test]
    fn one_from_another_node_is_none_and_the_remark_stays() {
        let host = host();
        host.event(LOGS, alert("node-8"));
        let mut cursor = 0;
        for _ in 0..3 {
            let seen = probe(&host, cursor);
            assert_eq!(seen.remark.as_deref(), Some("this run's alert came from node-8, none from node-7"));
            assert!(seen.sightings.is_empty());
            cursor = seen.cursor;
        }
        host.event(LOGS, alert("node-7"));
        assert_eq!(probe(&host, cursor).sightings.len(), 1);
    }

    #[test]
    fn other_rules_are_nothing() {
        let host = host();
        host.event(LOGS, fake::event("falco").with("rule", "Clear Log Activities").with("falco.node", "node-7"));
        let seen = probe(&host, 0);
        assert_eq!((seen.sightings.len(), seen.remark), (0, None));
        assert_eq!(seen.cursor, 1);
    }

    #[test]
    fn without_a_node_it_cannot_look() {
        let query: [(&str, Value); 0] = [];
        assert!(matches!(host().probe::<Heartbeat>(&query, 0), Err(Error::Invalid(_))));
    }
}
