//! No process outside can be seen, signalled or traced; the run's own init neither.

#[path = "common/overlay.rs"]
mod overlay;

use std::process::{Child, Command};

use overlay::{Case, root};

#[test]
fn helper() {
    overlay::helper();
}

/// A process outside, killed when dropped.
struct Bystander(Child);

impl Bystander {
    fn new() -> Self {
        Self(Command::new("/bin/sleep").arg("600").spawn().unwrap())
    }

    fn alive(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn both(script: &str) -> [String; 2] {
    [false, true].map(|weak| {
        let mut case = Case::new(script);
        case.without_user_namespace = weak;
        case.run()
    })
}

#[test]
fn processes_outside_are_out_of_reach() {
    if !root() {
        return;
    }
    let mut bystander = Bystander::new();
    let pid = bystander.0.id();
    let script = format!(
        "test -d /proc/{pid} && echo SEEN; kill -9 {pid}; PROBE attach {pid}; PROBE pidfd-kill {pid}; PROBE setns /proc/{pid}/ns/mnt
         ps ax | grep -c 'sleep 60[0]'; sleep 5 & kill -9 -1; echo SURVIVED"
    );
    for said in both(&script) {
        assert!(!said.contains("SEEN") && said.contains("o such process"), "{said}");
        for name in ["attach ESRCH", "pidfd-kill ESRCH", "setns ENOENT"] {
            assert!(said.contains(&format!("probe:{name}")), "{name} in {said}");
        }
        assert!(said.contains("\n0\n"), "{said}");
    }
    assert!(bystander.alive());
}

/// The init holds the run's socket and stands in the machine's user namespace: a child that traced it would be out.
#[test]
fn the_init_cannot_be_taken_over() {
    if !root() {
        return;
    }
    let script = "PROBE attach 1; PROBE pidfd-getfd 1; for kind in user mnt net pid ipc uts cgroup; do PROBE setns /proc/1/ns/$kind; done
         PROBE write /proc/1/mem; ls /proc/1/fd/; cat /proc/1/environ; readlink /proc/1/exe /proc/1/root /proc/1/cwd; ls /proc/1/map_files
         nsenter -t 1 -U -m id; nsenter -t 1 -p id; kill -9 1; kill -STOP 1; kill -SEGV 1; gdb -p 1 </dev/null; echo alive
         (sleep 1 & PROBE attach $!)";
    for said in both(script) {
        for name in ["attach EPERM", "pidfd-getfd EPERM", "write EACCES"] {
            assert!(said.contains(&format!("probe:{name}")), "{name} in {said}");
        }
        assert!(!said.contains("probe:setns ok") && !said.contains("uid=0"), "{said}");
        assert!(!said.contains("FOIL_SCRIPTS") && said.contains("alive\n"), "{said}");
    }
    // Among themselves children trace as on the machine (the weaker hold keeps CAP_SYS_PTRACE from them, not their own).
    assert!(both(script)[0].contains("probe:attach ok"));
}

/// A daemon of one script must not catch the next child between its join and its exec: it has the init's memory and descriptors then.
#[test]
fn a_child_on_its_way_in_cannot_be_traced() {
    if !root() {
        return;
    }
    let mut case = Case::new(
        "(sleep 0.3; for p in /proc/[0-9]*; do pid=${p#/proc/}
           if [ $pid != 1 ] && grep -q '^Name:.*helper' $p/status; then
             echo found; PROBE attach $pid; PROBE setns $p/ns/user; PROBE write $p/mem; cat $p/environ; readlink $p/exe $p/root; fi
         done > /tmp/seen 2>&1) &",
    );
    case.scripts.push("cat /tmp/seen".into());
    case.slow = true;
    let said = case.run();
    assert_eq!(said.matches("found").count(), 1, "{said}");
    assert!(said.contains("probe:attach EPERM") && said.contains("probe:write EACCES"), "{said}");
    assert!(!said.contains("FOIL_") && !said.contains("/target/"), "{said}");
}
