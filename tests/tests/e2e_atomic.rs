//! Tests in Atomic Red Team's format, from their YAML to what their own clean-up forgot. The ones here are ours; the real ones are
//! run where `FOIL_ATOMICS` names their folder.

use foil_tests::e2e::{Bench, is_root};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::Command;

/// One test of a file.
fn test(name: &str, command: &str, more: &str) -> String {
    let command = json!(command);
    format!(
        "- name: {name}\n  description: d\n  supported_platforms: [linux]\n{more}  executor:\n    name: sh\n    command: {command}\n"
    )
}

/// A file of these tests.
fn file(technique: &str, tests: &[String]) -> String {
    format!("attack_technique: {technique}\ndisplay_name: D\natomic_tests:\n{}", tests.concat())
}

/// A bench with these tests imported and granted, but for those that may destroy.
fn bench(technique: &str, tests: &[String]) -> Bench {
    let bench = Bench::bare(None);
    bench.write("foil.yaml", "environment: e2e\nparallel: 4\nlimits: { wall-ms: 5000 }\n");
    let folder = bench.path("atomics").join(technique);
    std::fs::create_dir_all(&folder).expect("made");
    std::fs::write(folder.join(format!("{technique}.yaml")), file(technique, tests)).expect("written");
    bench.foil(&["import", "atomic", "atomics", "--out", "mods"]).says(0, &["are modules in mods"]);
    bench.foil(&["grant", "--atomic", "--modules", "mods", "--yes", "--reason", "r", "--reviewer", "e"]);
    bench
}

/// Fires one; its report.
#[track_caller]
fn fire(bench: &Bench, id: &str, code: i32, with: &[&str]) -> Value {
    let with: Vec<&str> = with.iter().flat_map(|with| ["--with", with]).collect();
    let done = bench.foil(&[&["fire", id, "--modules", "mods", "--format", "json"], with.as_slice()].concat());
    assert_eq!(done.code, Some(code), "{done:#?}");
    bench.is_clean();
    done.report()
}

#[test]
fn a_library_is_imported_whole_whatever_is_wrong_with_one_file() {
    let bench = Bench::bare(None);
    let write = |technique: &str, text: &str| {
        let folder = bench.path("atomics").join(technique);
        std::fs::create_dir_all(&folder).expect("made");
        std::fs::write(folder.join(format!("{technique}.yaml")), text).expect("written");
    };
    let guid = "  auto_generated_guid: 562d737f-2fc6-4b09-8c2a-7f8ff0828480\n";
    let big = format!("echo {}", "ü".repeat(500_000));
    let windows = test("w", "dir", "").replace("linux", "windows");
    let manual = test("m", "x", "").replace("name: sh\n    command: \"x\"", "name: manual\n    steps: do it");
    let crlf = file("T1082", &[test("a", "cat <<X\nx\nX\n", guid), windows, manual, test("big", &big, "")])
        .replace('\n', "\r\n");
    write("T1082", &crlf);
    write("T1057", &file("T1057", &[test("good", "ps", guid), test("bad", "ps", "  suported: 1\n")]));
    write("T1105", "attack_technique: T1105\n\tdisplay_name: tab\n");
    write("T0001", &file("T0001", &[test("unknown", "true", "")]));
    let done = bench.foil(&["import", "atomic", "atomics", "--out", "mods", "--format", "json"]);
    let outcome = done.says(2, &[]).json();
    assert_eq!(outcome["imported"], json!(["atomic.T1057-1", "atomic.T1082-1", "atomic.T1082-4"]));
    assert_eq!((&outcome["skipped"], &outcome["other-platforms"]), (&json!(1), &json!({ "windows": 1 })));
    assert!(outcome["manual"][0].as_str().is_some_and(|test| test.contains("T1082.yaml:") && test.ends_with(": m")));
    let mistakes: Vec<&str> =
        outcome["mistakes"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    let has = |file: &str, word: &str| mistakes.iter().any(|line| line.contains(file) && line.contains(word));
    assert!(
        has("T1057.yaml:", "suported") && has("T1105.yaml:1:", "tab") && has("T0001.yaml:1:1:", "T0001"),
        "{mistakes:#?}"
    );

    let warning = outcome["warnings"][0].as_str().unwrap_or_default();
    assert!(warning.contains("atomic.T1082-1 has the GUID 562d737f"), "{outcome:#}");

    let listed = bench.foil(&["list", "--source", "atomic", "--modules", "mods", "--format", "json"]).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(3));
    // Its GUID is an alias, and what a reviewer judges is there to be read.
    let review = bench.foil(&["review", "562d737f-2fc6-4b09-8c2a-7f8ff0828480", "--modules", "mods"]);
    review.says(0, &["Command, by sh", "| ps", "imported, run by a built-in interpreter"]);

    // A changed script is another one, and a changed file is no imported test.
    let grant = ["grant", "atomic.T1057-1", "--modules", "mods", "--yes", "--reason", "r", "--reviewer", "e"];
    bench.foil(&grant).says(0, &["script "]);
    let fire = ["fire", "atomic.T1057-1", "--modules", "mods"];
    write("T1057", &file("T1057", &[test("good", "ps -e", "")]));
    bench.foil(&["import", "atomic", "atomics/T1057", "--out", "mods"]).says(0, &["1 test(s) of 1 file(s)"]);
    bench.foil(&fire).says(2, &["is not what was granted"]);
    let path = bench.path("mods/atomic.T1057-1.json");
    let text = std::fs::read_to_string(&path).expect("there").replace("ps -e", "ps  -e") + " ";
    std::fs::write(&path, text).expect("written");
    bench.foil(&fire).says(2, &["import it again"]);
}

