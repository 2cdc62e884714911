use super::super::{Address, Cluster, KubeError, Session};
use super::*;
use axum::http::{HeaderMap, StatusCode};
use foil_text::Shown as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex as Plain;

type Seen = Arc<Plain<Vec<String>>>;

/// A server that wants the token `good-N`, of the newest N.
async fn server(newest: Arc<Plain<u32>>) -> (String, Seen) {
    let seen = Seen::default();
    let log = Arc::clone(&seen);
    let app = axum::Router::new().fallback(move |headers: HeaderMap| async move {
        let said = headers.get("authorization").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        log.lock().unwrap().push(said.clone());
        if said == format!("Bearer good-{}", newest.lock().unwrap()) {
            (StatusCode::OK, axum::Json(serde_json::json!({"metadata": {"uid": "u"}})))
        } else {
            (
                StatusCode::UNAUTHORIZED,
                axum::Json(serde_json::json!({"reason": "Unauthorized", "message": "Unauthorized"})),
            )
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (format!("http://{address}"), seen)
}

fn cluster(folder: &Path, server: &str, cluster_more: &str, user: &str) -> Arc<Cluster> {
    let text = format!(
        "clusters: [{{name: c, cluster: {{server: '{server}'{cluster_more}}}}}]\ncontexts: [{{name: x, context: {{cluster: c, user: u}}}}]\n\
         users:\n- name: u\n  user: {user}\n"
    );
    std::fs::write(folder.join("config"), text).unwrap();
    let rule = serde_json::json!({"kubeconfig": "config", "context": "x"});
    Arc::new(Cluster::new(serde_json::from_value(rule).unwrap(), folder))
}

async fn get(cluster: &Arc<Cluster>) -> Result<(), KubeError> {
    let address = Address::new("", "v1", "namespaces", None, Some("kube-system")).unwrap();
    Session::of_foil(Arc::clone(cluster)).get(&address).await.map(drop)
}

#[tokio::test]
async fn a_plugins_token_is_used_until_the_server_refuses_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("bin")).unwrap();
    let script = folder.path().join("bin/token.sh");
    std::fs::write(&script, format!("#!/bin/sh\ncd {}\necho x >> asked\nN=$(cat newest)\necho \"{{\\\"status\\\":{{\\\"token\\\":\\\"good-$N\\\"}}}}\"\n", folder.path().shown())).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(folder.path().join("newest"), "1").unwrap();
    let newest = Arc::new(Plain::new(1));
    let (address, seen) = server(Arc::clone(&newest)).await;
    let cluster = cluster(
        folder.path(),
        &address,
        "",
        "{exec: {apiVersion: client.authentication.k8s.io/v1, command: ./bin/token.sh, interactiveMode: IfAvailable}}",
    );
    let asked = || std::fs::read_to_string(folder.path().join("asked")).unwrap_or_default().lines().count();
    for _ in 0..3 {
        get(&cluster).await.unwrap();
    }
    assert_eq!((asked(), seen.lock().unwrap().len()), (1, 3));
    *newest.lock().unwrap() = 2;
    std::fs::write(folder.path().join("newest"), "2").unwrap();
    get(&cluster).await.unwrap();
    assert_eq!(asked(), 2);
    *newest.lock().unwrap() = 3;
    let error = get(&cluster).await.unwrap_err();
    assert_eq!((error.code(), asked()), (Some(401), 3), "once, and not without end: {error}");
}

#[tokio::test]
async fn many_who_wait_for_a_plugin_that_fails_run_it_once() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("fails.sh");
    std::fs::write(&script, format!("#!/bin/sh\necho x >> {}/asked\nexit 7\n", folder.path().shown())).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let cluster = cluster(folder.path(), "http://127.0.0.1:1", "", "{exec: {command: ./fails.sh}}");
    let all = futures_util::future::join_all((0..20).map(|_| get(&cluster))).await;
    assert!(all.iter().all(|one| matches!(one, Err(KubeError::Access(AccessError::PluginFailed { .. })))), "{all:?}");
    assert_eq!(std::fs::read_to_string(folder.path().join("asked")).unwrap().lines().count(), 1);
}

#[tokio::test]
async fn malformed_kubeconfigs_are_errors_that_repeat_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let huge = format!("{{token: '{}'}}", "S3CR3T".repeat(1 << 18));
    for (more, user) in [
        ("", "{token: \"S3CR3T\\n\"}"),
        ("", "{token: \"S3CR3T\\0\"}"),
        ("", "{token: \"S3CR3T\u{e9}\"}"),
        ("", "{token: [S3CR3T]}"),
        ("", "{token: S3CR3T"),
        ("", huge.as_str()),
        ("", "{client-certificate-data: UzNDUjNU, client-key-data: UzNDUjNU}"),
        ("", "{client-certificate-data: 'S3CR3T!'}"),
        ("", "{client-key-data: UzNDUjNU}"),
        ("", "{as: \"S3CR3T\\n\"}"),
        ("", "{as: x, as-user-extra: {\"a b\\n\": [\"S3CR3T\\n\"]}}"),
        ("", "{auth-provider: {name: gcp, config: {cmd-path: S3CR3T}}}"),
        ("", "{exec: {command: ''}}"),
        ("", "{exec: {command: x, args: [\"S3CR3T\\0\"]}}"),
        ("", "{exec: {command: x, env: [{name: 'A=B', value: S3CR3T}]}}"),
        ("", "S3CR3T"),
        (", certificate-authority-data: UzNDUjNU", "{}"),
        (", proxy-url: 'ftp://u:S3CR3T@h'", "{}"),
        (", proxy-url: 'http://u:S3CR3T@h:port'", "{}"),
        (", tls-server-name: 'S3 CR3T'", "{}"),
    ] {
        let cluster = cluster(folder.path(), "https://127.0.0.1:1", more, user);
        let error = get(&cluster).await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(matches!(error, KubeError::Access(_)), "{more} {user}: {text}");
        assert!(!text.contains("S3") && !text.contains("UzND"), "{more} {user}: {text}");
    }
    for server in ["", "ftp://h", "http://", "https://h:port", "http://a b"] {
        let error = get(&cluster(folder.path(), server, "", "{}")).await.unwrap_err();
        assert!(matches!(error, KubeError::Access(AccessError::Field { field: "server", .. })), "{server}: {error}");
    }
}

#[tokio::test]
async fn an_empty_user_and_a_user_that_is_not_there_have_no_credentials() {
    let folder = tempfile::tempdir().unwrap();
    let (address, seen) = server(Arc::default()).await;
    for user in ["{}", "null", "{token: ''}"] {
        let error = get(&cluster(folder.path(), &address, "", user)).await.unwrap_err();
        assert_eq!(error.code(), Some(401), "{error}");
    }
    assert!(seen.lock().unwrap().iter().all(String::is_empty));
}
