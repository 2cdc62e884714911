//! Where reports go: the table alone, a file, a line a run, colour, log lines; what is not run after a failure; what would be run.

use foil_tests::e2e::{Bench, Done};
use serde_json::Value;

/// An experiment of a technique that runs without root; a link that is never seen, or none.
fn experiment(name: &str, missed: bool) -> String {
    let link = "\n  - { link: telemetry, check: linux.audit-event, with: { event: execve, argv: never-said, collector: foil.observed }, \
                within: 100ms, grace: 10ms }";
    let expect = if missed { link } else { " []" };
    format!("experiment: {name}\ntechnique: linux.system-info\nexpect:{expect}\n")
}

/// A bench with experiments that pass (`good-N`), and one that does not (`bad`).
fn bench() -> Bench {
    let bench = Bench::new();
    for name in ["good-1", "good-2", "good-3"] {
        bench.write(&format!("{name}.yaml"), &experiment(name, false));
    }
    bench.write("bad.yaml", &experiment("bad", true));
    bench
}

/// Files of the bench that were not there before: none of them half a report.
fn names(bench: &Bench) -> Vec<String> {
    let entries = std::fs::read_dir(bench.path("")).expect("readable").flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

#[test]
fn quiet_prints_the_table_first_and_details_of_what_did_not_pass() {
    let bench = bench();
    let all = ["good-1.yaml", "bad.yaml", "good-2.yaml"];
    let done = bench.foil(&[&["run", "--quiet"][..], &all].concat());
    assert_ne!(done.code, Some(0), "{done:#?}");
    assert!(done.err.is_empty(), "{done:#?}");
    let place = |text: &str| done.out.find(text).unwrap_or_else(|| panic!("no `{text}` in {done:#?}"));
    assert!(place("VERDICT") < place("3 runs: 2 pass") && place("3 runs: 2 pass") < place("WITHIN"), "{done:#?}");
    // One row each; only the one that did not pass is told as a whole.
    assert_eq!((done.out.matches("good-1").count(), done.out.matches("  run       ").count()), (1, 1), "{done:#?}");
    let one = bench.foil(&["fire", "linux.system-info", "-q"]);
    one.says(0, &["VERDICT", "1 run: 1 pass; nothing was left behind"]);
    assert!(!one.out.contains("  did  ") && one.err.is_empty(), "{one:#?}");
}

#[test]
fn each_run_that_ended_is_a_line_where_nobody_watches() {
    let bench = bench();
    let done = bench.foil(&["run", "good-1.yaml", "bad.yaml", "--format", "json"]);
    let lines: Vec<&str> = done.err.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("1/2 pass good-1 (") && lines[0].ends_with("s)"), "{done:#?}");
    assert!(lines[1].starts_with("2/2 ") && lines[1].contains(" bad ("), "{done:#?}");
    assert_eq!(done.json().as_array().map(Vec::len), Some(2));
}

#[test]
fn a_report_in_a_file_is_whole_and_the_folder_has_nothing_else_new() {
    let bench = bench();
    let before = names(&bench);
    let done = bench.foil(&["run", "good-1.yaml", "good-2.yaml", "--format", "json", "--output", "report.json"]);
    done.says(0, &["pass", "2 runs: 2 pass"]);
    let text = std::fs::read_to_string(bench.path("report.json")).expect("written");
    let reports: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(reports.as_array().map(Vec::len), Some(2));
    bench.foil(&["fire", "linux.system-info", "--output", "report.txt", "--color", "always"]).says(0, &["\u{1b}["]);
    let text = std::fs::read_to_string(bench.path("report.txt")).expect("written");
    assert!(text.contains("linux.system-info") && !text.contains('\u{1b}'), "{text}");
    let mut new = names(&bench);
    new.retain(|name| !before.contains(name) && name != "state");
    assert_eq!(new, ["report.json", "report.txt"]);
}

