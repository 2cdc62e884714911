//! The same of rules about a cluster: what every layer alone allows is allowed, and narrowing never allows more.

use super::naive;
use crate::{Narrowing, Permission, narrow};
use foil_manifest::kube::KubeCall;
use foil_manifest::pattern::Variables;
use foil_manifest::{Capability, CapabilityName, KubeRule, KubeScope, KubeVerb, NamePattern, PodScope};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

const NAMESPACE: &str = "ns";
const IMAGE: &str = "reg/i";

fn variables() -> Variables {
    Variables { namespace: NAMESPACE.into(), image: IMAGE.into(), ..super::variables() }
}

/// A pattern of a name, by the words of the documentation.
fn name(pattern: &NamePattern, text: &str) -> bool {
    naive(&pattern.as_str().replace("{namespace}", NAMESPACE).replace("{image}", IMAGE), text)
}

fn patterns(of: &'static [&'static str]) -> impl Strategy<Value = NamePattern> {
    select(of).prop_map(|text| text.parse().expect(text))
}

fn pod_scope() -> impl Strategy<Value = PodScope> {
    let list = |of| prop::collection::vec(patterns(of), 0..3);
    let paths = || prop::collection::vec(select(vec!["/a", "/a/*", "/**"]), 0..2);
    let paths = move || paths().prop_map(|texts| texts.iter().map(|t| t.parse().expect(t)).collect::<Vec<_>>());
    (
        list(&["{image}", "reg/*", "**", "*"]),
        any::<[bool; 5]>(),
        (paths(), paths()),
        list(&["A", "*", "B"]),
        list(&["default", "sa-{run}", "*"]),
    )
        .prop_map(|(images, flags, (host_paths, host_paths_writable), capabilities, service_accounts)| {
            let [privileged, host_network, host_pid, host_ipc, host_ports] = flags;
            PodScope {
                images,
                privileged,
                host_network,
                host_pid,
                host_ipc,
                host_ports,
                host_paths,
                host_paths_writable,
                capabilities,
                service_accounts,
            }
        })
}

fn verbs(of: CapabilityName) -> Vec<KubeVerb> {
    use KubeVerb::*;
    let all = [Get, List, Proxy, Create, Patch, Delete, Approve, Token, Exec, Logs];
    all.into_iter().filter(|verb| verb.capability() == of).collect()
}

fn rule(of: CapabilityName) -> impl Strategy<Value = KubeRule> {
    let commands = prop::collection::vec(select(vec!["/bin/a ...", "/bin/a x", "/bin/*", "/bin/b"]), 0..3);
    (
        prop::collection::btree_set(select(verbs(of)), 1..3),
        (patterns(&["", "", "g", "*"]), prop::option::of(patterns(&["v1", "v*"]))),
        (patterns(&["pods", "secrets", "pod?", "*"]), patterns(&["", "", "", "scale", "*"])),
        prop::option::of(patterns(&["{namespace}", "n*", "x", "*"])),
        prop::option::of(patterns(&["foil-{run}", "foil-*", "a", "*"])),
        prop::option::of(patterns(&["/x", "/*", "/**"])),
        commands,
        pod_scope(),
    )
        .prop_map(
            move |(verbs, (group, version), (resource, subresource), namespace, name, path, commands, pod)| {
                let verbs: Vec<KubeVerb> = verbs.into_iter().collect();
                let makes = verbs.iter().any(|v| matches!(v, KubeVerb::Create | KubeVerb::Patch));
                KubeRule {
                    name: name.filter(|_| !verbs.contains(&KubeVerb::List)),
                    path: path.filter(|_| verbs == [KubeVerb::Proxy]),
                    commands: if verbs.contains(&KubeVerb::Exec) {
                        commands.iter().map(|t| t.parse().expect(t)).collect()
                    } else {
                        Vec::new()
                    },
                    pod: if makes { pod } else { PodScope::default() },
                    verbs,
                    group,
                    version,
                    resource,
                    subresource,
                    namespace,
                }
            },
        )
}

fn layer() -> impl Strategy<Value = Vec<Capability>> {
    let list = |of| prop::option::weighted(0.9, prop::collection::vec(rule(of), 0..4));
    let [read, write, exec] = CapabilityName::KUBE;
    (list(read), list(write), list(exec)).prop_map(|(read, write, exec)| {
        let scope = |allow| KubeScope { allow, reason: String::new() };
        let read = read.map(|allow| Capability::KubeRead(scope(allow)));
        let write = write.map(|allow| Capability::KubeWrite(scope(allow)));
        read.into_iter().chain(write).chain(exec.map(|allow| Capability::KubeExec(scope(allow)))).collect()
    })
}

