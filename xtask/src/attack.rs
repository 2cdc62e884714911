//! `cargo xtask attack FILE`: writes what Foil knows of ATT&CK anew, from a release's STIX bundle
//! (<https://github.com/mitre-attack/attack-stix-data>, `enterprise-attack/enterprise-attack.json`).

use crate::tools::root;
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Reads the bundle and writes `manifest/data/attack*.csv`.
pub fn attack(file: &str) -> Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?;
    let data = root().join("manifest/data");
    let former = std::fs::read_to_string(data.join("attack-tactics.csv")).context("cannot read the tactics")?;
    let release = Release::read(&text).with_context(|| format!("{file} is not a release of ATT&CK for Enterprise"))?;
    let put = |name: &str, text: &str| {
        let path = data.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    put("attack.csv", &release.techniques())?;
    put("attack-moved.csv", &release.moved())?;
    put("attack-tactics.csv", &release.tactics(&former))?;
    println!(
        "{}: ATT&CK {}, {} techniques. Now: cargo xtask test",
        Path::new("manifest/data").display(),
        release.version,
        release.techniques.len()
    );
    Ok(())
}

/// What is taken from a release.
struct Release {
    version: String,
    /// Id, name and the tactics' short names, by id.
    techniques: BTreeMap<String, (String, Vec<String>)>,
    /// What an id that was revoked is now.
    moved: BTreeMap<String, String>,
    /// Id, short name and name, in the matrix's order.
    tactics: Vec<[String; 3]>,
}

fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object[key].as_str().unwrap_or_default()
}

fn is(object: &Value, key: &str) -> bool {
    object[key].as_bool().unwrap_or_default()
}

/// The id by which ATT&CK calls it, such as `T1059`.
fn external_id(object: &Value) -> Option<&str> {
    let references = object["external_references"].as_array()?;
    references.iter().find(|reference| text(reference, "source_name") == "mitre-attack")?["external_id"].as_str()
}

impl Release {
    fn read(json: &str) -> Result<Self> {
        let bundle: Value = serde_json::from_str(json)?;
        let objects = bundle["objects"].as_array().context("it has no `objects`")?;
        let of = |kind: &'static str| objects.iter().filter(move |object| text(object, "type") == kind);
        let version = of("x-mitre-collection").map(|object| text(object, "x_mitre_version")).next();
        let Some(version) = version.filter(|version| !version.is_empty()) else { bail!("it names no version") };
        let live = |object: &Value| !is(object, "revoked") && !is(object, "x_mitre_deprecated");
        let by_ref: BTreeMap<&str, &Value> = objects.iter().map(|object| (text(object, "id"), object)).collect();

        let patterns = || of("attack-pattern").filter_map(|object| Some((external_id(object)?, object)));
        let names: BTreeMap<&str, &str> =
            patterns().filter(|(_, object)| live(object)).map(|(id, object)| (id, text(object, "name"))).collect();
        let technique = |(id, object): (&str, &Value)| {
            // A sub-technique's name says little without its technique's.
            let parent = id.split_once('.').and_then(|(parent, _)| names.get(parent));
            let name = parent.map(|parent| format!("{parent}: ")).unwrap_or_default() + text(object, "name");
            let phases = object["kill_chain_phases"].as_array().into_iter().flatten();
            let mut tactics: Vec<String> = phases.map(|phase| text(phase, "phase_name").to_owned()).collect();
            tactics.sort();
            (id.to_owned(), (name, tactics))
        };
        let techniques = patterns().filter(|(_, object)| live(object)).map(technique).collect();

        let revoked: BTreeMap<&str, &str> = of("relationship")
            .filter(|object| text(object, "relationship_type") == "revoked-by")
            .map(|object| (text(object, "source_ref"), text(object, "target_ref")))
            .collect();
        let mut moved = BTreeMap::new();
        for (id, object) in patterns().filter(|(_, object)| is(object, "revoked")) {
            let mut now = text(object, "id");
            // As often as there are revocations at most: a circle ends.
            for _ in 0..=revoked.len() {
                let Some(next) = revoked.get(now) else { break };
                now = next;
            }
            let now = by_ref.get(now).filter(|object| live(object)).and_then(|object| external_id(object));
            // An id that was given to something else since is not a moved one.
            if let Some(now) = now.filter(|_| !names.contains_key(id)) {
                moved.insert(id.to_owned(), now.to_owned());
            }
        }

        let order = of("x-mitre-matrix").filter_map(|matrix| matrix["tactic_refs"].as_array()).flatten();
        let tactic = |object: &&Value| {
            let id = external_id(object)?;
            Some([id, text(object, "x_mitre_shortname"), text(object, "name")].map(str::to_owned))
        };
        let tactics = order.filter_map(|id| by_ref.get(id.as_str()?)).filter_map(tactic).collect();
        Ok(Self { version: version.to_owned(), techniques, moved, tactics })
    }

