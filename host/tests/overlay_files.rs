//! What is written, deleted or renamed in a view vanishes, and works as on the machine while it lasts.

#[path = "common/overlay.rs"]
mod overlay;

use overlay::{Case, Gone, inside, root};

#[test]
fn helper() {
    overlay::helper();
}

/// Everything that root may do to files, against copies made by the test, at both holds.
#[test]
fn the_machines_files_stay_as_they_are() {
    if !root() {
        return;
    }
    for weak in [false, true] {
        let tree = Gone::new("/var/tmp");
        std::fs::create_dir_all(tree.0.join("a/b")).unwrap();
        std::fs::write(tree.0.join("a/b/file"), "before").unwrap();
        let (etc, log, tmp) = (Gone::file("/etc"), Gone::file("/var/log"), Gone::file("/tmp"));
        let (shm, moved) = (Gone::file("/dev/shm"), Gone::file("/usr"));
        let before = std::fs::metadata(&etc.0).unwrap();
        let mut case = Case::new(&format!(
            "rm -rf {tree}; test -e {tree} || echo deleted
             : > {log}; chown 12:34 {etc}; chmod 4777 {etc}; stat -c '%a %u %g' {etc}; rm {etc}
             echo new > {tmp}; rm -f {shm}; echo shm > /dev/shm/foil-new; cat /dev/shm/foil-new
             mv {moved} {moved}-2; cat {moved}-2; echo; : > /etc/passwd; rm -rf /home /var/lib/dpkg; mkdir /usr/foil-new
             echo gone > /usr/foil-new/x; cat /usr/foil-new/x /var/log/foil-none"
        ));
        case.without_user_namespace = weak;
        let said = case.run();
        for expected in ["deleted\n", "4777 12 34\n", "shm\n", "before\n", "gone\n", "No such file"] {
            assert!(said.contains(expected), "{expected:?} in {said}");
        }
        assert_eq!(std::fs::read_to_string(tree.0.join("a/b/file")).unwrap(), "before");
        for file in [&etc, &log, &tmp, &shm, &moved] {
            assert_eq!(file.text(), "before", "{file}");
        }
        let after = std::fs::metadata(&etc.0).unwrap();
        use std::os::unix::fs::MetadataExt;
        assert_eq!((before.mode(), before.uid(), before.ctime_nsec()), (after.mode(), after.uid(), after.ctime_nsec()));
        assert!(!std::fs::exists("/usr/foil-new").unwrap() && !std::fs::exists("/dev/shm/foil-new").unwrap());
        assert!(!std::fs::read_to_string("/etc/passwd").unwrap().is_empty());
    }
}

/// What one script writes, the next one of the run sees; another run does not.
#[test]
fn a_view_lasts_for_its_run() {
    if !root() {
        return;
    }
    let mut case = Case::new("echo kept > /etc/foil-kept; echo s > scratch-file");
    case.scripts.push("cat /etc/foil-kept scratch-file".into());
    assert_eq!(case.run(), "kept\ns\n");
    assert!(inside("cat /etc/foil-kept").contains("No such file"));
    assert!(!std::fs::exists("/etc/foil-kept").unwrap());
}

/// Files of all kinds, links, ownership, renames of folders and other users behave.
#[test]
fn files_behave_inside() {
    if !root() {
        return;
    }
    let folder = Gone::new("/var/tmp");
    std::fs::create_dir_all(folder.0.join("old/below")).unwrap();
    std::fs::write(folder.0.join("file"), "before").unwrap();
    let said = inside(&format!(
        "cd {folder} && mv old new && ls new && mv new /var && ls -d /var/new
         mkfifo fifo && (echo through > fifo & cat fifo); ln file link && stat -c %h file
         cp /bin/sh mysh && chown root mysh && chmod u+s mysh
         setpriv --reuid 65534 --clear-groups ./mysh -p -c 'id -u; echo suid: $(cat /proc/self/status | grep Uid)'
         mkdir mnt && mount -t tmpfs t mnt && echo t > mnt/x && cat mnt/x && mount --bind mnt /media && cat /media/x
         hostname foil-inside && hostname
         su nobody -s /bin/sh -c 'id -un; echo x > /dev/null && echo null; head -c 4 /dev/zero | wc -c; cat /etc/shadow'"
    ));
    for expected in
        ["below\n", "/var/new\n", "through\n", "2\n", "suid: Uid: 65534 0 0 0", "t\nt\n", "nobody\nnull\n4\n"]
    {
        assert!(said.replace('\t', " ").contains(expected), "{expected:?} in {said}");
    }
    assert!(said.contains("foil-inside\n") && said.contains("shadow: Permission denied"), "{said}");
    assert_ne!(nix::unistd::gethostname().unwrap(), "foil-inside");
    assert!(folder.0.join("old/below").is_dir() && !std::fs::exists("/var/new").unwrap());
}