/// A pod that is made, and the object of it.
#[derive(Debug, Clone)]
struct Pod {
    image: &'static str,
    flags: [bool; 5],
    path: Option<(&'static str, bool)>,
    capability: Option<&'static str>,
    account: Option<&'static str>,
}

impl Pod {
    fn object(&self) -> Value {
        let [privileged, network, pid, ipc, ports] = self.flags;
        let mut container =
            json!({ "name": "a", "image": self.image, "securityContext": { "privileged": privileged } });
        if let Some(capability) = self.capability {
            container["securityContext"]["capabilities"] = json!({ "add": [capability] });
        }
        if ports {
            container["ports"] = json!([{ "containerPort": 1, "hostPort": 1 }]);
        }
        let mut spec = json!({ "hostNetwork": network, "hostPID": pid, "hostIPC": ipc });
        if let Some((path, writable)) = self.path {
            spec["volumes"] = json!([{ "name": "v", "hostPath": { "path": path } }]);
            container["volumeMounts"] = json!([{ "name": "v", "mountPath": "/v", "readOnly": !writable }]);
        }
        match self.account {
            Some(account) => spec["serviceAccountName"] = account.into(),
            None => spec["automountServiceAccountToken"] = false.into(),
        }
        spec["containers"] = json!([container]);
        json!({ "spec": spec })
    }

    fn fits(&self, scope: &PodScope) -> bool {
        let PodScope { privileged, host_network, host_pid, host_ipc, host_ports, .. } = *scope;
        let flags = [privileged, host_network, host_pid, host_ipc, host_ports];
        let any = |list: &[NamePattern], text: &str| list.iter().any(|p| name(p, text));
        let path = self.path.is_none_or(|(path, writable)| {
            let write = scope.host_paths_writable.iter().any(|p| naive(p.as_str(), path));
            write || (!writable && scope.host_paths.iter().any(|p| naive(p.as_str(), path)))
        });
        self.flags.iter().zip(flags).all(|(is, may)| may || !is)
            && any(&scope.images, self.image)
            && path
            && self.capability.is_none_or(|c| any(&scope.capabilities, c))
            && self.account.is_none_or(|a| any(&scope.service_accounts, a))
    }
}

/// A call with all that it is made of.
#[derive(Debug, Clone)]
struct Call {
    verb: KubeVerb,
    group: &'static str,
    version: &'static str,
    resource: &'static str,
    subresource: &'static str,
    namespace: Option<&'static str>,
    name: Option<&'static str>,
    path: Option<&'static str>,
    command: Option<(&'static str, Vec<String>)>,
    pod: Pod,
    object: Value,
}

impl Call {
    fn with<T>(&self, ask: impl Fn(&KubeCall<'_>) -> T) -> T {
        let makes = matches!(self.verb, KubeVerb::Create | KubeVerb::Patch);
        ask(&KubeCall {
            subresource: self.subresource,
            path: self.path,
            command: self.command.as_ref().map(|(program, arguments)| (*program, arguments.as_slice())),
            object: makes.then_some(&self.object),
            ..KubeCall::new(self.verb, (self.group, self.version, self.resource)).of(self.namespace, self.name)
        })
    }

    fn fits(&self, rule: &KubeRule) -> bool {
        let optional = |pattern: &Option<NamePattern>, is: Option<&str>| {
            pattern.as_ref().is_none_or(|p| is.is_some_and(|is| name(p, is)))
        };
        let makes_pod =
            matches!(self.verb, KubeVerb::Create | KubeVerb::Patch) && (self.group, self.resource) == ("", "pods");
        rule.verbs.contains(&self.verb)
            && name(&rule.group, self.group)
            && name(&rule.resource, self.resource)
            && name(&rule.subresource, self.subresource)
            && optional(&rule.version, Some(self.version))
            && rule.namespace.is_some() == self.namespace.is_some()
            && optional(&rule.namespace, self.namespace)
            && optional(&rule.name, self.name)
            && self.path.is_none_or(|path| rule.path.as_ref().is_some_and(|p| name(p, path)))
            && self.command.as_ref().is_none_or(|(program, arguments)| {
                rule.commands.iter().any(|c| super::naive_command(c.as_str(), program, arguments))
            })
            && (!makes_pod || self.pod.fits(&rule.pod))
    }

    fn allowed_by(&self, layer: &[Capability]) -> bool {
        let of = layer.iter().filter(|c| c.name() == self.verb.capability());
        of.flat_map(Capability::kube_rules).any(|rule| self.fits(rule))
    }
}

fn call() -> impl Strategy<Value = Call> {
    let pod = (
        select(vec![IMAGE, "reg/j", "k"]),
        prop::array::uniform5(prop::bool::weighted(0.1)),
        prop::option::weighted(0.3, (select(vec!["/a", "/a/b", "/b"]), any::<bool>())),
        prop::option::weighted(0.3, select(vec!["A", "C"])),
        prop::option::weighted(0.3, select(vec!["default", "sa-r1"])),
    )
        .prop_map(|(image, flags, path, capability, account)| Pod { image, flags, path, capability, account });
    let all: Vec<KubeVerb> = CapabilityName::KUBE.into_iter().flat_map(verbs).collect();
    (
        select(all),
        (select(vec!["", "", "g"]), select(vec!["v1", "v2", "w1"])),
        (select(vec!["pods", "secrets", "podx"]), select(vec!["", "", "scale"])),
        prop::option::weighted(0.7, select(vec![NAMESPACE, "x", "nn"])),
        select(vec!["foil-r1", "foil-x", "a"]),
        select(vec!["/x", "/x/y"]),
        (select(vec!["/bin/a", "/bin/b"]), prop::collection::vec(select(vec!["x", "y"]), 0..2)),
        pod,
    )
        .prop_map(
            |(verb, (group, version), (resource, subresource), namespace, name, path, (program, arguments), pod)| {
                let arguments = arguments.into_iter().map(str::to_owned).collect();
                Call {
                    verb,
                    group,
                    version,
                    resource,
                    subresource: if verb == KubeVerb::Get { subresource } else { "" },
                    namespace,
                    name: (verb != KubeVerb::List).then_some(name),
                    path: (verb == KubeVerb::Proxy).then_some(path),
                    command: (verb == KubeVerb::Exec).then_some((program, arguments)),
                    object: pod.object(),
                    pod,
                }
            },
        )
}

fn narrowing() -> impl Strategy<Value = Narrowing> {
    let texts = [
        ("verbs", vec!["get", "list", "create", "patch", "exec", ""]),
        ("namespace", vec!["{namespace}", "x", "n*", "*", ""]),
        ("name", vec!["foil-{run}", "a", "foil-*", ""]),
        ("resource", vec!["pods", "secrets", "*", "pod?"]),
        ("images", vec!["{image}", "reg/j", "reg/*", ""]),
        ("privileged", vec!["false", "true"]),
        ("host-network", vec!["false"]),
        ("host-paths", vec!["/a", "/a/b", "/a/*", ""]),
        ("host-paths-writable", vec!["/a", "/b", ""]),
        ("capabilities", vec!["A", "C", "*"]),
        ("service-accounts", vec!["default", "sa-{run}", ""]),
        ("commands", vec!["/bin/a x", "/bin/a ...", "/bin/b", ""]),
    ];
    let all: Vec<String> = texts
        .into_iter()
        .flat_map(|(key, values)| values.into_iter().map(move |value| format!("{key}={value}")))
        .flat_map(|text| CapabilityName::KUBE.map(|name| format!("{name}.{text}")))
        .collect();
    select(all).prop_filter_map("no key of this capability", |text| text.parse().ok())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, ..ProptestConfig::default() })]

