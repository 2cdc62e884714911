//! `falco.coverage`: does every schedulable node run a ready, up-to-date Falco pod?

mod cluster;

use cluster::{DaemonSet, Node, Pod};
use foil_sdk::kube::{self, Kind};
use foil_sdk::prelude::*;

/// The largest cluster that Kubernetes promises to support has 5,000 nodes. One more says that there are more than are looked at.
const MOST: usize = 10_000;
/// Nodes that a line names.
const NAMED: usize = 10;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Query {
    namespace: String,
    selector: String,
    at_least: f64,
    new_node: u32,
}

/// What there is.
#[derive(Debug, Default)]
struct Coverage {
    nodes: usize,
    covered: usize,
    /// Nodes that are not, and why.
    bare: Vec<String>,
    new: usize,
    new_bare: usize,
    cordoned: usize,
    intolerable: usize,
    /// Falco's pods, on whatever nodes.
    pods: usize,
    /// Its DaemonSets, by name.
    sets: Vec<String>,
}

struct FalcoCoverage;

impl Check for FalcoCoverage {
    type Parameters = Query;

    fn probe(_: &Context, query: &Query, cursor: u64) -> Result<Observation> {
        if !(0.0..=100.0).contains(&query.at_least) {
            return Err(Error::Invalid("`at-least` is a percentage, 0 to 100".to_owned()));
        }
        if query.selector.trim().is_empty() {
            return Err(Error::Invalid(
                "`selector` is empty, which any pod fits: say how Falco's are labelled".to_owned(),
            ));
        }
        let now = clock::now()?;
        let nodes: Vec<Node> = all(&Kind::core("nodes"), None, "")?.iter().map(Node::of).collect();
        let namespace = Some(query.namespace.as_str());
        let sets = all(&Kind::new("apps", "v1", "daemonsets"), namespace, "")?;
        let revisions = all(&Kind::new("apps", "v1", "controllerrevisions"), namespace, "")?;
        let sets: Vec<DaemonSet> = sets.iter().map(|set| DaemonSet::of(set, &revisions)).collect();
        let pods = all(&Kind::core("pods"), namespace, &query.selector)?;
        let pods: Vec<Pod> = pods.iter().map(|pod| Pod::of(pod, &sets)).collect();
        let young = u64::from(query.new_node).saturating_mul(60_000_000_000);
        let sets: Vec<DaemonSet> = sets
            .into_iter()
            .filter(|set| set.is_found_by(&query.selector) || pods.iter().any(|pod| pod.set.as_ref() == Some(&set.uid)))
            .collect();
        let coverage = Coverage::of(&nodes, &pods, &sets, |node| now.saturating_sub(node.born) < young);
        if coverage.nodes == 0 {
            let why = "the cluster has no schedulable node that is older than `new-node`: there is nothing to cover";
            return Err(Error::prerequisite(why));
        }
        let mut observation = Observation::up_to(cursor, nodes.len());
        let line = coverage.line(query);
        if coverage.is_enough(query.at_least) {
            observation.push(coverage.sighting(now, line));
        } else {
            observation.remark = Some(line);
        }
        Ok(observation)
    }
}

/// All objects of a kind; an error where there are more than are looked at.
fn all(kind: &Kind, namespace: Option<&str>, labels: &str) -> Result<Vec<serde_json::Value>> {
    let found = kube::list(kind, namespace, labels, MOST + 1)?;
    if found.len() > MOST {
        return Err(Error::other("kubernetes", format!("there are more than {MOST} {}", kind.plural)));
    }
    Ok(found)
}

impl Coverage {
    fn of(nodes: &[Node], pods: &[Pod], sets: &[DaemonSet], is_new: impl Fn(&Node) -> bool) -> Self {
        let sets_named = sets.iter().map(|set| set.name.clone()).collect();
        let mut found = Self { pods: pods.len(), sets: sets_named, ..Self::default() };
        for node in nodes {
            if node.cordoned {
                found.cordoned += 1;
                continue;
            }
            let of_node = || pods.iter().filter(|pod| pod.node == node.name);
            let lack = of_node().map(|pod| pod.lack).min().unwrap_or(Some("no pod"));
            let intolerable = !sets.is_empty() && !sets.iter().any(|set| node.is_tolerated_by(set));
            found.intolerable += usize::from(intolerable);
            if is_new(node) {
                found.new += 1;
                found.new_bare += usize::from(lack.is_some());
                continue;
            }
            found.nodes += 1;
            match lack {
                None => found.covered += 1,
                Some(why) => found.bare.push(format!("{} ({why})", node.name)),
            }
        }
        found
    }

    fn is_enough(&self, percent: f64) -> bool {
        self.covered as f64 * 100.0 >= percent * self.nodes as f64
    }

    /// Such as `2 of 3 nodes (66.6 %); not on node-7 (not ready); 1 with a taint that it does not tolerate; 2 new, 1 without`.
    fn line(&self, query: &Query) -> String {
        // Rounded down: 999 of a thousand nodes are not all.
        let tenths = self.covered * 1_000 / self.nodes;
        let mut line = format!("{} of {} nodes ({}.{} %)", self.covered, self.nodes, tenths / 10, tenths % 10);
        let named: Vec<&str> = self.bare.iter().take(NAMED).map(String::as_str).collect();
        if !named.is_empty() {
            line.push_str(&["; not on ", &named.join(", ")].concat());
        }
        for (count, text) in [
            (self.bare.len().saturating_sub(NAMED), "more"),
            (self.intolerable, "with a taint that its DaemonSet does not tolerate"),
            (self.cordoned, "cordoned"),
            (self.new, "new"),
            (self.new_bare, "of the new without"),
        ] {
            if count > 0 {
                line.push_str(&format!("; {count} {text}"));
            }
        }
        let place = format!("`{}` in the namespace {}", query.selector, query.namespace);
        match (self.pods, self.sets.as_slice()) {
            (0, []) => line.push_str(&format!(
                "; there is no Falco: neither a pod nor a DaemonSet has the labels {place} (`kubernetes: falco:` of foil.yaml says where it is)"
            )),
            (0, sets) => line.push_str(&format!("; its DaemonSet {} has no pod on any node", sets.join(", "))),
            _ => {}
        }
        line
    }

    fn sighting(&self, now: u64, line: String) -> Sighting {
        let facts =
            [("nodes", self.nodes), ("covered", self.covered), ("intolerable", self.intolerable), ("new", self.new)];
        // It is so now, whatever the run did.
        let facts = facts.map(|(name, count)| foil_sdk::Fact::new(name, count)).into();
        Sighting { facts, ..Sighting::elsewhere(now, line) }
    }
}

foil_sdk::check!(FalcoCoverage);

#[cfg(test)]
mod tests;
