//! Characters in a manifest that nobody sees: what a reviewer reads must be all that there is.

use foil_text::{code_point, is_hidden, is_odd_space};
use serde_json::Value;

/// What is wrong with the first text of a manifest that has a hidden character in it, and the character.
///
/// Fields of prose and of scripts may have new lines and tabs. What is a path, a command or a name has no space but U+0020 either,
/// since another one looks as if it separated words.
pub(crate) fn find(manifest: &Value) -> Option<(String, char)> {
    walk(manifest, &mut Vec::new())
}

fn walk(value: &Value, path: &mut Vec<String>) -> Option<(String, char)> {
    match value {
        Value::String(text) => bad(text, path).map(|c| (says(&path.join("."), c), c)),
        Value::Array(all) => all.iter().find_map(|value| match value.get("name").and_then(Value::as_str) {
            Some(name) => below(value, name, path),
            None => walk(value, path),
        }),
        Value::Object(all) => all.iter().find_map(|(key, value)| match key.chars().find(|c| is_hidden(*c)) {
            Some(c) => Some((says(&format!("a key of {}", path.join(".")), c), c)),
            None => below(value, key, path),
        }),
        _ => None,
    }
}

fn below(value: &Value, key: &str, path: &mut Vec<String>) -> Option<(String, char)> {
    path.push(key.to_owned());
    let found = walk(value, path);
    path.pop();
    found
}

fn bad(text: &str, path: &[String]) -> Option<char> {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let (lines, spaces) = match path.as_slice() {
        ["about"] | ["facts", _] | ["parameters", _, _] | [.., "reason"] => (true, true),
        // Scripts within quotes.
        ["capability", _, "allow" | "commands", ..] => (true, false),
        ["capability", ..] | ["programs"] => (false, false),
        _ => (false, true),
    };
    text.chars().find(|c| match c {
        '\n' | '\t' => !lines,
        c => is_hidden(*c) || (!spaces && is_odd_space(*c)),
    })
}

fn says(field: &str, c: char) -> String {
    let what = match c {
        c if c.is_control() => "control character",
        c if is_hidden(c) => "invisible character",
        _ => "space that is not U+0020, the",
    };
    format!("`{field}` has the {what} {} in it, which deceives whoever reviews it: take it out", code_point(c))
}

#[cfg(test)]
mod tests {
    use crate::{Kind, Manifest};

    const GOOD: &str = r#"
id = "linux.x"
title = "T"
about = "two\n\tlines"
attack = ["T1059"]
impact = "reversible"
expected = ["E"]
programs = ["/bin/P"]
facts = { made = "F" }
[parameters.text]
type = "string"
about = "A"
default = "D"
[[capability]]
name = "exec"
allow = ["/bin/sh -c 'B\n'"]
writes = ["/W"]
reason = "R"
"#;

    #[test]
    fn a_hidden_character_in_any_field_is_refused_by_name() {
        assert_eq!(Manifest::from_toml(GOOD, Kind::Technique).map(|m| m.id.to_string()), Ok("linux.x".to_owned()));
        let fields = [
            ("\"T\"", "`title`"),
            ("two", "`about`"),
            ("\"E\"", "`expected`"),
            ("/P", "`programs`"),
            ("\"F\"", "`facts.made`"),
            ("\"A\"", "`parameters.text.about`"),
            ("\"D\"", "`parameters.text.default`"),
            ("'B", "`capability.exec.allow`"),
            ("/W", "`capability.exec.writes`"),
            ("\"R\"", "`capability.exec.reason`"),
        ];
        for (at, field) in fields {
            for (written, point) in [
                ("\\u200B", "U+200B"),
                ("\\u3164", "U+3164"),
                ("\\u115F", "U+115F"),
                ("\\u2028", "U+2028"),
                ("\\u00AD", "U+00AD"),
                ("\\uFEFF", "U+FEFF"),
                ("\\U000E0041", "U+E0041"),
                ("\\uFE0F", "U+FE0F"),
                ("\\u202E", "U+202E"),
                ("\\u001B", "U+001B"),
            ] {
                let (first, last) = at.split_at(1);
                let bad = GOOD.replacen(at, &format!("{first}{written}{last}"), 1);
                let error = Manifest::from_toml(&bad, Kind::Technique).expect_err(&bad).0;
                assert!(error.contains(field) && error.contains(point), "{field} {point}: {error}");
            }
        }
    }

    #[test]
    fn lines_and_odd_spaces_are_for_prose() {
        for (good, bad, why) in [
            ("title = \"T\"", "title = \"T\\nU\"", "`title` has the control character U+000A"),
            ("expected = [\"E\"]", "expected = [\"E\\tF\"]", "`expected` has the control character U+0009"),
            ("/W", "/W\\u00A0x", "`capability.exec.writes` has the space that is not U+0020, the U+00A0"),
            ("-c 'B", "-c\\u3000'B", "`capability.exec.allow` has the space"),
        ] {
            let error = Manifest::from_toml(&GOOD.replace(good, bad), Kind::Technique).expect_err(bad).0;
            assert!(error.contains(why), "{error}");
        }
        let prose = GOOD.replace("\"R\"", "\"R\\u00A0:\\n- x\"");
        assert!(Manifest::from_toml(&prose, Kind::Technique).is_ok());
    }

    #[test]
    fn the_text_itself_has_a_place_even_in_a_comment() {
        for (bad, place) in [
            (GOOD.replace("\"T\"", "\"T\u{200b}\""), "technique.toml:3:11: "),
            (format!("# \u{202e}harmless\n{GOOD}"), "technique.toml:1:3: "),
            (GOOD.replace("linux.x", "linux.x\u{3164}"), "technique.toml:2:14: "),
        ] {
            let error = Manifest::from_toml(&bad, Kind::Technique).expect_err(&bad).0;
            assert!(error.starts_with(place) && error.contains("U+"), "{error}");
            assert!(bad.starts_with('#') || error.contains("`title`") || error.contains("`id`"), "{error}");
            assert!(!error.contains(['\u{200b}', '\u{202e}', '\u{3164}']), "{error}");
        }
    }
}
