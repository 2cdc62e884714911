//! What an accomplice outside of `confined` tries together with a child inside: set-id files, descriptors handed in by every
//! kind of socket, terminals, sockets of services that come back.

mod shield_support;

use foil_manifest::{Network, ShieldLevel};
use foil_shield::{Ending, ShieldedRun};
use shield_support::*;
use std::fs;
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// VFS_CAP_REVISION_2, effective, CAP_SYS_ADMIN.
const CAPABILITY: &str = "pack('V5', 0x02000001, 1 << 21, 0, 0, 0)";

/// `perl -e` with a system call; prints its error's number, 0 for success.
async fn call(run: &ShieldedRun, call: libc::c_long, arguments: &str) -> i32 {
    let script = format!(
        "open(my $f, '+>', 'subject') or die; my $fd = fileno($f); my $name = \"new$$\"; \
         my ($subject, $dot, $empty, $attribute, $value) = ('subject', '.', '', 'security.capability', {CAPABILITY}); my $r = syscall({call}, {arguments}); print $r < 0 ? $! + 0 : 0"
    );
    let outcome = perl(run, &script, &[]).await;
    out(&outcome).parse().unwrap_or_else(|_| panic!("{arguments}: {} {}", out(&outcome), err(&outcome)))
}

#[tokio::test]
async fn no_call_gives_a_file_a_set_id_mode() {
    let stage = Stage::confined().await;
    let (create, tmpfile) = (libc::O_CREAT | libc::O_WRONLY, libc::O_TMPFILE | libc::O_WRONLY);
    let here = libc::AT_FDCWD;
    for bits in [0o4755, 0o2755, 0o6777, 0o4000, 0o7000] {
        for (number, arguments) in [
            #[cfg(target_arch = "x86_64")]
            (libc::SYS_chmod, format!("$subject, {bits}")),
            (libc::SYS_fchmod, format!("$fd, {bits}")),
            (libc::SYS_fchmodat, format!("{here}, $subject, {bits}")),
            (452, format!("{here}, $subject, {bits}, 0")), // fchmodat2
            (452, format!("$fd, $empty, {bits}, {}", libc::AT_EMPTY_PATH)),
            #[cfg(target_arch = "x86_64")]
            (libc::SYS_open, format!("$name, {create}, {bits}")),
            #[cfg(target_arch = "x86_64")]
            (libc::SYS_open, format!("$dot, {tmpfile}, {bits}")),
            #[cfg(target_arch = "x86_64")]
            (libc::SYS_creat, format!("$name, {bits}")),
            (libc::SYS_openat, format!("{here}, $name, {create}, {bits}")),
            (libc::SYS_openat, format!("{here}, $dot, {tmpfile}, {bits}")),
            #[cfg(target_arch = "x86_64")]
            (libc::SYS_mknod, format!("$name, {}, 0", libc::S_IFREG as i32 | bits)),
            (libc::SYS_mknodat, format!("{here}, $name, {}, 0", libc::S_IFREG as i32 | bits)),
            #[cfg(target_arch = "x86_64")]
            (libc::SYS_mkdir, format!("$name, {bits}")),
            (libc::SYS_mkdirat, format!("{here}, $name, {bits}")),
        ] {
            // High bits that the kernel ignores must not hide the low ones.
            for high in ["", " | (1 << 32)"] {
                let arguments = arguments.replace(&bits.to_string(), &format!("({bits}{high})"));
                assert_eq!(call(&stage.run, number, &arguments).await, libc::EPERM, "{number}: {arguments}");
            }
        }
    }
    // Its mode is in memory, so the call does not exist.
    assert_eq!(call(&stage.run, libc::SYS_openat2, "0, 0, 0, 0").await, libc::ENOSYS);
    // What is no set-id mode works, and a mode that means nothing is not looked at.
    assert_eq!(call(&stage.run, libc::SYS_fchmod, &format!("$fd, {}", 0o1777)).await, 0);
    assert_eq!(call(&stage.run, libc::SYS_openat, &format!("{here}, $subject, 0, {}", 0o4755)).await, 0);
    assert_eq!(call(&stage.run, libc::SYS_openat, &format!("{here}, $name, {create}, {}", 0o644)).await, 0);
    let none = |path: &Path| fs::read_dir(path).unwrap().flatten().all(|e| e.metadata().unwrap().mode() & 0o6000 == 0);
    assert!(none(stage.scratch.path()));
    // Programs that ask for one go on or say so; those that do not are not disturbed.
    let outcome = stage
        .sh("cp /usr/bin/id id; chmod 4755 id; chmod u+s id; install -m 6755 /usr/bin/id id2; stat -c %a id")
        .await;
    assert_eq!(out(&outcome), "755\n", "{}", err(&outcome));
    assert!(none(stage.scratch.path()));
}

