//! Rules of Foil's own, and what others do to rules.

use super::support::{Init, Machine, Rules, armed, execs, find};
use foil_collector::audit::{self, Control, OwnRules, RuleRequest};
use foil_collector::{ArmOptions, Blindness, ProcessTree, arm};
use foil_text::RunId;

#[test]
fn rules_come_and_go() {
    let Some(_machine) = Machine::take() else { return };
    let control = Control::open().unwrap();
    let (status, listed) = (control.status().unwrap(), control.rules().unwrap());
    let run = RunId::new();
    let request = RuleRequest {
        syscalls: vec!["execve".into(), "unlinkat".into(), "process_vm_writev".into(), "connect".into()],
        uid: Some(0),
        rules: vec!["-a always,exit -F arch=b64 -S openat,open -F exit=-EACCES".into()],
    };
    let own = Rules(audit::plan_own_rules(&request, &run).unwrap());
    assert_eq!(control.rules().unwrap(), listed, "a plan changes nothing");
    assert!(!audit::present(&own.0).unwrap());
    audit::install(&own.0).unwrap();
    assert!(audit::present(&own.0).unwrap());
    assert_eq!(control.rules().unwrap().len(), listed.len() + 2);
    assert_eq!(control.status().unwrap().enabled, 1);
    audit::install(&own.0).expect("again does no harm");
    // As a later process finds it in the journal.
    let (rules, disable) = own.0.undo();
    let again = OwnRules::from_undo(&rules, disable).unwrap();
    audit::remove(&again).unwrap();
    audit::remove(&again).expect("again does no harm");
    assert!(!audit::present(&own.0).unwrap());
    assert_eq!(control.rules().unwrap(), listed);
    assert_eq!(control.status().unwrap().enabled, status.enabled);
}

#[test]
fn of_two_runs_the_last_switches_auditing_off() {
    let Some(_machine) = Machine::take() else { return };
    let control = Control::open().unwrap();
    let before = control.status().unwrap().enabled;
    let first = Rules::plan(&RunId::new(), &["execve"]);
    audit::install(&first.0).unwrap();
    let second = Rules::plan(&RunId::new(), &["execve"]);
    audit::install(&second.0).unwrap();
    audit::remove(&first.0).unwrap();
    assert_eq!(control.status().unwrap().enabled, 1, "the second still needs it");
    audit::remove(&second.0).unwrap();
    assert_eq!(control.status().unwrap().enabled, before);
}

#[test]
fn without_auditing_there_is_nothing_to_listen_to() {
    let Some(_machine) = Machine::take() else { return };
    if Control::open().unwrap().status().unwrap().enabled != 0 {
        println!("skipped: auditing is on here");
        return;
    }
    let options = ArmOptions::new(RunId::new(), ProcessTree::new());
    let error = arm(audit::NAME, &options).unwrap_err();
    assert!(matches!(&error, Blindness::Dead(why) if why.contains("switched off")), "{error}");
    assert!(matches!(arm("linux.audits", &options), Err(Blindness::Dead(why)) if why.contains("foil.observed")));
}

#[test]
fn a_flush_by_somebody_else_blinds() {
    let Some(_machine) = Machine::take() else { return };
    let run = RunId::new();
    let (armed, rules) = armed(&run, &ProcessTree::new(), &["execve"]);
    Init::start("/bin/true before; true").go();
    find(&armed.log, |e| execs(e, "/bin/true before"));
    assert_eq!(armed.verify(), None);
    let control = Control::open().unwrap();
    for rule in control.rules().unwrap().iter().filter(|r| r.key().is_some_and(|k| k.contains(run.as_str()))) {
        control.delete(rule).unwrap();
    }
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(2);
    while armed.log.blind().is_none() && std::time::Instant::now() < deadline {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let live = armed.log.blind();
    assert!(matches!(&live, Some(Blindness::Lost(why)) if why.contains("rules were removed while")), "{live:?}");
    assert!(matches!(armed.finish(), Some(Blindness::Lost(why)) if why.contains("rules were removed")));
    drop(rules);
}

#[test]
fn switching_auditing_off_blinds() {
    let Some(_machine) = Machine::take() else { return };
    let (armed, rules) = armed(&RunId::new(), &ProcessTree::new(), &["execve"]);
    Control::open().unwrap().enable(false).unwrap();
    let end = armed.finish();
    assert!(matches!(&end, Some(Blindness::Lost(why)) if why.contains("switched auditing off")), "{end:?}");
    drop(rules);
}
