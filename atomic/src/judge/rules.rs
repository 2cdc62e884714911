//! What stops or destroys a machine, and what an overlay cannot carry.

use super::shell::Command;

/// Why the command stops the machine or destroys what is on it.
pub(super) fn destructive(command: &Command) -> Option<String> {
    let words = command.arguments();
    let has = |word: &str| words.iter().any(|w| w == word);
    let verb = |verbs: &str| words.iter().any(|w| verbs.split(' ').any(|verb| verb == w));
    let program = command.program();
    let stops = match program {
        "halt" | "reboot" | "poweroff" => !has("--help") && !has("--version") && !has("-w") && !has("--wtmp-only"),
        "shutdown" => !has("--help") && !has("-c"),
        "init" | "telinit" => verb("0 1 6 s S"),
        "systemctl" => verb("halt reboot poweroff kexec soft-reboot emergency rescue suspend hibernate"),
        "kexec" => has("-e") || has("--exec"),
        _ => false,
    };
    if stops {
        return Some("stops the machine".into());
    }
    let written = command.writes.iter().chain(words.iter().filter(|_| program == "tee"));
    if written.clone().any(|file| file == "/proc/sysrq-trigger") {
        return Some("gives the kernel a SysRq command".into());
    }
    let writes = match program {
        "dd" => words.iter().any(|w| w.strip_prefix("of=").is_some_and(is_disk)),
        "wipefs" | "shred" | "blkdiscard" | "badblocks" | "mkswap" | "sfdisk" | "sgdisk" | "cryptsetup" | "mke2fs" => {
            words.iter().any(|w| is_disk(w)) && !has("-l") && !has("--list")
        }
        "cp" | "mv" => words.last().is_some_and(|w| is_disk(w)),
        other => other.starts_with("mkfs") && words.iter().any(|w| is_disk(w) || w.starts_with('$')),
    };
    if writes || written.clone().any(|file| is_disk(file)) {
        return Some("overwrites a disk".into());
    }
    let recursive = words.iter().any(|w| match w.strip_prefix("--") {
        Some(long) => long == "recursive",
        None => w.starts_with('-') && w.contains(['r', 'R']),
    });
    let system = words.iter().find(|w| is_system(w));
    match (program, system) {
        ("rm", Some(at)) if recursive => return Some(format!("deletes `{at}`")),
        ("rm", _) if has("--no-preserve-root") => return Some("deletes `/`".into()),
        ("find", Some(at)) if has("-delete") && !words.iter().any(|w| narrows(w)) => {
            return Some(format!("deletes `{at}`"));
        }
        ("chmod" | "chown" | "chgrp", Some(at)) if recursive => return Some(format!("changes all of `{at}`")),
        ("mv", Some(at)) if words.first() == Some(at) => return Some(format!("moves `{at}` away")),
        _ => {}
    }
    if (program == "kill" && words.iter().skip(1).any(|w| w == "-1")) || program == "killall5" {
        return Some("kills every process".into());
    }
    (command.recursive && command.beside).then(|| "calls itself beside itself without end (a fork bomb)".into())
}

/// A disk's file, whichever driver it has.
fn is_disk(file: &str) -> bool {
    const DISKS: [&str; 12] =
        ["sd", "hd", "vd", "xvd", "nvme", "mmcblk", "md", "dm-", "mapper/", "disk/", "nbd", "ada"];
    file.strip_prefix("/dev/").is_some_and(|name| DISKS.iter().any(|disk| name.starts_with(disk)))
}

