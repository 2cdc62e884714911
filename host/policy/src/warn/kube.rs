//! Rules about a cluster that a reviewer should stop at.

use super::arbitrary;
use crate::Hazard;
use foil_manifest::pattern::Variables;
use foil_manifest::{Capability, KubeRule, KubeVerb, NamePattern, PodScope};

/// Kinds whose objects say who may do what.
const RBAC: [&str; 4] = ["roles", "clusterroles", "rolebindings", "clusterrolebindings"];
/// Kinds whose objects let a stranger see, change and refuse what everybody asks of the API server.
const WEBHOOKS: [&str; 2] = ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"];

/// Warns of what a capability may do to a cluster.
pub(super) fn warn(capability: &Capability, warn: &mut impl FnMut(Hazard, String)) {
    for rule in capability.kube_rules() {
        let may = |verb: KubeVerb| rule.verbs.contains(&verb);
        let writes = may(KubeVerb::Create) || may(KubeVerb::Patch);
        if (may(KubeVerb::Get) || may(KubeVerb::List)) && about(rule, "", &["secrets"]) {
            warn(
                Hazard::Secrets,
                format!("`{rule}`: it may look at Secrets; Foil takes their values out, their names and keys stay"),
            );
        }
        if writes && about(rule, "rbac.authorization.k8s.io", &RBAC) {
            let text =
                "it may make or change roles and bindings: who may do that (`escalate`, `bind`) equals cluster-admin";
            warn(Hazard::ClusterAdmin, format!("`{rule}`: {text}"));
        }
        if writes && about(rule, "admissionregistration.k8s.io", &WEBHOOKS) {
            let text = "a webhook sees, changes and refuses what everybody asks of the cluster";
            warn(Hazard::Webhooks, format!("`{rule}`: {text}"));
        }
        if may(KubeVerb::Patch) {
            warn(Hazard::KubePatch, format!("`{rule}`: it may change objects that the run did not make"));
        }
        if may(KubeVerb::Approve) {
            warn(
                Hazard::Certificate,
                format!("`{rule}`: it may have certificates issued, which no cluster can recall"),
            );
        }
        if may(KubeVerb::Token) {
            let whose = if rule.name.as_ref().is_some_and(of_the_run) {
                "accounts of the run's own"
            } else {
                "service accounts"
            };
            warn(Hazard::Token, format!("`{rule}`: it may ask for tokens of {whose}, which hold until they end"));
        }
        if may(KubeVerb::Proxy) {
            let text = match rule.resource.matches("nodes", &Variables::default()) {
                true => "the kubelet behind `nodes/proxy` is past the cluster's admission and audit",
                false => "what is behind a pod or a service is no part of the cluster's own rules",
            };
            warn(Hazard::Proxy, format!("`{rule}`: {text}"));
        }
        for command in &rule.commands {
            if let Some(why) = arbitrary(command) {
                warn(Hazard::ArbitraryCode, format!("`{command}` in a pod is arbitrary code: {why}"));
            }
        }
        match &rule.namespace {
            None => warn(Hazard::WholeCluster, format!("`{rule}`: the whole cluster, and not a namespace of it")),
            Some(namespace)
                if namespace.is_literal() && (of_the_run(namespace) || namespace.as_str() == "{namespace}") => {}
            Some(namespace) => {
                warn(
                    Hazard::Namespaces,
                    format!("`{rule}`: `{namespace}` is not the namespace that the operator chose"),
                );
            }
        }
        if writes {
            pods(&rule.pod, warn);
        }
    }
}

/// Whether a rule may be about one of these kinds itself.
fn about(rule: &KubeRule, group: &str, kinds: &[&str]) -> bool {
    let none = Variables::default();
    let fits = |pattern: &NamePattern, name: &str| pattern.matches(name, &none);
    fits(&rule.group, group) && fits(&rule.subresource, "") && kinds.iter().any(|kind| fits(&rule.resource, kind))
}

fn of_the_run(name: &NamePattern) -> bool {
    name.as_str().contains("{run}")
}

