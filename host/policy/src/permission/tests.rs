use super::*;

fn capability(toml: &str) -> Capability {
    toml::from_str(toml).expect(toml)
}

fn permission(request: &[&str], grant: &[&str], guardrail: Option<&[&str]>) -> Permission {
    let list = |texts: &[&str]| texts.iter().map(|t| capability(t)).collect();
    Permission {
        request: list(request),
        grant: list(grant),
        guardrail: guardrail.map(list),
        variables: Variables { run: "01abc".into(), scratch: "/tmp/foil-01abc".into(), ..Variables::default() },
        own: vec!["/var/lib/foil".into()],
    }
}

const ANY: &str = "name = 'exec'\nallow = ['/** ...']\nenv = ['A', 'B']";

fn run(permission: &Permission, words: &[&str], env: &[&str]) -> Result<(), String> {
    let arguments: Vec<String> = words[1..].iter().map(|w| (*w).to_owned()).collect();
    permission.exec(words[0], &arguments, env).map_err(|d| d.to_string())
}

#[test]
fn a_denial_names_the_layer_and_the_nearest_rule() {
    let one = "name = 'exec'\nallow = ['/usr/bin/uname -a']";
    let p = permission(&[ANY], &[one], None);
    assert_eq!(run(&p, &["/usr/bin/uname", "-a"], &[]), Ok(()));
    assert_eq!(
        run(&p, &["/usr/bin/uname", "-r"], &[]).unwrap_err(),
        "exec: the grant allows `/usr/bin/uname -a` only, not `/usr/bin/uname -r`"
    );
    let two = "name = 'exec'\nallow = ['/usr/bin/id', '/usr/bin/uname -a']";
    assert_eq!(
        run(&permission(&[ANY], &[ANY], Some(&[two])), &["/usr/bin/uname", "-r"], &[]).unwrap_err(),
        "exec: the guardrail does not allow `/usr/bin/uname -r`; the nearest of its 2 rules is `/usr/bin/uname -a`"
    );
    assert_eq!(
        run(&permission(&[ANY], &[ANY], Some(&[])), &["/bin/id"], &[]).unwrap_err(),
        "exec: the guardrail has no `exec`"
    );
    assert_eq!(run(&permission(&[], &[ANY], None), &["/bin/id"], &[]).unwrap_err(), "exec: the request has no `exec`");
}

#[test]
fn environment_variables_must_be_listed_by_every_layer() {
    let some = "name = 'exec'\nallow = ['/** ...']\nenv = ['A']";
    let p = permission(&[ANY], &[some], None);
    assert_eq!(run(&p, &["/bin/id"], &["A"]), Ok(()));
    assert_eq!(
        run(&p, &["/bin/id"], &["A", "LD_PRELOAD"]).unwrap_err(),
        "exec: the request does not let the module set the environment variable `LD_PRELOAD`: it lists `A`, `B`"
    );
    assert_eq!(
        run(&p, &["/bin/id"], &["B"]).unwrap_err(),
        "exec: the grant does not let the module set the environment variable `B`: it lists `A`"
    );
}

#[test]
fn one_set_of_rules_must_allow_both_command_and_variables() {
    let id = "name = 'exec'\nallow = ['/bin/id']\nenv = ['A']";
    let ls = "name = 'exec'\nallow = ['/bin/ls']";
    let p = permission(&[ANY], &[id, ls], None);
    assert_eq!(run(&p, &["/bin/id"], &["A"]), Ok(()));
    assert!(run(&p, &["/bin/ls"], &["A"]).is_err());
}

#[test]
fn what_a_guest_sent_is_cut_and_escaped() {
    let p = permission(&[ANY], &["name = 'exec'\nallow = ['/bin/x']"], None);
    let long = "\u{1b}\u{202e}é".repeat(50_000);
    let rule = p.exec(&format!("/{long}"), &[long.clone(), long], &[]).unwrap_err().rule;
    assert!(rule.len() <= 512, "{}", rule.len());
    assert!(!rule.contains(['\u{1b}', '\u{202e}']), "{rule}");
    let name = "\n".repeat(100_000);
    assert!(p.exec("/bin/x", &[], &[&name]).unwrap_err().rule.len() <= 512);
    assert!(p.read(&name).unwrap_err().rule.len() <= 512);
    assert!(p.collector(&name).unwrap_err().rule.len() <= 512);
}

