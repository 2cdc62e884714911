//! `foil run --each-node` and `foil check --each-node`: an experiment on every node of the cluster.

use super::load::Unit;
use anyhow::{Context as _, anyhow, bail};
use foil_cluster::{Address, Cluster, Session, object};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The largest cluster that Kubernetes promises to support has 5,000
/// (<https://kubernetes.io/docs/setup/best-practices/cluster-large/>).
const MOST: usize = 10_000;

/// Each experiment once a node of its environment's cluster. Cordoned and tainted nodes too: they run pods, and have to be watched.
pub(super) fn each(units: Vec<Unit>) -> anyhow::Result<Vec<Unit>> {
    let mut known: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut all = Vec::new();
    for unit in units {
        let name = unit.name().to_owned();
        let (cluster, unmet) = match &unit {
            Unit::Campaign(_) => bail!("--each-node runs experiments, and {name} is a campaign: name its experiments"),
            Unit::Experiment(prepared) if !prepared.makes_pods() => {
                let technique = prepared.technique.id();
                bail!("--each-node: {technique} of the experiment {name} makes no pod that could be on a node")
            }
            Unit::Checks(prepared) if !prepared.is_about_nodes() => {
                bail!("--each-node: no check of the experiment {name} can be about one node")
            }
            Unit::Experiment(prepared) => (&prepared.cluster, &prepared.unmet),
            Unit::Checks(prepared) => (&prepared.cluster, &prepared.unmet),
        };
        if let Some(unmet) = unmet {
            bail!("--each-node: {unmet}");
        }
        let Some(cluster) = cluster else { bail!("--each-node: the experiment {name} needs no cluster") };
        let key = format!("{:?}", cluster.reference());
        let nodes = match known.get(&key) {
            Some(nodes) => nodes.clone(),
            None => {
                let nodes = names(cluster)?;
                known.insert(key, nodes.clone());
                nodes
            }
        };
        for node in nodes {
            let on = || format!("{name} on the node {node}");
            all.push(match &unit {
                Unit::Experiment(prepared) => Unit::Experiment(Arc::new(prepared.on_node(&node).with_context(on)?)),
                Unit::Checks(prepared) => Unit::Checks(Arc::new(prepared.on_node(&node).with_context(on)?)),
                Unit::Campaign(_) => continue,
            });
        }
    }
    Ok(all)
}

/// The nodes' names. With a connection of its own, since the runs' belongs to their runtime.
fn names(cluster: &Cluster) -> anyhow::Result<Vec<String>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("the runtime")?;
    let own = cluster.apart();
    let listed = runtime.block_on(async {
        own.verify().await.map_err(|why| anyhow!("refused: {why}"))?;
        let nodes = Address::new("", "v1", "nodes", None, None)?;
        let listed = Session::of_foil(Arc::clone(&own)).list_all(&nodes, "", MOST).await;
        listed.context("the cluster's nodes cannot be listed")
    })?;
    let names: Vec<String> = listed.iter().map(|node| object::text(node, "/metadata/name").to_owned()).collect();
    if names.is_empty() {
        bail!("the cluster has no node");
    }
    Ok(names)
}