/// One test is found by the name of its file; whoever lists, or asks for what is not there, hears of the others.
#[test]
fn a_test_is_fired_whatever_is_wrong_with_the_others() {
    let bench = bench("T1082", &[test("a", "uname", "")]);
    std::fs::write(bench.path("mods/atomic.T9999-1.json"), "{ no JSON").expect("written");
    let told = |arguments: &[&str], code: i32| {
        let done = bench.foil(&[arguments, &["--modules", "mods"]].concat());
        assert_eq!(done.code, Some(code), "{done:#?}");
        done.err.contains("atomic.T9999-1.json")
    };
    assert!(!told(&["fire", "atomic.T1082-1"], 0));
    assert!(told(&["list"], 2));
    assert!(told(&["fire", "atomic.T9999-1"], 2));
    // A file that says it is another test's is not that test.
    std::fs::copy(bench.path("mods/atomic.T1082-1.json"), bench.path("mods/atomic.T1082-2.json")).expect("copied");
    assert!(!told(&["fire", "atomic.T1082-1"], 0));
    let done = bench.foil(&["fire", "atomic.T1082-2", "--modules", "mods"]);
    assert_eq!(done.code, Some(2), "{done:#?}");
}

#[test]
fn scripts_do_what_they_do_without_foil() {
    if !is_root() {
        return;
    }
    let scripts = [
        "cat <<'X'\n$HOME \"a\" 'b' `c`\nX\necho done",
        "for i in 1 2 3\ndo\n  printf '%s;' \"$i\"\ndone\nexit 7",
        "echo out; echo err >&2; false",
        "printf 'a\\nb\\n' | while read x; do echo \"<$x>\"; done; read y; echo \"[$y]$?\"",
        "f() { return 3; }; f; echo $?; set -e; f; echo never",
        "echo ünïcödé ☃; echo \"tab\there\"; # a comment; not a command",
        "kill -TERM $$",
        "x=$(echo a; echo b); echo \"$x\"; echo $x; echo ${x#a}; (exit 5); echo $?",
        "pwd; umask; ulimit -c; echo $0 | grep -c sh; echo $#; trap 'echo bye' EXIT; exit 9",
        "no-such-command-at-all || echo rescued",
        "cat /proc/1/comm >/dev/null && ls /proc | grep -c '^[0-9]*$' >/dev/null; cd /; echo $PWD",
        "case abc in a*) echo yes;; esac; echo $((3*7)); echo a\\\nb",
    ];
    let tests: Vec<String> = scripts.iter().enumerate().map(|(n, script)| test(&format!("t{n}"), script, "")).collect();
    let bench = bench("T1059.004", &tests);
    for (number, script) in (1..).zip(scripts) {
        let path = bench.path("plain.sh");
        std::fs::write(&path, script).expect("written");
        // The same namespaces and a clean environment, and nothing of Foil's.
        let plain = Command::new("unshare")
            .args(["--mount", "--pid", "--fork", "--mount-proc", "--net", "--ipc", "--uts", "/bin/sh", "-c"])
            // The first process of a namespace cannot be killed by itself.
            .arg("/bin/sh \"$0\"; exit $?")
            .arg(&path)
            .env_clear()
            .envs([
                ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
                ("HOME", "/root"),
                ("LANG", "C.UTF-8"),
            ])
            .current_dir("/tmp")
            .stdin(std::process::Stdio::null())
            .output()
            .expect("unshare is there");
        let report = fire(&bench, &format!("atomic.T1059.004-{number}"), 0, &[]);
        let fact = |name: &str| report["facts"][name].as_str().unwrap_or_default().to_owned();
        let stdout = String::from_utf8_lossy(&plain.stdout);
        assert_eq!(fact("stdout"), stdout, "{script}");
        match plain.status.code() {
            Some(code) if code < 128 => {
                assert_eq!(fact("exit"), code.to_string(), "{script}: {report:#}");
                let stderr = String::from_utf8_lossy(&plain.stderr);
                let ours =
                    fact("stderr").replace(&format!("{}/command.sh", scratch(&report)), &path.display().to_string());
                assert_eq!(ours, stderr, "{script}");
            }
            _ => {
                assert!(report["summary"].as_str().is_some_and(|how| how.contains("signal 15")), "{script}: {report:#}")
            }
        }
    }
}

