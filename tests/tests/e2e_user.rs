//! Who runs it: an ordinary user, root on behalf of one, and root on the wrong host.

use foil_tests::e2e::{Bench, is_root, snapshot};
use std::path::Path;

#[test]
fn an_ordinary_user_fires_what_needs_no_root() {
    if !is_root() {
        return;
    }
    let bench = Bench::of_nobody();
    bench.foil(&["list"]).says(0, &["linux.file-delete"]);
    for id in ["linux.system-info", "linux.file-delete", "linux.dev-shm-exec"] {
        let report = bench.foil(&["fire", id, "--shield", "confined", "--format", "json"]).says(0, &[]).report();
        assert_eq!((&report["verdict"], &report["run-as"]), (&"pass".into(), &"nobody".into()), "{report:#}");
    }
    bench.is_clean();
}

#[test]
fn an_ordinary_user_gets_no_overlay_and_is_told_why() {
    if !is_root() {
        return;
    }
    let bench = Bench::of_nobody();
    let done = bench.foil(&["fire", "linux.system-info", "--shield", "overlay"]);
    done.says(3, &["inconclusive", "(shield)", "root"]);
    assert!(!done.out.contains("blocked"));
    bench.is_clean();
}

#[test]
fn what_needs_root_is_inconclusive_without_and_touches_nothing() {
    if !is_root() {
        return;
    }
    let bench = Bench::of_nobody();
    let folders = ["/etc/cron.d", "/root/.ssh", "/var/log", "/etc/shadow"].map(Path::new);
    let cron = snapshot(&folders[..2]);
    let list = bench.foil(&["list", "--format", "json"]).json();
    let rows = list.as_array().expect("an array");
    let rooted: Vec<&str> = rows.iter().filter(|r| r["root"] == true).filter_map(|r| r["id"].as_str()).collect();
    assert!(rooted.contains(&"linux.shadow-read") && rooted.contains(&"linux.cron-persistence"), "{rooted:?}");
    for id in rooted {
        bench.foil(&["fire", id]).says(3, &["inconclusive", "root"]);
    }
    assert!(snapshot(&folders[..2]) == cron);
    bench.is_clean();
}

#[test]
fn every_technique_ends_well_or_says_why_not() {
    let bench = if is_root() { Bench::of_nobody() } else { Bench::new() };
    let list = bench.foil(&["list", "--kind", "technique", "--format", "json"]).json();
    for row in list.as_array().expect("an array") {
        let id = row["id"].as_str().expect("an id");
        let report = bench.foil(&["fire", id, "--format", "json"]).report();
        assert!(report["verdict"] == "pass" || report["verdict"] == "inconclusive", "{report:#}");
    }
    bench.is_clean();
}

#[test]
fn every_technique_passes_as_root_in_both_shields() {
    if !is_root() {
        return;
    }
    let bench = Bench::new();
    let folders = ["/etc/cron.d", "/root/.ssh", "/dev/shm"].map(Path::new);
    let before = snapshot(&folders);
    let list = bench.foil(&["list", "--kind", "technique", "--format", "json"]).json();
    for row in list.as_array().expect("an array") {
        let id = row["id"].as_str().expect("an id");
        // Those of a cluster take one: `kube_rbac.rs` fires them.
        if id.starts_with("kubernetes.") {
            continue;
        }
        for level in
            row["shield"].as_array().expect("levels").iter().filter_map(|l| l.as_str()).filter(|l| *l != "open")
        {
            let report = bench.foil(&["fire", id, "--shield", level, "--format", "json"]).report();
            assert_eq!(report["verdict"], "pass", "{report:#}");
            assert_eq!(report["shield"], level);
        }
    }
    bench.is_clean();
    assert!(snapshot(&folders) == before);
}

#[test]
fn run_as_takes_root_away_from_what_needs_none() {
    if !is_root() {
        return;
    }
    let bench = Bench::new();
    bench.grant_shell();
    bench.write("foil.yaml", "environment: e2e\nshield: [confined, overlay, open]\nrun-as: nobody\n");
    let script = "script=: > made; echo $(id -u) $(id -un) $(id -G) $HOME $(stat -c %u made .) $(cat /etc/shadow 2>/dev/null || echo no)";
    for level in ["confined", "overlay", "open"] {
        let arguments =
            ["fire", "linux.e2e-shell", "--modules", ".", "--with", script, "--shield", level, "--format", "json"];
        let report = bench.foil(&arguments).says(0, &[]).report();
        assert_eq!(report["run-as"], "nobody", "{report:#}");
        let home = nix::unistd::User::from_name("nobody").expect("readable").expect("there").dir;
        let expected = format!("65534 nobody 65534 {} 65534 65534 no", home.display());
        assert_eq!(report["facts"]["stdout"], expected.as_str(), "in {level}");
    }
    let report = bench.foil(&["fire", "linux.system-info", "--format", "json"]).says(0, &[]).report();
    assert_eq!(report["run-as"], "nobody", "{report:#}");
    // What needs root still gets it.
    let report = bench.foil(&["fire", "linux.shadow-read", "--format", "json"]).says(0, &[]).report();
    assert_eq!((&report["verdict"], &report["run-as"]), (&"pass".into(), &"root".into()), "{report:#}");
    bench.is_clean();
}

#[test]
fn the_wrong_host_is_refused_before_anything_is_touched() {
    let bench = Bench::new();
    bench.write("foil.yaml", "environment: staging\nhosts: [{ name: some-other-host }]\n");
    bench.write("e.yaml", "experiment: e\ntechnique: linux.file-delete\n");
    let folder = bench.path("");
    let before = snapshot(&[folder.as_path()]);
    for arguments in [&["fire", "linux.file-delete"][..], &["run", "e.yaml"], &["plan", "e.yaml"]] {
        let done = bench.foil(arguments);
        done.says(2, &["staging", "some-other-host"]);
        assert!(done.out.is_empty(), "{done:#?}");
    }
    assert!(snapshot(&[folder.as_path()]) == before, "a refused run wrote something");
    assert!(!bench.path("state").exists());
    // The host itself, by a pattern of its name, is let in.
    let host = nix::unistd::gethostname().expect("a name").into_string().expect("UTF-8").to_uppercase();
    bench.write(
        "foil.yaml",
        &format!("environment: staging\nhosts: [{{ name: some-other-host }}, {{ name: '{host}*' }}]\n"),
    );
    bench.foil(&["fire", "linux.file-delete"]).says(0, &["pass"]);
}
