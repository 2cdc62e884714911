//! What reviewers and operators write: `grants.toml` and `foil.yaml`.

#![no_main]

#[allow(dead_code, reason = "the host uses more of it")]
#[path = "../common/swell.rs"]
mod swell;

use foil_manifest::Capability;
use libfuzzer_sys::fuzz_target;
use foil_policy::environment::{self, HostRule};
use foil_policy::grants::{self, Revocation};
use foil_policy::{Environment, Grant};
use serde_json::json;

fuzz_target!(|data: &[u8]| {
    let data = swell::swell(data, 1 << 18);
    let Ok(text) = std::str::from_utf8(&data) else { return };
    match grants::parse(text) {
        Ok(read) => {
            for grant in read.list.iter().take(8) {
                alone(grant);
                edited(text, grant);
            }
        }
        Err(refusal) => placed(&refusal.0),
    }
    match environment::parse(text) {
        Ok(read) => {
            let written = written(&read);
            let mut again = environment::parse(&written).unwrap_or_else(|why| panic!("{}\n{written}", why.0));
            // Sensors and the cluster are only ever read: nothing writes them.
            (again.sources, again.cluster) = (read.sources.clone(), read.cluster.clone());
            assert_eq!(again, read, "{written}");
        }
        Err(refusal) => placed(&refusal.0),
    }
});

/// Every refusal begins with a place: `line:column: `.
fn placed(refusal: &str) {
    let place = refusal.split_once(": ").map_or("", |(place, _)| place);
    let number = |n: &str| n.parse::<usize>().is_ok_and(|n| n > 0);
    assert!(place.split_once(':').is_some_and(|(line, column)| number(line) && number(column)), "{refusal:?}");
}

/// A grant written into an empty file is the same grant, but for reasons, which are a manifest's.
fn alone(grant: &Grant) {
    let text = grants::with_grant("", grant).unwrap_or_else(|why| panic!("{}: {grant:?}", why.0));
    let read = grants::parse(&text).unwrap_or_else(|why| panic!("{}\n{text}", why.0));
    let mut wanted = grant.clone();
    wanted.capabilities = wanted.capabilities.into_iter().map(Capability::without_reason).collect();
    assert_eq!(read.list, [wanted], "{text}");
}

/// Granting again and revoking change that module's entries and no others.
fn edited(text: &str, grant: &Grant) {
    let strangers = |text: &str| {
        let read = grants::parse(text).unwrap_or_else(|why| panic!("{}\n{text}", why.0));
        read.list.into_iter().filter(|g| g.module != grant.module).collect::<Vec<_>>()
    };
    if let Ok(granted) = grants::with_grant(text, grant) {
        assert_eq!(strangers(&granted), strangers(text), "{granted}");
    }
    let revocation = Revocation { when: grant.granted, who: "w\"ho\n".into(), why: "'''\u{7f}".into() };
    if let Ok((revoked, _)) = grants::revoke(text, &grant.module, &revocation) {
        assert_eq!(strangers(&revoked), strangers(text), "{revoked}");
        let read = grants::parse(&revoked).unwrap_or_else(|why| panic!("{}\n{revoked}", why.0));
        assert!(read.of(&grant.module).all(|g| g.revoked.is_some()), "{revoked}");
    }
}

/// The environment as JSON, which is YAML.
fn written(read: &Environment) -> String {
    let mut file = json!({
        "environment": read.name,
        "impact": read.impact,
        "parallel": read.parallel,
        "shield": read.shield,
        "own-audit-rules": read.own_audit_rules,
        "limits": read.limits,
    });
    if let Some(hosts) = &read.hosts {
        let hosts = hosts.iter().map(|host| match host {
            HostRule::MachineId(id) => json!({ "machine-id": id }),
            HostRule::Name(name) => json!({ "name": name }),
        });
        file["hosts"] = hosts.collect();
    }
    if let Some(user) = &read.run_as {
        file["run-as"] = json!(user);
    }
    if let Some(capabilities) = &read.capabilities {
        file["capabilities"] = json!(capabilities);
    }
    file.to_string()
}
