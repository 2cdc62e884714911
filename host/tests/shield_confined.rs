//! What children of `confined` cannot do.

mod shield_support;

use foil_manifest::{Network, ShieldLevel};
use foil_shield::{Ending, ExecRequest, ShieldError};
use shield_support::*;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

#[tokio::test]
async fn files_outside_of_the_grants_cannot_be_read() {
    let secret = tempfile::tempdir().unwrap();
    let file = secret.path().join("secret");
    std::fs::write(&file, "hidden").unwrap();
    let cat = format!("cat {}", file.display());
    let stage = Stage::confined().await;
    let outcome = stage.sh(&cat).await;
    assert_eq!((outcome.stdout.as_slice(), outcome.ending), (&b""[..], Ending::Exited(1)), "{}", err(&outcome));
    let granted = Stage::with(ShieldLevel::Confined, |spec| spec.reads.push(secret.path().display().to_string())).await;
    assert_eq!(out(&granted.sh(&cat).await), "hidden");
    let outcome = granted.sh(&format!("echo x > {}", file.display())).await;
    assert_ne!(outcome.ending, Ending::Exited(0));
    assert_eq!(std::fs::read(&file).unwrap(), b"hidden");
}

#[tokio::test]
async fn the_shadow_file_is_read_only_where_granted() {
    if !is_root() {
        skip!("only root may read /etc/shadow at all");
    }
    let stage = Stage::confined().await;
    assert_eq!(out(&stage.sh("cat /etc/shadow").await), "");
    let granted = Stage::with(ShieldLevel::Confined, |spec| spec.reads.push("/etc/shadow".into())).await;
    assert!(out(&granted.sh("cat /etc/shadow").await).contains("root:"));
}

#[tokio::test]
async fn only_scratch_and_write_grants_can_be_changed() {
    let (granted, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let stage = Stage::with(ShieldLevel::Confined, |spec| spec.writes.push(granted.path().display().to_string())).await;
    let (granted, other) = (granted.path().display(), other.path().display());
    for (script, works) in [
        (format!("echo x > {granted}/a && rm {granted}/a && mkdir {granted}/b"), true),
        (format!("cp /bin/true {granted}/t && {granted}/t"), false),
        ("cp /bin/true t && ./t && rm t".to_owned(), true),
        (format!("echo x > {other}/a"), false),
        (format!("mkdir {other}/a"), false),
        (format!("ln -s /etc {other}/a"), false),
        ("echo x > /dev/shm/foil-test".to_owned(), false),
        (format!("echo x > inside && mv inside {other}/a"), false),
        (format!("truncate -s 0 {other}"), false),
        ("echo x > /dev/null".to_owned(), true),
        (format!("chmod 777 {other}"), false),
        (format!("touch -d 2001-01-01 {other}"), false),
        (format!("chown 1:1 {other}"), false),
        ("touch mine && chmod 600 mine && touch -d 2001-01-01 mine".to_owned(), true),
        (format!("chmod 700 {granted}/b"), true),
    ] {
        let outcome = stage.sh(&script).await;
        assert_eq!(outcome.ending == Ending::Exited(0), works, "{script}: {}", err(&outcome));
    }
}

#[tokio::test]
async fn grants_may_lie_within_each_other_or_name_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let (inner, file) = (folder.path().join("inner"), folder.path().join("file"));
    std::fs::create_dir(&inner).unwrap();
    std::fs::write(&file, "old").unwrap();
    let text = |path: &std::path::Path| path.display().to_string();
    let both = Stage::with(ShieldLevel::Confined, |spec| spec.writes = vec![text(&inner), text(folder.path())]).await;
    let script = format!("chmod 700 {0} && echo x > {0}/a && chmod 600 {0}/a {1}", inner.display(), file.display());
    assert_eq!(both.sh(&script).await.ending, Ending::Exited(0));
    let single = Stage::with(ShieldLevel::Confined, |spec| spec.writes = vec![text(&file)]).await;
    assert_eq!(single.sh(&format!("echo new > {0} && chmod 644 {0}", file.display())).await.ending, Ending::Exited(0));
    assert_ne!(single.sh(&format!("chmod 755 {}", inner.display())).await.ending, Ending::Exited(0));
    assert_ne!(single.sh(&format!("rm {}", file.display())).await.ending, Ending::Exited(0));
    assert_eq!(std::fs::read(&file).unwrap(), b"new\n");
}

