//! What `deploy/` has is what a real API server takes.

use foil_tests::e2e_kube::Cluster;

/// The manifests as kustomize puts them together.
fn manifests(cluster: &Cluster) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/kubernetes");
    cluster.kubectl(&["kustomize", folder])
}

/// The manifests for the cluster's version: `batch/v1` has no CronJob before Kubernetes 1.21, and `batch/v1beta1` has none since 1.25.
fn of_this_cluster(cluster: &Cluster, text: &str) -> String {
    let batch = cluster.kubectl(&["get", "--raw", "/apis/batch/v1"]);
    if batch.contains("\"cronjobs\"") {
        return text.to_owned();
    }
    text.replace("apiVersion: batch/v1\nkind: CronJob", "apiVersion: batch/v1beta1\nkind: CronJob")
}

#[test]
fn the_manifests_are_valid() {
    let Some(cluster) = Cluster::new() else { return };
    let text = manifests(&cluster);
    // Namespaces are not made by a dry run, so that what is in them is tried in the test's own.
    let text: String = text
        .lines()
        .map(|line| match line.trim_start().strip_prefix("namespace: ") {
            Some(_) => format!("{}namespace: {}\n", &line[..line.len() - line.trim_start().len()], cluster.namespace),
            None => format!("{line}\n"),
        })
        .collect();
    let text = of_this_cluster(&cluster, &text);
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    std::io::Write::write_all(&mut file, text.as_bytes()).expect("written");
    let path = file.path().to_str().expect("UTF-8");
    let said = cluster.kubectl(&["apply", "--dry-run=server", "--validate=true", "-f", path]);
    for kind in
        ["namespace/foil ", "namespace/security-testing ", "cronjob.batch/foil ", "configmap/foil ", "role.rbac"]
    {
        assert!(said.contains(kind), "{kind}: {said}");
    }
}

#[test]
fn the_pod_has_no_privilege() {
    let Some(cluster) = Cluster::new() else { return };
    let text = manifests(&cluster);
    let job = text.split("---\n").find(|one| one.contains("kind: CronJob")).expect("a CronJob");
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    std::io::Write::write_all(&mut file, of_this_cluster(&cluster, job).as_bytes()).expect("written");
    let path = file.path().to_str().expect("UTF-8");
    let json = cluster.kubectl(&["create", "--dry-run=client", "-o", "json", "-f", path]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let spec = &json["spec"]["jobTemplate"]["spec"]["template"]["spec"];
    assert_eq!(spec["securityContext"]["runAsNonRoot"], true);
    assert_eq!(spec["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    for list in ["containers", "initContainers"] {
        for container in spec[list].as_array().expect("a list") {
            let context = &container["securityContext"];
            assert_eq!(context["readOnlyRootFilesystem"], true, "{container:#}");
            assert_eq!(context["allowPrivilegeEscalation"], false);
            assert_eq!(context["capabilities"]["drop"], serde_json::json!(["ALL"]));
            assert!(context["capabilities"]["add"].is_null() && context["privileged"] == false);
            assert!(
                container["image"].as_str().expect("text").starts_with("registry.example.org/foil:"),
                "{container:#}"
            );
        }
    }
    for host in ["hostNetwork", "hostPID", "hostIPC"] {
        assert!(spec[host].is_null(), "{host}");
    }
    assert!(!spec["volumes"].to_string().contains("hostPath"));
}
