//! Runs shell scripts inside a view, as the launcher would: this test binary again, which forks a process with one
//! thread that unshares and forks an init that enters and forks children that join.

#![allow(dead_code, reason = "each test file uses its part")]

use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::process::Command;

use foil_manifest::{Network, ShieldLevel};
use foil_shield::overlay::{Hold, View, enter};
use foil_shield::{ChildLimits, RunSpec};
use foil_text::RunId;
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};

#[path = "overlay_probe.rs"]
pub mod probe;

/// What to run, and in what.
pub struct Case {
    /// Inside, one child after the other.
    pub scripts: Vec<String>,
    /// In the init's mount namespace, before the view exists.
    pub before: String,
    /// Files to show, one a line, in that same namespace, once the view is gone. What they hold ends the output.
    pub after: String,
    pub network: Network,
    pub without_user_namespace: bool,
    pub size: u64,
    pub uid: u32,
    /// Children wait between joining and executing, and what one leaves behind is not killed before the next.
    pub slow: bool,
}

impl Case {
    pub fn new(script: &str) -> Self {
        Self {
            scripts: vec![script.into()],
            before: String::new(),
            after: String::new(),
            network: Network::Loopback,
            without_user_namespace: false,
            size: 64 << 20,
            uid: 0,
            slow: false,
        }
    }

    /// Both streams of all scripts. Panics where the view cannot be entered.
    pub fn run(&self) -> String {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["helper", "--exact", "--test-threads=1", "--nocapture"]);
        command.env("FOIL_SCRIPTS", self.scripts.join("\u{1}")).env("FOIL_BEFORE", &self.before);
        command.env("FOIL_AFTER", &self.after);
        command.env("FOIL_HOST_NETWORK", if self.network == Network::Host { "1" } else { "" });
        command.env("FOIL_WEAK", if self.without_user_namespace { "1" } else { "" });
        command.env("FOIL_SIZE", self.size.to_string()).env("FOIL_UID", self.uid.to_string());
        command.env("FOIL_SLOW", if self.slow { "1" } else { "" });
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let (_, rest) = text.split_once("FOIL-BEGIN\n").unwrap_or_else(|| panic!("no view: {text}"));
        let (inside, rest) = rest.split_once("FOIL-END\n").unwrap_or_else(|| panic!("the init died: {text}"));
        let (after, _) = rest.split_once("FOIL-AFTER").unwrap_or_else(|| panic!("its parent died: {text}"));
        inside.to_string() + after
    }
}

/// Runs one script with all defaults.
pub fn inside(script: &str) -> String {
    Case::new(script).run()
}

/// Whether the tests can say anything here; says so where not.
pub fn root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        println!("skipped: it takes root");
    }
    root
}

/// A file or folder of the machine's that is gone when dropped.
pub struct Gone(pub PathBuf);

impl Gone {
    /// A path in `folder` that no one else uses.
    pub fn new(folder: &str) -> Self {
        Self(Path::new(folder).join(format!("foil-test-{}", RunId::new())))
    }

    /// A file with the content `before`.
    pub fn file(folder: &str) -> Self {
        let gone = Self::new(folder);
        std::fs::write(&gone.0, "before").unwrap();
        gone
    }

    pub fn text(&self) -> String {
        std::fs::read_to_string(&self.0).unwrap_or_else(|error| error.to_string())
    }
}

impl std::fmt::Display for Gone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.display().fmt(f)
    }
}

impl Drop for Gone {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
        let _ = std::fs::remove_file(&self.0);
    }
}

pub fn spec(scratch: &Path) -> RunSpec {
    let text = |name: &str| std::env::var(name).unwrap_or_default();
    RunSpec {
        run: RunId::new(),
        level: ShieldLevel::Overlay,
        network: if text("FOIL_HOST_NETWORK").is_empty() { Network::Loopback } else { Network::Host },
        identity: None,
        reads: vec![],
        writes: vec![],
        privileges: true,
        scratch: scratch.into(),
        limits: ChildLimits {
            processes: 1000,
            memory: 1 << 30,
            file_size: 1 << 30,
            output: 1 << 20,
            overlay: text("FOIL_SIZE").parse().unwrap_or(64 << 20),
        },
    }
}

/// What every test file's `helper` test calls: nothing, unless this process was started by [`Case::run`] or by a script.
pub fn helper() {
    if let Ok(words) = std::env::var("FOIL_PROBE") {
        println!("{}", probe::run(&words));
        std::process::exit(0);
    }
    if std::env::var_os("FOIL_SCRIPTS").is_none() {
        return;
    }
    let scratch = tempfile::tempdir_in("/var/tmp").unwrap();
    // The test harness has a second thread, asleep; what it forks has one, as the launcher.
    let status = child(|| {
        let status = namespaced(|| init(scratch.path()));
        for path in std::env::var("FOIL_AFTER").unwrap_or_default().lines() {
            println!("{}", std::fs::read_to_string(path).unwrap_or_else(|error| error.to_string()).trim());
        }
        println!("FOIL-AFTER");
        status
    });
    drop(scratch);
    std::process::exit(status);
}

