//! Rules, calls and pods.

use super::*;
use crate::pattern::Variables;
use serde_json::{Value, json};

fn rule(text: &str) -> KubeRule {
    toml::from_str(text).expect(text)
}

#[test]
fn a_rule_is_read_and_said_in_one_line() {
    let rule = rule(
        "verbs = ['create']\nresource = 'pods'\nnamespace = '{namespace}'\nname = 'foil-{run}*'\n[pod]\nimages = ['{image}']\nhost-paths = ['/etc']",
    );
    assert_eq!(
        rule.to_string(),
        "create pods in {namespace} named foil-{run}*; pods: images {image}, the node's files /etc"
    );
    assert_eq!(rule.check(CapabilityName::KubeWrite), Ok(()));
    assert!(rule.check(CapabilityName::KubeRead).is_err());
}

#[test]
fn rules_that_make_no_sense_are_refused() {
    for (capability, text) in [
        (CapabilityName::KubeWrite, "verbs = []\nresource = 'pods'"),
        (CapabilityName::KubeRead, "verbs = ['list']\nresource = 'pods'\nname = 'a'"),
        (CapabilityName::KubeRead, "verbs = ['get']\nresource = ''"),
        (CapabilityName::KubeRead, "verbs = ['get', 'proxy']\nresource = 'nodes'\npath = '/pods'"),
        (CapabilityName::KubeRead, "verbs = ['get']\nresource = 'pods'\npod = { privileged = true }"),
        (CapabilityName::KubeExec, "verbs = ['logs']\nresource = 'pods'\ncommands = ['/bin/id']"),
    ] {
        assert!(rule(text).check(capability).is_err(), "{text}");
    }
    for bad in ["verbs = ['watch']\nresource = 'pods'", "verbs = ['get']", "verbs = ['get']\nresource='x'\nfoo = 1"] {
        assert!(toml::from_str::<KubeRule>(bad).is_err(), "{bad}");
    }
}

fn variables() -> Variables {
    Variables { run: "01abc".into(), namespace: "sec".into(), image: "reg/busybox:1".into(), ..Variables::default() }
}

/// What a rule says to `create pods sec/foil-01abc` with this specification, on top of one good container.
fn pod(scope: &str, spec: Value, container: Value) -> Option<String> {
    let rule = rule(&format!(
        "verbs = ['create']\nresource = 'pods'\nnamespace = '{{namespace}}'\nname = 'foil-{{run}}*'\n[pod]\nimages = ['{{image}}']\n{scope}"
    ));
    let mut object = json!({"spec": {"automountServiceAccountToken": false, "containers": [{"name": "a", "image": "reg/busybox:1"}]}});
    let merge = |to: &mut Value, from: Value| {
        if let (Some(to), Value::Object(from)) = (to.as_object_mut(), from) {
            to.extend(from);
        }
    };
    merge(&mut object["spec"]["containers"][0], container);
    merge(&mut object["spec"], spec);
    let mut call = KubeCall::new(KubeVerb::Create, ("", "v1", "pods")).of(Some("sec"), Some("foil-01abc"));
    call.object = Some(&object);
    rule.mismatch(&call, &variables()).map(|m| m.why)
}