/// The run's scratch folder, as its shells were started with it.
fn scratch(report: &Value) -> String {
    let observed = report["observed"][0].as_str().unwrap_or_default();
    observed
        .split_whitespace()
        .nth(1)
        .and_then(|file| file.rsplit_once('/'))
        .map(|(folder, _)| folder.to_owned())
        .unwrap_or_default()
}

#[test]
fn what_a_test_forgets_is_told_and_gone() {
    if !is_root() {
        return;
    }
    let arguments = "  input_arguments:\n    file: { description: d, type: path, default: /etc/cron.d/foil-e2e }\n";
    let cleanup = |command: &str| format!("\n    cleanup_command: {}\n", json!(command));
    let with = |name: &str, command: &str, clean: &str, more: &str| {
        test(name, command, more).trim_end().to_owned() + &cleanup(clean)
    };
    let prerequisite = "  dependencies:\n  - description: the stage must be set\n    prereq_command: test -e /etc/foil-e2e-stage\n    \
                        get_prereq_command: touch /etc/foil-e2e-stage\n";
    let slow = "  dependencies:\n  - { description: quick, prereq_command: sleep 2 }\n  - { description: the slow one, prereq_command: sleep 60 }\n";
    let bench = bench(
        "T1053.003",
        &[
            with(
                "forgets",
                "echo '* * * * * root true' > #{file}; echo x > /etc/foil-e2e; rm /etc/hostname",
                "rm /etc/foil-e2e",
                arguments,
            ),
            test("daemon", "sleep 987654 >/dev/null 2>&1 &\necho $!", ""),
            test("endless", "while :; do :; done", ""),
            test("wipes", "rm -rf --no-preserve-root / 2>/dev/null; echo gone", ""),
            with("fails to clean", "true", "echo cannot >&2; exit 3", ""),
            test("prerequisite", "rm /etc/foil-e2e-stage", prerequisite),
            test("root", "id -u", "").replace("    command", "    elevation_required: true\n    command"),
            test("fork bomb", "f() { f | f & }; f; sleep 60", ""),
            test("systemd", "systemctl start cron", ""),
            test("missing", "foil-no-such-tool --now", ""),
            test("slow", "true", slow),
        ],
    );
    let hostname = std::fs::read("/etc/hostname").ok();
    let passwd = std::fs::read("/etc/passwd").expect("there");

    let report = fire(&bench, "atomic.T1053.003-1", 0, &[]);
    let mut left = vec!["added the cron job /etc/cron.d/foil-e2e"];
    left.extend(hostname.as_ref().map(|_| "removed /etc/hostname"));
    assert_eq!(report["test"]["left"], json!(left));
    assert_eq!(report["test"]["cleanup"]["exit"], json!(0));
    let report = fire(&bench, "atomic.T1053.003-1", 0, &["file=/etc/foil-e2e"]);
    assert!(
        !report["test"]["left"].to_string().contains("foil-e2e"),
        "the argument was filled in, in the clean-up too"
    );

    // Its benign twin runs neither the command nor the clean-up.
    let check = ["grant", "file.line", "--yes", "--reason", "r", "--reviewer", "e"];
    bench.foil(&check).says(0, &[]);
    bench.write("siem.log", "");
    let environment =
        "environment: e2e\nfiles: { siem: { path: siem.log, format: text } }\nlimits: { wall-ms: 5000 }\n";
    bench.write("foil.yaml", environment);
    let twin = "experiment: e\ntechnique: atomic.T1053.003-5\ncontrol: {}\nexpect: [{ link: detection, check: file.line, with: { \
                collector: file.siem, contains: x }, within: 100ms, grace: 10ms }]\n";
    bench.write("twin.yaml", twin);
    let report = bench.foil(&["run", "twin.yaml", "--modules", "mods", "--format", "json"]).report();
    assert_eq!(report["control"]["summary"], "ran nothing (dry)", "{report:#}");
    assert_eq!((&report["test"]["ran"], &report["control"]["test"]["ran"]), (&json!(true), &json!(false)));

    let report = fire(&bench, "atomic.T1053.003-2", 0, &[]);
    assert!(report["test"]["left"].to_string().contains("`sleep 987654`"), "{report:#}");
    let report = fire(&bench, "atomic.T1053.003-3", 0, &[]);
    assert!(report["summary"].as_str().is_some_and(|how| how.contains("was killed")), "{report:#}");

    // By name only, and then it finds nothing of the machine's to destroy.
    bench.foil(&["fire", "atomic.T1053.003-4", "--modules", "mods"]).says(2, &["is not granted"]);
    bench.foil(&["grant", "atomic.T1053.003-4", "--modules", "mods", "--yes", "--reason", "r", "--reviewer", "e"]);
    let report = fire(&bench, "atomic.T1053.003-4", 0, &[]);
    // It may take longer than it is given.
    assert!(report["summary"].as_str().is_some_and(|how| how.contains("ended with 0") || how.contains("was killed")));
    assert!(
        report["test"]["left"].as_array().is_some_and(|left| !left.is_empty())
            || report["test"]["not-looked"].is_string()
    );

    let report = fire(&bench, "atomic.T1053.003-5", 0, &[]);
    assert_eq!(
        (&report["test"]["cleanup"]["exit"], &report["test"]["cleanup"]["stderr"]),
        (&json!(3), &json!("cannot\n"))
    );

    let report = fire(&bench, "atomic.T1053.003-6", 3, &[]);
    assert!(report["reason"].as_str().is_some_and(|why| why.contains("the stage must be set")), "{report:#}");
    let report = fire(&bench, "atomic.T1053.003-6", 0, &["get-prereqs=true"]);
    assert_eq!(report["test"]["left"], json!([]), "what a prerequisite made is not the test's");

    assert_eq!(fire(&bench, "atomic.T1053.003-7", 0, &[])["facts"]["stdout"], "0\n");
    let bomb = ["grant", "atomic.T1053.003-8", "--modules", "mods", "--yes", "--reason", "r", "--reviewer", "e"];
    bench.foil(&bomb).says(0, &[]);
    fire(&bench, "atomic.T1053.003-8", 0, &[]);
    for (number, word) in [(9, "(shield)"), (10, "(not-found)"), (11, "not met: the slow one")] {
        let report = fire(&bench, &format!("atomic.T1053.003-{number}"), 3, &[]);
        assert!(report["reason"].as_str().is_some_and(|why| why.contains(word)), "{report:#}");
    }
    assert_eq!(std::fs::read("/etc/hostname").ok(), hostname);
    assert_eq!(std::fs::read("/etc/passwd").expect("there"), passwd);
    assert!(!std::path::Path::new("/etc/cron.d/foil-e2e").exists());
}