#[tokio::test]
async fn the_kernel_cannot_be_set_through_proc_but_own_processes_can() {
    let stage = Stage::confined().await;
    let outcome = stage.sh("cat /proc/sys/kernel/core_pattern > old; cat old > /proc/sys/kernel/core_pattern").await;
    assert_ne!(outcome.ending, Ending::Exited(0));
    let outcome = stage.sh("echo b > /proc/sysrq-trigger; echo 1 > /sys/kernel/uevent_seqnum").await;
    assert_ne!(outcome.ending, Ending::Exited(0));
    assert_eq!(out(&stage.sh("printf renamed > /proc/$$/comm; cat /proc/$$/comm").await), "renamed\n");
}

/// Modes and owners of the kernel's files are one for every mount of /proc. Setting the mode that is there changes nothing and
/// succeeds where changing would.
#[tokio::test]
async fn what_the_kernel_shows_keeps_its_modes() {
    let chmod = "for file in $FILES; do [ -L $file ] || ! chmod $(stat -c %a $file) $file || echo CHANGED $file; done 2>/dev/null; echo end";
    for level in [ShieldLevel::Confined, ShieldLevel::Overlay] {
        for (network, files) in [
            (Network::Loopback, "/proc/[a-z]* /proc/sys/kernel/*"),
            (Network::Host, "/proc/[a-z]* /proc/self/net/* /proc/self/net/stat/* /proc/1/net/*"),
        ] {
            if level == ShieldLevel::Overlay && !is_root() {
                continue;
            }
            let stage = Stage::with(level, |spec| spec.network = network).await;
            let said = out(&stage.sh(&chmod.replace("$FILES", files)).await);
            assert_eq!(said, "end\n", "{level:?}, {network:?}");
        }
    }
}

#[tokio::test]
async fn only_the_runs_processes_are_seen() {
    let mut bystander = Bystander::new();
    let stage = Stage::confined().await;
    let text = out(&stage.sh("echo $$; ls /proc | grep -E '^[0-9]+$' | tr '\\n' ' '").await);
    let pids: Vec<u32> = text.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    assert!(pids.len() < 8 && pids.iter().all(|pid| *pid < 20), "{text}");
    let pid = bystander.0.id();
    let outcome = stage.sh(&format!("ls /proc/{pid}; kill -9 {pid}; kill -9 -- -1; true")).await;
    assert!(out(&outcome).is_empty() && bystander.lives(), "{outcome:?}");
}

#[tokio::test]
async fn outside_cannot_be_traced_but_own_children_can() {
    let mut bystander = Bystander::new();
    let stage = Stage::confined().await;
    // PTRACE_ATTACH is 16.
    let nr = libc::SYS_ptrace;
    let attach = format!("exit(syscall({nr}, 16, int(shift), 0, 0) == 0 ? 0 : 1)");
    let outcome = perl(&stage.run, &attach, &[&bystander.0.id().to_string()]).await;
    assert_eq!(outcome.ending, Ending::Exited(1));
    // Nor init, which is outside of the children's Landlock domain.
    assert_eq!(perl(&stage.run, &attach, &["1"]).await.ending, Ending::Exited(1));
    let own = format!(
        "my $p = fork; sleep 60 unless $p; my $r = syscall({nr}, 16, $p, 0, 0); kill 9, $p; exit($r == 0 ? 0 : 1)"
    );
    assert_eq!(perl(&stage.run, &own, &[]).await.ending, Ending::Exited(0));
    assert!(bystander.lives());
}

