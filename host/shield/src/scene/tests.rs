use super::*;

fn file(path: &str, change: Change, content: &str) -> File {
    File {
        path: path.into(),
        change,
        kind: FileKind::File,
        mode: 0o644,
        uid: 0,
        gid: 0,
        size: content.len() as u64,
        mtime_ns: 1,
        ino: 1,
        content: content.into(),
    }
}

fn files(files: &[(&str, Change, &str)]) -> Scene {
    Scene { files: files.iter().map(|(path, change, text)| file(path, *change, text)).collect(), ..Default::default() }
}

fn lines(now: &Scene, before: &Scene) -> Vec<String> {
    now.left(before).lines().collect()
}

use Change::{Changed, Made, Removed};

#[test]
fn only_what_is_new_is_left() {
    let before = files(&[("/a", Made, "1"), ("/b", Made, "1"), ("/c", Removed, ""), ("/d", Changed, "1")]);
    assert!(before.left(&before).is_empty());
    let now =
        files(&[("/a", Made, "1"), ("/b", Made, "2"), ("/c", Changed, "2"), ("/d", Removed, ""), ("/e", Made, "")]);
    assert_eq!(lines(&now, &before), ["changed /b", "made /c", "removed /d", "made /e"]);
}

/// Editing there and back leaves another inode and other times, and is nothing.
#[test]
fn times_and_inodes_do_not_count_but_modes_and_owners_do() {
    let before = files(&[("/a", Made, "1")]);
    let mut now = before.clone();
    now.files[0].ino = 2;
    now.files[0].mtime_ns = 2;
    assert!(now.left(&before).is_empty());
    now.files[0].mode = 0o4755;
    assert_eq!(lines(&now, &before), ["changed /a"]);
    let mut now = before.clone();
    now.files[0].uid = 5;
    assert_eq!(lines(&now, &before), ["changed /a"]);
}

/// What was made before and is gone leaves no trace, and is not left. A removed or changed file of the machine that is
/// as on the machine again is not left.
#[test]
fn what_was_made_before_and_is_gone_is_not_left() {
    let before = files(&[
        ("/t", Made, ""),
        ("/t/a", Made, "1"),
        ("/t/b/c", Made, "1"),
        ("/m", Removed, ""),
        ("/n", Changed, "1"),
    ]);
    let mut before = before;
    before.files.push(file("/t/b", Made, ""));
    assert!(Scene::default().left(&before).is_empty());
    // A look that met its bound proves nothing.
    let cut = Scene { more: true, ..Default::default() };
    let left = cut.left(&before);
    assert!(left.is_empty() && left.more);
    assert!(Scene::default().left(&cut).more);
}

#[test]
fn cron_jobs_are_told_from_other_files() {
    let jobs =
        ["/etc/cron.d/x", "/etc/cron.daily/x", "/etc/crontab", "/var/spool/cron/crontabs/root", "/var/spool/cron/r"];
    for path in jobs {
        assert_eq!(lines(&files(&[(path, Made, "")]), &Scene::default()), [format!("added the cron job {path}")]);
    }
    assert_eq!(lines(&files(&[(jobs[0], Changed, "")]), &Scene::default()), ["changed the cron job /etc/cron.d/x"]);
    for path in ["/etc/cron.allow", "/etc/cronx", "/home/a/etc/cron.d/x", "/var/spool/cronx"] {
        assert_eq!(lines(&files(&[(path, Made, "")]), &Scene::default()), [format!("made {path}")]);
    }
    let mut folder = files(&[("/etc/cron.d/sub", Made, "")]);
    folder.files[0].kind = FileKind::Directory;
    assert_eq!(lines(&folder, &Scene::default()), ["made /etc/cron.d/sub"]);
}

#[test]
fn processes_listeners_mounts_and_accounts_are_compared() {
    let process = |pid, start, command: &str| Process { pid, parent: 1, start, command: command.into() };
    let listener = |address: &str| Listener { protocol: "tcp".into(), address: address.into() };
    let mount = |id, point: &str| Mount { id, point: point.into(), kind: "tmpfs".into() };
    let account = |kind, name: &str, fields: &str| Account { kind, name: name.into(), fields: fields.into() };
    let before = Scene {
        processes: vec![process(5, 1, "old"), process(6, 1, "ended"), process(7, 1, "ended")],
        listeners: vec![listener("0.0.0.0:1"), listener("0.0.0.0:2")],
        mounts: vec![mount(1, "/"), mount(2, "/a")],
        accounts: vec![
            account(AccountKind::User, "root", "0:0"),
            account(AccountKind::User, "gone", "1:1"),
            account(AccountKind::Group, "sudo", "27:"),
        ],
        ..Default::default()
    };
    let now = Scene {
        // A number that was given again is another process.
        processes: vec![process(5, 1, "old"), process(6, 9, "sleep 900")],
        listeners: vec![listener("0.0.0.0:1"), listener("0.0.0.0:4444")],
        mounts: vec![mount(1, "/"), mount(3, "/mnt")],
        accounts: vec![
            account(AccountKind::User, "root", "0:0"),
            account(AccountKind::User, "art", "0:0"),
            account(AccountKind::Group, "sudo", "27:art"),
        ],
        passwords: passwords(&["root"], &["root", "art"]),
        ..Default::default()
    };
    assert!(now.left(&now).is_empty());
    assert_eq!(
        lines(&now, &before),
        [
            "process 6 `sleep 900`",
            "listens on tcp 0.0.0.0:4444",
            "mounted tmpfs on /mnt",
            "unmounted tmpfs from /a",
            "added the user art",
            "changed the group sudo",
            "removed the user gone",
            "added the password of art",
        ]
    );
}

fn passwords(machine: &[&str], now: &[&str]) -> Option<Passwords> {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Some(Passwords { machine: names(machine), now: names(now) })
}

#[test]
fn passwords_are_compared_with_the_machines_where_they_were_its_own() {
    let scene = |passwords| Scene { passwords, ..Default::default() };
    let untouched = scene(None);
    let added = scene(passwords(&["root"], &["root", "art"]));
    assert_eq!(lines(&added, &untouched), ["added the password of art"]);
    assert_eq!(lines(&untouched, &added), ["removed the password of art"], "put back by another file");
    assert_eq!(lines(&scene(passwords(&["root", "ann"], &["root"])), &untouched), ["removed the password of ann"]);
    assert_eq!(lines(&scene(passwords(&["root"], &["root", "bob"])), &added).len(), 2);
    assert!(scene(passwords(&["root"], &["root"])).left(&untouched).is_empty(), "the same names in another file");
}

#[test]
fn a_report_has_it_in_kebab_case() {
    let left = files(&[("/etc/cron.d/x", Made, "1")]).left(&Scene::default());
    let json = serde_json::to_value(&left).unwrap();
    assert_eq!(json["files"][0]["change"], "made");
    assert_eq!((&json["files"][0]["kind"], &json["more"]), (&"file".into(), &false.into()));
    let schema = serde_json::to_value(schemars::schema_for!(Left)).unwrap();
    jsonschema::validate(&schema, &json).unwrap();
}
