//! Ways out of a view that root knows. Each test tries them as root inside and then looks at the machine.

#[path = "common/overlay.rs"]
mod overlay;

use std::os::unix::fs::MetadataExt;

use overlay::{Case, Gone, inside, root};

#[test]
fn helper() {
    overlay::helper();
}

fn both(script: &str) -> [String; 2] {
    [false, true].map(|weak| {
        let mut case = Case::new(script);
        case.without_user_namespace = weak;
        case.run()
    })
}

/// Every path to a file that is not the path: through processes, bind mounts, new roots.
#[test]
fn no_other_path_leads_to_the_machines_files() {
    if !root() {
        return;
    }
    let file = Gone::file("/var/tmp");
    let said = both(&format!(
        "for way in /proc/1/root /proc/self/root/../.. /proc/1/cwd /proc/$$/cwd/../../../.. /proc/1/task/1/root; do
           echo escaped > $way{file}; done
         mkdir -p /mnt/b /tmp/jail; mount --bind / /mnt/b; echo escaped > /mnt/b{file}
         mount --rbind / /mnt/b; echo escaped > /mnt/b{file}; mount --move / /mnt/b
         chroot / sh -c 'cd ..; echo escaped > ./{file}'; PROBE chroot
         nsenter -t 1 -a sh -c 'echo escaped > {file}' ; nsenter -t 1 -m sh -c 'echo escaped > {file}'
         unshare -m sh -c 'mount --make-rshared /; echo escaped > {file}'
         unshare -Urm sh -c 'umount -l /proc; mount --bind / /mnt; echo escaped > /mnt/{file}'
         unshare -pf --mount-proc sh -c 'echo escaped > /proc/1/root{file}; echo escaped > /proc/sys/kernel/domainname'
         for pid in /proc/[0-9]*; do echo escaped > $pid/root{file}; done
         for fd in /proc/1/fd/*; do echo escaped > $fd{file}; done; cat {file}"
    ));
    for said in said {
        assert!(said.contains("probe:chroot EXDEV"), "{said}");
        assert!(said.contains("nsenter: ") && said.ends_with("escaped\n"), "{said}");
    }
    assert_eq!(file.text(), "before");
}

/// Unmounting and moving what can be: what comes to light must not be the machine.
#[test]
fn nothing_is_below_the_view() {
    if !root() {
        return;
    }
    let marker = Gone::file("/var/tmp");
    let said = both(&format!(
        "rm {marker}
         for point in $(cut -d' ' -f5 /proc/self/mountinfo | tac) / / /; do umount $point; umount -l $point; done >/dev/null 2>&1
         cat {marker}; ls /proc/sysrq-trigger >/dev/null; echo h > /proc/sys/kernel/hostname
         mkdir -p /var/new; mount --rbind / /var/new && cd /var/new && pivot_root . mnt && umount -l /mnt; cat {marker}
         umount -l /; cat {marker} /mnt{marker} /../{marker}; ls /work /lost+found -d; grep -c . /proc/self/mountinfo"
    ));
    for said in said {
        assert!(!said.contains("before"), "{said}");
        assert!(said.contains("Read-only file system"), "{said}");
    }
    assert_eq!(marker.text(), "before");
}

/// Control files of the kernel, through what is mounted and through what root might mount.
#[test]
fn the_kernels_controls_are_out_of_reach() {
    if !root() {
        return;
    }
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let knobs = ["/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sys/vm/overcommit_memory"];
    let before = knobs.map(read);
    let mode = std::fs::metadata("/proc/version").unwrap().mode();
    let said = both(
        "core() { echo /tmp/foil-core > $1/sys/kernel/core_pattern; echo foil > $1/sys/kernel/hostname; echo 2 > $1/sys/vm/overcommit_memory; }
         core /proc; mount -o remount,rw /proc/sys; mount -o remount,bind,rw /proc/sys; core /proc; umount -l /proc/sys; core /proc
         mkdir /mnt/p /mnt/s /mnt/c; mount -t proc proc /mnt/p && core /mnt/p; mount --bind /proc /mnt/p && core /mnt/p
         mount --rbind /proc /mnt/p && umount -l /mnt/p/sys && core /mnt/p; mount -o remount,rw /mnt/p/sys && core /mnt/p
         unshare -Upfrm sh -c 'mount -t proc proc /mnt/p && echo h > /mnt/p/sys/kernel/hostname'
         chmod 777 /proc/version; chmod 600 /proc/cpuinfo; chown 1 /proc/meminfo; echo h > /proc/sysrq-trigger; head -c1 /proc/kcore
         mount -o remount,rw /sys; mount -o remount,bind,rw /sys; echo 1 > /sys/kernel/profiling; echo 0 > /sys/kernel/mm/ksm/run && echo WROTE
         mount -t sysfs sysfs /mnt/s && echo 0 > /mnt/s/kernel/mm/ksm/run && echo WROTE
         for kind in devtmpfs debugfs tracefs securityfs efivarfs configfs pstore bpf fusectl hugetlbfs; do
           mount -t $kind $kind /mnt/c && echo MOUNTED $kind; done
         mount -t cgroup -o pids pids /mnt/c && echo MOUNTED cgroup; mount -t cgroup2 none /mnt/c && echo MOUNTED cgroup2
         unshare -C sh -c 'mount -t cgroup2 none /mnt/c && echo MOUNTED'; unshare -UrCm sh -c 'mount -t cgroup2 none /mnt/c && echo MOUNTED'
         PROBE cgroup-namespace; PROBE clone3; ls /sys/kernel/debug /sys/kernel/tracing /sys/fs/cgroup 2>/dev/null | grep -v :
         PROBE reboot; PROBE settime; PROBE module; PROBE keyctl; PROBE io-uring; PROBE core-limit 4096; PROBE core-limit 0; PROBE open-by-handle /etc
         date -s '2001-01-01'; dmesg -C; swapoff -a; sysctl -w kernel.hostname=foil",
    );
    for said in said {
        for wrong in ["MOUNTED", "WROTE"] {
            assert!(!said.contains(wrong), "{wrong} in {said}");
        }
        for denied in ["cgroup-namespace", "reboot", "settime", "module", "keyctl", "core-limit", "open-by-handle"] {
            assert!(said.contains(&format!("probe:{denied} EPERM")), "{denied} in {said}");
        }
        assert_eq!(said.matches("probe:core-limit EPERM").count(), 2, "{said}");
        for absent in ["clone3", "io-uring"] {
            assert!(said.contains(&format!("probe:{absent} ENOSYS")), "{absent} in {said}");
        }
    }
    assert_eq!(knobs.map(read), before);
    assert_eq!(std::fs::metadata("/proc/version").unwrap().mode(), mode);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert!(now.as_secs() > 1_100_000_000);
}

/// The disk below the files: its node, wherever one is made or found.
#[test]
fn devices_are_out_of_reach() {
    if !root() {
        return;
    }
    let device = std::fs::metadata("/").unwrap().dev();
    let (major, minor) = (nix::sys::stat::major(device), nix::sys::stat::minor(device));
    // A node that the machine has already, in a folder that the view shows.
    let node = Gone::new("/var/tmp");
    use nix::sys::stat::{Mode, SFlag, makedev, mknod};
    mknod(&node.0, SFlag::S_IFCHR, Mode::S_IRWXU, makedev(1, 5)).unwrap();
    let said = both(&format!(
        "cd /tmp; for folder in /tmp /dev /dev/shm /root; do
           mknod $folder/disk b {major} {minor} && echo MADE; dd if=$folder/disk of=/dev/null count=1 && echo READ; done
         dd if={node} of=/dev/null bs=1 count=1 && echo READ; ls -l {node}
         mount -t tmpfs -o dev t /mnt; mknod /mnt/disk b {major} {minor} && echo MADE; dd if=/mnt/disk count=1 of=/dev/null && echo READ
         mount -o remount,dev,bind /; dd if={node} of=/dev/null bs=1 count=1 && echo READ
         mount -t ext4 /dev/vda /mnt && echo MADE; mount -t ext4 {major}:{minor} /mnt && echo MADE; unshare -Urm mknod /tmp/n c 1 5 && echo MADE
         chmod 600 /proc/self/fd/0 /dev/null; rm -f /dev/null; ls /dev/vda /dev/sda /dev/mem /dev/kmsg /dev/loop-control /dev/fuse 2>/dev/null; echo end"
    ));
    for said in said {
        for wrong in ["MADE", "READ", "/dev/vda\n", "/dev/mem\n"] {
            assert!(!said.contains(wrong), "{wrong} in {said}");
        }
        assert!(said.ends_with("end\n"), "{said}");
    }
    assert_eq!(std::fs::metadata("/dev/null").unwrap().mode() & 0o777, 0o666);
}

/// With the host's network: abstract sockets apart, no change to the network.
#[test]
fn the_hosts_network_cannot_be_changed() {
    if !root() {
        return;
    }
    let mut case = Case::new(
        "ip link add foil0 type dummy; ip link set lo down; ls /sys/class/net | grep -c lo; mount -t tmpfs t /mnt && echo mounts
         PROBE raw; echo 1 > /proc/sys/net/ipv4/ip_forward",
    );
    case.network = foil_manifest::Network::Host;
    let said = case.run();
    assert!(said.contains("Operation not permitted") && said.contains("mounts\n"), "{said}");
    assert!(said.contains("probe:raw EPERM") && said.contains("Read-only file system"), "{said}");
    assert!(!std::fs::exists("/sys/class/net/foil0").unwrap());
    assert!(inside("PROBE raw").contains("probe:raw ok"));
}

/// Where it cannot be had, it says so and changes nothing.
#[test]
fn it_refuses_to_run_outside_an_init() {
    let spec = overlay::spec(std::path::Path::new("/tmp"));
    let reason = foil_shield::overlay::enter(&spec).unwrap_err();
    assert!(reason.contains("init of a pid namespace"), "{reason}");
}

/// A set-id file of the view is nobody's but the view's: whoever comes in through `/proc` runs it as themselves.
#[test]
fn set_id_files_stay_in_the_view() {
    if !root() {
        return;
    }
    let mut case = Case::new("cp /usr/bin/id /var/tmp/tool; chmod 4755 /var/tmp/tool; stat -c %a /var/tmp/tool");
    case.after = "/var/tmp/tool".into();
    let said = case.run();
    assert!(said.contains("4755\n"), "{said}");
    assert!(!std::fs::exists("/var/tmp/tool").unwrap(), "{said}");
}
