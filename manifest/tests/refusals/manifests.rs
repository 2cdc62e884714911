//! No manifest, too many, in the wrong place, or not to be read.

use super::*;

#[test]
fn no_manifest_is_refused() {
    assert_eq!(code(inspect(&technique_importing(""))), "no-manifest");
}

#[test]
fn two_manifests_are_refused_even_if_they_are_the_same() {
    let json = technique().to_canonical_json();
    let bytes = with_section(with(technique_importing(""), &technique()), &json);
    assert_eq!(code(inspect(&bytes)), "two-manifests");
    assert_eq!(
        section::append(with(technique_importing(""), &technique()), &technique()).expect_err("two").code(),
        "two-manifests"
    );
}

#[test]
fn a_manifest_below_the_root_is_refused_with_or_without_one_at_the_root() {
    let planted = planted();
    for (text, depth) in [
        (format!("(component (core module {planted}))"), 1),
        (format!("(component (component {planted}))"), 1),
        (format!("(component (component (component (core module {planted}))))"), 3),
    ] {
        let bytes = wat::parse_str(&text).expect("encodes");
        assert_eq!(inspect(&bytes), Err(Refusal::NestedManifest { depth }));
        // In front of the planted one, where a reader that stops at the first would not look any further.
        let mut first = b"\0asm\x0d\0\x01\0".to_vec();
        first = with_section(first, &technique().to_canonical_json());
        first.extend(&bytes[8..]);
        assert_eq!(inspect(&first), Err(Refusal::NestedManifest { depth }));
        // And behind it.
        let behind = with_section(bytes, &technique().to_canonical_json());
        assert_eq!(inspect(&behind), Err(Refusal::NestedManifest { depth }));
    }
}

/// The refusal of a technique whose section holds `json`.
fn refusal(json: impl AsRef<[u8]>) -> Refusal {
    inspect(&with_section(technique_importing(""), json.as_ref())).expect_err("refused")
}

#[test]
fn malformed_manifests_are_refused() {
    let good = String::from_utf8(technique().to_canonical_json()).expect("JSON is UTF-8");
    assert_eq!(code(inspect(&with_section(technique_importing(""), good.as_bytes()))), "accepted");
    for (what, json) in [
        ("empty", String::new()),
        ("no JSON", "id = 1".into()),
        ("cut off", good[..good.len() - 1].into()),
        ("white space", format!("{good} ")),
        ("white space inside", good.replacen(':', ": ", 1)),
        (
            "another order of keys",
            good.replacen(
                r#""kind":"technique","id":"test.technique""#,
                r#""id":"test.technique","kind":"technique""#,
                1,
            ),
        ),
        ("a default spelled out", good.replacen(r#","impact""#, r#","idempotent":false,"impact""#, 1)),
        ("an escape for a plain letter", good.replacen("A test", "\\u0041 test", 1)),
        ("a key twice", good.replacen(r#""kind""#, r#""kind":"technique","kind""#, 1)),
        ("an unknown key", good.replacen('{', r#"{"admin":true,"#, 1)),
        ("an unknown key in a capability", good.replacen(r#""reason""#, r#""sudo":true,"reason""#, 1)),
        ("an unknown capability", good.replacen(r#""exec""#, r#""root""#, 1)),
        ("an unknown impact", good.replacen("read-only", "harmless", 1)),
        ("no reason", good.replacen("prints the kernel's name", " ", 1)),
        ("a terminal escape", good.replacen("A test", "A \\u001b[2Jtest", 1)),
        ("a reversed text", good.replacen("prints", "\u{202e}prints", 1)),
        ("a malformed id", good.replacen("test.technique", "../../etc", 1)),
        ("a key with a terminal escape", good.replacen('{', r#"{"\u001b[2J\u000a":true,"#, 1)),
        ("deep nesting", format!("{}{}", "[".repeat(100_000), "]".repeat(100_000))),
    ] {
        assert_ne!(json, good, "{what}: the test changes nothing");
        assert_eq!(refusal(&json).code(), "manifest-malformed", "{what}");
    }
    assert_eq!(refusal(b"\xff\xfe").code(), "manifest-malformed");
    assert_eq!(refusal(vec![b' '; foil_manifest::manifest::MAX_MANIFEST + 1]).code(), "manifest-malformed");
}

#[test]
fn an_attack_id_that_does_not_exist_is_refused_by_name() {
    let json = String::from_utf8(technique().to_canonical_json()).expect("JSON is UTF-8").replace("T1082", "T9999");
    assert_eq!(refusal(json), Refusal::AttackIdUnknown("T9999".into()));
}

#[test]
fn errors_in_a_toml_file_name_line_and_column() {
    let error = |text: &str| Manifest::from_toml(text, Kind::Technique).expect_err("wrong").0;
    let good = TECHNIQUE;
    for (text, start) in [
        (good.replace("impact =", "impcat ="), "technique.toml:5:1: "),
        (good.replace("T1082", "T9999"), "technique.toml:4:10: "),
        (good.replace("title = ", "title : "), "technique.toml:3:"),
        (good.replace("\"read-only\"", "\"harmless\""), "technique.toml:5:10: "),
        (good.replace("reason = \"prints the kernel's name\"", "raeson = \"x\""), "technique.toml:6:"),
        (good.replace("id = ", "kind = \"check\"\nid = "), "technique.toml: "),
    ] {
        let found = error(&text);
        assert!(found.starts_with(start) && !found.contains('\n'), "{found}");
    }
}
