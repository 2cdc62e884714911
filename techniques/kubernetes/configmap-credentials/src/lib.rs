//! T1552.001: a key under the mat, which fits no lock.

use foil_sdk::prelude::*;
use serde_json::json;

/// The example of AWS's documentation.
const KEY: &str = "AKIAIOSFODNN7EXAMPLE";

struct ConfigMapCredentials;

impl Technique for ConfigMapCredentials {
    type Parameters = NoParameters;

    fn detonate(context: &Context, _: &NoParameters, _: &State) -> Result<Evidence> {
        let namespace = &context.cluster()?.namespace;
        let map = kube::Kind::core("configmaps").named(namespace, &context.mark_for("credentials"));
        let note = "made by Foil, a detection test";
        let (data, what) = if context.dry {
            (json!({ "note": note }), "created a ConfigMap without a credential (dry),")
        } else {
            (json!({ "note": note, "aws_access_key_id": KEY }), "put an example credential into the ConfigMap")
        };
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": map.name, "namespace": namespace },
            "data": data,
        });
        kube::create(&map.kind, Some(namespace), &object)?;
        Ok(Evidence::new([what, " ", &map.name].concat()).about(&map))
    }
}

foil_sdk::technique!(ConfigMapCredentials);

#[cfg(test)]
mod tests {
    use super::*;
    use foil_sdk::fake;

    /// The data of the ConfigMap that was made.
    fn made(dry: bool) -> String {
        let host = fake::Host::for_technique(include_str!("../technique.toml"));
        let evidence = host.cluster().dry(dry).detonate::<ConfigMapCredentials>(&[]).unwrap();
        assert_eq!(host.kube_calls().len(), 1);
        let kind = kube::Kind::core("configmaps");
        let map = host.object_now(&kind, evidence.get("namespace"), evidence.get("name").unwrap()).unwrap();
        map["data"].to_string()
    }

    #[test]
    fn the_key_is_the_example_and_its_name_is_what_falco_looks_for() {
        assert!(made(false).contains(r#""aws_access_key_id":"AKIAIOSFODNN7EXAMPLE""#));
    }

    #[test]
    fn the_twin_has_nothing_that_reads_like_a_credential() {
        let data = made(true);
        for word in ["aws", "access", "pass"] {
            assert!(!data.contains(word), "{data}");
        }
    }
}
