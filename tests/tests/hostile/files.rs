//! Guests that reach for files beyond what was granted.

use foil_tests::hostile::{Ended, Guest, Stage};
use std::os::unix::fs::{PermissionsExt as _, symlink};

fn read(stage: &Stage, allow: &str, path: &str) -> Ended {
    let mut guest = Guest::technique("test.read").asks("files-read", &format!("allow = [{allow:?}]"));
    let name = guest.text(path);
    // What was read is the summary, so that a test sees what got out.
    let act = format!(
        "(call $read {name} (i64.const 0) (i32.const 4096) (i32.const 512))
        (if (result i32) (i32.load8_u (i32.const 512)) (then (i32.const 512))
            (else (call $say (i32.load (i32.const 516)) (i32.load (i32.const 520)))))"
    );
    stage.fire(&guest.act(&act))
}

fn write(stage: &Stage, allow: &str, path: &str, mode: &str) -> Ended {
    let mut guest = Guest::technique("test.write").asks("files-write", &format!("allow = [{allow:?}]"));
    let (name, content) = (guest.text(path), guest.text("overwritten"));
    stage.fire(&guest.act(&format!("(call $write {name} {content} (i32.const 3) {mode} (i32.const 512)) (call $or4)")))
}

const NO_MODE: &str = "(i32.const 0) (i32.const 0)";

/// A stage with a secret beside the folder that is granted.
fn stage() -> (Stage, String, String) {
    let stage = Stage::new();
    std::fs::create_dir(stage.data("open")).expect("writable");
    std::fs::write(stage.data("open/plain"), "plain words").expect("writable");
    std::fs::write(stage.data("secret"), "the secret").expect("writable");
    let (allow, secret) = (format!("{}/**", stage.data("open")), stage.data("secret"));
    (stage, allow, secret)
}

#[track_caller]
fn kept(ended: &Ended, word: &str) {
    let report = ended.report();
    // What policy denies says nothing of the technique; what the host refuses on looking is the module's mistake.
    let verdict = report["verdict"].as_str().unwrap_or_default();
    assert!(["inconclusive", "error"].contains(&verdict) && !ended.stdout.contains("the secret"), "{report:#}");
    let why = report["reason"].as_str().unwrap_or_default();
    assert!(why.contains(word), "{why}");
}

#[test]
fn what_is_granted_can_be_read() {
    let (stage, allow, _) = stage();
    let ended = read(&stage, &allow, &stage.data("open/plain"));
    ended.is("pass", 0, "");
    assert_eq!(ended.report()["summary"], "plain words");
}

#[test]
fn another_file() {
    let (stage, allow, secret) = stage();
    kept(&read(&stage, &allow, &secret), "denied: `files-read`");
    kept(&read(&stage, &allow, "/etc/shadow"), "denied: `files-read`");
}

#[test]
fn upwards() {
    let (stage, allow, _) = stage();
    for path in ["open/../secret", "open/./../secret", "open/x/../../secret", "open//../secret"] {
        kept(&read(&stage, &allow, &stage.data(path)), "denied: `files-read`");
    }
}

#[test]
fn through_symbolic_links() {
    let (stage, allow, secret) = stage();
    symlink(&secret, stage.data("open/link")).expect("linked");
    symlink("../secret", stage.data("open/relative")).expect("linked");
    symlink("..", stage.data("open/folder")).expect("linked");
    symlink("/proc/self/root", stage.data("open/root")).expect("linked");
    for path in
        ["open/link".to_owned(), "open/relative".into(), "open/folder/secret".into(), format!("open/root{secret}")]
    {
        kept(&read(&stage, &allow, &stage.data(&path)), "");
    }
}

#[test]
fn through_a_hard_link() {
    let (stage, allow, secret) = stage();
    std::fs::hard_link(&secret, stage.data("open/hard")).expect("linked");
    kept(&read(&stage, &allow, &stage.data("open/hard")), "hard links");
}

#[test]
fn what_is_no_file() {
    let (stage, allow, _) = stage();
    let fifo = stage.data("open/fifo");
    nix::unistd::mkfifo(fifo.as_str(), nix::sys::stat::Mode::S_IRWXU).expect("made");
    let _listening = std::os::unix::net::UnixListener::bind(stage.data("open/socket")).expect("bound");
    for path in [fifo, stage.data("open/socket"), stage.data("open")] {
        let ended = read(&stage, &allow.replace("open/**", "**"), &path);
        kept(&ended, "is no regular file");
        assert!(ended.report()["duration-ms"].as_u64().is_some_and(|ms| ms < 10_000));
    }
    for path in ["/dev/zero", "/dev/tty", "/dev/mem"] {
        let report = read(&stage, "/dev/*", path).report();
        assert_ne!(report["verdict"], "pass", "{path}: {report:#}");
    }
}

