use super::*;
use foil_manifest::Kind;
use serde_json::Value;

fn manifest(id: &str, kind: Kind, capabilities: &str) -> Manifest {
    let rest = match kind {
        Kind::Technique => "attack = ['T1609']\nimpact = 'reversible'",
        Kind::Check => "impact = 'read-only'",
    };
    Manifest::from_toml(&format!("id = '{id}'\ntitle = 'x'\n{rest}\n{capabilities}"), kind).expect(capabilities)
}

fn technique(capabilities: &str) -> Manifest {
    manifest("kubernetes.x", Kind::Technique, capabilities)
}

fn capability(name: &str, rules: &str) -> String {
    format!("[[capability]]\nname = '{name}'\nreason = 'x'\nallow = [{rules}]\n")
}

fn settings(namespace: Option<&str>) -> Settings {
    let namespace = namespace.map(str::to_owned);
    Settings { namespace, account: ("foil".into(), "foil".into()), falco: "falco".into(), impersonate: None }
}

fn shell() -> Manifest {
    let pod = "resource = 'pods', namespace = '{namespace}', name = 'foil-{run}-shell'";
    technique(
        &[
            capability("kube-write", &format!("{{ verbs = ['create'], {pod}, pod = {{ images = ['{{image}}'] }} }}")),
            capability("kube-read", &format!("{{ verbs = ['get'], {pod} }}")),
            capability(
                "kube-exec",
                &format!("{{ verbs = ['exec', 'logs'], {pod}, commands = [\"/bin/sh -c 'id'\"] }}"),
            ),
        ]
        .concat(),
    )
}

/// The rights of the technique with these rules, each as `scope group/resource name: verbs`.
fn rights(capability_name: &str, rules: &str) -> Vec<String> {
    let manifest = technique(&capability(capability_name, rules));
    let rbac = Rbac::of(&[&manifest], &settings(Some("sec"))).expect("about a cluster");
    let mut all = Vec::new();
    for object in rbac.json().as_array().expect("a list") {
        let scope = object.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or("-");
        for rule in object["rules"].as_array().into_iter().flatten() {
            let join = |key: &str| {
                let list = rule[key].as_array().into_iter().flatten();
                list.map(|v| v.as_str().expect("text")).collect::<Vec<_>>().join(",")
            };
            all.push(format!(
                "{scope} {}/{} {}: {}",
                join("apiGroups"),
                join("resources"),
                join("resourceNames"),
                join("verbs")
            ));
        }
    }
    // What every run needs is in each of them.
    let verify = all.iter().position(|right| right == "- /namespaces kube-system: get").expect("verifies");
    all.remove(verify);
    all
}

#[test]
fn each_verb_takes_what_the_host_asks_for_it() {
    let csr = "group = 'certificates.k8s.io', resource = 'certificatesigningrequests'";
    let rbac = "group = 'rbac.authorization.k8s.io'";
    for (name, rules, expected) in [
        ("kube-read", "{ verbs = ['get', 'list'], resource = 'pods', namespace = 'a' }".to_owned(), &["a /pods : get,list"][..]),
        ("kube-read", "{ verbs = ['get'], resource = 'pods', namespace = 'a', name = 'b' }".into(), &["a /pods b: get"]),
        ("kube-read", "{ verbs = ['get'], group = 'apps', resource = 'deployments', subresource = 'scale', namespace = '{namespace}' }".into(), &["sec apps/deployments/scale : get"]),
        ("kube-read", "{ verbs = ['get'], resource = 'pods', subresource = '*', namespace = 'a' }".into(), &["a /* : get"]),
        ("kube-read", "{ verbs = ['get'], resource = 'pods', namespace = 'a*' }".into(), &["- /pods : get"]),
        ("kube-read", "{ verbs = ['list'], group = '*', resource = 'x*' }".into(), &["- */* : list"]),
        ("kube-read", "{ verbs = ['proxy'], resource = 'nodes', path = '/pods' }".into(), &["- /nodes/proxy : get"]),
        ("kube-read", "{ verbs = ['proxy'], resource = 'nodes', name = 'n', path = '/pods' }".into(), &["- /nodes/proxy n: get"]),
        ("kube-write", "{ verbs = ['create'], resource = 'configmaps', namespace = 'a', name = 'foil-{run}' }".into(), &["a /configmaps : create,delete,get"]),
        ("kube-write", "{ verbs = ['patch'], resource = 'configmaps', namespace = 'a', name = 'b' }".into(), &["a /configmaps b: get,patch"]),
        ("kube-write", "{ verbs = ['token'], resource = 'serviceaccounts', namespace = 'a', name = 'b' }".into(), &["a /serviceaccounts/token b: create"]),
        ("kube-exec", "{ verbs = ['exec'], resource = 'pods', namespace = 'a' }".into(), &["a /pods : get", "a /pods/exec : create,get"]),
        ("kube-exec", "{ verbs = ['logs'], resource = '*', namespace = 'a' }".into(), &["a /pods,pods/log : get"]),
        (
            "kube-write",
            format!("{{ verbs = ['create', 'approve'], {csr}, name = 'foil-{{run}}' }}"),
            &[
                "- certificates.k8s.io/signers kubernetes.io/kube-apiserver-client: approve",
                "- certificates.k8s.io/certificatesigningrequests : create,delete,get",
                "- certificates.k8s.io/certificatesigningrequests/approval : update",
            ],
        ),
        (
            "kube-write",
            format!("{{ verbs = ['create'], {rbac}, resource = 'clusterroles' }}"),
            &["- rbac.authorization.k8s.io/clusterroles : create,delete,escalate,get"],
        ),
        (
            "kube-write",
            format!("{{ verbs = ['create'], {rbac}, resource = 'rolebindings', namespace = 'a' }}"),
            &["a rbac.authorization.k8s.io/clusterroles,roles : bind", "a rbac.authorization.k8s.io/rolebindings : create,delete,get"],
        ),
    ] {
        let mut is = rights(name, &rules);
        let mut expected: Vec<String> = expected.iter().map(|text| (*text).to_owned()).collect();
        is.sort();
        expected.sort();
        assert_eq!(is, expected, "{rules}");
    }
}