/// Forks into new namespaces and runs `init` as their pid 1.
pub fn namespaced(init: impl FnOnce() -> i32) -> i32 {
    unshare(CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWIPC).unwrap();
    child(|| {
        nix::sys::prctl::set_pdeathsig(nix::sys::signal::SIGKILL).unwrap();
        init()
    })
}

fn init(scratch: &Path) -> i32 {
    let text = |name: &str| std::env::var(name).unwrap_or_default();
    if !text("FOIL_BEFORE").is_empty() {
        let private = nix::mount::MsFlags::MS_REC | nix::mount::MsFlags::MS_PRIVATE;
        nix::mount::mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
        assert!(Command::new("/bin/sh").args(["-e", "-c", &text("FOIL_BEFORE")]).status().unwrap().success());
    }
    let spec = spec(scratch);
    let expected = if text("FOIL_WEAK").is_empty() { Hold::UserNamespace } else { Hold::Capabilities };
    if expected == Hold::Capabilities {
        refuse_user_namespaces();
    }
    let view = match enter(&spec) {
        Ok(view) => view,
        Err(reason) => {
            println!("enter: {reason}");
            return 1;
        }
    };
    assert_eq!(view.hold(), expected);
    println!("FOIL-BEGIN");
    for script in text("FOIL_SCRIPTS").split('\u{1}') {
        shell(&view, script, scratch);
    }
    println!("FOIL-END");
    0
}

/// Makes this the machine that has user namespaces switched off, for this process and its children: EPERM, from a filter.
pub fn refuse_user_namespaces() {
    let step = |code: u32, jt, jf, k: u32| libc::sock_filter { code: code as u16, jt, jf, k };
    let (load, equal) = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, libc::BPF_JMP | libc::BPF_JEQ);
    let mut code = [
        step(load, 0, 0, 0),
        step(equal, 0, 3, libc::SYS_unshare as u32),
        step(load, 0, 0, 16),
        step(libc::BPF_JMP | libc::BPF_JSET, 0, 1, libc::CLONE_NEWUSER as u32),
        step(libc::BPF_RET, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        step(libc::BPF_RET, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: code.len() as u16, filter: code.as_mut_ptr() };
    // SAFETY: the program outlives the call.
    let status = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) };
    assert_eq!(status, 0);
}

fn shell(view: &View, script: &str, scratch: &Path) {
    let slow = std::env::var("FOIL_SLOW").is_ok_and(|value| !value.is_empty());
    child(|| {
        view.join().expect("join");
        if slow {
            std::thread::sleep(std::time::Duration::from_millis(600));
        }
        std::env::set_current_dir(scratch).expect("scratch");
        let uid: u32 = std::env::var("FOIL_UID").unwrap_or_default().parse().unwrap_or(0);
        nix::unistd::setgid(uid.into()).expect("setgid");
        nix::unistd::setuid(uid.into()).expect("setuid");
        let exe = std::env::current_exe().map(|path| path.display().to_string()).unwrap_or_default();
        let words = [
            "/bin/sh".into(),
            "-c".into(),
            format!(
                "exec 2>&1; PROBE() {{ FOIL_PROBE=\"$*\" \"$EXE\" helper --exact --test-threads=1 --nocapture | grep -ao 'probe:.*'; }}; {script}"
            ),
        ];
        let words = words.map(|word: String| CString::new(word).unwrap());
        let env = [format!("EXE={exe}"), "PATH=/usr/sbin:/usr/bin:/sbin:/bin".into(), "HOME=/root".into()];
        let env = env.map(|word| CString::new(word).unwrap());
        let error = nix::unistd::execve(c"/bin/sh", &words, &env);
        println!("exec: {error:?}");
        1
    });
    if slow {
        return;
    }
    // As `end_phase` does: nothing of a script lives on.
    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(-1), nix::sys::signal::SIGKILL);
    while waitpid(None, None).is_ok() {}
}

/// Forks, runs `body` in the child and waits for it.
pub fn child(body: impl FnOnce() -> i32) -> i32 {
    // SAFETY: this process has one thread, or its others are asleep and hold no lock (the test harness waits for a message).
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            let status = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).unwrap_or(101);
            // SAFETY: ends the child without the parent's exit handlers.
            unsafe { libc::_exit(status) }
        }
        ForkResult::Parent { child } => loop {
            match waitpid(child, None) {
                Ok(WaitStatus::Exited(_, status)) => return status,
                Ok(WaitStatus::Signaled(..)) | Err(nix::errno::Errno::ECHILD) => return 102,
                Ok(_) | Err(_) => {} // EINTR: a script sent the init a signal
            }
        },
    }
}
