//! What children left behind in an overlay is told from what was there before, and from what was put back.

#[path = "common/overlay.rs"]
mod overlay;
mod shield_support;

use foil_manifest::{Network, ShieldLevel};
use foil_shield::scene::{Change, FileKind, Left, Scene};
use foil_shield::{ExecRequest, FileOp, ShieldError};
use shield_support::*;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A folder of the machine's, gone with the value: files, a folder with files, a link.
struct Machine(PathBuf);

impl Machine {
    fn new() -> Self {
        let folder = Path::new("/var/tmp").join(format!("foil-look-{}", foil_text::RunId::new()));
        std::fs::create_dir_all(folder.join("dir/sub")).unwrap();
        for name in ["one", "two", "three", "dir/a", "dir/b", "dir/sub/c"] {
            std::fs::write(folder.join(name), format!("before {name}\n")).unwrap();
        }
        std::os::unix::fs::symlink("one", folder.join("link")).unwrap();
        Self(folder)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn stage() -> Stage {
    Stage::with(ShieldLevel::Overlay, |_| {}).await
}

async fn look(stage: &Stage) -> Scene {
    tokio::time::timeout(Duration::from_secs(60), stage.run.look()).await.expect("it hangs").unwrap()
}

/// What a script leaves in a folder of the machine's, its path cut off.
async fn left_by(prepare: &str, script: &str) -> Vec<String> {
    let (machine, stage) = (Machine::new(), stage().await);
    let at = machine.0.display();
    assert_eq!(err(&stage.sh(&format!("cd {at} && {prepare}")).await), "", "{prepare}");
    let before = look(&stage).await;
    assert_eq!(err(&stage.sh(&format!("cd {at} && {script}")).await), "", "{script}");
    let left = look(&stage).await.left(&before);
    assert!(!left.more);
    left.lines().map(|line| line.replace(&format!("{at}/"), "").replace(&*at.to_string(), ".")).collect()
}

#[tokio::test]
async fn files_that_are_left_are_named_and_those_put_back_are_not() {
    if !is_administrator() {
        skip!("it takes root");
    }
    let cases: &[(&str, &[&str])] = &[
        ("true", &[]),
        ("echo x > new", &["made new"]),
        ("echo x > new; rm new", &[]),
        ("echo x >> one", &["changed one"]),
        ("echo x >> one; echo 'before one' > one", &[]),
        ("sed -i s/before/after/ one; sed -i s/after/before/ one; touch -d 2001-01-01 two", &[]),
        // The same length and time.
        ("cp -p one keep; echo 'Before one' > one; touch -r keep one; rm keep", &["changed one"]),
        ("rm one", &["removed one"]),
        ("cp -p one keep; rm one; mv keep one", &[]),
        ("rm one; echo other > one", &["changed one"]),
        ("rm one; mkdir one; : > one/x", &["changed one", "made one/x"]),
        ("rm -r dir", &["removed dir"]),
        (
            "rm -r dir; mkdir dir; echo x > dir/new",
            &["removed dir/a", "removed dir/b", "made dir/new", "removed dir/sub"],
        ),
        ("cp -a dir keep; rm -r dir; mv keep dir", &[]),
        ("rm -r dir; : > dir", &["changed dir"]),
        ("mv one four", &["made four", "removed one"]),
        ("mv one four; mv four one", &[]),
        ("mv dir moved; mv moved dir", &[]),
        ("mv dir moved; rm moved/a; echo x > moved/sub/new; mv moved dir", &["removed dir/a", "made dir/sub/new"]),
        (
            "mv dir moved",
            &["removed dir", "made moved", "made moved/a", "made moved/b", "made moved/sub", "made moved/sub/c"],
        ),
        ("mv dir/sub old; mkdir dir/sub; mv old/c dir/sub/c; rmdir old", &[]),
        ("mv dir/sub x; mv dir x/dir; mv x/dir dir; mv x dir/sub", &[]),
        ("chmod 4755 one; chmod 700 dir", &["changed dir", "changed one"]),
        ("chmod 4755 one; chmod 644 one", &[]),
        ("chown 12:34 one; chown 12 two; chown 0 two", &["changed one"]),
        ("ln -sf two link; ln -s x new; mkfifo fifo", &["made fifo", "changed link", "made new"]),
        ("ln -sf two link; ln -sf one link", &[]),
        ("ln one hard", &["made hard"]),
    ];
    // A file capability is a way back to root that no size or mode shows.
    let setcap = Path::new("/usr/sbin/setcap").exists().then_some(("setcap cap_net_raw+ep one", &["changed one"][..]));
    for (script, expected) in cases.iter().copied().chain(setcap) {
        let script = format!("umask 022; {script}");
        assert_eq!(left_by("true", &script).await, expected, "{script}");
    }
}

/// Prerequisites are not the test's: only what became of them since.
#[tokio::test]
async fn what_was_there_before_does_not_count() {
    if !is_administrator() {
        skip!("it takes root");
    }
    let cases: &[(&str, &str, &[&str])] = &[
        ("echo x > new; rm two; echo x >> three", "true", &[]),
        ("echo x > new", "sed -i s/x/y/ new; sed -i s/y/x/ new; echo z > other", &["made other"]),
        ("echo x > new", "echo y > new", &["changed new"]),
        ("mkdir new; echo x > new/a; echo x > new/b", "rm -r new", &[]),
        ("mkdir new; echo x > new/a; echo x > new/b", "rm new/a", &[]),
        ("rm two; echo x >> three", "echo 'before two' > two; echo 'before three' > three", &[]),
        ("rm two", "echo other > two", &["made two"]),
        ("mv dir moved", "rm moved/a; echo x > moved/b", &["changed moved/b"]),
        ("sleep 86400 >/dev/null 2>&1 & mount -t tmpfs t /mnt", "umount /mnt", &["unmounted tmpfs from /mnt"]),
    ];
    for (prepare, script, expected) in cases {
        assert_eq!(left_by(prepare, script).await, *expected, "{prepare} | {script}");
    }
}

/// The overlay's every corner: a mount of its own, memory, a file effect; not the scratch folder.
#[tokio::test]
async fn every_layer_is_looked_at_but_the_scratch_folder_is_not() {
    if !is_administrator() {
        skip!("it takes root");
    }
    let stage = stage().await;
    let before = look(&stage).await;
    stage.sh("echo x > scratch-file; mkdir sub; : > sub/file; echo x > /dev/shm/foil-a; echo x > /dev/foil-b").await;
    stage.sh("umask 022; echo '* * * * * root true' > /etc/foil-c; mkdir -p /etc/cron.d; cp /etc/foil-c /etc/cron.d/foil-d").await;
    let op = FileOp::Create { path: "/usr/foil-e".into(), content: b"x".to_vec(), mode: 0o600 };
    stage.run.file(op).await.unwrap().unwrap();
    let left = look(&stage).await.left(&before);
    let mut lines: Vec<_> = left.lines().filter(|line| line.contains("foil-")).collect();
    lines.sort();
    let expected = [
        "added the cron job /etc/cron.d/foil-d",
        "made /dev/foil-b",
        "made /dev/shm/foil-a",
        "made /etc/foil-c",
        "made /usr/foil-e",
    ];
    assert_eq!(lines, expected);
    let scratch = stage.scratch.path().display().to_string();
    assert!(!left.lines().any(|line| line.contains(&scratch)), "{left:?}");
    let effect = left.files.iter().find(|file| file.path == "/usr/foil-e").unwrap();
    assert_eq!((effect.kind, effect.mode, effect.uid, effect.size), (FileKind::File, 0o600, 0, 1));
}

/// Inside of a mount namespace with mounts of its own in the folder that `FOIL_LOOK` names.
#[tokio::test]
#[ignore = "run by the test below"]
async fn among_mounts() {
    let folder = std::env::var("FOIL_LOOK").unwrap();
    let stage = stage().await;
    let before = look(&stage).await;
    stage
        .sh(&format!("umask 022; cd {folder}; echo x > one; echo x > dir/new; echo y >> two; echo 'before two' > two"))
        .await;
    let left = look(&stage).await.left(&before);
    let lines: Vec<_> = left.lines().map(|line| line.replace(&folder, "")).collect();
    assert_eq!(lines, ["made /dir/new", "changed /one"]);
}

/// A container's `/etc/hosts` is a mount by itself; so may be any folder.
#[test]
fn mounts_of_the_machine_are_looked_at_like_the_rest() {
    if !is_administrator() {
        skip!("it takes root");
    }
    let machine = Machine::new();
    // From a file system that no other mount shows, so that each is a layer of its own.
    let script = "cd $FOIL_LOOK && mount -t tmpfs t dir && cp -p one two dir && mount --bind dir/one one
                  mount --bind dir/two two && umount -l dir && mount -t tmpfs t dir && exec \"$@\"";
    let status = std::process::Command::new("unshare")
        .args(["--mount", "sh", "-c", script, "sh"])
        .args(again("among_mounts"))
        .env("FOIL_LOOK", &machine.0)
        .status();
    assert!(status.unwrap().success());
}

const LISTEN: &str = r#"
    use Socket; my @held;
    for my $case ([AF_INET, SOCK_STREAM, pack_sockaddr_in(4444, INADDR_ANY)], [AF_INET, SOCK_DGRAM, pack_sockaddr_in(5353, INADDR_LOOPBACK)],
                  [AF_UNIX, SOCK_STREAM, pack_sockaddr_un("/run/foil-socket")], [AF_UNIX, SOCK_STREAM, pack_sockaddr_un("\0foil-abstract")]) {
        socket(my $s, $case->[0], $case->[1], 0) or die "socket $!"; bind($s, $case->[2]) or die "bind $!";
        listen($s, 1) if $case->[1] == SOCK_STREAM; push @held, $s;
    }
    if (fork) { exit 0 } open STDOUT, '>/dev/null'; open STDERR, '>/dev/null'; sleep 86400;"#;

#[tokio::test]
async fn daemons_listeners_mounts_and_users_are_told() {
    if !is_administrator() {
        skip!("it takes root");
    }
    for network in [Network::Loopback, Network::Host] {
        let stage = Stage::with(ShieldLevel::Overlay, |spec| spec.network = network).await;
        if network == Network::Loopback {
            // Foil's own: no listener and no process of the technique's.
            stage.run.publish("/x".into(), b"x".to_vec()).await.unwrap();
        }
        let before = look(&stage).await;
        assert!(before.processes.is_empty(), "{before:?}");
        let done = stage
            .sh("(setsid sleep 86400.5 >/dev/null 2>&1 &); mount -t tmpfs t /mnt; echo 'art:$6$foil-secret:0:0::/root:/bin/sh' >> /etc/passwd
                 echo 'art:$6$foil-secret:1::::::' >> /etc/shadow; echo 'art:x:4242:' >> /etc/group")
            .await;
        assert_eq!(err(&done), "");
        let own = network == Network::Loopback;
        // The machine's ports may be taken.
        let script = if own { LISTEN.into() } else { LISTEN.replace("4444", "0").replace("5353", "0") };
        assert_eq!(err(&perl(&stage.run, &script, &[]).await), "");
        let now = look(&stage).await;
        assert!(!format!("{now:?}").contains("foil-secret"));
        let left = now.left(&before);
        let has = |line: &str| assert!(left.lines().any(|found| found == line), "{line}: {left:#?}");
        let sleep = left.processes.iter().find(|process| process.command == "sleep 86400.5").expect("the daemon");
        assert_eq!(sleep.parent, 1);
        for line in [
            "mounted tmpfs on /mnt",
            "added the user art",
            "added the group art",
            "added the password of art",
            "changed /etc/passwd",
        ] {
            has(line);
        }
        assert_eq!((left.processes.len(), left.mounts.len(), left.users.len()), (2, 1, 3), "{left:#?}");
        // On the machine's network, those of the machine are not the run's.
        assert_eq!(left.listeners.len(), 4, "{left:#?}");
        if own {
            for line in ["tcp 0.0.0.0:4444", "udp 127.0.0.1:5353", "unix /run/foil-socket", "unix @foil-abstract"] {
                has(&format!("listens on {line}"));
            }
            // What ended with its phase is not left.
            stage.run.end_phase().await.unwrap();
            let left = look(&stage).await.left(&before);
            assert!(left.processes.is_empty() && left.listeners.is_empty(), "{left:#?}");
        }
    }
}

/// Deep, many, odd names, FIFOs, a bomb of links, `/proc` covered: it ends, in time, and says what it did not see.
#[tokio::test]
async fn a_hostile_tree_is_survived() {
    if !is_administrator() {
        skip!("it takes root");
    }
    let stage = Stage::with(ShieldLevel::Overlay, |spec| spec.limits.overlay = 512 << 20).await;
    let before = look(&stage).await;
    let done = perl(
        &stage.run,
        r#"mkdir "/var/tmp/foil-odd"; chdir "/var/tmp/foil-odd" or die;
           for my $n ("a\nb", "\xff\xfe", "\e[2J", " ", "-rf", "\x{e2}\x{80}\x{ae}txt", "x" x 255, "back\\slash") { open(F, '>', $n) or die "$n: $!"; close F }
           system("mkfifo fifo; ln -s / root; ln -s . self; ln -s /proc/self/fd/0 magic; echo x > /etc/foil-plain");
           mkdir "deep"; chdir "deep"; for (1 .. 3000) { mkdir "d" x 20 or last; chdir "d" x 20 or last }
"#,
        &[],
    )
    .await;
    assert_eq!(err(&done), "");
    let began = Instant::now();
    let left = look(&stage).await.left(&before);
    assert!(began.elapsed() < Duration::from_secs(25));
    let has = |left: &Left, line: &str| assert!(left.lines().any(|found| found == line), "{line}");
    for name in ["a\\x0ab", "\\xff\\xfe", "\\x1b[2J", " ", "-rf", "fifo", "root", "self", "magic", "deep"] {
        has(&left, &format!("made /var/tmp/foil-odd/{name}"));
    }
    has(&left, "made /etc/foil-plain");
    assert!(left.more, "the depth is said");
    assert!(
        left.files.iter().all(|file| file.change == Change::Made && !file.path.contains(['\n', '\u{1b}', '\u{202e}']))
    );

    let many = "system('rm -rf /var/tmp/foil-odd'); mkdir '/usr/foil-many'; chdir '/usr/foil-many';
                for (1 .. 30000) { open(F, '>', $_) or die $!; close F }";
    assert_eq!(err(&perl(&stage.run, many, &[]).await), "");
    let scene = look(&stage).await;
    assert!(scene.more && scene.files.len() == 20_000, "{}", scene.files.len());
    assert!(scene.left(&before).more);

    // Neither a covered `/proc` nor accounts that are no files fool or stop it.
    stage.sh("rm -rf /usr/foil-many; sleep 86400.7 >/dev/null 2>&1 & mount -t tmpfs t /proc; mkdir /proc/self; : > /proc/self/mountinfo; rm /etc/passwd /etc/group; mkfifo /etc/passwd; ln -s /dev/zero /etc/group").await;
    let left = look(&stage).await.left(&before);
    has(&left, "mounted tmpfs on /proc");
    has(&left, "changed /etc/passwd");
    has(&left, "removed the user root");
    assert!(left.processes.iter().any(|process| process.command == "sleep 86400.7"), "{:?}", left.processes);
}

/// A child that kills or stops whoever looks gets an error, not a silence; the run goes on.
#[tokio::test]
async fn a_look_that_is_killed_says_so() {
    if !is_administrator() {
        skip!("it takes root");
    }
    let stage = stage().await;
    stage.sh("(setsid sh -c 'me=$$; while :; do for p in /proc/[0-9]*; do p=${p#/proc/}; [ $p = 1 ] || [ $p = $me ] || kill -9 $p; done; done' >/dev/null 2>&1 &)").await;
    let began = Instant::now();
    let failed = loop {
        match stage.run.look().await {
            Err(error) => break error,
            Ok(_) => assert!(began.elapsed() < Duration::from_secs(30), "it was never killed"),
        }
    };
    let ShieldError::Unseen(why) = failed else { panic!("{failed:?}") };
    assert!(why.contains("was killed"), "{why}");
    stage.run.end_phase().await.unwrap();
    look(&stage).await;
}

/// As the run's user, who may not read everything: the look may.
#[tokio::test]
async fn another_identity_is_looked_at_all_the_same() {
    if !is_administrator() {
        skip!("it takes root");
    }
    let stage = Stage::with(ShieldLevel::Overlay, |spec| spec.identity = Some(nobody())).await;
    let before = look(&stage).await;
    assert!(before.accounts.iter().any(|account| account.name == "root"));
    stage
        .sh("umask 077; mkdir /var/tmp/foil-mine; echo x > /var/tmp/foil-mine/a; sleep 86400.9 >/dev/null 2>&1 &")
        .await;
    let left = look(&stage).await.left(&before);
    let lines: Vec<_> = left.lines().collect();
    assert!(lines.contains(&"made /var/tmp/foil-mine/a".into()) && left.processes.len() == 1, "{lines:?}");
    assert_eq!(left.files.iter().find(|file| file.path.ends_with("/a")).unwrap().uid, 65534);
}

/// Where user namespaces are switched off, the overlay is held otherwise.
#[test]
fn a_machine_without_user_namespaces_is_looked_at_too() {
    if !is_administrator() {
        skip!("it takes root");
    }
    // The filter that switches them off stays with its thread.
    let there = std::thread::spawn(|| {
        overlay::refuse_user_namespaces();
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(weakly_held());
    });
    there.join().unwrap();
}

async fn weakly_held() {
    let stage = stage().await;
    let before = look(&stage).await;
    let done = stage
        .sh("umask 022; mount -t tmpfs t /mnt || echo refused; echo x > /etc/foil-a; sleep 86400.3 >/dev/null 2>&1 &")
        .await;
    assert_eq!(out(&done), "refused\n");
    let left = look(&stage).await.left(&before);
    assert_eq!(left.lines().next().unwrap(), "made /etc/foil-a");
    assert_eq!((left.lines().count(), &*left.processes[0].command), (2, "sleep 86400.3"), "{left:?}");
}

#[tokio::test]
async fn only_an_overlay_can_tell() {
    for level in [ShieldLevel::Confined, ShieldLevel::Open] {
        let stage = match Stage::attempt(level, |_| {}).await {
            Ok(stage) => stage,
            Err(why) => skip!("{why}"),
        };
        let why = stage.run.look().await.unwrap_err().to_string();
        assert!(why.contains(&format!("`{level}`")) && why.contains("only an overlay can tell"), "{why}");
        let request = ExecRequest { program: "/bin/true".into(), ..Default::default() };
        stage.run.exec(request).await.unwrap();
    }
}
