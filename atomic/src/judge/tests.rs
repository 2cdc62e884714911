use super::*;
use crate::{FORMAT, Shell};

fn script(command: &str) -> Script {
    Script {
        foil_atomic: FORMAT,
        technique: "T1059.004".into(),
        technique_name: "x".into(),
        number: 1,
        guid: None,
        name: "x".into(),
        description: "x".into(),
        arguments: BTreeMap::new(),
        dependencies: Vec::new(),
        dependency_executor: Shell::Sh,
        executor: Shell::Sh,
        elevation: false,
        command: command.into(),
        cleanup: None,
        atomics: "/at".into(),
    }
}

#[test]
fn what_destroys_is_recognised_where_it_is_a_command() {
    for command in [
        "reboot",
        "sudo -n -u root /sbin/halt -p",
        "A=1 nohup env B=2 poweroff &",
        "true && shutdown -h now",
        "if true; then reboot; fi",
        "for i in 1; do init 6; done",
        "x=$(reboot)",
        "echo \"`halt`\"",
        "echo \"${x:-$(halt)}\"",
        "sh -c 'sleep 1; reboot'",
        "bash -xc \"reboot\"",
        "sh <<EOF\nreboot\nEOF",
        "cat <<EOF\n$(reboot)\nEOF",
        "cat <<'EOF' > /tmp/x.sh\nreboot\nEOF\nsh /tmp/x.sh",
        "echo 'reboot' | sudo sh",
        "echo 'reboot' >> /tmp/x.sh",
        "case a in a) reboot;; esac",
        "case x in\n  a|b) echo;;\n  (c) cat | reboot;;\nesac",
        "f() { reboot; }; f",
        "x\\\nx; re\\\nboot",
        "timeout -k 1 5 reboot",
        "find /tmp -name x -exec reboot \\;",
        "eval 're''boot'",
        "systemctl reboot",
        "echo b | sudo tee /proc/sysrq-trigger",
        "echo b > /proc/sysrq-trigger",
        "dd if=/dev/zero of=/dev/sda bs=1M",
        "cat /dev/zero > /dev/nvme0n1",
        "mkfs.ext4 /dev/vdb1",
        "shred -n1 /dev/sda",
        "rm -rf /",
        "rm -r -f /*",
        "rm -fr --no-preserve-root $X",
        "rm -rf /tmp/../etc/",
        "find / -delete",
        "kill -9 -1",
        ":(){ :|:& };:",
        "bomb() {\n  bomb | bomb &\n}\nbomb",
    ] {
        assert!(judge(&script(command)).destructive.is_some(), "{command}");
    }
    for command in [
        "last reboot",
        "echo reboot",
        "echo 'a; reboot'",
        "# reboot",
        "x # ; reboot",
        "cat <<'EOF'\nreboot\n$(halt)\nEOF",
        "cat <<-EOF\n\treboot\n\tEOF\necho x",
        "command -v reboot",
        "man reboot; which halt",
        "[[ -f x && reboot == y ]]",
        "x=(reboot halt)",
        "case reboot in reboot|halt) echo;; esac",
        "case x in\n  reboot) echo;;\n  (x|halt) echo;;\n  reboot | halt)\n echo;; esac; echo",
        "for halt in reboot; do echo; done",
        "((halt = 1)); echo $((halt + 1))",
        "shutdown -c",
        "dd if=/dev/sda of=/tmp/x count=1",
        "head -c1 </dev/sda 2>&1",
        "mkfs.ext4 /tmp/disk.img",
        "rm -rf /tmp/x /var/log/x",
        "rm /etc/x",
        "kill -1 500",
        "init_x 0; ./init/x 6",
        "f() { echo | f2 & }; f &",
    ] {
        assert_eq!(judge(&script(command)).destructive, None, "{command}");
    }
}

