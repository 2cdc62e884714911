//! The process that starts an overlay's programs cannot be taken over by them.

mod shield_support;

use foil_manifest::ShieldLevel;
use foil_shield::FileOp;
use shield_support::*;

/// Prints the pids of Foil's processes in the view, but for init: of the stem, and of programs that are being started.
const FIND: &str = "sub foil { grep { $_ != 1 && $_ != $$ && do { local @ARGV = (\"/proc/$_/comm\"); (<> // '') =~ /^foil/ } } \
                    map { m{(\\d+)} } glob '/proc/[0-9]*' }";

/// `PTRACE_SEIZE`, `RLIMIT_CORE` and the calls by number: Perl has no names for them.
fn calls() -> String {
    format!(
        "my ($ptrace, $readv, $open, $get, $limit, $seize, $core) = ({}, {}, {}, {}, {}, 0x4206, {});",
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_pidfd_open,
        libc::SYS_pidfd_getfd,
        libc::SYS_prlimit64,
        libc::RLIMIT_CORE,
    )
}

/// Root among the programs is the stem's equal in its user namespace, and of the same user.
#[tokio::test]
async fn no_program_reaches_into_the_process_that_starts_programs() {
    if !is_administrator() {
        skip!("it takes root");
    }
    let stage = Stage::with(ShieldLevel::Overlay, |_| {}).await;
    let script = format!(
        "{FIND} {} my @found = foil(); print 'found ', scalar(@found), \"\\n\"; my $p = $found[0];
         sub said {{ my ($what, $r) = @_; print \"$what \", ($r < 0 ? $! + 0 : 'WORKED'), \"\\n\" }}
         said('ptrace', syscall($ptrace, $seize, $p, 0, 0));
         my $b = ' ' x 8; my ($l, $r) = (pack('PQ', $b, 8), pack('QQ', 0x400000, 8));
         said('memory', syscall($readv, $p, $l, 1, $r, 1, 0));
         my $h = syscall($open, $p, 0); said('descriptor', $_) for map {{ syscall($get, $h, $_, 0) }} 0 .. 20;
         my $none = pack('QQ', 0, 0); said('core limit', syscall($limit, $p, $core, $none, 0));
         for my $f (qw(environ maps auxv stack)) {{ said($f, open(my $x, '<', \"/proc/$p/$f\") ? sysread($x, my $y, 8) // -1 : -1) }}
         said('mem', open(my $x, '+<', \"/proc/$p/mem\") ? 0 : -1);
         said($_, defined(readlink \"/proc/$p/$_\") ? 0 : -1) for qw(exe cwd root ns/mnt ns/user), map {{ \"fd/$_\" }} 0 .. 20;
         said($_, opendir(my $d, \"/proc/$p/$_\") ? 0 : -1) for qw(root/ cwd/); print 'end';",
        calls()
    );
    let said = out(&perl(&stage.run, &script, &[]).await);
    assert!(said.starts_with("found 1\n") && said.ends_with("end") && !said.contains("WORKED"), "{said}");
    // It is as it was, and what it starts is held as before.
    let limits =
        out(&stage.sh("grep core /proc/self/limits; grep Seccomp: /proc/self/status; ls /proc/self/fd | wc -l").await);
    let words: Vec<_> = limits.split_whitespace().collect();
    // `ls` has opened the fourth.
    assert_eq!(words, ["Max", "core", "file", "size", "1", "1", "bytes", "Seccomp:", "2", "4"], "{limits}");
}

/// Programs and file effects share or copy the stem's memory until they execute or end: a daemon that waits for them, as
/// root or as the run's user, catches none.
#[tokio::test]
async fn no_program_catches_the_next_one_on_its_way() {
    if !is_administrator() {
        skip!("it takes root");
    }
    for identity in [None, Some(nobody())] {
        let stage = Stage::with(ShieldLevel::Overlay, |spec| spec.identity = identity.clone()).await;
        // Whoever it attaches to and has not executed yet is caught; others may trace each other (and are to be waited for).
        let daemon = format!(
            "{FIND} {} exit if fork; close STDOUT; close STDERR; open my $log, '>', $ARGV[0]; $log->autoflush(1);
             print $log \"began\\n\"; while (1) {{ 1 while waitpid(-1, 0x40000001) > 0; for my $p (foil()) {{ next if syscall($ptrace, $seize, $p, 0, 0) < 0;
             local @ARGV = (\"/proc/$p/comm\"); my $c = <> // ''; print $log \"CAUGHT $p\\n\" if $c =~ /^foil/ }} }}",
            calls()
        );
        let log = stage.path("log").display().to_string();
        perl(&stage.run, &format!("use IO::Handle; {daemon}"), &[&log]).await;
        for turn in 0..40 {
            assert_eq!(out(&stage.sh("echo ran").await), "ran\n");
            let path = stage.path(&format!("file{turn}")).display().to_string();
            let effect = FileOp::Create { path, content: b"x".to_vec(), mode: 0o600 };
            stage.run.file(effect).await.unwrap().unwrap();
        }
        assert_eq!(out(&stage.sh(&format!("cat {log}")).await), "began\n");
    }
}
