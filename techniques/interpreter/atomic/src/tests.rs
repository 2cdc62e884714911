use super::*;
use foil_sdk::Value;
use foil_sdk::fake::{self, Host};

fn test() -> Script {
    serde_json::from_value(serde_json::json!({
        "foil-atomic": 1, "technique": "T1082", "technique-name": "n", "number": 1, "name": "t", "description": "d",
        "arguments": {"file": {"description": "f", "kind": "path", "default": "/tmp/x"}},
        "dependencies": [{"description": "#{file} must exist", "check": "test -e #{file}", "obtain": "touch #{file}"}],
        "dependency-executor": "sh", "executor": "bash", "elevation": false,
        "command": "cat <<X\n#{file}\nX\n", "cleanup": "rm #{file}", "atomics": "/at"
    }))
    .expect("a test")
}

/// A host whose shells end with these statuses, each the next; and what is asked of the test.
fn host(statuses: &[u8]) -> Host {
    // Without the manifest, which cannot declare what the host hands over.
    let host = Host::new();
    let left = std::rc::Rc::new(std::cell::RefCell::new(statuses.to_vec()));
    for shell in ["/bin/sh", "/bin/bash"] {
        let left = left.clone();
        host.on_exec(shell, move |_| Ok(fake::exit(left.borrow_mut().remove(0), "sh: 1: frob: not found\n")));
    }
    host
}

fn stage(host: &Host, stage: &str, obtain: bool) -> Result<Evidence> {
    let text = |text: String| Value::Text(text);
    host.detonate::<Atomic>(&[
        ("#test", text(test().to_json().expect("JSON"))),
        ("#arguments", text(r#"{"file":"/tmp/y z"}"#.to_owned())),
        ("#stage", text(stage.to_owned())),
        ("#obtain", Value::Boolean(obtain)),
        ("#timeout-ms", Value::Integer(1000)),
    ])
}

fn file(host: &Host, name: &str) -> String {
    let bytes = host.content(&host.context().in_scratch(name)).expect("written");
    String::from_utf8(bytes).expect("text")
}

#[test]
fn each_script_is_a_file_of_its_own_run_by_its_own_shell() {
    let host = host(&[0, 3]);
    let evidence = stage(&host, "command", false).expect("it ran");
    assert_eq!(evidence.summary, "the command ended with 3");
    let scratch = host.context().scratch;
    assert_eq!(
        host.commands(),
        [format!("/bin/sh {scratch}/prerequisite-1.sh"), format!("/bin/bash {scratch}/command.sh")]
    );
    assert_eq!(file(&host, "command.sh"), "cat <<X\n/tmp/y z\nX\n");
    assert_eq!(file(&host, "prerequisite-1.sh"), "test -e /tmp/y z");
}

#[test]
fn a_prerequisite_is_named_and_obtained_only_where_that_is_asked_for() {
    let error = stage(&host(&[1]), "command", false).expect_err("not met");
    assert_eq!(error.code(), Some("prerequisite"));
    assert!(format!("{error}").contains("/tmp/y z must exist"), "{error}");
    let asked = host(&[1, 0, 0, 0]);
    stage(&asked, "command", true).expect("met");
    assert_eq!(file(&asked, "obtain-1.sh"), "touch /tmp/y z");
    let error = stage(&host(&[1, 0, 1]), "command", true).expect_err("still not met");
    assert!(format!("{error}").contains("did not help"), "{error}");
}

#[test]
fn a_missing_program_is_no_success() {
    let error = stage(&host(&[0, 127]), "command", false).expect_err("missing");
    assert_eq!(error.code(), Some("not-found"));
    // The clean-up may fail as it likes: what it forgot is looked for.
    assert_eq!(stage(&host(&[0, 127]), "cleanup", false).expect("it ran").summary, "the cleanup ended with 127");
}

#[test]
fn the_benign_twin_runs_nothing() {
    let host = host(&[0]);
    host.dry(true);
    assert_eq!(stage(&host, "command", false).expect("dry").summary, "ran nothing (dry)");
}