#[test]
fn techniques_are_run_by_their_ids_against_what_the_environment_expects() {
    let bench = bench("T1082", &[test("a", "uname -a", ""), test("b", "reboot", ""), test("c", "hostname", "")]);
    // Foil's own observation is no sensor's: an experiment that expects a log that stays empty fails.
    let link = "{ link: detection, check: file.line, with: { collector: file.siem, contains: x }, within: 300ms, grace: 10ms }";
    let environment = format!(
        "environment: staging\nparallel: 2\nfiles: {{ siem: {{ path: ../siem.log, format: text }} }}\ndefault: {{ expect: [{link}] }}\n"
    );
    std::fs::create_dir(bench.path("environments")).expect("made");
    bench.write("environments/staging.yaml", &environment);
    bench.write("siem.log", "");
    let run = ["run", "--attack", "T1082", "--environment", "staging", "--modules", "mods", "--format", "json"];
    let grant = ["grant", "file.line", "--yes", "--reason", "r", "--reviewer", "e"];
    bench.foil(&run).says(2, &["file.line"]);
    bench.foil(&grant).says(0, &[]);
    let done = bench.foil(&run);
    let by: BTreeMap<String, (String, String)> = done
        .json()
        .as_array()
        .expect("reports")
        .iter()
        .map(|report| {
            let text = |name: &str| report[name].as_str().unwrap_or_default().to_owned();
            (text("technique"), (text("verdict"), text("reason")))
        })
        .collect();
    let refused = |id: &str| assert!(by[id].1.starts_with("refused: "), "{by:#?}");
    refused("atomic.T1082-2");
    refused("linux.system-info");
    if is_root() {
        assert_eq!(done.code, Some(1), "{done:#?}");
        assert_eq!((by["atomic.T1082-1"].0.as_str(), by["atomic.T1082-3"].0.as_str()), ("fail", "fail"), "{by:#?}");
    } else {
        // An ordinary user has no overlay.
        assert_eq!(done.code, Some(3), "{done:#?}");
        assert!(by["atomic.T1082-1"].1.contains("shield"), "{by:#?}");
    }
    bench
        .foil(&["run", "--attack", "T1003", "--modules", "mods"])
        .says(3, &["refused: linux.shadow-read is not granted"]);
    bench.foil(&["run", "--attack", "T1999.999"]).says(2, &["T1999.999"]);
    bench.foil(&["run", "--attack", "T1082", "--environment", "nowhere"]).says(2, &["environments/nowhere.yaml"]);
    bench.is_clean();
}