#[test]
fn proc_leads_nowhere() {
    let (stage, ..) = stage();
    for path in [
        "/proc/self/root/etc/shadow",
        "/proc/1/root/etc/shadow",
        "/proc/self/cwd/grants.toml",
        "/proc/thread-self/root/etc/passwd",
    ] {
        let ended = read(&stage, "/proc/**", path);
        assert!(ended.code != 0 && !ended.stdout.contains("root:"), "{path}: {}", ended.stdout);
        assert!(!ended.stdout.contains("reviewer"), "{path}: {}", ended.stdout);
    }
}

#[test]
fn foil_itself_is_not_read() {
    // Whatever was granted: its memory and its environment hold what must never enter the sandbox.
    let (stage, ..) = stage();
    for path in ["/proc/self/environ", "/proc/self/maps", "/proc/thread-self/environ", "/proc/self/task"] {
        let ended = read(&stage, "/proc/**", path);
        assert!(!ended.stdout.contains("FOIL_STATE="), "{path}: {}", ended.stdout);
        assert_eq!(ended.report()["verdict"], "error", "{path}: {}", ended.stdout);
    }
}

#[test]
fn paths_that_are_none() {
    let (stage, allow, _) = stage();
    let long = format!("{}/{}", stage.data("open"), "x".repeat(1 << 20));
    for path in
        ["", "relative", "\0", &format!("{}/a\0b", stage.data("open")), &long, &stage.data("open/").replace('/', "//")]
    {
        kept(&read(&stage, &allow, path), "");
    }
}

#[test]
fn a_read_without_bounds() {
    let (stage, allow, _) = stage();
    let mut guest = Guest::technique("test.unbounded").asks("files-read", &format!("allow = [{allow:?}]"));
    let name = guest.text(&stage.data("open/plain"));
    let call = format!("(call $read {name} (i64.const -1) (i32.const -1) (i32.const 512)) (call $or4)");
    stage.fire(&guest.act(&call)).is("error", 5, "it must be 1 to 1048576");
}

#[test]
fn a_file_of_a_terabyte() {
    let (stage, allow, _) = stage();
    let file = std::fs::File::create(stage.data("open/huge")).expect("made");
    file.set_len(1 << 40).expect("sparse");
    read(&stage, &allow, &stage.data("open/huge")).is("pass", 0, "");
}

#[test]
fn a_write_through_a_link() {
    let (stage, allow, secret) = stage();
    symlink(&secret, stage.data("open/link")).expect("linked");
    symlink("..", stage.data("open/folder")).expect("linked");
    std::fs::hard_link(&secret, stage.data("open/hard")).expect("linked");
    for path in ["open/link", "open/folder/secret", "open/hard", "open/../secret"] {
        let report = write(&stage, &allow, &stage.data(path), NO_MODE).report();
        assert!(report["verdict"] == "error" || report["verdict"] == "inconclusive", "{path}: {report:#}");
        assert_eq!(std::fs::read_to_string(&secret).expect("there"), "the secret", "{path}");
    }
}

#[test]
fn a_write_where_foil_keeps_its_state() {
    let (stage, ..) = stage();
    let state = stage.root.join("state").display().to_string();
    let root = stage.root.display().to_string();
    std::fs::create_dir(stage.root.join("rules")).expect("writable");
    std::fs::write(stage.root.join("foil.yaml"), "environment: hostile\nrules: [rules]\n").expect("writable");
    for rule in [
        format!("{state}/**"),
        format!("{root}/**"),
        format!("{state}/journal*"),
        format!("{root}/grants.toml"),
        format!("{root}/foil.yaml"),
        format!("{root}/*.yaml"),
        format!("{root}/modules/*"),
        format!("{root}/rules/{{run}}.yml"),
        "/**".into(),
    ] {
        let guest = Guest::technique("test.state").asks("files-write", &format!("allow = [{rule:?}]"));
        let refused = stage.add(&guest).grant_with("test.state", &[]);
        assert!(refused.code == 2 && refused.stderr.contains("Foil's own files"), "{rule}: {refused:?}");
    }
}

