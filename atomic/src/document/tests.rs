use super::*;
use crate::{Kind, Script};

const HEAD: &str = "attack_technique: T1059.004\ndisplay_name: Unix Shell\natomic_tests:\n";

/// A good test, of which one part may be replaced.
fn with(part: &str, by: &str) -> String {
    let good = "- name: one
  auto_generated_guid: 7E7AC3ED-f795-4fa5-b711-09d6fbe9b873
  description: d
  supported_platforms: [linux, macos]
  input_arguments:
    a-1: {description: x, type: Path, default: /tmp/x}
    nn: {description: '', type: integer, default: 5}
  dependency_executor_name: bash
  dependencies:
  - {description: need, prereq_command: 'test -e #{a-1}', get_prereq_command: ''}
  executor:
    name: sh
    elevation_required: true
    command: |
      cat <<'EOF'
      ü #{nn}
      EOF
    cleanup_command: 'rm #{a-1}'
";
    assert!(good.contains(part), "{part}");
    good.replacen(part, by, 1)
}

fn one(test: &str) -> Result<Test, Mistake> {
    parse(&format!("{HEAD}{test}")).expect("a readable file").tests.remove(0)
}

#[test]
fn a_test_is_read_and_becomes_a_script() {
    let file = format!("{HEAD}{}", with("x", "x"));
    for text in [file.clone(), file.replace('\n', "\r\n"), format!("\u{feff}{file}")] {
        let document = parse(&text).expect("readable");
        let test = document.tests[0].as_ref().expect("good");
        assert_eq!((test.number, test.line, test.warnings.len()), (1, 4, 0), "{:?}", test.warnings);
        let script = test.script(&document, "/at").expect("runnable");
        assert_eq!(script.command, "cat <<'EOF'\nü #{nn}\nEOF\n");
        assert_eq!(script.guid.as_deref(), Some("7e7ac3ed-f795-4fa5-b711-09d6fbe9b873"));
        assert_eq!((script.executor, script.dependency_executor, script.elevation), (Shell::Sh, Shell::Bash, true));
        assert_eq!(script.dependencies[0].obtain, None);
        assert_eq!((script.id().as_str(), script.technique_name.as_str()), ("atomic.T1059.004-1", "Unix Shell"));
        assert_eq!(Script::from_json(&script.to_json().expect("JSON")).as_ref(), Ok(&script));
    }
}

#[test]
fn defaults_are_text() {
    for (written, kind, read) in [
        ("5", "integer", Ok("5")),
        ("'-5'", "Integer", Ok("-5")),
        ("0755", "string", Ok("0755")),
        ("1_000", "string", Ok("1_000")),
        ("1.0", "float", Ok("1.0")),
        ("true", "string", Ok("true")),
        ("yes", "String", Ok("yes")),
        ("null", "string", Ok("")),
        ("\"a\\r\\nb\"", "string", Ok("a\nb")),
        ("5x", "integer", Err("10:51: test 1, `one`: the default of `nn`: `5x` is no integer")),
        ("nan", "float", Err("10:49: test 1, `one`: the default of `nn`: `nan` is no number")),
        ("[1]", "string", Err("10:50: test 1, `one`: the default of `nn` is a text, a number, a boolean or null")),
    ] {
        let text = with("type: integer, default: 5}", &format!("type: {kind}, default: {written}}}"));
        let got = one(&text).map(|test| test.arguments["nn"].default.clone().expect("a default"));
        assert_eq!(got.map_err(|e| e.to_string()), read.map(str::to_owned).map_err(str::to_owned), "{written}");
    }
    let none = one(&with(", default: 5}", "}")).expect("good");
    assert_eq!((none.arguments["nn"].default.as_ref(), none.arguments["nn"].kind), (None, Kind::Integer));
}

