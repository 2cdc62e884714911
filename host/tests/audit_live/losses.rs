//! Lost events are said, never passed over.

use super::support::{Init, Machine, Rules, armed};
use foil_collector::{ArmOptions, Blindness, LogLimits, ProcessTree, arm, audit};
use foil_record::Attribution;
use foil_text::RunId;

#[test]
fn a_socket_that_overflows() {
    let Some(_machine) = Machine::take() else { return };
    let (run, tree) = (RunId::new(), ProcessTree::new());
    let rules = Rules::plan(&run, &["execve"]);
    let options = ArmOptions { own_rules: Some(rules.0.clone()), receive_buffer: 1, ..ArmOptions::new(run, tree) };
    let armed = arm(audit::NAME, &options).expect("armed");
    let many = "x".repeat(2000);
    for _ in 0..200 {
        Init::start(&format!("/bin/true {many} {many}; /bin/true {many}; /bin/true {many}; true")).go();
        if armed.log.blind().is_some() {
            break;
        }
    }
    let end = armed.finish();
    assert!(matches!(&end, Some(Blindness::Lost(why)) if why.contains("ENOBUFS")), "{end:?}");
}

#[test]
fn a_log_that_is_full() {
    let Some(_machine) = Machine::take() else { return };
    let (run, tree) = (RunId::new(), ProcessTree::new());
    let rules = Rules::plan(&run, &["execve"]);
    let limits = LogLimits { events: 3, bytes: 1 << 20 };
    let options = ArmOptions { own_rules: Some(rules.0.clone()), limits, ..ArmOptions::new(run, tree) };
    let armed = arm(audit::NAME, &options).expect("armed");
    Init::start("/bin/true; /bin/true; /bin/true; /bin/true; /bin/true; true").go();
    let log = armed.log.clone();
    let end = armed.finish();
    assert!(matches!(&end, Some(Blindness::Lost(why)) if why.contains("holds only 3 events")), "{end:?}");
    assert!(log.read(0, 100).events.len() <= 3);
}

#[test]
fn five_hundred_programs_in_a_burst_are_all_there() {
    let Some(_machine) = Machine::take() else { return };
    let tree = ProcessTree::new();
    let (armed, _rules) = armed(&RunId::new(), &tree, &["execve"]);
    let init = Init::start("i=0; while [ $i -lt 500 ]; do /bin/true $i; i=$((i+1)); done; true");
    tree.feed(&init.tree());
    init.go();
    let log = armed.log.clone();
    assert_eq!(armed.finish(), None);
    let events = log.read(0, usize::MAX).events;
    let is_ours = |e: &&foil_collector::Event| {
        e.attribution == Attribution::Tree && e.fields.get("argv").is_some_and(|a| a.starts_with("/bin/true "))
    };
    assert_eq!(events.iter().filter(is_ours).count(), 500);
}