#[test]
fn the_rights_of_a_shell_in_a_pod() {
    insta::assert_snapshot!(
        Rbac::of(&[&shell()], &settings(Some("security-testing"))).expect("about a cluster").yaml()
    );
}

#[test]
fn the_rights_where_each_run_makes_a_namespace() {
    insta::assert_snapshot!(Rbac::of(&[&shell()], &settings(None)).expect("about a cluster").yaml());
}

#[test]
fn several_modules_and_another_identity() {
    let role = capability(
        "kube-write",
        "{ verbs = ['create'], group = 'rbac.authorization.k8s.io', resource = 'clusterrolebindings', name = 'foil-{run}' }",
    );
    let check = capability(
        "kube-read",
        "{ verbs = ['list'], resource = 'pods' }, { verbs = ['get'], resource = 'pods', namespace = 'a' }",
    );
    let alerts = "[[capability]]\nname = 'events-read'\nreason = 'x'\nallow = ['kubernetes.falco']\n";
    let check = manifest("falco.coverage", Kind::Check, &format!("{check}{alerts}"));
    let user = Impersonate { user: "system:serviceaccount:ci:bot".into(), groups: vec!["dev".into()] };
    let settings = Settings { impersonate: Some(user), ..settings(Some("sec")) };
    insta::assert_snapshot!(Rbac::of(&[&technique(&role), &check], &settings).expect("about a cluster").yaml());
}

#[test]
fn yaml_and_json_say_the_same() {
    for namespace in [None, Some("sec")] {
        let rbac = Rbac::of(&[&shell()], &settings(namespace)).expect("about a cluster");
        let documents: Vec<Value> = rbac
            .yaml()
            .split("---\n")
            .filter(|text| !text.is_empty())
            .map(|text| serde_saphyr::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}")))
            .collect();
        assert_eq!(Value::from(documents), rbac.json());
    }
}

#[test]
fn what_a_module_says_is_a_comment_whatever_it_says() {
    let sly = "{ verbs = ['exec'], resource = 'pods', namespace = 'a', commands = [\"/bin/sh -c 'a\\n---\\nkind: ClusterRole'\"] }";
    let yaml = Rbac::of(&[&technique(&capability("kube-exec", sly))], &settings(None)).expect("about a cluster").yaml();
    assert!(
        yaml.lines()
            .filter(|line| line.contains("kind: ClusterRole"))
            .all(|line| line.starts_with("kind") || line.trim_start().starts_with('#') || line.starts_with("  kind")),
        "{yaml}"
    );
    assert!(yaml.contains("# ") && yaml.matches("---\n").count() == 4, "{yaml}");
}

#[test]
fn nothing_of_a_cluster_and_bad_names_are_said() {
    assert!(Rbac::of(&[&technique("")], &settings(None)).is_err());
    for bad in ["foil", "a/b/c", "/a", "a/", "A/b", "a b/c"] {
        assert!(account(bad).is_err(), "{bad}");
    }
    assert_eq!(account("foil/ci").expect("fine"), ("foil".into(), "ci".into()));
    assert!(namespace("A b").is_err() && namespace("").is_err() && namespace("sec-1").is_ok());
}

#[test]
fn every_remark_is_said_once() {
    let rules = "{ verbs = ['get'], group = 'apps', resource = 'deployments', subresource = 'scale', namespace = 'a', name = 'b*' }, \
                 { verbs = ['get'], resource = 'pods', subresource = '*', namespace = 'a' }, \
                 { verbs = ['proxy'], resource = 'nodes', path = '/pods' }, \
                 { verbs = ['list'], group = '*', resource = '*' }, { verbs = ['list'], resource = 'a*', namespace = 'a' }";
    let yaml =
        Rbac::of(&[&technique(&capability("kube-read", rules))], &settings(None)).expect("about a cluster").yaml();
    for said in
        ["deployments/scale of apps in a named b*", "`get pods/* in a`", "at /pods", "`list * of *", "`list a* in a`"]
    {
        assert_eq!(yaml.matches(said).count(), 1, "{said}: {yaml}");
    }
}

/// `foil show kubernetes.canary falco.alert --rbac --namespace security-testing > deploy/kubernetes/rbac.yaml`
#[test]
fn what_is_deployed_has_the_rights_that_are_printed() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    let canary =
        Manifest::from_toml(&read("techniques/kubernetes/canary/technique.toml"), Kind::Technique).expect("valid");
    let alert = Manifest::from_toml(&read("techniques/checks/falco-alert/check.toml"), Kind::Check).expect("valid");
    let printed = Rbac::of(&[&canary, &alert], &settings(Some("security-testing"))).expect("about a cluster").yaml();
    let path = root.join("deploy/kubernetes/rbac.yaml");
    if std::env::var_os("FOIL_UPDATE_DEPLOY").is_some() {
        std::fs::write(&path, &printed).expect("writable");
    }
    assert_eq!(
        read("deploy/kubernetes/rbac.yaml"),
        printed,
        "run the command above, or this test with FOIL_UPDATE_DEPLOY=1"
    );
}
