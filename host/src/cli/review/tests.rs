use super::*;
use anstream::adapter::strip_str;
use foil_manifest::{Digest, Kind, Manifest};
use foil_policy::grants;
use std::collections::{BTreeMap, BTreeSet};

const MANIFEST: &str = "
id = 'linux.cron'
title = 'Persist through cron'
about = 'Writes a crontab that runs a harmless command, and lets a shell look whether it is there.'
attack = ['T1053.003']
impact = 'reversible'
shield = ['overlay', 'open']
root = true
limits = { wall-ms = 5000 }
[[capability]]
name = 'exec'
allow = ['/bin/sh -c ...', '/usr/bin/id -u']
reads = ['/etc/cron.d']
writes = ['/var/spool/cron/crontabs/a-file-with-a-name-so-long-that-it-does-not-fit-into-the-line']
env = ['LANG', 'LD_PRELOAD']
network = 'host'
privileges = true
reason = 'looks whether cron has read the file, which takes a shell, and this sentence takes more than one line'
[[capability]]
name = 'files-write'
allow = ['/etc/cron.d/foil-{run}']
reason = 'the crontab'
[[capability]]
name = 'files-read'
allow = ['/etc/crontab']
reason = 'never used'
";

fn review(grants: &str, builtin: bool) -> (String, serde_json::Value, String) {
    let imports: &[(&str, &[&str])] = &[("exec", &["run"]), ("files-write", &["remove", "write"]), ("types", &[])];
    review_of(MANIFEST, imports, grants, builtin)
}

fn review_of(
    manifest: &str,
    imports: &[(&str, &[&str])],
    grants: &str,
    builtin: bool,
) -> (String, serde_json::Value, String) {
    let manifest = Manifest::from_toml(manifest, Kind::Technique).expect("well-formed");
    let functions = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<BTreeSet<_>>();
    let imports: BTreeMap<_, _> =
        imports.iter().map(|(name, names)| (format!("foil:host/{name}@0.1.0"), functions(names))).collect();
    let module = Judged {
        manifest: &manifest,
        digest: Digest::of(b"x"),
        judged: Digest::of(b"y"),
        builtin,
        script: false,
        imports: &imports,
    };
    let grants = grants::parse(grants).expect("well-formed");
    let now = "2026-06-15T12:00:00Z".parse().expect("a moment");
    let review = Review::of(module, &grants, now);
    let coloured = review.text();
    (strip_str(&coloured).to_string(), json::render(&review, None), coloured)
}

const BEFORE: &str = "
[[grant]]
module = 'linux.cron'
digest = 'sha256:0000000000000000000000000000000000000000000000000000000000000000'
granted = 2026-05-01
reviewer = 'Ann'
reason = 'needed for the spring exercise'
shield = ['overlay']
impact = 'read-only'
[[grant.capability]]
name = 'exec'
allow = ['/usr/bin/id -u', '/usr/bin/crontab -l']
reads = ['/etc/cron.d']
[[grant.capability]]
name = 'files-write'
allow = ['/etc/cron.d/foil-{run}']
";

#[test]
fn a_module_that_nobody_granted() {
    insta::assert_snapshot!(review("", false).0);
}

#[test]
fn a_module_that_changed_since() {
    let (text, _, _) = review(BEFORE, false);
    let (_, grant) = text.split_once("\nGrant\n").expect("a heading");
    insta::assert_snapshot!(grant);
}

#[test]
fn the_review_for_programs() {
    insta::assert_json_snapshot!(review(BEFORE, false).1);
}

#[test]
fn no_line_is_longer_than_the_page_unless_one_word_is() {
    for line in review(BEFORE, true).0.lines() {
        let fits = line.chars().count() <= 80 || !line.trim_start().contains(' ') || line.contains("a-file-with");
        assert!(fits, "{line}");
    }
}

#[test]
fn what_is_dangerous_is_red_and_what_is_foreign_is_escaped() {
    let (plain, _, coloured) = review(
        &BEFORE.replace("'Ann'", "\"A\\u202E\\u001Bnn\"").replace(&"0".repeat(64), &Digest::of(b"x").hex()),
        false,
    );
    let red = page::RED.to_string();
    for words in [
        "! `/bin/sh -c ...` is arbitrary code",
        "run       /bin/sh",
        "shield    open",
        "exec: starts programs",
        "write     /etc/cron.d",
    ] {
        let line = coloured.lines().find(|l| l.contains(words)).expect(words);
        assert!(line.contains(&red), "{line}");
    }
    assert!(!plain.contains(['\u{202e}', '\u{1b}']));
    assert!(plain.contains("A\\u{202e}\\u{1b}nn"), "{plain}");
}

#[test]
fn the_states_have_names() {
    let state = |grants: &str, builtin| review(grants, builtin).1["grant"]["state"].as_str().map(str::to_owned);
    let ours = BEFORE.replace(&"0".repeat(64), &Digest::of(b"x").hex());
    assert_eq!(state("", false).as_deref(), Some("not-granted"));
    assert_eq!(state(BEFORE, false).as_deref(), Some("stale"));
    assert_eq!(state(&ours, false).as_deref(), Some("granted"));
    assert_eq!(state(&ours.replace("impact", "expires = 2026-06-01\nimpact"), false).as_deref(), Some("expired"));
    let revoked = "revoked = { when = 2026-06-01, who = 'Bob', why = 'over' }\nimpact";
    assert_eq!(state(&ours.replace("impact", revoked), false).as_deref(), Some("revoked"));
}

const CLUSTER: &str = "
id = 'kubernetes.shell'
title = 'Start a shell in a pod'
attack = ['T1609']
impact = 'reversible'
[[capability]]
name = 'kube-read'
allow = [{ verbs = ['get', 'list'], resource = 'secrets' }]
reason = 'looks'
[[capability]]
name = 'kube-write'
allow = [{ verbs = ['create'], resource = 'pods', namespace = '{namespace}', name = 'foil-{run}', pod = { images = ['{image}'], host-paths-writable = ['/etc'] } }]
reason = 'makes the pod'
[[capability]]
name = 'kube-exec'
allow = [{ verbs = ['exec'], resource = 'pods', namespace = '{namespace}', name = 'foil-{run}', commands = ['/bin/sh -c ...'] }]
reason = 'starts the shell'
";

#[test]
fn what_a_module_may_do_to_a_cluster() {
    let imports: &[(&str, &[&str])] = &[("kube-exec", &["run"]), ("kube-read", &["get"]), ("kube-write", &["create"])];
    let before = BEFORE.replace("linux.cron", "kubernetes.shell");
    let (text, _, coloured) = review_of(CLUSTER, imports, &before, false);
    insta::assert_snapshot!(text);
    for words in ["may       create pods", "kube-write: makes", "+ kube-exec.allow", "! `/bin/sh -c ...` in a pod"] {
        let line = coloured.lines().find(|l| l.contains(words)).expect(words);
        assert!(line.contains(&page::RED.to_string()), "{line}");
    }
}
