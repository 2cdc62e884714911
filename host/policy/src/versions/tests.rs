use super::*;
use foil_manifest::Kind;

const OLD: &str = "
id = 'linux.cron'
title = 'Persist through cron'
attack = ['T1053.003']
impact = 'read-only'
shield = ['confined']
programs = ['/usr/bin/id']
limits = { wall-ms = 5000 }
[parameters.count]
type = 'integer'
about = 'How many'
max = 9
[[capability]]
name = 'exec'
allow = ['/usr/bin/id -u', '/bin/cat /etc/*']
reads = ['/etc/cron.d']
env = ['LANG']
reason = 'looks'
[[capability]]
name = 'files-read'
allow = ['/etc/cron.d/*']
reason = 'reads'
";

fn compared(new: &[(&str, &str)]) -> Vec<String> {
    let old = Manifest::from_toml(OLD, Kind::Technique).expect("well-formed");
    let text = new.iter().fold(OLD.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    });
    let new = Manifest::from_toml(&text, Kind::Technique).expect(&text);
    let line = |d: Difference| {
        let asked = if d.asked { "" } else { " (says)" };
        let value = match (d.old, d.new) {
            (Some(old), Some(new)) => format!("{old} -> {new}"),
            (old, new) => old.or(new).unwrap_or_default(),
        };
        format!("{} {}{asked}: {value}", d.effect.word(), d.key)
    };
    versions(&old, &new, None).into_iter().map(line).collect()
}

#[test]
fn the_same_differs_in_nothing() {
    assert_eq!(compared(&[]), [""; 0]);
}

#[test]
fn patterns_are_added_removed_widened_and_narrowed() {
    for (from, to, line) in [
        ("'/usr/bin/id -u'", "'/usr/bin/id ...'", "widened exec.allow: /usr/bin/id -u -> /usr/bin/id ..."),
        ("/bin/cat /etc/*", "/bin/cat /etc/passwd", "narrowed exec.allow: /bin/cat /etc/* -> /bin/cat /etc/passwd"),
        ("'/usr/bin/id -u', ", "", "removed exec.allow: /usr/bin/id -u"),
        ("allow = ['/usr", "allow = ['/bin/sh', '/usr", "added exec.allow: /bin/sh"),
        ("reads = ['/etc/cron.d']", "reads = ['/etc']", "widened exec.reads: /etc/cron.d -> /etc"),
        ("'LANG'", "'LD_PRELOAD', 'LANG'", "added exec.env: LD_PRELOAD"),
        ("env =", "network = 'host'\nenv =", "widened exec.network: loopback -> host"),
        ("env =", "privileges = true\nenv =", "widened exec.privileges: false -> true"),
        ("'/etc/cron.d/*'", "'/etc/**'", "widened files-read.allow: /etc/cron.d/* -> /etc/**"),
        ("'read-only'", "'reversible'", "widened impact: read-only -> reversible"),
        (
            "limits = { wall-ms = 5000 }",
            "root = true\nlimits = { wall-ms = 5000 }",
            "widened root: not needed -> needed",
        ),
        ("['confined']", "['confined', 'open']", "added shield: open"),
        ("wall-ms = 5000", "wall-ms = 6000", "widened limits.wall-ms: 5000 -> 6000"),
        ("limits = { wall-ms = 5000 }", "", "widened limits.wall-ms: 5000 -> the host's default"),
        ("wall-ms = 5000", "wall-ms = 400", "narrowed limits.wall-ms: 5000 -> 400"),
        ("reason = 'looks'", "reason = 'trust me'", "changed exec.reason (says): looks -> trust me"),
        ("['T1053.003']", "['T1053.003', 'T1059']", "added attack (says): T1059"),
        ("Persist through", "Go through", "changed title (says): Persist through cron -> Go through cron"),
    ] {
        assert_eq!(compared(&[(from, to)]), [line]);
    }
}

#[test]
fn capabilities_and_parameters_come_and_go_whole() {
    let files = "[[capability]]\nname = 'files-read'\nallow = ['/etc/cron.d/*']\nreason = 'reads'\n";
    assert_eq!(compared(&[(files, "")]), ["removed files-read: reads", "removed files-read.allow: /etc/cron.d/*"]);
    let written = "[[capability]]\nname = 'files-write'\nallow = ['/tmp/x']\nreason = 'writes'\n";
    let more = compared(&[("'read-only'", "'reversible'"), (files, &format!("{files}{written}"))]);
    assert_eq!(
        more,
        ["added files-write: writes", "added files-write.allow: /tmp/x", "widened impact: read-only -> reversible"]
    );
    let changed = compared(&[("max = 9", "max = 99")]);
    assert!(changed.len() == 1 && changed[0].starts_with("changed parameters.count (says): {"), "{changed:?}");
    let order = compared(&[("['confined']", "['overlay', 'confined']")]);
    assert_eq!(
        order,
        ["added shield: overlay", "changed shield (the first is preferred) (says): confined -> overlay, confined"]
    );
}

#[test]
fn one_that_replaces_several_is_told_once() {
    let both = compared(&[("'/usr/bin/id -u', '/bin/cat /etc/*'", "'/*/*/* -u', '/bin/cat **'")]);
    assert_eq!(
        both,
        ["widened exec.allow: /usr/bin/id -u -> /*/*/* -u", "widened exec.allow: /bin/cat /etc/* -> /bin/cat **"]
    );
    let old = Manifest::from_toml(OLD, Kind::Technique).expect("well-formed");
    let imports = |names: &[&str]| -> Imports {
        let functions = names.iter().map(|name| (*name).to_owned()).collect();
        [("foil:host/exec@0.1.0".to_owned(), functions)].into()
    };
    let found = versions(&old, &old, Some((&imports(&["run"]), &imports(&["run", "start"]))));
    assert!(found.len() == 1 && found[0].is_more() && found[0].new.as_deref() == Some("exec.start"), "{found:?}");
}