#[test]
fn set_id_bits() {
    let (stage, allow, _) = stage();
    for mode in ["0o4755", "0o2755", "0o1777", "-1"] {
        let number = mode.strip_prefix("0o").map_or(-1, |m| i32::from_str_radix(m, 8).expect("octal"));
        let ended = write(&stage, &allow, &stage.data("open/set"), &format!("(i32.const 1) (i32.const {number})"));
        ended.is("error", 5, "only permission bits may be set");
    }
    assert!(!std::path::Path::new(&stage.data("open/set")).exists());
}

#[test]
fn content_over_the_limit() {
    let (stage, allow, _) = stage();
    for (length, reason) in [(1_500_000, "one write has at most"), (4_000_000, "transfer"), (0x4000_0000, "trapped")] {
        let mut guest =
            Guest::technique("test.content").asks("files-write", &format!("allow = [{allow:?}]")).memory("100");
        let name = guest.text(&stage.data("open/new"));
        let call = format!(
            "(call $write {name} (i32.const 0) (i32.const {length}) (i32.const 0) {NO_MODE} (i32.const 512)) (call $or4)"
        );
        stage.fire(&guest.act(&call)).is("error", 5, reason);
        assert!(!std::path::Path::new(&stage.data("open/new")).exists());
    }
}

#[test]
fn what_a_guest_wrote_before_it_trapped_is_undone() {
    let (stage, allow, _) = stage();
    let plain = stage.data("open/plain");
    std::fs::set_permissions(&plain, std::fs::Permissions::from_mode(0o640)).expect("ours");
    let mut guest = Guest::technique("test.half").asks("files-write", &format!("allow = [{allow:?}]"));
    let (old, new, words) = (guest.text(&plain), guest.text(&stage.data("open/new")), guest.text("overwritten"));
    let one = |name: &str| {
        format!(
            "(call $write {name} {words} (i32.const 3) {NO_MODE} (i32.const 512)) (if (i32.load8_u (i32.const 512)) (then (return (call $or4))))"
        )
    };
    let ended = stage.fire(&guest.act(&format!("{} {} unreachable", one(&old), one(&new))));
    ended.is("error", 5, "trapped");
    assert_eq!(ended.report()["undo"]["effects"].as_array().map(Vec::len), Some(3), "{}", ended.stdout);
    assert_eq!(std::fs::read_to_string(&plain).expect("there"), "plain words");
    assert_eq!(std::fs::metadata(&plain).expect("there").permissions().mode() & 0o7777, 0o640);
    assert!(!std::path::Path::new(&stage.data("open/new")).exists());
}

#[test]
fn a_page_with_a_bad_path() {
    let stage = Stage::new();
    for path in ["relative", "/../etc/passwd", "/a b", "/a\r\nX: y", "/%00", ""] {
        let mut guest = Guest::technique("test.publish").asks("loopback-serve", "");
        let name = guest.text(path);
        let call = format!("(call $publish {name} (i32.const 256) (i32.const 4) (i32.const 512)) (call $or4)");
        stage.fire(&guest.act(&call)).is("error", 5, "a path is `/` and letters");
    }
}

#[test]
fn proc_is_not_written() {
    // A grant of a reviewer who did not think of it: the run's helper must not be what it is written through.
    let (stage, ..) = stage();
    for path in ["/proc/self/mem", "/proc/self/comm", "/proc/thread-self/comm", "/proc/self/oom_score_adj"] {
        let ended = write(&stage, "/proc/**", path, NO_MODE);
        assert_ne!(ended.report()["verdict"], "pass", "{path}: {}", ended.stdout);
    }
}

#[test]
fn devices_are_not_written() {
    let (stage, ..) = stage();
    for path in ["/dev/null", "/dev/full", "/dev/tty"] {
        let ended = write(&stage, "/dev/*", path, NO_MODE);
        assert_ne!(ended.report()["verdict"], "pass", "{path}: {}", ended.stdout);
    }
}

#[test]
fn a_directory_or_a_fifo_is_not_written() {
    let (stage, allow, _) = stage();
    nix::unistd::mkfifo(stage.data("open/fifo").as_str(), nix::sys::stat::Mode::S_IRWXU).expect("made");
    std::fs::create_dir(stage.data("open/folder")).expect("made");
    for path in ["open/fifo", "open/folder"] {
        let ended = write(&stage, &allow, &stage.data(path), NO_MODE);
        assert_ne!(ended.report()["verdict"], "pass", "{path}: {}", ended.stdout);
    }
}
