//! Objects as JSON: merge patches, what counts as a change, and what never leaves the host.

use serde_json::{Map, Value};
use sha2::Digest as _;

/// The label that every object of a run carries, with the run's id.
pub const RUN_LABEL: &str = "foil.dev/run";
/// The label that objects bear which a run changed and did not make.
pub const PATCHED_LABEL: &str = "foil.dev/patched-by";
/// The label that tells operators what it is.
pub const TEST_LABEL: &str = "security-test";

/// What a merge patch makes of a value (RFC 7396).
pub fn merged(target: &Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut out = target.as_object().cloned().unwrap_or_default();
    for (key, value) in patch {
        if value.is_null() {
            out.remove(key);
        } else {
            let merged = merged(out.get(key).unwrap_or(&Value::Null), value);
            out.insert(key.clone(), merged);
        }
    }
    Value::Object(out)
}

/// The merge patch that makes `to` of `from`. Lists are replaced whole; a `null` in `to` is taken for an absence, as the API does.
pub fn difference(from: &Value, to: &Value) -> Value {
    let (Value::Object(from), Value::Object(to)) = (from, to) else { return to.clone() };
    let mut patch = Map::new();
    for (key, value) in from {
        match to.get(key).filter(|value| !value.is_null()) {
            None => _ = patch.insert(key.clone(), Value::Null),
            Some(wanted) if wanted != value => _ = patch.insert(key.clone(), difference(value, wanted)),
            Some(_) => {}
        }
    }
    for (key, value) in to.iter().filter(|(key, value)| !value.is_null() && !from.contains_key(*key)) {
        patch.insert(key.clone(), value.clone());
    }
    Value::Object(patch)
}

/// What of an object a person or a program chose: without what the server keeps of it by itself.
pub fn substance(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(all) = object.as_object_mut() {
        all.remove("status");
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for kept in ["resourceVersion", "generation", "managedFields", "selfLink", "uid", "creationTimestamp"] {
            metadata.remove(kept);
        }
        for list in ["labels", "annotations"] {
            if metadata.get(list).and_then(Value::as_object).is_some_and(Map::is_empty) {
                metadata.remove(list);
            }
        }
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            // Deployments count their revisions by themselves.
            annotations.remove("deployment.kubernetes.io/revision");
        }
    }
    object
}

/// The hash of an object's substance: what is compared later, without keeping what may be a secret.
pub fn fingerprint(object: &Value) -> String {
    // `serde_json` keeps maps sorted, so that equal objects have equal texts.
    hex::encode(sha2::Sha256::digest(substance(object).to_string().as_bytes()))
}

/// A text of an object, such as `metadata` `uid`.
pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The value of a label.
pub fn label<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get("metadata")?.get("labels")?.get(name)?.as_str()
}

/// Takes the values of a Secret (and of lists of them) out, each replaced by its length: what is read by a module may end in a
/// report. `managedFields` go too, which nobody reads and which are half of every object.
pub fn redact(plural: &str, object: &mut Value) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
        if plural == "secrets"
            && let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut)
        {
            // `kubectl apply` keeps a copy of the whole object there, values and all.
            annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        }
    }
    if plural == "secrets" {
        for field in ["data", "stringData"] {
            for value in object.get_mut(field).and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
                *value = format!("{} bytes", value.as_str().map_or(0, str::len)).into();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_secrets_values_stay() {
        let mut secret = json!({"metadata": {"managedFields": [1], "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "hunter2"}},
            "data": {"password": "aHVudGVyMg=="}, "stringData": {"a": "hunter2"}});
        redact("secrets", &mut secret);
        let text = secret.to_string();
        assert!(!text.contains("hunter2") && !text.contains("aHVu") && text.contains("12 bytes"), "{text}");
    }

    #[test]
    fn what_the_server_keeps_by_itself_is_no_change() {
        let a = json!({"metadata": {"name": "a", "resourceVersion": "1", "generation": 1, "labels": {}}, "spec": {"x": 1}, "status": {"y": 1}});
        let b = json!({"metadata": {"name": "a", "resourceVersion": "2", "generation": 2}, "spec": {"x": 1}, "status": {"y": 2}});
        assert_eq!(fingerprint(&a), fingerprint(&b));
        assert_ne!(fingerprint(&a), fingerprint(&json!({"metadata": {"name": "a"}, "spec": {"x": 2}})));
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            (0..3_i64).prop_map(Value::from),
            "[ab]".prop_map(Value::from)
        ];
        let tree = leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[abc]", inner, 0..3)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        });
        prop::collection::btree_map("[abc]", tree, 0..4).prop_map(|map| Value::Object(map.into_iter().collect()))
    }

    proptest! {
        #[test]
        fn a_difference_makes_of_one_the_other(from in value(), to in value()) {
            prop_assert_eq!(merged(&from, &difference(&from, &to)), to);
        }
    }
}
