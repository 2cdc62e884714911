//! Beside a real audit daemon: listen, and add nothing.

use super::support::{Init, Machine, execs, find};
use foil_collector::audit::{self, Control, RuleError, RuleRequest};
use foil_collector::{ArmOptions, ProcessTree, arm};
use foil_record::Attribution;
use foil_text::RunId;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

struct Daemon {
    process: Child,
    enabled: u32,
}

impl Daemon {
    fn start(folder: &Path) -> Self {
        let enabled = Control::open().unwrap().status().unwrap().enabled;
        let show = folder.display();
        std::fs::create_dir(folder.join("plugins.d")).unwrap();
        let conf = format!(
            "local_events = yes\nwrite_logs = yes\nlog_file = {show}/audit.log\nlog_format = ENRICHED\nflush = INCREMENTAL_ASYNC\n\
             freq = 1\nplugin_dir = {show}/plugins.d\nmax_log_file_action = IGNORE\nspace_left = 3\nspace_left_action = IGNORE\nadmin_space_left = 2\n\
             admin_space_left_action = IGNORE\ndisk_full_action = IGNORE\ndisk_error_action = IGNORE\n"
        );
        std::fs::write(folder.join("auditd.conf"), conf).unwrap();
        let process = Command::new("auditd")
            .arg("-n")
            .arg("-c")
            .arg(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("auditd");
        let daemon = Self { process, enabled };
        let deadline = Instant::now() + Duration::from_secs(10);
        while Control::open().unwrap().status().unwrap().pid == 0 {
            assert!(Instant::now() < deadline, "auditd does not come up");
            std::thread::sleep(Duration::from_millis(20));
        }
        daemon
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
        let control = Control::open().unwrap();
        for rule in control.rules().unwrap().iter().filter(|r| r.key() == Some("soc-exec")) {
            control.delete(rule).unwrap();
        }
        control.enable(self.enabled != 0).unwrap();
    }
}

#[test]
fn beside_a_daemon_foil_only_listens() {
    let Some(_machine) = Machine::take() else { return };
    if Command::new("auditd").arg("-h").output().is_err() {
        println!("skipped: no auditd here");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let _daemon = Daemon::start(folder.path());
    let added = Command::new("auditctl")
        .args(["-a", "always,exit", "-F", "arch=b64", "-S", "execve", "-k", "soc-exec"])
        .output();
    assert!(added.unwrap().status.success());

    let run = RunId::new();
    let request = RuleRequest { syscalls: vec!["execve".into()], ..RuleRequest::default() };
    assert!(matches!(audit::plan_own_rules(&request, &run), Err(RuleError::Daemon(_))));

    let rules = Control::open().unwrap().rules().unwrap();
    let tree = ProcessTree::new();
    let armed = arm(audit::NAME, &ArmOptions::new(run, tree.clone())).expect("armed");
    let init = Init::start("/bin/true beside; true");
    tree.feed(&init.tree());
    init.go();
    let seen = find(&armed.log, |e| execs(e, "/bin/true beside"));
    assert_eq!(seen.attribution, Attribution::Tree);
    assert_eq!(seen.fields["key"], "soc-exec");
    assert!(!seen.fields.contains_key("rules"), "it was the operator's rule that recorded it");
    assert_eq!(armed.finish(), None);
    assert_eq!(Control::open().unwrap().rules().unwrap(), rules);

    let log = std::fs::read_to_string(folder.path().join("audit.log")).unwrap();
    assert!(log.contains("beside"), "the daemon has it too");
}
