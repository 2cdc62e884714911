//! The fake host answers as the real one does where a module's correctness hangs on it.

use foil_sdk::prelude::*;
use foil_sdk::{Value, fake};

const MANIFEST: &str = r#"
id = "linux.sample"
title = "A sample"
attack = ["T1082"]
impact = "reversible"

[parameters.path]
type = "string"
about = "A file"
default = "/etc/hostname"

[parameters.times]
type = "integer"
about = "How often"
choices = [1, 2]

[[capability]]
name = "exec"
allow = ["/bin/cat {scratch}/*"]
env = ["LANG"]
reason = "a test"

[[capability]]
name = "files-write"
allow = ["{scratch}/foil-{run}"]
reason = "a test"
"#;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Parameters {
    path: String,
    times: Option<u8>,
}

struct Sample;

impl Technique for Sample {
    type Parameters = Parameters;

    fn warmup(context: &Context, parameters: &Parameters) -> Result<State> {
        Ok(State::new().with("path", &parameters.path).with("mark", context.mark()))
    }

    fn detonate(_: &Context, parameters: &Parameters, state: &State) -> Result<Evidence> {
        Ok(Evidence::new(state.need("path")?).fact("times", parameters.times.unwrap_or(1)))
    }
}

foil_sdk::technique!(Sample);

fn manifest() -> fake::Host {
    fake::Host::for_technique(MANIFEST)
}

fn denied<T: std::fmt::Debug>(result: Result<T>, capability: &str) {
    match result {
        Err(Error::Denied(denial)) => assert_eq!(denial.capability, capability),
        other => panic!("{other:?} is no denial"),
    }
}

#[test]
fn state_goes_from_warmup_to_detonate_and_defaults_are_filled_in() {
    let host = manifest();
    assert_eq!(host.detonate::<Sample>(&[]).unwrap().summary, "/etc/hostname");
    let evidence = host.detonate::<Sample>(&[("path", "/x".into()), ("times", 2.into())]).unwrap();
    assert_eq!((evidence.summary.as_str(), evidence.get("times")), ("/x", Some("2")));
    assert_eq!(State::new().need("gone").unwrap_err().to_string(), "invalid: the state of `warmup` has no `gone`");
}

#[test]
fn parameters_are_held_to_the_manifest() {
    let host = manifest();
    let wrong: [(&str, Value); 3] = [("colour", "red".into()), ("times", 3.into()), ("times", "1".into())];
    for parameter in wrong {
        let error = host.detonate::<Sample>(std::slice::from_ref(&parameter)).unwrap_err();
        assert!(matches!(&error, Error::Invalid(text) if text.contains(parameter.0)), "{error}");
    }
}

#[test]
fn calls_are_held_to_the_manifest() {
    let host = manifest();
    host.on_exec("/bin/cat", |_| Ok(fake::output("x"))).on_exec("/bin/id", |_| Ok(fake::output("x")));
    let scratch = host.context().scratch;
    Command::new("/bin/cat").arg(format!("{scratch}/a")).env("LANG", "C").run().unwrap();
    denied(Command::new("/bin/cat").arg(format!("{scratch}/a/b")).run(), "exec");
    denied(Command::new("/bin/cat").arg(format!("{scratch}/a")).env("LD_PRELOAD", "x").run(), "exec");
    denied(Command::new("/bin/id").run(), "exec");
    assert_eq!(host.commands().len(), 1, "what was denied was not started");

    files::write(&host.context().in_scratch(&host.context().mark()), "x").unwrap();
    denied(files::write("/etc/passwd", "x"), "files-write");
    denied(files::read("/etc/passwd", 0, 1), "files-read");
    denied(loopback::publish("/x", "x"), "loopback-serve");
    denied(events::read("linux.audit", 0, 1), "events-read");
}

#[test]
#[should_panic(expected = "T9999")]
fn a_wrong_manifest_fails_the_test_with_its_reason() {
    fake::Host::for_technique(&MANIFEST.replace("T1082", "T9999"));
}

#[test]
fn without_a_manifest_only_what_the_test_denies_is_denied() {
    let host = fake::Host::new();
    host.on_exec("/bin/id", |_| Ok(fake::output("uid=0")));
    assert_eq!(Command::new("/bin/id").run().unwrap().text(), "uid=0");
    host.deny("exec");
    denied(Command::new("/bin/id").run(), "exec");
}