/// `/` or a folder of the system in it, however it is written, or all that is in it.
fn is_system(path: &str) -> bool {
    if !path.starts_with('/') {
        return false;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !matches!(*part, "" | "." | "*" | "{*,.*}" | ".*")) {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    match parts.as_slice() {
        [] => true,
        [top] => matches!(
            *top,
            "bin"
                | "boot"
                | "dev"
                | "etc"
                | "home"
                | "lib"
                | "lib64"
                | "opt"
                | "proc"
                | "root"
                | "run"
                | "sbin"
                | "srv"
                | "sys"
                | "usr"
                | "var"
        ),
        _ => false,
    }
}

/// A word of `find` that picks some files.
fn narrows(word: &str) -> bool {
    ["-name", "-iname", "-path", "-ipath", "-regex", "-user", "-newer", "-mtime", "-mmin", "-inum", "-samefile"]
        .iter()
        .any(|test| word.starts_with(test))
}

/// Why what the command does is not of files, so that an overlay neither shows it nor takes it back.
pub(super) fn beyond_overlay(command: &Command) -> Option<String> {
    let words = command.arguments();
    let has = |word: &str| words.iter().any(|w| w == word);
    let asks = words.is_empty() || has("--version") || has("--help") || has("-h") || has("-V");
    let verb = |verbs: &str| words.iter().any(|w| verbs.split(' ').any(|verb| verb == w));
    let why = match command.program() {
        "systemctl"
            if verb(
                "start stop restart reload try-restart reload-or-restart enable disable reenable mask unmask kill isolate \
                 daemon-reload daemon-reexec set-property set-default edit link revert preset",
            ) =>
        {
            "needs systemd"
        }
        "service" | "rc-service" | "initctl" if verb("start stop restart reload onestart onestop force-reload") => {
            "needs the machine's services"
        }
        _ if command.words.first().is_some_and(|w| w.starts_with("/etc/init.d/")) && !asks => {
            "needs the machine's services"
        }
        "systemd-run" | "loginctl" | "machinectl" if !has("--version") && !has("--help") => "needs systemd",
        "hostnamectl" | "timedatectl" | "localectl" if words.iter().any(|w| w.starts_with("set-")) => "needs systemd",
        "busctl" | "dbus-send" | "gdbus" | "dbus-monitor" if !asks => "needs D-Bus",
        "at" | "atq" | "atrm" | "batch" if !has("-V") => "needs the `at` daemon",
        "insmod" | "rmmod" if !asks => "changes the kernel's modules",
        "modprobe" if !asks && !verb("-n --dry-run --show -c --showconfig -D --show-depends -R --resolve-alias") => {
            "changes the kernel's modules"
        }
        "kexec" if !asks => "loads a kernel",
        "docker" | "podman" | "nerdctl" | "crictl" | "ctr" if !asks => "needs a container daemon",
        "kubectl" | "helm" if !asks => "needs a cluster",
        "auditctl" if verb("-e -D -a -A -d -w -W -R -b -f -r") => "changes the kernel's audit",
        "setenforce" => "changes the kernel's policy",
        "bpftool" | "bpftrace" if !asks => "loads programs into the kernel",
        "sysctl"
            if verb("-w --write -p --load --system")
                || words.iter().any(|w| !w.starts_with('-') && w.contains('=')) =>
        {
            "changes the kernel's settings"
        }
        "swapoff" | "swapon" if !asks && !verb("-s --show --summary") => "changes the machine's swap",
        "losetup" if !asks && !verb("-a --all -l --list -j --associated") => "needs a loop device",
        "mount" | "umount" if words.iter().any(|w| is_disk(w)) => "needs a real device",
        "date" if verb("-s --set") || words.iter().any(|w| w.starts_with("--set=")) => "sets the machine's clock",
        "hwclock" if verb("-w --systohc -s --hctosys --set") => "sets the machine's clock",
        _ => return kernel_file(command),
    };
    Some(format!("{why}, which an overlay cannot carry"))
}

/// What the kernel gives or takes through files.
fn kernel_file(command: &Command) -> Option<String> {
    let files = command.files().chain(command.arguments());
    let file = |word: &str| word.rsplit('=').next().unwrap_or(word).to_owned();
    let memory =
        files.map(|w| file(w)).find(|w| matches!(w.as_str(), "/proc/kcore" | "/dev/mem" | "/dev/kmem" | "/dev/port"));
    if let Some(memory) = memory {
        return Some(format!("opens the machine's memory, `{memory}`, which an overlay cannot carry"));
    }
    let written = command.writes.iter().chain(command.arguments().iter().filter(|_| command.program() == "tee"));
    let setting = written.clone().find(|file| file.starts_with("/proc/sys/") || file.starts_with("/sys/"));
    setting.map(|_| "changes the kernel's settings, which an overlay cannot carry".into())
}
