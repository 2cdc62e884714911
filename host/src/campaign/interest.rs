//! What a link looks for, as far as its check's manifest, its parameters and the run say it.

use super::prepared::{Prepared, PreparedLink};
use crate::engine::bindings::types::Value;
use foil_collector::Interest;
use foil_collector::tree::Containers;
use foil_manifest::ParameterType;
use std::collections::BTreeSet;

/// What was lost elsewhere does not blind the link.
pub(super) fn of(prepared: &Prepared, link: &PreparedLink, containers: &Containers) -> Interest {
    let own = || prepared.node.clone().map(|node| BTreeSet::from([node]));
    Interest {
        kinds: kinds(link),
        named: text(link, ParameterType::Node),
        nodes: containers.nodes().or_else(own),
        host: prepared.acts().then(|| prepared.target.clone()),
        feeds: link.rule_feeds.clone(),
    }
}

/// The same where nothing is fired. `node`: the one that the run is about.
pub(super) fn of_checks(node: Option<&str>, link: &PreparedLink) -> Interest {
    Interest {
        kinds: kinds(link),
        named: text(link, ParameterType::Node),
        nodes: node.map(|node| BTreeSet::from([node.to_owned()])),
        host: None,
        feeds: link.rule_feeds.clone(),
    }
}

/// The kinds of events that it looks for; `None`: any.
pub(super) fn kinds(link: &PreparedLink) -> Option<BTreeSet<String>> {
    let named = text(link, ParameterType::EventKind).map(|kind| BTreeSet::from([kind]));
    let declared = || link.check.manifest.events.iter().cloned().collect::<BTreeSet<_>>();
    named.or_else(|| Some(declared()).filter(|kinds| !kinds.is_empty()))
}

/// What the link names of the Sigma rules.
pub(super) fn rule(link: &PreparedLink) -> Option<String> {
    text(link, ParameterType::SigmaRule)
}

/// What is given for the first parameter of that type.
fn text(link: &PreparedLink, kind: ParameterType) -> Option<String> {
    let declared = &link.check.manifest.parameters;
    let mut given =
        link.parameters.iter().filter(|given| declared.get(&given.name).is_some_and(|declared| declared.kind == kind));
    given.find_map(|given| match &given.value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    })
}