#[test]
fn what_was_not_granted_by_name_is_not_had_by_another_way() {
    let arguments = "  input_arguments:\n    folder: { description: d, type: path, default: /tmp/foil-e2e }\n";
    let fetches = test("fetches", "curl -s http://192.0.2.1/x", "");
    let bench = bench("T1105", &[fetches, test("removes", "rm -rf #{folder}", arguments)]);
    // The request has the target's network, and what is granted in bulk has not.
    let review = bench.foil(&["review", "atomic.T1105-1", "--modules", "mods", "--format", "json"]).json();
    assert_eq!(review["requests"][0]["network"], "host", "{review:#}");
    let granted = std::fs::read_to_string(bench.path("grants.toml")).expect("there");
    assert!(granted.contains("atomic.T1105-1") && !granted.contains("network"), "{granted}");
    let grant = ["grant", "atomic.T1105-1", "--modules", "mods", "--yes", "--reason", "r", "--reviewer", "e"];
    bench.foil(&grant).says(0, &[]);
    assert!(std::fs::read_to_string(bench.path("grants.toml")).expect("there").contains("network"));
    // Harmless as it was granted, and not with that value.
    let fire = ["fire", "atomic.T1105-2", "--modules", "mods", "--with", "folder=/"];
    bench.foil(&fire).says(2, &["with these values", "leave its arguments"]);

    // An experiment for each, once: what somebody made of it stays.
    let import = ["import", "atomic", "atomics", "--out", "mods", "--experiments", "x", "--expect"];
    bench.foil(&[&import[..], &["audit"]].concat()).says(0, &["2 experiment(s) were written"]);
    let path = bench.path("x/atomic.T1105-1.yaml");
    let text = std::fs::read_to_string(&path).expect("written");
    assert!(text.contains("exe: '**/curl'") && text.contains("own-rules"), "{text}");
    std::fs::remove_file(bench.path("x/atomic.T1105-2.yaml")).expect("there");
    bench.foil(&[&import[..], &["falco"]].concat()).says(0, &["1 experiment(s) were written"]);
    assert_eq!(std::fs::read_to_string(&path).expect("there"), text);
    bench.foil(&["grant", "falco.alert", "--yes", "--reason", "r", "--reviewer", "e"]).says(0, &[]);
    let plan = ["plan", "x/atomic.T1105-2.yaml", "--modules", "mods"];
    bench.foil(&plan).says(2, &["there is no collector `inbox`"]);
    bench.write("x/foil.yaml", "environment: e2e\ninbox: { listen: '127.0.0.1:2801' }\n");
    bench.foil(&plan).says(0, &["detection by falco.alert"]);
}