fn pods(scope: &PodScope, warn: &mut impl FnMut(Hazard, String)) {
    let flags = [
        (
            scope.privileged,
            Hazard::PrivilegedPod,
            "its pods may be privileged: root on the node, for whoever is in them",
        ),
        (
            scope.host_network,
            Hazard::HostNetwork,
            "its pods may be in the node's network, and reach what listens on its loopback",
        ),
        (scope.host_pid, Hazard::HostPid, "its pods may see the node's processes, and what is in their environment"),
        (scope.host_ipc, Hazard::HostIpc, "its pods may use the node's shared memory"),
        (scope.host_ports, Hazard::HostPorts, "its pods may take ports of the node"),
    ];
    flags.iter().filter(|(on, ..)| *on).for_each(|(_, code, text)| warn(*code, (*text).to_owned()));
    for path in &scope.host_paths {
        warn(Hazard::HostPath, format!("its pods may mount `{path}` of the node, read-only"));
    }
    for path in &scope.host_paths_writable {
        warn(Hazard::HostPathWritable, format!("its pods may CHANGE `{path}` of the node, which nothing undoes"));
    }
    for capability in &scope.capabilities {
        warn(Hazard::PodCapability, format!("its containers may have the capability `{capability}`"));
    }
    for image in scope.images.iter().filter(|image| image.as_str() != "{image}") {
        warn(Hazard::Image, format!("its pods may run `{image}`, which is not the image that the operator chose"));
    }
    for account in scope.service_accounts.iter().filter(|name| !of_the_run(name)) {
        warn(
            Hazard::PodToken,
            format!("its pods may have the token of the service account `{account}`, with all its rights"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(name: &str, rule: &str) -> Vec<&'static str> {
        let capability: Capability = toml::from_str(&format!("name = '{name}'\nallow = [{rule}]")).expect(rule);
        let mut codes = Vec::new();
        warn(&capability, &mut |hazard, _| codes.push(hazard.code()));
        codes
    }

    #[test]
    fn what_is_plain_is_not_warned_of() {
        let made = "namespace = '{namespace}', name = 'foil-{run}-x'";
        for (capability, rule) in [
            ("kube-read", "{ verbs = ['get', 'list'], resource = 'pods', namespace = '{namespace}' }".to_owned()),
            (
                "kube-write",
                format!(
                    "{{ verbs = ['create', 'delete'], resource = 'pods', {made}, pod = {{ images = ['{{image}}'], service-accounts = ['foil-{{run}}'] }} }}"
                ),
            ),
            (
                "kube-exec",
                format!(
                    "{{ verbs = ['exec', 'logs'], resource = 'pods', {made}, commands = ['/bin/cat /etc/passwd'] }}"
                ),
            ),
        ] {
            assert_eq!(codes(capability, &rule), [""; 0], "{rule}");
        }
    }

    #[test]
    fn what_is_dangerous_has_a_code() {
        let inside = "namespace = '{namespace}'";
        for (capability, rule, expected) in [
            ("kube-read", format!("{{ verbs = ['list'], resource = 'secrets', {inside} }}"), "secrets"),
            ("kube-read", format!("{{ verbs = ['get'], group = '*', resource = '*', {inside} }}"), "secrets"),
            ("kube-read", "{ verbs = ['list'], resource = 'pods' }".into(), "whole-cluster"),
            ("kube-read", "{ verbs = ['list'], resource = 'pods', namespace = '*' }".into(), "namespaces"),
            ("kube-read", "{ verbs = ['list'], resource = 'pods', namespace = 'kube-system' }".into(), "namespaces"),
            ("kube-read", "{ verbs = ['proxy'], resource = 'nodes', path = '/pods' }".into(), "proxy"),
            (
                "kube-write",
                format!(
                    "{{ verbs = ['create'], group = 'rbac.authorization.k8s.io', resource = 'rolebindings', {inside} }}"
                ),
                "cluster-admin",
            ),
            ("kube-write", "{ verbs = ['patch'], group = '**', resource = '*' }".into(), "cluster-admin"),
            ("kube-write", "{ verbs = ['patch'], group = '**', resource = '*' }".into(), "webhooks"),
            ("kube-write", format!("{{ verbs = ['patch'], resource = 'configmaps', {inside} }}"), "kube-patch"),
            (
                "kube-write",
                "{ verbs = ['approve'], group = 'certificates.k8s.io', resource = 'certificatesigningrequests' }"
                    .into(),
                "certificate",
            ),
            ("kube-write", format!("{{ verbs = ['token'], resource = 'serviceaccounts', {inside} }}"), "token"),
            (
                "kube-exec",
                format!("{{ verbs = ['exec'], resource = 'pods', {inside}, commands = ['/bin/sh -c ...'] }}"),
                "arbitrary-code",
            ),
        ] {
            assert!(codes(capability, &rule).contains(&expected), "{rule}: {expected}");
        }
    }

    #[test]
    fn every_field_of_a_pod_has_one() {
        let plain = PodScope::default();
        let count = |text: &str| {
            let rule =
                format!("{{ verbs = ['create'], resource = 'pods', namespace = '{{namespace}}', pod = {{ {text} }} }}");
            codes("kube-write", &rule).len()
        };
        // Named by the type itself, so that a field that is new cannot be forgotten here.
        let schema = serde_json::to_value(schemars::schema_for!(PodScope)).expect("JSON");
        let fields = schema["properties"].as_object().expect("fields");
        assert!(fields.len() >= 10, "{fields:?}");
        for (name, field) in fields {
            let value = if field["type"] == "boolean" { "true" } else { "['/x']" };
            assert_eq!(count(&format!("{name} = {value}")), 1, "{name}");
        }
        pods(&plain, &mut |code, _| panic!("{code}"));
    }
}
