//! What changed between a grant and what a module asks for now.

use super::Grant;
use super::permission::exec_scopes;
use foil_manifest::{Capability, Manifest, Network};
use std::collections::BTreeMap;

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
    let add = |facts: &mut Facts, key: &str, value: String| facts.insert((key.into(), value.clone()), value);
    if let Some(impact) = grant.impact {
        add(&mut old, "impact", impact.to_string());
        add(&mut new, "impact", manifest.impact.to_string());
    }
    let granted =
        if grant.shield.is_empty() { &[foil_manifest::ShieldLevel::Confined] } else { grant.shield.as_slice() };
    granted.iter().for_each(|level| _ = add(&mut old, "shield", level.to_string()));
    manifest.shields().iter().for_each(|level| _ = add(&mut new, "shield", level.to_string()));
    let mut changes = difference(&new, &old, Direction::Added);
    changes.extend(difference(&old, &new, Direction::Removed));
    changes.sort();
    changes
}

/// Single things that a list allows: by key and exact value, the value as it is shown.
type Facts = BTreeMap<(String, String), String>;

fn difference(of: &Facts, without: &Facts, direction: Direction) -> Vec<Change> {
    let change =
        |((key, _), value): (&(String, String), &String)| Change { key: key.clone(), direction, value: value.clone() };
    of.iter().filter(|(fact, _)| !without.contains_key(*fact)).map(change).collect()
}

/// Every single thing that a list allows, as key and value.
fn facts(list: &[Capability]) -> Facts {
    let mut facts = Facts::new();
    for capability in list {
        let name = capability.name();
        facts.insert((name.to_string(), String::new()), String::new());
        for rule in capability.kube_rules() {
            // Two rules may read alike and not be: a path may have a space in it.
            let exact = serde_json::to_string(rule).unwrap_or_default();
            facts.insert((format!("{name}.allow"), exact), rule.to_string());
        }
        let mut add =
            |key: &str, value: &str| facts.insert((format!("{name}.{key}"), value.to_owned()), value.to_owned());
        match capability {
            Capability::FilesRead(scope) | Capability::FilesWrite(scope) => {
                scope.allow.iter().for_each(|rule| _ = add("allow", rule.as_str()));
            }
            Capability::EventsRead(scope) => scope.allow.iter().for_each(|rule| _ = add("allow", rule)),
            _ => {}
        }
    }
    for scope in exec_scopes(list) {
        let mut add =
            |key: &str, value: &str| facts.insert((format!("exec.{key}"), value.to_owned()), value.to_owned());
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

#[cfg(test)]
mod tests {
    use super::*;
    use foil_manifest::Kind;

    fn manifest(rules: &str) -> Manifest {
        let text = format!(
            "id = 'k.a'\ntitle = 'a'\nattack = ['T1609']\nimpact = 'reversible'\n[[capability]]\nname = 'kube-write'\nreason = 'x'\nallow = [{rules}]"
        );
        Manifest::from_toml(&text, Kind::Technique).expect("well-formed")
    }

    fn changes(granted: &str, asked: &str) -> Vec<String> {
        let capabilities = manifest(granted).capabilities.into_iter().map(Capability::without_reason).collect();
        let toml = "[[grant]]\nmodule = 'k.a'\ndigest = 'sha256:0000000000000000000000000000000000000000000000000000000000000000'\ngranted = 2026-01-01\nreviewer = 'a'\nreason = 'b'\n";
        let mut grants = crate::grants::parse(toml).expect("well-formed");
        let grant = &mut grants.list[0];
        grant.capabilities = capabilities;
        compare(grant, &manifest(asked))
            .into_iter()
            .map(|c| format!("{:?} {} {}", c.direction, c.key, c.value))
            .collect()
    }

    #[test]
    fn each_rule_about_a_cluster_is_a_fact() {
        let pods = "{ verbs = ['create'], resource = 'pods', namespace = '{namespace}' }";
        let maps = "{ verbs = ['create'], resource = 'configmaps', namespace = '{namespace}' }";
        assert!(changes(pods, pods).is_empty());
        assert_eq!(
            changes(pods, &format!("{pods}, {maps}")),
            ["Added kube-write.allow create configmaps in {namespace}"]
        );
        let mounting =
            |paths: &str| format!("{{ verbs = ['create'], resource = 'pods', pod = {{ host-paths = [{paths}] }} }}");
        // They read alike, and one allows two paths.
        assert_eq!(changes(&mounting("'/a /b'"), &mounting("'/a', '/b'")).len(), 2);
    }
}