#[test]
fn programs_end_as_they_are_scripted_to() {
    let host = fake::Host::new();
    host.on_exec("/bin/x", |call| Ok(fake::exit(call.args.len() as u8, "\nx: no\nmore\n")));
    host.on_exec("/bin/slow", |_| Err(Error::Timeout));
    assert!(Command::new("/bin/x").run().unwrap().ok().is_ok());
    let error = Command::new("/bin/x").args(["a", "b"]).run().unwrap().ok().unwrap_err();
    assert_eq!(error.to_string(), "/bin/x ended with status 2: x: no (exit-status)");
    assert_eq!(Command::new("/bin/slow").run().unwrap_err(), Error::Timeout);
    assert!(Command::new("/bin/none").run().unwrap_err().is_not_found());
    assert!(Command::new("/bin/none").run_if_present().unwrap().is_none());
    assert_eq!(Command::new("/bin/slow").run_if_present().unwrap_err(), Error::Timeout);
}

#[test]
fn commands_carry_what_they_were_given() {
    let host = fake::Host::new();
    host.on_exec("/bin/x", |_| Ok(fake::output("")));
    let timeout = std::time::Duration::from_millis(1_500);
    Command::new("/bin/x").stdin("in").cwd("/tmp").env("A", "b").timeout(timeout).run().unwrap();
    let call = host.calls().remove(0);
    assert_eq!((call.stdin.as_slice(), call.cwd.as_deref(), call.timeout_ms), (&b"in"[..], Some("/tmp"), Some(1_500)));
    assert_eq!(call.env, [("A".to_owned(), "b".to_owned())]);
}

#[test]
fn files_behave_like_files() {
    let host = fake::Host::new();
    assert!(files::create("/no/where", "x", 0o600).unwrap_err().is_not_found());
    host.directory("/d");
    files::create("/d/f", "one", 0o600).unwrap();
    assert_eq!(files::create("/d/f", "two", 0o600).unwrap_err().code(), Some("conflict"));
    files::append("/d/f", "+").unwrap();
    assert_eq!(files::read_all("/d/f", 4).unwrap(), b"one+");
    assert!(matches!(files::read_all("/d/f", 3), Err(Error::Limit(_))));
    files::replace("/d/f", "new").unwrap();
    assert_eq!((host.content("/d/f").unwrap(), host.mode("/d/f")), (b"new".to_vec(), Some(0o600)));
    assert!(files::append("/d/g", "x").unwrap_err().is_not_found());
    assert!(matches!(files::create("/d/s", "x", 0o4755), Err(Error::Invalid(_))));
    assert_eq!(files::entries("/d").unwrap(), ["f"]);
    files::remove("/d/f").unwrap();
    assert!(!files::exists("/d/f").unwrap());
    files::create_directory("/d/e").unwrap();
    assert_eq!(files::stat("/d/e").unwrap().kind, files::Kind::Directory);
    assert_eq!(host.changes().last().unwrap(), "create-directory /d/e");
}

#[test]
fn events_come_page_by_page() {
    let host = fake::Host::new();
    assert_eq!(events::read("linux.audit", 0, 10).unwrap_err().code(), Some("dead-collector"));
    host.arm("linux.audit");
    assert!(events::read("linux.audit", 0, 10).unwrap().drained);
    for _ in 0..2_500 {
        host.event("linux.audit", fake::event("execve").with("pid", 7));
    }
    let page = events::read("linux.audit", 5, 10).unwrap();
    assert_eq!((page.events.len(), page.next, page.drained), (10, 15, false));
    assert!(matches!(events::read("linux.audit", 0, 1_001), Err(Error::Invalid(_))));
    assert_eq!(events::read_all("linux.audit", 0, usize::MAX).unwrap().0.len(), 2_500);
    let (some, next) = events::read_all("linux.audit", 0, 1_500).unwrap();
    assert_eq!((some.len(), next), (2_000, 2_000));
    assert_eq!(some[0].field("pid"), Some("7"));
}

#[test]
fn lines_and_the_clock_need_no_capability() {
    let host = fake::Host::new();
    log::info("one");
    log::error(String::from("two"));
    assert_eq!(host.lines(), ["info: one", "error: two"]);
    assert!(clock::now().unwrap() > 0 && !clock::elapsed().unwrap().is_zero());
}