#[test]
fn what_an_overlay_cannot_carry_is_recognised() {
    for (command, beyond) in [
        ("sudo systemctl daemon-reload", true),
        ("systemctl status cron; systemctl --version", false),
        ("service cron stop", true),
        ("/etc/init.d/cron restart", true),
        ("echo 'date' | at now + 1 minute", true),
        ("grep at /etc/x; cat at", false),
        ("modprobe -n x; lsmod", false),
        ("sudo modprobe -r x", true),
        ("docker ps", true),
        ("docker --version", false),
        ("auditctl -l", false),
        ("auditctl -e 0", true),
        ("dd if=/dev/mem of=/tmp/x", true),
        ("strings </proc/kcore", true),
        ("sysctl kernel.x", false),
        ("sysctl -w kernel.x=1", true),
        ("echo 0 > /proc/sys/kernel/x", true),
        ("mount /dev/sda1 /mnt", true),
        ("mount -t tmpfs x /mnt", false),
        ("date -s 2020-01-01", true),
    ] {
        assert_eq!(judge(&script(command)).beyond_overlay.is_some(), beyond, "{command}");
    }
}

#[test]
fn what_uses_the_network_is_recognised() {
    for (command, network) in [
        ("curl -sO https://example.com/x", true),
        ("curl http://localhost:8080/x", false),
        ("curl http://[::1]/x http://127.0.0.1:9/y", false),
        ("curl http://localhost@example.com/", true),
        ("curl --version; which wget", false),
        ("nc -l 80; nc -lvp 80", false),
        ("nc example.com 80", true),
        ("echo >/dev/tcp/10.0.0.1/80", true),
        ("echo >/dev/tcp/127.0.0.1/80", false),
        ("rsync -a /a /b", false),
        ("rsync -a /a host:/b", true),
        ("cloudflared tunnel --url localhost:80", true),
        ("sudo apt-get -y install x", true),
        ("apt list --installed", false),
        ("python3 -c 'get(\"https://example.com\")'", true),
        ("echo https://example.com", false),
        ("sshpass -p x ssh a@example.com", true),
    ] {
        assert_eq!(judge(&script(command)).fetches.is_some(), network, "{command}");
    }
}

#[test]
fn all_scripts_are_judged_and_arguments_filled_in() {
    let mut test = script("#{what} -p");
    let argument = |default: &str| crate::Argument {
        description: String::new(),
        kind: crate::Kind::String,
        default: Some(default.into()),
    };
    test.arguments = BTreeMap::from([("what".into(), argument("halt"))]);
    test.cleanup = Some("./clean.sh\nexport A\n$B c\nmine() { ls; }\nmine".into());
    let dependency = |check: &str, obtain: &str| crate::Dependency {
        description: String::new(),
        check: check.into(),
        obtain: Some(obtain.into()),
    };
    test.dependencies =
        vec![dependency("test -e x", "make"), dependency("service x start", "wget a.b\nservice y start")];
    let found = judge(&test);
    assert_eq!(found.destructive.as_deref(), Some("`halt -p` stops the machine"));
    let beyond =
        "`service x start` needs the machine's services, which an overlay cannot carry, to check prerequisite 2";
    assert_eq!(found.beyond_overlay.as_deref(), Some(beyond));
    let obtaining = "`wget a.b` fetches from the network, or sends to it, to obtain prerequisite 2";
    assert_eq!((found.fetches.as_deref(), found.obtaining_fetches.as_deref()), (None, Some(obtaining)));
    assert!(found.programs.iter().eq(["./clean.sh", "halt", "ls", "make", "service", "wget"]), "{:?}", found.programs);
    let other = BTreeMap::from([("what".to_owned(), "ls".to_owned())]);
    assert_eq!(judge_with(&test, &other).destructive, None);
}

/// Hostile text neither ends the reader nor keeps it busy.
#[test]
fn any_text_is_read_and_takes_no_exponential_time() {
    // What did would not end.
    let parts = [
        "$(",
        "${",
        "$((",
        "`",
        "\"$(",
        "((",
        "x=(",
        "(",
        ")",
        "<<E\n",
        "<<",
        "[[ ",
        "sudo ",
        "f() { ",
        "case x in ",
        "a <b ",
        "{ ",
        "} ",
        "find -exec ",
        "sh -c '",
        "eval eval ",
        "echo x | sh\n",
        "é\\",
        "\"",
        "'",
        "&",
        "|",
        "\0",
        "timeout ",
        "a ",
    ];
    for part in parts {
        for then in ["", " x; reboot", ")", "}"] {
            judge(&script(&format!("{}{then}", part.repeat((1 << 16) / part.len()))));
        }
    }
    for first in parts {
        for second in parts {
            judge(&script(&format!("{first}{second}").repeat(10)));
        }
    }
}