#[tokio::test]
async fn the_network_is_loopback_only() {
    let outside = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = outside.local_addr().unwrap().port().to_string();
    let connect = "use Socket; socket(my $s, PF_INET, SOCK_STREAM, 0); \
                   exit(connect($s, sockaddr_in(shift, inet_aton('127.0.0.1'))) ? 0 : 1)";
    let stage = Stage::confined().await;
    let devices = out(&stage.sh("tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '").await);
    assert_eq!(devices.lines().filter(|name| *name == "lo").count(), 1, "{devices}");
    // Tunnel devices that a kernel makes in every namespace are down and lead nowhere.
    assert_eq!(perl(&stage.run, connect, &[&port]).await.ending, Ending::Exited(1));
    let itself = "use Socket; socket(my $l, PF_INET, SOCK_STREAM, 0); bind($l, sockaddr_in(0, inet_aton('127.0.0.1'))); \
                  listen($l, 1); my ($p) = sockaddr_in(getsockname($l)); socket(my $s, PF_INET, SOCK_STREAM, 0); \
                  exit(connect($s, sockaddr_in($p, inet_aton('127.0.0.1'))) ? 0 : 1)";
    assert_eq!(perl(&stage.run, itself, &[]).await.ending, Ending::Exited(0));
    let host = Stage::with(ShieldLevel::Confined, |spec| spec.network = Network::Host).await;
    assert_eq!(perl(&host.run, connect, &[&port]).await.ending, Ending::Exited(0));
}

#[tokio::test]
async fn abstract_sockets_outside_are_out_of_reach() {
    let name = long_sleep();
    let _listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let connect = "use Socket; socket(my $s, PF_UNIX, SOCK_STREAM, 0); \
                   exit(connect($s, pack_sockaddr_un(\"\\0\" . shift)) ? 0 : 1)";
    for network in [Network::Loopback, Network::Host] {
        let stage = Stage::with(ShieldLevel::Confined, |spec| spec.network = network).await;
        if stage.run.gaps().iter().any(|gap| gap.contains("abstract")) {
            skip!("{:?}", stage.run.gaps());
        }
        assert_eq!(perl(&stage.run, connect, &[&name]).await.ending, Ending::Exited(1), "{network:?}");
    }
    let open = Stage::with(ShieldLevel::Open, |_| {}).await;
    assert_eq!(perl(&open.run, connect, &[&name]).await.ending, Ending::Exited(0), "the test can tell");
}

#[tokio::test]
async fn sockets_of_services_that_act_as_root_are_covered() {
    let path = std::path::Path::new("/run/snapd.socket");
    if !is_root() || path.exists() {
        skip!("making a socket at {} takes root and a machine without that service", path.display());
    }
    let listener = std::os::unix::net::UnixListener::bind(path).unwrap();
    let connect = "use Socket; socket(my $s, PF_UNIX, SOCK_STREAM, 0); \
                   exit(connect($s, pack_sockaddr_un(shift)) ? 0 : 1)";
    let mut endings = Vec::new();
    for grant in [None, Some("/run/snapd.socket".to_owned())] {
        let stage = Stage::with(ShieldLevel::Confined, |spec| spec.writes.extend(grant)).await;
        endings.push(perl(&stage.run, connect, &[path.to_str().unwrap()]).await.ending);
    }
    std::fs::remove_file(path).unwrap();
    drop(listener);
    assert_eq!(endings, [Ending::Exited(1), Ending::Exited(0)]);
}