#[test]
fn pods_are_held_to_every_field() {
    assert_eq!(pod("", json!({}), json!({})), None);
    // (allowed by this, the specification, the container)
    let root = json!({"name": "r", "hostPath": {"path": "/etc"}});
    for (scope, spec, container) in [
        ("privileged = true", json!({}), json!({"securityContext": {"privileged": true}})),
        ("privileged = true", json!({"securityContext": {"seccompProfile": {"type": "Unconfined"}}}), json!({})),
        ("host-network = true", json!({"hostNetwork": true}), json!({})),
        ("host-pid = true", json!({"hostPID": true}), json!({})),
        ("host-ipc = true", json!({"hostIPC": true}), json!({})),
        ("host-ports = true", json!({}), json!({"ports": [{"containerPort": 1, "hostPort": 1}]})),
        (
            "host-paths = ['/etc']",
            json!({"volumes": [root]}),
            json!({"volumeMounts": [{"name": "r", "mountPath": "/r", "readOnly": true}]}),
        ),
        (
            "host-paths-writable = ['/etc']",
            json!({"volumes": [root]}),
            json!({"volumeMounts": [{"name": "r", "mountPath": "/r"}]}),
        ),
        ("capabilities = ['SYS_*']", json!({}), json!({"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}})),
        ("service-accounts = ['default']", json!({"automountServiceAccountToken": true}), json!({})),
        ("service-accounts = ['ci-*']", json!({"serviceAccountName": "ci-bot"}), json!({})),
    ] {
        assert_eq!(pod(scope, spec.clone(), container.clone()), None, "{scope}");
        let refused = pod("", spec, container).unwrap_or_else(|| panic!("allowed without {scope}"));
        assert!(refused.starts_with("the pod: "), "{refused}");
    }
    let mounted = json!({"volumeMounts": [{"name": "r", "mountPath": "/r"}]});
    assert!(pod("host-paths = ['/etc']", json!({"volumes": [root]}), mounted).expect("refused").contains("writable"));
    assert!(pod("", json!({}), json!({"image": "evil/busybox:1"})).expect("refused").contains("evil/busybox:1"));
}

#[test]
fn what_no_rule_can_allow_is_refused() {
    let all = "privileged = true\nhost-network = true\nhost-pid = true\nhost-ipc = true\nhost-ports = true\nhost-paths = ['/**']\nhost-paths-writable = ['/**']\ncapabilities = ['*']\nservice-accounts = ['*']";
    for (spec, container) in [
        (json!({"volumes": [{"name": "s", "secret": {"secretName": "x"}}]}), json!({})),
        (json!({"volumes": [{"name": "s", "persistentVolumeClaim": {"claimName": "x"}}]}), json!({})),
        (json!({"volumes": [{"name": "s", "hostPath": {"path": "/x", "type": "DirectoryOrCreate"}}]}), json!({})),
        (json!({"ephemeralContainers": [{"name": "x", "image": "evil"}]}), json!({})),
        (json!({"hostPID": "true"}), json!({})),
        (json!({"volumes": {"name": "s"}}), json!({})),
        (json!({"securityContext": {"sysctls": []}}), json!({})),
        (json!({}), json!({"env": [{"name": "x", "valueFrom": {"secretKeyRef": {}}}]})),
        (json!({}), json!({"envFrom": []})),
        (json!({}), json!({"lifecycle": {}})),
        (json!({}), json!({"securityContext": {"procMount": "Unmasked"}})),
        (json!({}), json!({"volumeMounts": [{"name": "x", "mountPath": "/x", "mountPropagation": "Bidirectional"}]})),
    ] {
        assert!(pod(all, spec.clone(), container.clone()).is_some(), "{spec} {container}");
    }
}

#[test]
fn templates_are_pods_too() {
    let rule = rule("verbs = ['create', 'patch']\nresource = '*'\ngroup = '*'\nnamespace = '*'");
    for (group, resource, object) in [
        ("apps", "deployments", json!({"spec": {"template": {"spec": {"containers": [{"image": "x"}]}}}})),
        (
            "batch",
            "cronjobs",
            json!({"spec": {"jobTemplate": {"spec": {"template": {"spec": {"containers": [{"image": "x"}]}}}}}}),
        ),
        ("batch", "jobs", json!({"spec": {}})),
    ] {
        let mut call = KubeCall::new(KubeVerb::Create, (group, "v1", resource)).of(Some("a"), Some("b"));
        call.object = Some(&object);
        assert!(rule.mismatch(&call, &variables()).is_some(), "{resource}");
    }
    let mut call = KubeCall::new(KubeVerb::Create, ("", "v1", "configmaps")).of(Some("a"), Some("b"));
    let map = json!({"data": {}});
    call.object = Some(&map);
    assert_eq!(rule.mismatch(&call, &variables()), None);
}

#[test]
fn every_field_of_a_rule_counts() {
    let rule = rule(
        "verbs = ['get']\ngroup = 'apps'\nversion = 'v1'\nresource = 'deployments'\nsubresource = 'scale'\nnamespace = 'sec*'\nname = 'foil-{run}'",
    );
    let good = KubeCall {
        subresource: "scale",
        ..KubeCall::new(KubeVerb::Get, ("apps", "v1", "deployments")).of(Some("security"), Some("foil-01abc"))
    };
    let why = |call: KubeCall<'_>| rule.mismatch(&call, &variables()).map(|m| m.why);
    assert_eq!(why(good), None);
    for (call, word) in [
        (KubeCall { verb: KubeVerb::List, ..good }, "verb"),
        (KubeCall { group: "", ..good }, "group"),
        (KubeCall { version: "v1beta1", ..good }, "version"),
        (KubeCall { resource: "pods", ..good }, "resource"),
        (KubeCall { subresource: "", ..good }, "subresource"),
        (KubeCall { namespace: Some("default"), ..good }, "namespace"),
        (KubeCall { namespace: None, ..good }, "whole cluster"),
        (KubeCall { name: Some("foil-02abc"), ..good }, "name"),
        (KubeCall { name: None, ..good }, "all names"),
    ] {
        let why = why(call).unwrap_or_else(|| panic!("allowed: {call}"));
        assert!(why.contains(word), "{why}");
    }
    // A variable without a value fits nothing, not everything.
    assert!(rule.mismatch(&good, &Variables::default()).is_some());
}
