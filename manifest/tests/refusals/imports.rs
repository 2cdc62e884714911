//! What may be imported and must be exported.

use super::*;

const EXEC: &str = r#"(import "foil:host/exec@0.1.0" (instance (export "run" (func))))"#;

fn import(name: &str, members: &str) -> String {
    format!("(import \"{name}\" (instance {members}))")
}

/// The refusal of a technique with these imports.
fn refusal(imports: &str) -> Refusal {
    inspect(&with(technique_importing(imports), &technique())).expect_err("refused")
}

#[test]
fn unknown_imports_are_refused() {
    let run = r#"(export "run" (func))"#;
    for imports in [
        import("foil:host/exec@0.2.0", run),
        import("foil:host/exec", run),
        import("foil:host/everything@0.1.0", run),
        import("foil:hosts/exec@0.1.0", run),
        import("wasi:sockets/tcp@0.2.3", run),
        import("wasi:http/outgoing-handler@0.2.3", run),
        import("wasi:cli/environment@0.3.0", run),
        import("wasi:cli/environment", run),
        import("exec", run),
        "(import \"run\" (func))".into(),
        "(import \"m\" (core module))".into(),
        "(import \"c\" (component))".into(),
        import("foil:host/exec@0.1.0", r#"(export "r" (type (sub resource)))"#),
        import("foil:host/exec@0.1.0", r#"(export "nested" (instance))"#),
        import("wasi:io/streams@0.2.3", r#"(export "nested" (instance))"#),
    ] {
        assert_eq!(refusal(&imports).code(), "unknown-import", "{imports}");
    }
}

#[test]
fn a_function_that_an_interface_does_not_have_is_refused() {
    let refusal = refusal(&import("foil:host/exec@0.1.0", r#"(export "run" (func)) (export "run-as-root" (func))"#));
    assert_eq!(refusal.code(), "unknown-import");
    assert!(refusal.to_string().contains("`run-as-root`"), "{refusal}");
}

#[test]
fn inert_wasi_is_allowed_and_needs_no_request() {
    let any = r#"(export "get" (func))"#;
    let imports: String = [
        "wasi:cli/environment@0.2.0",
        "wasi:cli/stdout@0.2.6",
        "wasi:io/streams@0.2.3",
        "wasi:random/random@0.2.12",
        "wasi:filesystem/preopens@0.2.3",
        "wasi:filesystem/types@0.2.3",
        "wasi:clocks/wall-clock@0.2.3",
    ]
    .iter()
    .map(|name| import(name, any))
    .collect();
    assert_eq!(code(inspect(&with(technique_importing(&imports), &technique()))), "accepted");
}

#[test]
fn log_clock_and_types_need_no_request() {
    let imports = [
        import("foil:host/log@0.1.0", r#"(export "write" (func))"#),
        import("foil:host/clock@0.1.0", r#"(export "now" (func))"#),
        import("foil:host/types@0.1.0", ""),
    ];
    assert_eq!(code(inspect(&with(technique_importing(&imports.concat()), &technique()))), "accepted");
}

#[test]
fn an_interface_that_is_not_requested_is_refused() {
    let files = import("foil:host/files-read@0.1.0", r#"(export "stat" (func)) (export "read" (func))"#);
    let refusal = refusal(&files);
    assert_eq!(refusal.code(), "import-not-requested");
    assert!(refusal.to_string().contains("(read, stat)"), "{refusal}");
    // Its types alone are no privilege.
    let types = import("foil:host/files-read@0.1.0", "");
    assert_eq!(code(inspect(&with(technique_importing(&types), &technique()))), "accepted");
}

#[test]
fn a_check_cannot_import_what_acts() {
    let probing = |imports: &str| with(component(imports, "foil:host/probing@0.1.0", &["probe"]), &check());
    assert_eq!(code(inspect(&probing(""))), "accepted");
    for imports in [
        EXEC.to_owned(),
        import("foil:host/exec@0.1.0", ""),
        import("foil:host/files-write@0.1.0", r#"(export "write" (func))"#),
        import("foil:host/loopback-serve@0.1.0", r#"(export "publish" (func))"#),
    ] {
        assert_eq!(code(inspect(&probing(&imports))), "import-not-allowed", "{imports}");
    }
    let events = import("foil:host/events-read@0.1.0", r#"(export "read" (func))"#);
    assert_eq!(code(inspect(&probing(&events))), "import-not-requested");
    assert_eq!(refusal(&events).code(), "import-not-allowed");
}

#[test]
fn the_export_of_its_kind_is_needed() {
    let wrong = [
        with(component("", "foil:host/probing@0.1.0", &["probe"]), &technique()),
        with(component("", "foil:host/detonation@0.1.0", &["warmup", "detonate"]), &check()),
        with(component("", "foil:host/detonation@0.1.0", &["detonate"]), &technique()),
        with(component("", "foil:host/detonation@0.9.0", &["warmup", "detonate"]), &technique()),
        with(wat::parse_str("(component)").expect("encodes"), &technique()),
    ];
    for bytes in wrong {
        assert_eq!(code(inspect(&bytes)), "wrong-export");
    }
}

#[test]
fn names_from_a_module_are_fit_for_a_terminal() {
    // Component names cannot hold control characters, but they can be long.
    let long = format!("a{}", "-b".repeat(40_000));
    let refusal = refusal(&import(&long, ""));
    assert_eq!(refusal.code(), "unknown-import");
    assert!(refusal.to_string().len() < 400);
}
