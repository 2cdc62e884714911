//! One act, seven in one process, and an imported Atomic test, each from its start to its report: beside a shell that does the same by
//! hand, and beside Falco's event-generator where that is in PATH. As root; in turns, so that a busy machine weighs on all alike.
//! `cargo xtask bench act`.

mod common;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: usize = 15;

/// A technique, the same by hand, and what event-generator calls it.
const PAIRS: [(&str, &str, &str); 7] = [
    ("linux.shadow-read", "cat /etc/shadow | wc -c", "syscall.ReadSensitiveFileUntrusted"),
    (
        "linux.shell-unexpected-parent",
        "cp /bin/sh $T/httpd; $T/httpd -c '/bin/sh -c ls; uname'",
        "syscall.RunShellUntrusted",
    ),
    ("linux.clear-logs", "cp /dev/null $T/syslog; rm -f $T/syslog", "syscall.ClearLogActivities"),
    ("linux.dev-shm-exec", "cp /bin/true /dev/shm/b; /dev/shm/b; rm /dev/shm/b", "syscall.ExecutionFromDevShm"),
    ("linux.file-delete", "echo x >$T/f; shred -u $T/f; echo x >$T/g; rm -f $T/g", "syscall.RemoveBulkDataFromDisk"),
    (
        "linux.authorized-key",
        "mkdir -p $T/.ssh; echo k >>$T/.ssh/authorized_keys",
        "syscall.AddingSshKeysToAuthorizedKeys",
    ),
    // Foil's makes keys first and searches for what is in them as well.
    ("linux.private-key-search", "find /tmp -maxdepth 1 -iname id_rsa", "syscall.SearchPrivateKeysOrPasswords"),
];

/// An imported test that looks, and the same by hand.
const TEST: &str = "attack_technique: T1082
display_name: System Information Discovery
atomic_tests:
- name: Hostname
  auto_generated_guid: 486e88ea-4f56-470f-9b57-3f4d73f39133
  description: Says the name of the machine.
  supported_platforms: [linux]
  executor:
    name: sh
    elevation_required: false
    command: cat /proc/sys/kernel/hostname
";
const TEST_BY_HAND: &str = "cat /proc/sys/kernel/hostname";

fn main() {
    if !rustix::process::geteuid().is_root() {
        return println!("skipped: acts need root");
    }
    let stage = tempfile::tempdir().expect("a folder");
    let stage = stage.path();
    std::fs::write(stage.join("foil.yaml"), environment(1)).expect("written");
    done(foil(stage).args(["grant", "--builtin", "--yes", "--reviewer", "bench", "--reason", "is measured"]));
    let generator = Command::new("event-generator").arg("version").output().is_ok_and(|o| o.status.success());
    if !generator {
        println!("skipped: the column of event-generator: it is not in PATH");
    }
    for (id, by_hand, action) in PAIRS {
        pair(id, || foil_fires(stage, id), by_hand, generator.then_some(action));
    }
    seven(stage, generator);
    imported(stage);
}

/// Prints how long each takes, beside the shell and, where it is there, event-generator.
fn pair(name: &str, mut ours: impl FnMut(), by_hand: &str, action: Option<&str>) {
    let (mut foil, mut sh, mut generator) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let times = [timed(&mut ours), timed(|| shell(by_hand))];
        let theirs = action.map(|action| timed(|| generates(action)));
        // The first round fills the caches.
        if round > 0 {
            foil.push(times[0]);
            sh.push(times[1]);
            generator.extend(theirs);
        }
    }
    common::line(name, &mut foil.clone(), "sh", &mut sh);
    if action.is_some() {
        common::line(name, &mut foil, "event-generator", &mut generator);
    }
}

/// Seven techniques in one process of each: one after another, and two at once, which event-generator cannot.
fn seven(stage: &Path, generator: bool) {
    let ids: Vec<&str> = PAIRS.iter().map(|(id, ..)| *id).collect();
    let files: Vec<String> = ids.iter().map(|id| format!("{id}.yaml")).collect();
    for (id, file) in ids.iter().zip(&files) {
        let experiment = format!("experiment: '{id}'\ntechnique: {id}\n");
        std::fs::write(stage.join(file), experiment).expect("written");
    }
    let by_hand = PAIRS.iter().map(|(_, by_hand, _)| *by_hand).collect::<Vec<_>>().join("; ");
    let actions: Vec<&str> = PAIRS.iter().map(|(.., action)| *action).collect();
    let all = format!("^({})$", actions.join("|").replace('.', "\\."));
    let ours = || done(foil(stage).arg("run").args(&files).arg("--quiet"));
    pair("seven acts in one process", ours, &by_hand, generator.then_some(&all));
    std::fs::write(stage.join("foil.yaml"), environment(2)).expect("written");
    pair("seven acts in one process, two at once", ours, &by_hand, generator.then_some(&all));
    std::fs::write(stage.join("foil.yaml"), environment(1)).expect("written");
}

fn environment(parallel: usize) -> String {
    format!("environment: bench\nparallel: {parallel}\n")
}

/// A test of Atomic Red Team out of a folder with many.
fn imported(stage: &Path) {
    const OTHERS: usize = 300;
    let (atomics, folder) = (stage.join("atomics"), stage.join("tests"));
    let mut text = TEST.to_owned();
    for other in 0..OTHERS {
        text.push_str(&format!(
            "- name: Other {other}\n  description: Not fired.\n  supported_platforms: [linux]\n  executor:\n    name: sh\n    elevation_required: false\n    command: echo {other}\n"
        ));
    }
    let of_technique = atomics.join("T1082");
    std::fs::create_dir_all(&of_technique).expect("a folder");
    std::fs::write(of_technique.join("T1082.yaml"), text).expect("written");
    done(foil(stage).arg("import").arg("atomic").arg(&atomics).arg("--out").arg(&folder));
    let id = "atomic.T1082-1";
    let with_modules = || {
        let mut command = foil(stage);
        command.arg("--modules").arg(&folder);
        command
    };
    done(with_modules().args(["grant", id, "--yes", "--reviewer", "bench", "--reason", "is measured"]));
    let (mut ours, mut by_hand) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let times = [timed(|| done(with_modules().args(["fire", id, "--quiet"]))), timed(|| shell(TEST_BY_HAND))];
        if round > 0 {
            ours.push(times[0]);
            by_hand.push(times[1]);
        }
    }
    let name = format!("an imported test, of a folder with {}", OTHERS + 1);
    common::line(&name, &mut ours.clone(), "sh", &mut by_hand.clone());
    let more = common::median(&mut ours).saturating_sub(common::median(&mut by_hand));
    println!("  {} more than the shell (aim: 60 ms)", common::shown(more));
}

fn foil_fires(stage: &Path, id: &str) {
    done(foil(stage).args(["fire", id, "--quiet"]));
}

/// In a folder of its own, which goes.
fn shell(script: &str) {
    done(Command::new("/bin/sh").args(["-c", &format!("T=$(mktemp -d); {script}; rm -rf $T")]));
}

fn generates(actions: &str) {
    done(Command::new("event-generator").args(["run", actions, "--all", "--sleep", "0"]));
}

fn timed(act: impl FnOnce()) -> Duration {
    let began = Instant::now();
    act();
    began.elapsed()
}

fn foil(stage: &Path) -> Command {
    let mut command = Command::new(common::program());
    command.current_dir(stage).env("FOIL_STATE", stage.join("state")).stdin(Stdio::null());
    command
}

fn done(command: &mut Command) {
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