/// The real library, imported and granted; its folder's name is `FOIL_ATOMICS`.
fn library() -> Option<(Bench, Vec<String>)> {
    let Some(atomics) = std::env::var_os("FOIL_ATOMICS") else {
        eprintln!("skipped: FOIL_ATOMICS names no folder of Atomic Red Team's tests");
        return None;
    };
    if !is_root() {
        return None;
    }
    let bench = Bench::bare(None);
    bench.write("foil.yaml", "environment: e2e\nparallel: 4\nlimits: { wall-ms: 20000 }\nrun-as: nobody\n");
    let atomics = atomics.to_str().expect("UTF-8");
    let imported = bench.foil(&["import", "atomic", atomics, "--out", "mods", "--format", "json"]).says(0, &[]).json();
    bench.foil(&["grant", "--atomic", "--modules", "mods", "--yes", "--reason", "r", "--reviewer", "e"]).says(0, &[]);
    let ids = imported["imported"].as_array().expect("a list").iter().filter_map(Value::as_str).map(str::to_owned);
    Some((bench, ids.collect()))
}

/// Runs all of them; a report each.
fn run_library(bench: &Bench, ids: &[String], more: &[&str]) -> Vec<Value> {
    let mut attack: Vec<&str> = ids.iter().filter_map(|id| id.strip_prefix("atomic.")?.split('-').next()).collect();
    attack.dedup();
    let attack = attack.join(",");
    let run = ["run", "--attack", &attack, "--only", "atomic.*", "--modules", "mods", "--format", "json"];
    let done = bench.foil(&[&run, more].concat());
    bench.is_clean();
    done.json().as_array().expect("reports").clone()
}

/// Every test of a real library that can run here ends, and leaves nothing.
#[test]
fn a_real_library_leaves_nothing() {
    let Some((bench, ids)) = library() else { return };
    let reports = run_library(&bench, &ids, &["--get-prereqs"]);
    assert_eq!(reports.len(), ids.len());
    for report in reports {
        assert!(matches!(report["verdict"].as_str(), Some("pass" | "inconclusive")), "{report:#}");
        assert_eq!(report["residue"], json!([]), "{report:#}");
    }
}

