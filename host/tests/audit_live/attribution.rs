//! Whose event it is.

use super::support::{Init, Machine, armed, execs, find};
use foil_collector::{ProcessTree, arm};
use foil_record::Attribution;
use foil_text::RunId;
use std::process::Command;

/// Our tree and a stranger do the same; ours forks twice and leaves its session, too.
fn tell_apart(tree: std::sync::Arc<ProcessTree>) {
    let run = RunId::new();
    let (armed, _rules) = armed(&run, &tree, &["execve"]);
    // Not started by this test directly: children of Foil's own process are set apart anyway.
    let stranger = Init::start("sh -c '/bin/true other; true'");
    let init = Init::start(
        "/bin/true ours; sh -c 'setsid sh -c \"sleep 0.1; /bin/true orphan; true\" & true'; unshare -fp /bin/true inside; sleep 0.4; true",
    );
    tree.feed(&init.tree());
    stranger.go();
    init.go();
    let mark = |argv: &str| find(&armed.log, |e| execs(e, argv));
    let ours = mark("/bin/true ours");
    assert_eq!(ours.attribution, Attribution::Tree, "{ours:#?}");
    assert!(!ours.own_observation);
    assert_eq!(ours.fields["path"], "/bin/true");
    assert_eq!(ours.fields["rules"], "own");
    assert_eq!(mark("/bin/true orphan").attribution, Attribution::Tree, "forked twice, in a session of its own");
    assert_eq!(mark("/bin/true inside").attribution, Attribution::Tree, "in a pid namespace of its own");
    let other = mark("/bin/true other");
    assert_eq!(other.attribution, Attribution::Stranger, "{other:#?}");
    assert_eq!(armed.finish(), None);
}

#[test]
fn with_the_process_connector() {
    let Some(_machine) = Machine::take() else { return };
    let tree = ProcessTree::new();
    if !tree.is_exact() {
        println!("skipped: no process connector here");
        return;
    }
    tell_apart(tree);
}

#[test]
fn by_audit_records_alone() {
    let Some(_machine) = Machine::take() else { return };
    // What has no event of its own (the two subshells) is looked up in /proc as its child's event comes in: where the
    // machine is so busy that it has ended by then, the answer is a weak one. It is never a wrong one.
    for _ in 0..10 {
        let tree = ProcessTree::without_connector();
        let run = RunId::new();
        let (armed, _rules) = armed(&run, &tree, &["execve"]);
        let stranger = Init::start("sh -c '/bin/true other; true'");
        let init = Init::start("(sleep 0.05; /bin/true deep; sleep 0.1; true); (/bin/true ours; sleep 0.1; true)");
        tree.feed(&init.tree());
        stranger.go();
        init.go();
        let mark = |argv: &str| find(&armed.log, |e| execs(e, argv)).attribution;
        let (ours, deep, other) = (mark("/bin/true ours"), mark("/bin/true deep"), mark("/bin/true other"));
        assert_ne!(other, Attribution::Tree);
        assert!(ours != Attribution::Stranger && deep != Attribution::Stranger, "{ours:?} {deep:?}");
        if (ours, deep, other) == (Attribution::Tree, Attribution::Tree, Attribution::Stranger) {
            return;
        }
    }
    panic!("in ten attempts the run's programs were never tied to its tree");
}

#[test]
fn what_was_recorded_before_the_launcher_spoke_counts() {
    let Some(_machine) = Machine::take() else { return };
    let tree = ProcessTree::new();
    if !tree.is_exact() {
        println!("skipped: no process connector here");
        return;
    }
    let (armed, _rules) = armed(&RunId::new(), &tree, &["execve"]);
    let init = Init::start("/bin/true early; true");
    let (known, started) = (init.tree(), foil_now());
    init.go();
    let early = find(&armed.log, |e| execs(e, "/bin/true early"));
    assert_eq!(early.attribution, Attribution::Stranger, "nobody has claimed it yet");
    tree.insert_root(known.children[0].0, started);
    let page = armed.log.read(early.sequence - 1, 1);
    assert_eq!(page.events[0].attribution, Attribution::Tree);
}

#[test]
fn the_runs_id_in_a_strangers_command_line_is_a_marker() {
    let Some(_machine) = Machine::take() else { return };
    let tree = ProcessTree::new();
    let run = RunId::new();
    let (armed, _rules) = armed(&run, &tree, &["execve"]);
    Init::start(&format!("sh -c '/bin/true {run}; true'")).go();
    Init::start("sh -c '/bin/true unmarked; true'").go();
    let marked = find(&armed.log, |e| execs(e, &format!("/bin/true {run}")));
    assert_eq!(marked.attribution, Attribution::Marker);
    // Our key, which has the run's id in it, is on this event too.
    let unmarked = find(&armed.log, |e| execs(e, "/bin/true unmarked"));
    assert_ne!(unmarked.attribution, Attribution::Marker);
    assert!(unmarked.fields["key"].contains(run.as_str()));
    // Foil's own children are nobody's technique.
    Command::new("/bin/true").arg(format!("set-up-{run}")).status().expect("true");
    let own = find(&armed.log, |e| execs(e, &format!("/bin/true set-up-{run}")));
    assert_eq!(own.attribution, Attribution::Stranger);
}

#[test]
fn what_the_connector_saw_is_an_own_observation() {
    let Some(_machine) = Machine::take() else { return };
    let tree = ProcessTree::new();
    if !tree.is_exact() {
        println!("skipped: no process connector here");
        return;
    }
    let options = foil_collector::ArmOptions::new(RunId::new(), tree.clone());
    let observed = arm("foil.observed", &options).expect("armed");
    let init = Init::start("/bin/sleep 0.2; true");
    tree.feed(&init.tree());
    init.go();
    let seen = find(&observed.log, |e| execs(e, "/bin/sleep 0.2"));
    assert_eq!((seen.attribution, seen.own_observation), (Attribution::Tree, true));
    assert_eq!(seen.fields["seen-by"], "proc-connector");
}

fn foil_now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    u64::try_from(now.as_nanos()).expect("before 2554")
}