#[test]
fn several_files_get_a_format_each() {
    let bench = bench();
    let run = ["run", "good-1.yaml", "bad.yaml", "--output", "json=a.json", "--output", "junit=b.xml"];
    let done = bench.foil(&run);
    assert_eq!(
        done.err.lines().filter(|line| line.starts_with("1/2 ") || line.starts_with("2/2 ")).count(),
        2,
        "{done:#?}"
    );
    assert!(done.out.contains("WITHIN") && done.out.contains("2 runs: 1 pass"), "{done:#?}");
    let read = |name: &str| std::fs::read_to_string(bench.path(name)).expect("written");
    let reports: Value = serde_json::from_str(&read("a.json")).expect("JSON");
    assert_eq!(reports.as_array().map(Vec::len), Some(2));
    assert!(read("b.xml").contains("<testsuite ") && read("b.xml").contains("good-1"), "{}", read("b.xml"));
    // `--format` is of standard output, unless a file without a format of its own takes it.
    let both = bench.foil(&[&run[..], &["--format", "csv"]].concat());
    assert!(both.out.starts_with("\"Execution Time (UTC)\""), "{both:#?}");
    let taken = bench.foil(&[&run[..], &["--format", "csv", "--output", "c.csv"]].concat());
    assert!(
        taken.out.contains("2 runs: 1 pass") && read("c.csv").starts_with("\"Execution Time (UTC)\""),
        "{taken:#?}"
    );
    for (output, says) in [
        (&["jsno=a.json"][..], "do you mean `json`?"),
        (&["json="], "name the file"),
        (&["json=a.json", "csv=./a.json"], "names ./a.json twice"),
        (&["json=a.json", "csv=missing/a.csv"], "cannot write missing/a.csv"),
        (&["json=good-1.yaml"], "not a report of Foil's"),
        (&["grants.toml"], "not a report of Foil's"),
        (&["state/journal.db-wal"], "in the state folder"),
        (&["state/x"], "in the state folder"),
    ] {
        let output: Vec<&str> = output.iter().flat_map(|file| ["--output", file]).collect();
        let before = bench.runs().len();
        bench.foil(&[&["run", "good-1.yaml"][..], &output].concat()).says(2, &[says]);
        assert_eq!(bench.runs().len(), before, "nothing was fired");
    }
}

#[test]
fn a_file_that_cannot_be_written_at_the_end_is_an_internal_error_and_its_reports_are_printed() {
    let bench = bench();
    // The experiment waits for its link for two seconds, in which the folder of the report goes away.
    let slow = experiment("slow", true).replace("within: 100ms", "within: 2s");
    bench.write("slow.yaml", &slow);
    std::fs::create_dir(bench.path("reports")).expect("made");
    let arguments = [
        "run",
        "good-1.yaml",
        "slow.yaml",
        "--parallel",
        "1",
        "--output",
        "json=reports/a.json",
        "--output",
        "csv=b.csv",
    ];
    let mut live = bench.spawn(&arguments);
    foil_tests::e2e::until(std::time::Duration::from_secs(60), "the first run ends", || live.said().contains("1/2 "));
    std::fs::remove_dir(bench.path("reports")).expect("empty");
    let done = live.ends_within(std::time::Duration::from_secs(60));
    done.says(5, &["every run was put back, and its report stands above", "cannot write reports/a.json"]);
    assert_eq!(done.out.matches("  run       ").count(), 2, "{done:#?}");
    // The other file is there all the same.
    assert!(
        std::fs::read_to_string(bench.path("b.csv"))
            .is_ok_and(|text| text.contains("slow") || text.lines().count() == 3)
    );
    bench.is_clean();
}

#[test]
fn a_file_that_cannot_be_written_is_refused_before_anything_is_fired() {
    let bench = bench();
    std::fs::create_dir(bench.path("folder")).expect("made");
    std::os::unix::fs::symlink("good-1.yaml", bench.path("link")).expect("made");
    for (file, words) in [
        ("folder", "it is a folder"),
        ("folder/", "it names a folder"),
        ("missing/report.json", "its folder takes no new file"),
        ("link", "it is a symbolic link"),
        ("/dev/null", "not a regular file"),
    ] {
        let done = bench.foil(&["run", "good-1.yaml", "--format", "json", "--output", file]);
        done.says(2, &["cannot write", words]);
        assert!(done.out.is_empty(), "{done:#?}");
    }
    assert!(!bench.path("state").exists(), "nothing was fired");
    // A mistake elsewhere leaves an older report as it was.
    bench.write("report.json", "[{\"schema\": 1}]");
    bench.write("wrong.yaml", "experiment: [\n");
    bench.foil(&["run", "wrong.yaml", "--output", "report.json"]).says(2, &["wrong.yaml"]);
    assert_eq!(std::fs::read_to_string(bench.path("report.json")).expect("there"), "[{\"schema\": 1}]");
}