/// A layer over the machine made by hand: the namespaces, the user and the environment that Foil gives a test, without Foil.
const BY_HAND: &str = "
mount -t tmpfs -o size=1g tmpfs /mnt && mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
cp \"$1\" /mnt/root/tmp/command.sh && chmod 644 /mnt/root/tmp/command.sh
mount -t proc proc /mnt/root/proc && mount --rbind /dev /mnt/root/dev && ip link set lo up 2>/dev/null
cd /mnt/root && exec chroot . setpriv $2 env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=$3 USER=$4 \
    LOGNAME=$4 LANG=C.UTF-8 sh -c \"cd /tmp; timeout -s KILL 20 $5 /tmp/command.sh\" </dev/null
";

/// How a test's script ends by hand, and what it prints, with control characters as reports write them.
fn by_hand(bench: &Bench, report: &Value, script: &Value) -> (Option<i32>, String) {
    // Filled in, as ATTiRe wants it.
    let command = report["test"]["command"].as_str().expect("a command");
    std::fs::write(bench.path("plain.sh"), command).expect("written");
    let (how, home, user) = match script["elevation"].as_bool() {
        Some(true) => ("", "/root", "root"),
        _ => ("--reuid=65534 --regid=65534 --clear-groups", "/nonexistent", "nobody"),
    };
    let output = Command::new("unshare")
        .args(["--mount", "--pid", "--fork", "--net", "--ipc", "--uts", "/bin/sh", "-c", BY_HAND, "sh"])
        .arg(bench.path("plain.sh"))
        .args([how, home, user, script["executor"].as_str().expect("a shell")])
        .output()
        .expect("unshare is there");
    let text = String::from_utf8_lossy(&output.stdout);
    (output.status.code(), comparable(&text, "/tmp/command.sh"))
}

/// Without the script's path, and without what Foil's children have in their environment besides, or a changed folder leaves there.
fn comparable(text: &str, script: &str) -> String {
    let text = text.replace(script, "SCRIPT");
    let lines = text.split('\n').filter(|line| !line.starts_with("FOIL_") && !line.starts_with("OLDPWD="));
    lines.collect::<Vec<_>>().join("\n")
}

/// What a test of the library prints and how it ends is what it prints and how it ends without Foil, wherever that is the same
/// twice, a minute or so apart.
#[test]
fn a_real_library_does_what_it_does_without_foil() {
    let Some((bench, ids)) = library() else { return };
    let reports = run_library(&bench, &ids, &[]);
    let script = |report: &Value| {
        let id = report["technique"].as_str().expect("an id");
        bench.foil(&["review", id, "--modules", "mods", "--format", "json"]).json()["script"]["test"].clone()
    };
    let ran =
        reports.iter().filter(|report| report["facts"]["exit"].is_string()).map(|report| (report, script(report)));
    let ran: Vec<_> = ran.filter(|(_, script)| script["dependencies"].is_null()).collect();
    let once: Vec<_> = ran.iter().map(|(report, script)| by_hand(&bench, report, script)).collect();
    let twice: Vec<_> = ran.iter().map(|(report, script)| by_hand(&bench, report, script)).collect();
    let (mut compared, mut differ) = (0, Vec::new());
    for ((report, _), (theirs, again)) in ran.iter().zip(once.iter().zip(&twice)) {
        // The list of mounts is the shield itself.
        if theirs != again || theirs.1.contains("lowerdir=") {
            continue;
        }
        compared += 1;
        let status = report["facts"]["exit"].as_str().and_then(|status| status.parse::<i32>().ok());
        let said = report["facts"]["stdout"].as_str().unwrap_or_default();
        let ours = comparable(said, &format!("{}/command.sh", scratch(report)));
        // Reports keep the end of an output, and of that the beginning where it is long.
        if status != theirs.0
            || !theirs.1.contains(ours.trim_end_matches('…'))
            || (ours.is_empty() != theirs.1.is_empty())
        {
            differ.push(format!(
                "{}: {status:?} {:?}\n  ours   {ours}\n  theirs {}",
                report["technique"], theirs.0, theirs.1
            ));
        }
    }
    println!("{compared} compared, {} differ:\n{}", differ.len(), differ.join("\n"));
    assert!(compared > 20 && differ.is_empty());
}