#[tokio::test]
async fn no_file_gets_capabilities() {
    if !is_administrator() {
        skip!("only root could give a file capabilities");
    }
    let stage = Stage::confined().await;
    for (number, target) in
        [(libc::SYS_setxattr, "$subject"), (libc::SYS_lsetxattr, "$subject"), (libc::SYS_fsetxattr, "$fd")]
    {
        let arguments = format!("{target}, $attribute, $value, 20, 0");
        assert_eq!(call(&stage.run, number, &arguments).await, libc::EPERM, "{number}");
    }
}

/// Receives a descriptor by the socket at `$s` and does to it what only its owner may.
const TAKE: &str = "my $buf = \"\\0\" x 64; my $control = \"\\0\" x 64; my $iov = pack('PQ', $buf, 64); \
     my $msg = pack('QQPQPQQ', 0, 0, $iov, 1, $control, 64, 0); \
     my $n = syscall($recvmsg, fileno($s), $msg, 0); exit 3 if $n < 0; \
     my $fd = unpack('l', substr($control, 16, 4)); exit 4 unless $fd > 2; \
     syscall($fchmod, $fd, 0777); syscall($fchown, $fd, 65534, 65534); \
     chmod 0777, \"/proc/self/fd/$fd\"; exit 0";

/// A file of the machine's, and an accomplice who hands a descriptor of it to whoever comes.
struct Giver {
    file: tempfile::NamedTempFile,
    before: (u32, u32),
}