#[test]
fn after_the_first_that_does_not_pass_nothing_is_begun_and_that_is_said_and_counted() {
    let bench = bench();
    let files = ["bad.yaml", "good-1.yaml", "good-2.yaml"];
    let done = bench.foil(&[&["run", "--fail-fast"][..], &files].concat());
    assert!(done.out.contains("; 2 were not run; nothing"), "{done:#?}");
    assert!(done.out.contains("3 runs: "), "{done:#?}");
    assert_eq!(bench.runs().len(), 1, "one was begun");
    let json = bench.foil(&[&["run", "--fail-fast", "--format", "json"][..], &files].concat()).json();
    let skipped: Vec<bool> =
        json.as_array().expect("an array").iter().map(|r| r["skipped"].as_bool().unwrap_or_default()).collect();
    assert_eq!(skipped, [false, true, true]);
    assert_eq!(json[1]["experiment"], "good-1");
    assert!(json[1]["reason"].as_str().is_some_and(|why| why.contains("--fail-fast")), "{json:#}");
    // All that pass are run, and a campaign in order is many runs.
    let passing = ["run", "--fail-fast", "good-1.yaml", "good-2.yaml"];
    bench.foil(&passing).says(0, &["2 runs: 2 pass; nothing"]);
    bench.write(
        "campaign.yaml",
        "campaign: c\nsteps:\n  - { step: one, file: bad.yaml }\n  - { step: two, file: good-1.yaml }\n",
    );
    let campaign = bench.foil(&["run", "--fail-fast", "campaign.yaml", "good-2.yaml"]);
    assert!(campaign.out.contains("; 2 were not run"), "{campaign:#?}");
}

#[test]
fn a_dry_run_is_a_plan() {
    let bench = bench();
    let planned = |arguments: &[&str]| -> Done {
        let done = bench.foil(arguments);
        done.says(0, &["linux.system-info", "/bin/uname", "undo"]);
        assert!(!done.out.contains("pass "), "{done:#?}");
        done
    };
    let run = planned(&["run", "--dry", "good-1.yaml"]);
    // But for the run's id, which is another one each time.
    let lines = |done: &Done| -> Vec<String> {
        done.out.lines().filter(|line| !line.contains("the scratch folder")).map(str::to_owned).collect()
    };
    assert_eq!(lines(&run), lines(&planned(&["plan", "good-1.yaml"])));
    let fire = planned(&["fire", "linux.system-info", "--dry"]);
    assert_eq!(lines(&fire)[1..], lines(&run)[1..]);
    let json = bench.foil(&["fire", "linux.system-info", "--dry", "--format", "json"]).report();
    assert_eq!(json["technique"], "linux.system-info");
    bench.foil(&["fire", "linux.system-info", "--dry", "--format", "junit"]).says(2, &["text or json"]);
    bench.foil(&["fire", "linux.system-inf", "--dry"]).says(2, &["linux.system-info"]);
    assert!(!bench.path("state").exists(), "nothing was fired");
}

#[test]
fn colour_is_as_it_was_asked_for() {
    let bench = bench();
    let coloured = |arguments: &[&str], no_color: bool| {
        let mut command = bench.command(arguments);
        if no_color {
            command.env("NO_COLOR", "1");
        }
        String::from_utf8(command.output().expect("foil starts").stdout).expect("UTF-8").contains('\u{1b}')
    };
    let show = ["show", "linux.system-info"];
    assert!(!coloured(&show, false), "into a pipe");
    assert!(coloured(&["show", "linux.system-info", "--color", "always"], false));
    assert!(!coloured(&["show", "linux.system-info", "--color", "auto"], true));
    assert!(!coloured(&["--color", "never", "show", "linux.system-info"], false));
    assert!(coloured(&["fire", "linux.system-info", "--color", "always"], false));
    bench.foil(&["list", "--color", "sometimes"]).says(2, &["auto, always, never"]);
}

#[test]
fn log_lines_come_where_they_are_asked_for() {
    let bench = bench();
    let fire = ["fire", "linux.system-info", "--quiet"];
    let logged = |more: &[&str], filter: Option<&str>| {
        let mut command = bench.command(&[&fire[..], more].concat());
        if let Some(filter) = filter {
            command.env("FOIL_LOG", filter);
        }
        let output = command.output().expect("foil starts");
        (output.status.code(), String::from_utf8(output.stderr).expect("UTF-8"))
    };
    assert_eq!(logged(&[], None), (Some(0), String::new()));
    let (_, some) = logged(&["-v"], None);
    assert!(some.contains(" INFO ") && some.contains("detonates") && !some.contains("DEBUG"), "{some}");
    let (_, more) = logged(&["-vv"], None);
    assert!(more.contains("detonates") && more.lines().count() >= some.lines().count(), "{more}");
    let (_, by_filter) = logged(&["--log", "foil::campaign=info"], None);
    assert!(by_filter.contains("detonates"), "{by_filter}");
    let (_, by_environment) = logged(&[], Some("info"));
    assert!(by_environment.contains("detonates"), "{by_environment}");
    // What is said on the command line goes before the environment.
    assert_eq!(logged(&["--log", "off"], Some("info")), (Some(0), String::new()));
    for (more, filter) in [(&["--log", "debgu"][..], None), (&[][..], Some("foil=loud"))] {
        let (code, said) = logged(more, filter);
        assert!(code == Some(2) && said.contains("--log"), "{said}");
    }
}
