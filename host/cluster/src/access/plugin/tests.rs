use super::*;
use foil_text::Shown as _;
use std::time::Instant;

/// A plugin that is this shell script, in a folder of its own.
fn plugin(script: &str, limit: Duration) -> (tempfile::TempDir, Plugin) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plugin.sh");
    std::fs::write(&path, format!("#!/bin/sh\ncd {}\n{script}", folder.path().shown())).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let exec = ExecConfig {
        command: path.to_str().map(str::to_owned),
        args: Some(vec!["--a".into(), "b c".into()]),
        env: Some(vec![[("name".to_owned(), "FLD".to_owned()), ("value".to_owned(), "1".to_owned())].into()]),
        provide_cluster_info: true,
        ..ExecConfig::default()
    };
    let cluster = Cluster { server: Some("https://k8s".into()), ..Cluster::default() };
    (folder, Plugin::new(&exec, &cluster, &[vec![1, 2]], limit).unwrap())
}

const LONG: Duration = Duration::from_secs(20);
const TOKEN: &str =
    r#"echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"S3CR3T"}}'"#;

/// The processes whose numbers a script wrote down, and which are still there.
fn alive(folder: &Path) -> Vec<String> {
    let pids = std::fs::read_to_string(folder.join("pids")).unwrap_or_default();
    let runs = |pid: &&str| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !stat.is_empty() && !stat.contains(") Z ")
    };
    pids.split_whitespace().filter(runs).map(str::to_owned).collect()
}

fn all_die(folder: &Path) {
    let begun = Instant::now();
    while !alive(folder).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(5), "still there: {:?}", alive(folder));
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Writes down itself, a child, and one in a session of its own.
const HANGS: &str = "sleep 600 & echo $$ $! > pids\n(setsid sleep 601 & echo $! >> pids)\nsleep 602\n";

#[tokio::test]
async fn it_is_given_what_the_kubeconfig_says_and_no_terminal() {
    let script = format!(
        "echo 'a warning' >&2\n[ \"$FLD\" = 1 ] && [ \"$1\" = --a ] && [ \"$2\" = 'b c' ] || exit 3\n\
         [ -t 0 ] && exit 4\nread x && exit 5\n(: < /dev/tty) 2> /dev/null && exit 6\n\
         printf %s \"$KUBERNETES_EXEC_INFO\" > info\n{TOKEN}"
    );
    let (folder, plugin) = plugin(&script, LONG);
    let credential = plugin.ask().await.unwrap();
    assert!(credential.token.is_some() && credential.identity.is_none() && credential.until.is_none());
    let info: Value = serde_json::from_slice(&std::fs::read(folder.path().join("info")).unwrap()).unwrap();
    assert_eq!(info["spec"]["interactive"], false);
    assert_eq!(info["spec"]["cluster"]["server"], "https://k8s");
    assert!(info["spec"]["cluster"]["certificate-authority-data"].is_string());
}

#[tokio::test]
async fn one_that_hangs_ends_at_the_limit_with_all_that_it_started() {
    let (folder, plugin) = plugin(HANGS, Duration::from_millis(700));
    let begun = Instant::now();
    let error = plugin.ask().await.unwrap_err();
    assert!(matches!(error, AccessError::PluginSlow { .. }), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert!(folder.path().join("pids").exists());
    all_die(folder.path());
}

#[tokio::test]
async fn one_that_nobody_waits_for_ends() {
    let (folder, plugin) = plugin(HANGS, LONG);
    let dropped = tokio::time::timeout(Duration::from_millis(700), plugin.ask()).await;
    assert!(dropped.is_err());
    assert!(folder.path().join("pids").exists());
    all_die(folder.path());
}

#[tokio::test]
async fn what_it_leaves_behind_ends_with_it_and_keeps_nobody_waiting() {
    let (folder, plugin) = plugin(&format!("sleep 600 & echo $! > pids\n{TOKEN}"), LONG);
    let begun = Instant::now();
    assert!(plugin.ask().await.is_ok());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    all_die(folder.path());
}

#[tokio::test]
async fn its_output_and_environment_are_in_no_error() {
    for (script, word) in [
        ("echo S3CR3T; echo S3CR3T >&2; exit 3", "exit status 3"),
        ("kill -9 $$", "killed by signal 9"),
        ("echo S3CR3T", "is not an ExecCredential"),
        ("exec cat /dev/zero", "larger than a mebibyte"),
        ("exec yes S3CR3T", "larger than a mebibyte"),
        ("", "is empty"),
    ] {
        let (_folder, plugin) = plugin(script, LONG);
        let error = plugin.ask().await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains(word) && !text.contains("S3CR3T") && !text.contains("FLD"), "{script}: {text}");
    }
}

#[tokio::test]
async fn one_that_is_not_there_or_wants_a_person_is_said() {
    let new = |command: &str, mode| {
        let exec = ExecConfig {
            command: Some(command.into()),
            install_hint: Some("brew install it\u{1b}[2J".into()),
            interactive_mode: Some(mode),
            ..ExecConfig::default()
        };
        Plugin::new(&exec, &Cluster::default(), &[], LONG)
    };
    for command in ["foil-no-such-plugin", "/nowhere/plugin", "/etc/passwd"] {
        let error = new(command, ExecInteractiveMode::IfAvailable).unwrap().ask().await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, AccessError::PluginMissing { .. }), "{text}");
        assert!(text.contains(command) && text.contains("brew install it\\u{1b}[2J"), "{text}");
    }
    assert!(matches!(new("x", ExecInteractiveMode::Always), Err(AccessError::PluginInteractive(_))));
}

#[tokio::test]
async fn root_runs_no_program_that_others_may_change() {
    let (folder, plugin) = plugin(TOKEN, LONG);
    let path = folder.path().join("plugin.sh");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o757)).unwrap();
    assert!(matches!(plugin.ask().await, Err(AccessError::Writable { .. })));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
        assert!(matches!(plugin.ask().await, Err(AccessError::Foreign { .. })));
    }
}