    #[test]
    fn a_call_is_allowed_exactly_where_every_layer_alone_allows_it(
        request in layer(), grant in layer(), guardrail in prop::option::of(layer()), calls in prop::collection::vec(call(), 1..8),
    ) {
        let p = Permission { request, grant, guardrail, variables: variables(), own: Vec::new() };
        for call in &calls {
            let all = super::layers(&p).iter().all(|layer| call.allowed_by(layer));
            let answer = call.with(|c| p.kube(c));
            prop_assert_eq!(answer.is_ok(), all, "{:?}: {:?}", call, answer);
            // One layer by itself, which is allowed more often than three together.
            let alone = Permission { grant: p.request.clone(), guardrail: None, ..p.clone() };
            prop_assert_eq!(call.with(|c| alone.kube(c)).is_ok(), call.allowed_by(&p.request), "{:?}", call);
        }
    }

    #[test]
    fn narrowing_never_allows_more(
        request in layer(), narrowings in prop::collection::vec(narrowing(), 1..3), calls in prop::collection::vec(call(), 1..16),
    ) {
        let Ok(grant) = narrow(&request, None, &narrowings) else { return Ok(()) };
        for capability in &grant {
            for rule in capability.kube_rules() {
                // It can be read again from the grants file.
                prop_assert_eq!(rule.check(capability.name()), Ok(()));
            }
        }
        for call in &calls {
            prop_assert!(call.allowed_by(&request) || !call.allowed_by(&grant), "{:?}: {:?}", call, grant);
            // And what is narrowed by a literal holds.
            for (field, is) in [("namespace", call.namespace.unwrap_or_default()), ("name", call.name.unwrap_or_default())] {
                let key = format!("{}.{field}", call.verb.capability());
                let values: Vec<_> = narrowings.iter().filter(|n| n.key == key).map(|n| &n.value).collect();
                let fits = values.is_empty() || values.iter().any(|v| name(&v.parse().expect("a pattern"), is));
                prop_assert!(fits || !call.allowed_by(&grant), "{key} {:?}: {:?}", call, grant);
            }
        }
    }

    #[test]
    fn taking_a_rule_away_never_allows_more(request in layer(), which in 0usize..3, n in 0usize..4, call in call()) {
        let mut less = request.clone();
        if let Some(Capability::KubeRead(s) | Capability::KubeWrite(s) | Capability::KubeExec(s)) = less.get_mut(which)
            && n < s.allow.len()
        {
            s.allow.remove(n);
        }
        let of = |request: Vec<Capability>| Permission { grant: request.clone(), request, guardrail: None, variables: variables(), own: Vec::new() };
        prop_assert!(call.with(|c| of(less.clone()).kube(c)).is_err() || call.with(|c| of(request.clone()).kube(c)).is_ok());
    }
}
