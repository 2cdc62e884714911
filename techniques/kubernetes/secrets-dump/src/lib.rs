//! T1552.007: all Secrets at once. What is in them stays in the host.

use foil_sdk::prelude::*;
use std::collections::BTreeSet;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Parameters {
    scope: Scope,
}

#[derive(serde::Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Scope {
    Cluster,
    Namespace,
}

/// More are not counted: a guest has little memory.
const MOST: usize = 5_000;

struct SecretsDump;

impl Technique for SecretsDump {
    type Parameters = Parameters;

    fn detonate(context: &Context, parameters: &Parameters, _: &State) -> Result<Evidence> {
        let kind = kube::Kind::core(if context.dry { "configmaps" } else { "secrets" });
        let own = &context.cluster()?.namespace;
        let namespace = (parameters.scope == Scope::Namespace).then_some(own.as_str());
        let objects = kube::list(&kind, namespace, "", MOST)?;
        let namespaces: BTreeSet<&str> =
            objects.iter().filter_map(|object| object.pointer("/metadata/namespace")?.as_str()).collect();
        let least = if objects.len() == MOST { "at least " } else { "" };
        let place = namespace.map_or_else(|| "all namespaces".to_owned(), |name| ["the namespace ", name].concat());
        let summary = format!(
            "listed the {} of {place}: {least}{}, in {} namespaces",
            kind.plural,
            objects.len(),
            namespaces.len()
        );
        Ok(Evidence::new(summary)
            .fact("resource", &kind.plural)
            .fact("objects", objects.len())
            .fact("namespaces", namespaces.len()))
    }
}

foil_sdk::technique!(SecretsDump);

#[cfg(test)]
mod tests {
    use super::*;
    use foil_sdk::fake;

    fn host() -> fake::Host {
        let host = fake::Host::for_technique(include_str!("../technique.toml"));
        host.cluster();
        for (namespace, name) in [("security-testing", "a"), ("default", "b"), ("default", "c")] {
            let object =
                serde_json::json!({"metadata": {"name": name, "namespace": namespace}, "data": {"k": "12 bytes"}});
            host.object(&kube::Kind::core("secrets"), Some(namespace), object);
        }
        host
    }

    #[test]
    fn secrets_of_all_namespaces_are_counted() {
        let host = host();
        let evidence = host.detonate::<SecretsDump>(&[]).unwrap();
        assert_eq!((evidence.get("objects"), evidence.get("namespaces")), (Some("3"), Some("2")));
        assert_eq!(host.kube_calls(), ["list secrets"]);
    }

    #[test]
    fn or_of_one() {
        let host = host();
        let evidence = host.detonate::<SecretsDump>(&[("scope", "namespace".into())]).unwrap();
        assert_eq!(evidence.get("objects"), Some("1"));
        assert_eq!(host.kube_calls(), ["list secrets security-testing"]);
        assert!(host.detonate::<SecretsDump>(&[("scope", "node".into())]).is_err());
    }

    #[test]
    fn the_twin_lists_no_secret() {
        let host = host();
        let evidence = host.dry(true).detonate::<SecretsDump>(&[]).unwrap();
        assert_eq!(evidence.get("objects"), Some("0"));
        assert_eq!(host.kube_calls(), ["list configmaps"]);
    }
}