#[tokio::test]
async fn refused_system_calls_fail_with_eperm() {
    let stage = Stage::confined().await;
    for (name, call) in [
        ("mount", libc::SYS_mount),
        ("setns", libc::SYS_setns),
        ("unshare", libc::SYS_unshare),
        ("bpf", libc::SYS_bpf),
        ("keyctl", libc::SYS_keyctl),
        ("io_uring_setup", libc::SYS_io_uring_setup),
        ("perf_event_open", libc::SYS_perf_event_open),
        ("init_module", libc::SYS_init_module),
        ("reboot", libc::SYS_reboot),
        ("settimeofday", libc::SYS_settimeofday),
        ("open_by_handle_at", libc::SYS_open_by_handle_at),
        ("userfaultfd", libc::SYS_userfaultfd),
    ] {
        let outcome = perl(&stage.run, &format!("syscall({call}, 0, 0, 0, 0, 0); print $! + 0"), &[]).await;
        assert_eq!(out(&outcome), libc::EPERM.to_string(), "{name}");
    }
    let clone = |flags: i32| {
        format!(
            "my $p = syscall({}, {}, 0, 0, 0, 0); exit 0 if $p == 0; print $p < 0 ? $! + 0 : 'made'",
            libc::SYS_clone,
            flags | libc::SIGCHLD
        )
    };
    assert_eq!(out(&perl(&stage.run, &clone(libc::CLONE_NEWUSER), &[]).await), libc::EPERM.to_string());
    assert_eq!(out(&perl(&stage.run, &clone(0), &[]).await), "made");
    let clone3 = format!("syscall({}, 0, 0); print $! + 0", libc::SYS_clone3);
    assert_eq!(out(&perl(&stage.run, &clone3, &[]).await), libc::ENOSYS.to_string());
    let paste = format!("my $c = 'x'; ioctl(STDIN, {}, $c); print $! + 0", libc::TIOCSTI);
    assert_eq!(out(&perl(&stage.run, &paste, &[]).await), libc::EPERM.to_string());
    #[cfg(target_arch = "x86_64")]
    {
        // getpid by its x32 number.
        let outcome = perl(&stage.run, "syscall(0x40000000 + 39); exit 0", &[]).await;
        assert_eq!(outcome.ending, Ending::Signalled(libc::SIGSYS as u8));
    }
}

#[tokio::test]
async fn no_new_privs_unless_granted() {
    let line = "grep -E 'NoNewPrivs|CapBnd|CapEff|Seccomp:' /proc/self/status | tr -d '\\t\\n'";
    let stage = Stage::confined().await;
    assert!(out(&stage.sh(line).await).contains("NoNewPrivs:1"));
    let granted = Stage::attempt(ShieldLevel::Confined, |spec| spec.privileges = true).await;
    if !is_administrator() {
        assert!(matches!(granted, Err(ShieldError::Unavailable { .. })));
        return;
    }
    let granted = granted.unwrap();
    let text = out(&granted.sh(line).await);
    assert!(text.contains("NoNewPrivs:0") && text.contains("Seccomp:2"), "{text}");
    let set = |name: &str| u64::from_str_radix(text.split(name).nth(1).unwrap().get(..16).unwrap(), 16).unwrap();
    for capability in [16, 17, 21, 22, 25, 27, 30, 33] {
        assert_eq!((set("CapBnd:") | set("CapEff:")) >> capability & 1, 0, "capability {capability}: {text}");
    }
    assert_eq!(out(&granted.sh("cat /etc/shadow").await), "", "Landlock holds without no_new_privs too");
    let host = Stage::with(ShieldLevel::Confined, |spec| spec.network = Network::Host).await;
    let outcome = host.sh("grep CapEff /proc/self/status | cut -f2").await;
    let effective = u64::from_str_radix(out(&outcome).trim(), 16).unwrap();
    assert_eq!(effective >> 12 & 1, 0, "NET_ADMIN on the machine's network");
}