#[test]
fn mistakes_have_a_place() {
    for (part, by, wrong) in [
        ("name: one", "nome: one", "4:3: a test has no key `nome`"),
        ("name: one", "name: one\n  name: two", "5:3: `name` stands twice in a test"),
        ("name: one", "name: 1", "4:9: `name` is a text, and `1` is none"),
        ("name: one", "name: ' '", "4:9: `name` is empty"),
        ("  description: d\n", "", "4:3: test 1, `one`: a test has no `description`"),
        ("09d6fbe9b873", "09d6fbe9b87", "5:24: test 1, `one`: `7E7AC3ED-f795-4fa5-b711-09d6fbe9b87` is no GUID"),
        ("macos", "plan9", "7:32: test 1, `one`: `plan9` is no platform"),
        ("[linux, macos]", "[]", "7:24: test 1, `one`: `supported_platforms` is empty"),
        ("a-1:", "a b:", "9:5: test 1, `one`: `a b` is no argument's name"),
        ("nn:", "a-1:", "10:5: test 1, `one`: the argument `a-1` is declared twice"),
        ("type: Path", "type: file", "9:33: test 1, `one`: `file` is no type"),
        ("name: bash", "name: ''", "11:29: test 1, `one`: `` is no executor"),
        ("need,", "need, x: 1,", "13:25: test 1, `one`: a dependency has no key `x`"),
        ("prereq_command: 'test", "get_prereq_command: 'test", "13:"),
        ("required: true", "required: 'true'", "16:25: test 1, `one`: `elevation_required` is `true` or `false`"),
        ("name: sh", "name: sh\n    shell: x", "16:5: test 1, `one`: `executor` has no key `shell`"),
        ("name: sh", "name: manual", "15:5: test 1, `one`: `executor` has no `steps`"),
        ("#{nn}", "#{mm}", "18:7: test 1, `one`: `#{mm}` is used and is not among the `input_arguments`"),
        ("test -e #{a-1}", "#{b}", "13:41: test 1, `one`: `#{b}` is used"),
    ] {
        let error = one(&with(part, by)).expect_err(by).to_string();
        assert!(error.starts_with(wrong), "{by}: {error}");
    }
}

#[test]
fn a_broken_test_does_not_hide_the_others() {
    let text =
        format!("{HEAD}{}{}- 5\n{}", with("x", "x"), with("name: sh", "name: zsh"), with("name: one", "name: 'n 4'"));
    let document = parse(&text).expect("readable");
    assert_eq!(document.tests.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, false, true]);
    assert_eq!(document.tests[3].as_ref().map(|test| (test.number, test.name.as_str())), Ok((4, "n 4")));
}

#[test]
fn harmless_mistakes_are_warnings() {
    for (part, by, warning) in [
        ("#{nn}", "", "10:5: test 1, `one`: the argument `nn` is not used in any script"),
        ("required: true", "required: false", ""),
        ("rm #", "sudo rm #", ""),
        (
            "    cleanup_command",
            "    steps: x\n    cleanup_command",
            "21:12: test 1, `one`: `steps` is not for an executor `sh`",
        ),
    ] {
        let test = one(&with(part, by)).expect(by);
        let warnings: Vec<_> = test.warnings.iter().map(ToString::to_string).collect();
        assert!(warnings.join("").starts_with(warning) && warnings.is_empty() == warning.is_empty(), "{warnings:?}");
    }
    let sudo = with("required: true", "required: false").replace("'rm", "'sudo rm");
    assert!(one(&sudo).expect("good").warnings[0].what.contains("`sudo`"));
}

#[test]
fn what_foil_cannot_run_says_why() {
    for (part, by, why) in [
        ("linux, macos", "macos, windows", "it is for macos, windows, and not for linux"),
        ("name: sh", "name: powershell", "its executor is `powershell`, and Foil runs `sh` and `bash`"),
        ("name: bash", "name: manual", "its `dependency_executor_name` is `manual`, and Foil runs `sh` and `bash`"),
        ("name: sh", "name: manual\n    steps: 'do #{nn}'", "it is manual: its steps are for a person"),
    ] {
        let document = parse(&format!("{HEAD}{}", with(part, by))).expect("readable");
        let test = document.tests[0].as_ref().expect("good");
        assert_eq!(test.script(&document, "/at").expect_err(by).to_string(), why);
    }
}

#[test]
fn files_that_say_too_little_or_too_much_are_refused() {
    let bomb = "attack_technique: &a xxxxxxxxxxxxxxxxxxxx\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
        d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n";
    let big = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), ["*a"; 50].join(","));
    for (text, wrong) in [
        ("", "1:1: the file is a map"),
        ("attack_technique: T1\ndisplay_name: x\n", "1:19: `T1` is no technique"),
        ("attack_technique: T1059.04\n", "1:19: `T1059.04` is no technique"),
        ("attack_technique: T1059\ndisplay_name: x\natomic_tests: []\n", "3:15: `atomic_tests` is empty"),
        ("attack_technique: T1059\nx: y\n", "2:1: the file has no key `x`"),
        ("attack_technique: [\n", "1:19: unclosed bracket"),
        (bomb, "5:26: alias replay limit exceeded"),
        (&big, "2:"),
        (&"x".repeat(tree::MAX_FILE + 1), "1:1: the file has 4194305 bytes"),
        (&"[".repeat(5000), "1:"),
    ] {
        let error = parse(text).expect_err(wrong).to_string();
        assert!(error.starts_with(wrong), "{wrong}: {error}");
    }
}

#[test]
fn a_command_of_a_megabyte_is_read() {
    let long = "echo 'äöü' >/dev/null\n      ".repeat(40_000);
    let test = one(&with("cat <<'EOF'", &format!("{long}cat <<'EOF'"))).expect("good");
    assert!(test.command.len() > 900_000 && test.command.ends_with("EOF\n"));
}