    fn techniques(&self) -> String {
        let mut csv = format!(
            "# MITRE ATT&CK for Enterprise {}. `cargo xtask attack FILE` writes it anew.\nid,name,tactics\n",
            self.version
        );
        for (id, (name, tactics)) in &self.techniques {
            let quote = if name.contains(',') { "\"" } else { "" };
            csv += &format!("{id},{quote}{name}{quote},{}\n", tactics.join(" "));
        }
        csv
    }

    fn moved(&self) -> String {
        let rows: Vec<String> = self.moved.iter().map(|(id, now)| format!("{id},{now}\n")).collect();
        format!("id,now\n{}", rows.concat())
    }

    /// The former names are kept: STIX has none.
    fn tactics(&self, before: &str) -> String {
        let former = |id: &str| {
            let line = before.lines().find(|line| line.split(',').next() == Some(id));
            line.and_then(|line| line.split(',').nth(3)).unwrap_or_default()
        };
        let row = |[id, short, name]: &[String; 3]| format!("{id},{short},{name},{}\n", former(id));
        let rows: Vec<String> = self.tactics.iter().map(row).collect();
        format!("id,tactic,name,formerly\n{}", rows.concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(number: u32, id: &str, name: &str, more: &Value) -> Value {
        let mut object = serde_json::json!({
            "type": "attack-pattern", "id": format!("attack-pattern--{number}"), "name": name,
            "external_references": [{ "source_name": "elsewhere", "external_id": "X" }, { "source_name": "mitre-attack", "external_id": id }],
            "kill_chain_phases": [{ "phase_name": "stealth" }, { "phase_name": "execution" }],
        });
        for (key, value) in more.as_object().expect("an object") {
            object[key] = value.clone();
        }
        object
    }

    #[test]
    fn a_release_becomes_three_lists() {
        let (none, revoked) = (serde_json::json!({}), serde_json::json!({ "revoked": true }));
        let by = |from: u32, to: u32| {
            serde_json::json!({ "type": "relationship", "relationship_type": "revoked-by", "id": format!("relationship--{from}"),
                "source_ref": format!("attack-pattern--{from}"), "target_ref": format!("attack-pattern--{to}") })
        };
        let bundle = serde_json::json!({ "objects": [
            { "type": "x-mitre-collection", "id": "c", "x_mitre_version": "20.1" },
            { "type": "x-mitre-matrix", "id": "m", "tactic_refs": ["t2", "t1"] },
            { "type": "x-mitre-tactic", "id": "t1", "name": "Stealth", "x_mitre_shortname": "stealth",
              "external_references": [{ "source_name": "mitre-attack", "external_id": "TA0005" }] },
            { "type": "x-mitre-tactic", "id": "t2", "name": "Execution", "x_mitre_shortname": "execution",
              "external_references": [{ "source_name": "mitre-attack", "external_id": "TA0002" }] },
            pattern(1, "T1070", "Indicator Removal", &none),
            pattern(2, "T1070.004", "File, Deletion", &none),
            pattern(3, "T1107", "File Deletion", &revoked),
            pattern(4, "T1000", "Older", &revoked),
            pattern(5, "T1001", "Gone", &serde_json::json!({ "x_mitre_deprecated": true })),
            pattern(6, "T1002", "Circle", &revoked),
            by(3, 2), by(4, 3), by(6, 6),
        ] });
        let release = Release::read(&bundle.to_string()).expect("a release");
        assert_eq!(
            release.techniques(),
            "# MITRE ATT&CK for Enterprise 20.1. `cargo xtask attack FILE` writes it anew.\nid,name,tactics\n\
             T1070,Indicator Removal,execution stealth\nT1070.004,\"Indicator Removal: File, Deletion\",execution stealth\n"
        );
        assert_eq!(release.moved(), "id,now\nT1000,T1070.004\nT1107,T1070.004\n");
        let before = "id,tactic,name,formerly\nTA0005,stealth,Stealth,Defense Evasion\n";
        assert_eq!(
            release.tactics(before),
            "id,tactic,name,formerly\nTA0002,execution,Execution,\nTA0005,stealth,Stealth,Defense Evasion\n"
        );
        assert!(Release::read("{}").is_err() && Release::read(r#"{"objects": []}"#).is_err());
    }
}
