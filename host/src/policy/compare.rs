//! What changed between a grant and what a module asks for now.

use super::Grant;
use super::permission::exec_scopes;
use foil_manifest::{Capability, Manifest, Network};
use std::collections::BTreeSet;

/// More, or less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The module asks for it; the grant does not have it.
    Added,
    /// The grant has it; the module no longer asks for it.
    Removed,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Change {
    /// Where: `exec`, `exec.allow`, `impact`, `shield` …
    pub key: String,
    /// More, or less.
    pub direction: Direction,
    /// What; empty for a capability as such.
    pub value: String,
}

/// What `manifest` asks for beyond `grant`, and what it no longer asks for. A changed value shows as one removed and
/// one added. Reasons are not compared: a grant has none.
pub fn compare(grant: &Grant, manifest: &Manifest) -> Vec<Change> {
    let mut old = facts(&grant.capabilities);
    let mut new = facts(&manifest.capabilities);
    if let Some(impact) = grant.impact {
        old.insert(("impact".into(), impact.to_string()));
        new.insert(("impact".into(), manifest.impact.to_string()));
    }
    let granted =
        if grant.shield.is_empty() { &[foil_manifest::ShieldLevel::Confined] } else { grant.shield.as_slice() };
    old.extend(granted.iter().map(|level| ("shield".to_owned(), level.to_string())));
    new.extend(manifest.shields().iter().map(|level| ("shield".to_owned(), level.to_string())));
    let change =
        |direction| move |(key, value): &(String, String)| Change { key: key.clone(), direction, value: value.clone() };
    let mut changes: Vec<Change> = new.difference(&old).map(change(Direction::Added)).collect();
    changes.extend(old.difference(&new).map(change(Direction::Removed)));
    changes.sort();
    changes
}

/// Every single thing that a list allows, as key and value.
fn facts(list: &[Capability]) -> BTreeSet<(String, String)> {
    let mut facts = BTreeSet::new();
    for capability in list {
        let name = capability.name();
        facts.insert((name.to_string(), String::new()));
        let mut add = |key: &str, value: &str| facts.insert((format!("{name}.{key}"), value.to_owned()));
        match capability {
            Capability::FilesRead(scope) | Capability::FilesWrite(scope) => {
                scope.allow.iter().for_each(|rule| _ = add("allow", rule.as_str()));
            }
            Capability::EventsRead(scope) => scope.allow.iter().for_each(|rule| _ = add("allow", rule)),
            _ => {}
        }
    }
    for scope in exec_scopes(list) {
        let mut add = |key: &str, value: &str| facts.insert((format!("exec.{key}"), value.to_owned()));
        scope.allow.iter().for_each(|rule| _ = add("allow", rule.as_str()));
        scope.reads.iter().for_each(|path| _ = add("reads", path));
        scope.writes.iter().for_each(|path| _ = add("writes", path));
        scope.env.iter().for_each(|name| _ = add("env", name));
        if scope.network == Network::Host {
            add("network", "host");
        }
        if scope.privileges {
            add("privileges", "true");
        }
    }
    facts
}
