//! What Foil's own set-up is seen to do.

use super::shield_support::{Stage, is_administrator};
use super::support::{Machine, armed};
use foil_collector::{Event, ProcessTree};
use foil_manifest::ShieldLevel;
use foil_record::Attribution;
use foil_shield::FileOp;
use foil_text::RunId;

/// Sensors take joining a namespace for an escape: in an overlay neither programs nor file effects nor looks do it.
#[tokio::test]
async fn what_an_overlay_starts_joins_no_namespace() {
    if !is_administrator() {
        println!("skipped: it takes root");
        return;
    }
    let Some(_machine) = Machine::take() else { return };
    let tree = ProcessTree::new();
    let (armed, _rules) = armed(&RunId::new(), &tree, &["setns"]);
    let stage = Stage::with(ShieldLevel::Overlay, |_| {}).await;
    tree.feed(&stage.run.tree());
    tree.follow(stage.run.births());
    stage.run.look().await.expect("a look");
    for _ in 0..3 {
        stage.sh("cat /etc/passwd >/dev/null; sleep 60 >/dev/null 2>&1 &").await;
        stage.run.end_phase().await.expect("the end of a phase");
    }
    let path = stage.path("file").display().to_string();
    let effect = FileOp::Create { path, content: b"x".to_vec(), mode: 0o600 };
    stage.run.file(effect).await.expect("an answer").expect("a file");
    stage.run.look().await.expect("a look");
    // And a join that somebody makes is seen.
    stage.sh("nsenter --uts=/proc/self/ns/uts true").await;
    super::support::find(&armed.log, |event| event.attribution == Attribution::Tree);
    let ours = |comm: &str| comm.starts_with("foil");
    let events = armed.log.read(0, usize::MAX).events;
    let joins: Vec<_> = events.iter().filter(|event| event.fields.get("comm").is_some_and(|comm| ours(comm))).collect();
    assert!(joins.is_empty(), "{joins:#?}");
}

/// Sensors take every opening of `/etc/shadow` for reading it: that it is granted is no reason for Foil to open it.
#[tokio::test]
async fn what_is_granted_to_programs_is_not_opened_by_foil() {
    if !is_administrator() {
        println!("skipped: it takes root");
        return;
    }
    let Some(_machine) = Machine::take() else { return };
    let tree = ProcessTree::new();
    let (armed, _rules) = armed(&RunId::new(), &tree, &["open", "openat", "openat2"]);
    let stage = Stage::with(ShieldLevel::Confined, |spec| spec.reads = vec!["/etc/shadow".into()]).await;
    tree.feed(&stage.run.tree());
    tree.follow(stage.run.births());
    for _ in 0..2 {
        stage.sh("cat /etc/shadow >/dev/null").await;
    }
    let opens = |event: &Event| event.fields.get("path").is_some_and(|path| path == "/etc/shadow");
    super::support::find(&armed.log, |event| opens(event) && event.attribution == Attribution::Tree);
    let events = armed.log.read(0, usize::MAX).events;
    let ours = |event: &&Event| opens(event) && event.fields.get("comm").is_some_and(|comm| comm.starts_with("foil"));
    assert_eq!(events.iter().find(ours), None);
}