#[test]
fn a_path_is_exact_where_every_layer_names_it() {
    let pattern = "name = 'files-write'\nallow = ['/etc/cron.d/foil-*']";
    let literal = "name = 'files-write'\nallow = ['/etc/cron.d/foil-{run}', '/etc/cron.d/*']";
    assert_eq!(permission(&[literal], &[literal], None).write("/etc/cron.d/foil-01abc"), Ok(Exactness::Literal));
    assert_eq!(permission(&[literal], &[pattern], None).write("/etc/cron.d/foil-01abc"), Ok(Exactness::Pattern));
    assert_eq!(
        permission(&[literal], &[literal], Some(&[pattern])).write("/etc/cron.d/foil-01abc"),
        Ok(Exactness::Pattern)
    );
    assert!(permission(&[literal], &[pattern], None).write("/etc/cron.d/x").is_err());
}

#[test]
fn reading_and_writing_are_two_privileges() {
    let write = "name = 'files-write'\nallow = ['/tmp/**']";
    let p = permission(&[write], &[write], None);
    assert!(p.write("/tmp/x").is_ok());
    assert_eq!(p.read("/tmp/x").unwrap_err().to_string(), "files-read: the request has no `files-read`");
}

#[test]
fn a_rule_whose_variable_has_no_value_allows_nothing() {
    let scratch = "name = 'files-write'\nallow = ['{scratch}/**']";
    let mut p = permission(&[scratch], &[scratch], None);
    assert!(p.write("/tmp/foil-01abc/x").is_ok());
    p.variables = Variables::default();
    assert!(p.write("/etc/passwd").is_err());
}

#[test]
fn linked_is_what_all_layers_have() {
    let read = "name = 'files-read'\nallow = ['/etc/*']";
    let serve = "name = 'loopback-serve'";
    let linked = |p: Permission| p.linked().into_iter().collect::<Vec<_>>();
    assert_eq!(
        linked(permission(&[ANY, read, serve], &[read, ANY], None)),
        [CapabilityName::Exec, CapabilityName::FilesRead]
    );
    assert_eq!(linked(permission(&[ANY, read], &[read, ANY], Some(&[read]))), [CapabilityName::FilesRead]);
    assert_eq!(linked(permission(&[ANY], &[ANY], Some(&[]))), []);
}

#[test]
fn collectors_and_plain_capabilities() {
    let audit = "name = 'events-read'\nallow = ['linux.audit']";
    let p = permission(&[audit], &[audit], None);
    assert_eq!(p.collector("linux.audit"), Ok(()));
    assert_eq!(
        p.collector("inbox").unwrap_err().to_string(),
        "events-read: the request allows `linux.audit` only, not `inbox`"
    );
    let serve = "name = 'loopback-serve'";
    assert_eq!(permission(&[serve], &[serve], None).plain(CapabilityName::LoopbackServe), Ok(()));
    assert_eq!(
        permission(&[serve], &[], None).plain(CapabilityName::LoopbackServe).unwrap_err().rule,
        "the grant has no `loopback-serve`"
    );
}

#[test]
fn foils_own_folders_are_out_of_reach_whatever_was_granted() {
    let all = "name = 'files-read'\nallow = ['/**']";
    let p = permission(&[all], &[all], None);
    assert_eq!(p.read("/var/lib/foilx"), Ok(Exactness::Pattern));
    for path in ["/var/lib/foil", "/var/lib/foil/journal.db"] {
        let denial = p.read(path).unwrap_err().to_string();
        assert!(denial.contains("Foil's own") && denial.contains(path), "{denial}");
    }
}