#[tokio::test]
async fn the_run_serves_on_its_own_loopback_until_the_phase_ends() {
    let stage = Stage::confined().await;
    let body: Vec<u8> = (0..200_000_u32).map(|i| i.to_le_bytes()[1]).collect();
    let tool = stage.run.publish("/tool".into(), body.clone()).await.unwrap();
    let note = stage.run.publish("/note".into(), b"short".to_vec()).await.unwrap();
    assert!(tool.starts_with("http://127.0.0.1:") && tool.ends_with("/tool"));
    assert_eq!(tool.rsplit_once('/').unwrap().0, note.rsplit_once('/').unwrap().0, "one server");
    let port = tool.trim_start_matches("http://127.0.0.1:").trim_end_matches("/tool").to_owned();
    let get = "use Socket; socket(my $s, PF_INET, SOCK_STREAM, 0); \
               connect($s, sockaddr_in(shift, inet_aton('127.0.0.1'))) or exit 1; \
               syswrite($s, 'GET ' . shift . \" HTTP/1.0\\r\\n\\r\\n\"); binmode STDOUT; \
               while (sysread($s, my $b, 65536)) { syswrite(STDOUT, $b) }";
    let outcome = perl(&stage.run, get, &[&port, "/tool"]).await;
    assert!(outcome.stdout.starts_with(b"HTTP/1.0 200 OK\r\n"), "{outcome:?}");
    assert!(outcome.stdout.ends_with(&body));
    assert!(perl(&stage.run, get, &[&port, "/note"]).await.stdout.ends_with(b"\r\n\r\nshort"));
    assert!(perl(&stage.run, get, &[&port, "/other"]).await.stdout.starts_with(b"HTTP/1.0 404"));
    // From outside there is no such port, and the server is no leftover of the technique.
    assert!(std::net::TcpStream::connect(("127.0.0.1", port.parse().unwrap())).is_err());
    assert_eq!(stage.run.end_phase().await.unwrap(), 0);
    assert_eq!(perl(&stage.run, get, &[&port, "/tool"]).await.ending, Ending::Exited(1));
    assert!(stage.run.publish("/tool".into(), b"again".to_vec()).await.is_ok());
    assert!(matches!(stage.run.publish("no slash".into(), Vec::new()).await, Err(ShieldError::Invalid(_))));
    let host = Stage::with(ShieldLevel::Confined, |spec| spec.network = Network::Host).await;
    assert!(matches!(host.run.publish("/x".into(), Vec::new()).await, Err(ShieldError::Unavailable { .. })));
}

#[tokio::test]
async fn a_grant_that_cannot_be_given_is_said() {
    let stage = Stage::with(ShieldLevel::Confined, |spec| {
        spec.writes.push("/no/such/folder".into());
        spec.reads.push("/no/such/file".into());
    })
    .await;
    let gaps = stage.run.gaps().join("\n");
    assert!(gaps.contains("/no/such/folder") && gaps.contains("/no/such/file"), "{gaps}");
    let relative = Stage::attempt(ShieldLevel::Confined, |spec| spec.reads.push("etc".into())).await;
    assert!(matches!(relative, Err(ShieldError::Invalid(_))));
}

#[tokio::test]
async fn children_run_as_the_identity() {
    if !is_administrator() {
        skip!("only root can run children as somebody else");
    }
    for (level, privileges) in
        [(ShieldLevel::Confined, false), (ShieldLevel::Confined, true), (ShieldLevel::Open, false)]
    {
        let stage = Stage::with(level, |spec| {
            spec.identity = Some(nobody());
            spec.privileges = privileges;
        })
        .await;
        let outcome = stage
            .sh("id -u; id -g; id -G; echo $USER $HOME; echo x > mine; cat /dev/stdin; echo y > /dev/stdout")
            .await;
        assert_eq!(out(&outcome), "65534\n65534\n65534\nnobody /nonexistent\ny\n", "{}", err(&outcome));
        let outcome = stage.sh("grep -E '^Cap(Eff|Prm|Inh|Amb)|^Uid' /proc/self/status").await;
        for line in out(&outcome).lines() {
            let none = line.ends_with("\t0000000000000000");
            assert!(none || line.ends_with("65534\t65534\t65534\t65534"), "{level}: {line}");
        }
        let outcome = stage
            .run
            .exec(ExecRequest { program: "/bin/cat".into(), args: vec!["/etc/shadow".into()], ..Default::default() })
            .await;
        assert_eq!(outcome.unwrap().ending, Ending::Exited(1));
        let sleep = long_sleep();
        stage.sh(&format!("(setsid sleep {sleep} >/dev/null 2>&1 &)")).await;
        assert!(wait_for(&sleep, true));
        assert_eq!(stage.run.end_phase().await.unwrap(), 1);
        assert_eq!(alive(&sleep), [0_u32; 0]);
    }
}