impl Giver {
    fn new() -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o600)).unwrap();
        let meta = file.path().metadata().unwrap();
        Self { before: (meta.mode(), meta.uid()), file }
    }

    fn give(&self, socket: &impl AsRawFd) {
        use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
        let fds = [self.file.as_raw_fd()];
        let bytes = [std::io::IoSlice::new(b"x")];
        let _ = sendmsg::<()>(
            socket.as_raw_fd(),
            &bytes,
            &[ControlMessage::ScmRights(&fds)],
            MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT,
            None,
        );
    }

    /// Gives to everybody who connects within the next seconds.
    fn serve(&self, listener: &UnixListener, done: &AtomicBool) {
        listener.set_nonblocking(true).unwrap();
        let mut guests = Vec::new();
        while !done.load(Ordering::Relaxed) {
            if let Ok((guest, _)) = listener.accept() {
                self.give(&guest);
                guests.push(guest);
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }

    #[track_caller]
    fn is_unharmed(&self, way: &str) {
        let meta = self.file.path().metadata().unwrap();
        assert_eq!((meta.mode(), meta.uid()), self.before, "{way}");
    }
}

fn take(socket: &str) -> String {
    let (recvmsg, fchmod, fchown) = (libc::SYS_recvmsg, libc::SYS_fchmod, libc::SYS_fchown);
    format!("use Socket; my ($recvmsg, $fchmod, $fchown) = ({recvmsg}, {fchmod}, {fchown}); my $s; {socket}; {TAKE}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_descriptor_comes_in_by_a_socket_of_the_accomplices() {
    let giver = Giver::new();
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let path = folder.path().join("socket");
    let name = long_sleep();
    let listeners = [
        UnixListener::bind(&path).unwrap(),
        UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap(),
    ];
    let to = |address: &str| {
        take(&format!("socket($s, PF_UNIX, SOCK_STREAM, 0) or exit 2; connect($s, {address}) or exit 2"))
    };
    let scripts =
        [to(&format!("pack_sockaddr_un('{}')", path.display())), to(&format!("pack_sockaddr_un(\"\\0{name}\")"))];
    let done = AtomicBool::new(false);
    let mut endings = Vec::new();
    std::thread::scope(|scope| {
        listeners.iter().for_each(|listener| drop(scope.spawn(|| giver.serve(listener, &done))));
        let attempt = async {
            for level in [ShieldLevel::Confined, ShieldLevel::Open] {
                for network in [Network::Loopback, Network::Host] {
                    let stage = Stage::with(level, |spec| spec.network = network).await;
                    for script in &scripts {
                        let ending = perl(&stage.run, script, &[]).await.ending;
                        if level == ShieldLevel::Confined {
                            giver.is_unharmed(script);
                        }
                        endings.push((level, ending));
                    }
                }
            }
        };
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(attempt));
        done.store(true, Ordering::Relaxed);
    });
    for (level, ending) in endings {
        // In `open` it works, so the test can tell.
        let expected = if level == ShieldLevel::Confined { 2 } else { 0 };
        assert_eq!(ending, Ending::Exited(expected), "{level}");
    }
    assert_ne!(giver.file.path().metadata().unwrap().mode(), giver.before.0, "the test can tell");
}

#[tokio::test]
async fn no_child_listens_where_an_accomplice_could_connect() {
    let granted = tempfile::tempdir().unwrap();
    let stage = Stage::with(ShieldLevel::Confined, |spec| spec.writes.push(granted.path().display().to_string())).await;
    for folder in [stage.scratch.path(), granted.path()] {
        for kind in ["SOCK_STREAM", "SOCK_DGRAM", "SOCK_SEQPACKET", "SOCK_RAW"] {
            let script = format!(
                "use Socket; socket(my $s, PF_UNIX, {kind}, 0) or exit 2; bind($s, pack_sockaddr_un('{}/socket')) or exit 3; exit 0",
                folder.display()
            );
            assert_eq!(perl(&stage.run, &script, &[]).await.ending, Ending::Exited(2), "{kind}");
        }
    }
    // Pairs that stay connected are for programs that talk to their own children; others could be given a name.
    for (kind, works) in [("SOCK_STREAM", true), ("SOCK_SEQPACKET", true), ("SOCK_DGRAM", false), ("SOCK_RAW", false)] {
        let script = format!("use Socket; exit(socketpair(my $a, my $b, PF_UNIX, {kind}, 0) ? 0 : 1)");
        assert_eq!(perl(&stage.run, &script, &[]).await.ending == Ending::Exited(0), works, "{kind}");
    }
    let getfd = format!("syscall({}, 0, 0, 0); print $! + 0", libc::SYS_pidfd_getfd);
    assert_eq!(out(&perl(&stage.run, &getfd, &[]).await), libc::EPERM.to_string());
}

/// The standard streams are all that comes from outside; nothing of the machine's can be changed through them.
#[tokio::test]
async fn the_streams_lead_to_nothing_of_the_machines() {
    let before = fs::metadata("/dev/null").unwrap();
    let stage = Stage::confined().await;
    let script = "for my $fd (0 .. 20) { syscall($fchmod, $fd, 0600); syscall($fchown, $fd, 1, 1); \
                  chmod 0600, \"/proc/self/fd/$fd\"; chown 1, 1, \"/proc/self/fd/$fd\" } chmod 0600, '/dev/null'";
    let script =
        script.replace("$fchmod", &libc::SYS_fchmod.to_string()).replace("$fchown", &libc::SYS_fchown.to_string());
    perl(&stage.run, &script, &[]).await;
    let after = fs::metadata("/dev/null").unwrap();
    assert_eq!((before.mode(), before.uid()), (after.mode(), after.uid()));
}

#[tokio::test]
async fn families_that_ignore_namespaces_are_refused() {
    let stage = Stage::confined().await;
    for (family, works) in
        [(libc::AF_VSOCK, false), (libc::AF_ALG, false), (libc::AF_INET, true), (libc::AF_INET6, true)]
    {
        let script = format!("my $r = syscall({}, {family}, 1, 0); print $r < 0 ? $! + 0 : 'ok'", libc::SYS_socket);
        let said = out(&perl(&stage.run, &script, &[]).await);
        let expected = if works { "ok".to_owned() } else { libc::EAFNOSUPPORT.to_string() };
        assert_eq!(said, expected, "{family}");
    }
}

#[tokio::test]
async fn a_service_that_comes_back_is_still_out_of_reach() {
    let (path, granted) = (Path::new("/run/acpid.socket"), Path::new("/run/foil-test-granted.socket"));
    if !is_root() || path.exists() {
        skip!("making a socket at {} takes root and a machine without that service", path.display());
    }
    let own = UnixListener::bind(granted).unwrap();
    let connect = "use Socket; socket(my $s, PF_UNIX, SOCK_STREAM, 0) or exit 2; \
                   exit(connect($s, pack_sockaddr_un(shift)) ? 0 : 1)";
    let mut endings = Vec::new();
    for grant in [None, Some(granted.display().to_string())] {
        let stage = Stage::with(ShieldLevel::Confined, |spec| spec.writes.extend(grant)).await;
        endings.push(perl(&stage.run, connect, &[granted.to_str().unwrap()]).await.ending);
        for _ in 0..2 {
            let listener = UnixListener::bind(path).unwrap();
            endings.push(perl(&stage.run, connect, &[path.to_str().unwrap()]).await.ending);
            fs::remove_file(path).unwrap();
            drop(listener);
        }
    }
    fs::remove_file(granted).unwrap();
    drop(own);
    // Without a grant there are no sockets; with one, that one only.
    assert_eq!(endings, [2, 2, 2, 0, 1, 1].map(Ending::Exited));
}

#[tokio::test]
async fn the_limit_on_core_dumps_stays() {
    let stage = Stage::confined().await;
    let set = |call: libc::c_long, arguments: &str| {
        format!("my $l = pack('QQ', 0, 0); my $r = syscall({call}, {arguments}); print $r < 0 ? $! + 0 : 0")
    };
    for (number, arguments) in [
        #[cfg(not(target_arch = "riscv64"))]
        (libc::SYS_setrlimit, "4, $l"),
        (libc::SYS_prlimit64, "0, 4, $l, 0"),
        (libc::SYS_prlimit64, "$$, 4, $l, 0"),
        (libc::SYS_prlimit64, "1, 4, $l, 0"),
        (libc::SYS_prlimit64, "0, 4 | (1 << 32), $l, 0"),
    ] {
        assert_eq!(out(&perl(&stage.run, &set(number, arguments), &[]).await), libc::EPERM.to_string(), "{arguments}");
    }
    // Others may be lowered, and this one read.
    assert_eq!(out(&perl(&stage.run, &set(libc::SYS_prlimit64, "0, 7, 0, $l"), &[]).await), "0");
    assert_eq!(out(&perl(&stage.run, &set(libc::SYS_prlimit64, "0, 4, 0, $l"), &[]).await), "0");
    let outcome = stage.sh("grep 'core file' /proc/self/limits; ulimit -n 100 && ulimit -n").await;
    let text = out(&outcome);
    let words: Vec<_> = text.split_whitespace().collect();
    assert_eq!(words.get(4..6), Some(&["1", "1"][..]), "{text}");
    assert!(text.ends_with("\n100\n"), "{text}");
}

/// Neither the limit of a file's size nor the processors are for a child to take.
#[tokio::test]
async fn space_and_priority_have_bounds() {
    let stage = Stage::confined().await;
    for (mode, works) in [(0, true), (1, false), (3, true), (0x10, true), (0x20, false), (8, false), (0x40, false)] {
        let script = format!(
            "open(my $f, '+>', 'space') or exit 2; syswrite($f, 'x' x 8192); \
             my $r = syscall({}, fileno($f), {mode}, 0, 4096); print $r < 0 ? $! + 0 : 'ok'",
            libc::SYS_fallocate
        );
        let said = out(&perl(&stage.run, &script, &[]).await);
        assert_eq!(said == "ok", works, "{mode:#x}: {said}");
    }
    let outcome =
        stage.sh("nice -n -5 true; chrt -f 50 true && echo REAL; chrt -r 1 true && echo REAL; echo end").await;
    assert_eq!(out(&outcome), "end\n");
    assert!(err(&outcome).contains("nice: cannot set niceness"), "{}", err(&outcome));
}

#[tokio::test]
async fn terminals_are_the_runs_own() {
    let Ok(outside) = nix::pty::openpty(None, None) else { skip!("no terminal can be made here") };
    let path = nix::unistd::ttyname(&outside.slave).unwrap().display().to_string();
    let stage = Stage::confined().await;
    let outcome =
        stage.sh(&format!("ls /dev/pts | tr '\\n' ' '; echo x > {path}; cat < {path} & sleep 0.2; kill $!")).await;
    assert_eq!(out(&outcome).trim(), "ptmx", "{}", err(&outcome));
    let mut heard = [0_u8; 8];
    nix::fcntl::fcntl(&outside.master, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK)).unwrap();
    assert!(nix::unistd::read(&outside.master, &mut heard).is_err(), "nothing was written to it");
    // And they work: a new one is the first of its own instance, and may be changed.
    let open = format!(
        "$SIG{{HUP}} = 'IGNORE'; open(my $m, '+<', '/dev/ptmx') or exit 2; my $z = pack('i', 0); ioctl($m, {}, $z) or exit 3; my $n = pack('i', 0); \
         ioctl($m, {}, $n) or exit 4; my $t = '/dev/pts/' . unpack('i', $n); open(my $s, '+<', $t) or exit 5; \
         chmod(0600, $t) or exit 6; syswrite($s, \"x\\n\"); sysread($m, my $b, 1); print \"$t $b\"",
        libc::TIOCSPTLCK,
        libc::TIOCGPTN
    );
    assert_eq!(out(&perl(&stage.run, &open, &[]).await), "/dev/pts/0 x");
}