/// An inode keeps its number when it is first written, or a file effect's fingerprint would always be in conflict.
#[test]
fn copying_up_keeps_device_and_inode() {
    if !root() {
        return;
    }
    let file = Gone::file("/var/tmp");
    let said = inside(&format!("stat -c '%d %i' {file}; echo more >> {file}; stat -c '%d %i' {file}"));
    let mut lines = said.lines();
    assert_eq!(lines.next(), lines.next(), "{said}");
}

/// Separate mounts are layers of their own: a tmpfs, one with a space in its name, stacked ones (the topmost counts), a bind mount
/// of a folder and of a file, a read-only one, flags; a file system of the kernel is not shown.
#[test]
fn every_mount_is_covered() {
    if !root() {
        return;
    }
    let folder = Gone::new("/var/tmp");
    std::fs::create_dir_all(folder.0.join("source/sub")).unwrap();
    std::fs::write(folder.0.join("source/sub/f"), "before\n").unwrap();
    std::fs::write(folder.0.join("single"), "before\n").unwrap();
    std::fs::write(folder.0.join("place"), "covered\n").unwrap();
    let mut case = Case::new(&format!(
        "cd {folder}; echo 1; cat 'with space/a' stacked/which; echo inside | tee 'with space/a' stacked/which; cat stacked/which
         echo 2; echo inside > bound/f; cat source/sub/f; echo 3; cat place; echo inside > place; cat place single
         echo 4; echo x > ro/a; mount -o remount,rw ro; mount -o remount,bind,rw ro; echo x > ro/a; umount ro; cat ro/a
         echo 5; grep -o ' {folder}/flags ro,nosuid,nodev,noexec' /proc/self/mountinfo | wc -l; ls -A proc | wc -l
         echo 6; umount stacked; cat stacked/which"
    ));
    case.before = format!(
        "cd {folder}; mkdir 'with space' stacked bound ro flags proc
         mount -t tmpfs t 'with space'; echo before > 'with space/a'
         mount -t tmpfs t stacked; echo lower > stacked/which; mount -t tmpfs t stacked; echo upper > stacked/which
         mount --bind source/sub bound; mount --bind single place
         mount -t tmpfs t ro; echo before > ro/a; mount -o remount,ro,bind ro
         mount -t tmpfs -o ro,nosuid,nodev,noexec t flags; mount -t proc proc proc"
    );
    case.after =
        ["with space/a", "stacked/which", "bound/f", "place", "ro/a"].map(|name| format!("{folder}/{name}")).join("\n");
    let said = case.run();
    for expected in [
        "1\nbefore\nupper\ninside\ninside\n",
        "2\ninside\n", // the bind mount and what it is of stay one
        "3\nbefore\ninside\n",
        "Read-only file system",
        "before\n5\n1\n0\n6\n",
    ] {
        assert!(said.contains(expected), "{expected:?} in {said}");
    }
    assert!(said.ends_with("inside\nbefore\nupper\nbefore\nbefore\nbefore\n"), "{said}");
    assert_eq!(std::fs::read_to_string(folder.0.join("source/sub/f")).unwrap(), "before\n");
    assert_eq!(std::fs::read_to_string(folder.0.join("single")).unwrap(), "before\n");
}

/// The size limit holds for all layers together, and the machine's disk is not touched.
#[test]
fn the_size_limit_holds() {
    if !root() {
        return;
    }
    let mut case = Case::new(
        "head -c 3000000 /dev/zero > /var/tmp/foil-big; head -c 3000000 /dev/zero > /dev/shm/foil-big
         du -cb /var/tmp/foil-big /dev/shm/foil-big | tail -1 | cut -f1
         i=0; mkdir /root/many; while [ $i -lt 6000 ]; do true > /root/many/$i || break; i=$((i+1)); done 2>/dev/null; ls /root/many | wc -l",
    );
    case.size = 4 << 20;
    let said = case.run();
    assert!(said.contains("No space left"), "{said}");
    let mut numbers = said.lines().filter_map(|line| line.parse::<u64>().ok());
    assert!(numbers.next().unwrap() <= 4 << 20, "{said}");
    assert!(numbers.next().unwrap() < 4200, "{said}");
    assert!(!std::fs::exists("/var/tmp/foil-big").unwrap());
}

/// Another identity, as `run-as` gives it: no capability, and its own files only.
#[test]
fn an_ordinary_user_is_one() {
    if !root() {
        return;
    }
    let mut case = Case::new("id -u; echo x > /etc/foil-x; grep CapEff /proc/self/status; mount -t tmpfs t /mnt");
    case.uid = 65534;
    let said = case.run();
    assert!(said.starts_with("65534\n") && said.contains("Permission denied"), "{said}");
    assert!(said.contains("0000000000000000"), "{said}");
}
