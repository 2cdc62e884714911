//! Text that would do something to a terminal, or hide something from whoever reads it.

use foil_tests::hostile::{Guest, Stage};

/// Sets the title, clears the screen, goes back in the line, rings; the eight-bit form; turns the direction of writing.
const EVIL: &str = "\u{1b}]0;pwned\u{7}\u{1b}[2J\r\u{8}\u{9b}31m\u{202e}txet\u{2066}\u{200b}\nundone    everything";

#[track_caller]
fn harmless(text: &str) {
    let evil = |c: char| {
        (c.is_control() && !matches!(c, '\n' | '\u{1b}')) || matches!(c, '\u{202e}' | '\u{2066}' | '\u{200b}')
    };
    assert!(!text.contains(evil), "{text:?}");
    assert!(!text.contains("\u{1b}]") && !text.contains("\u{1b}[2J"), "{text:?}");
    assert!(!text.lines().any(|line| line.starts_with("undone")), "{text:?}");
}

fn fired(guest: &Guest) {
    let stage = Stage::new();
    stage.add(guest).grant(&guest.id);
    let ended = stage.foil(&["fire", &guest.id]);
    harmless(&ended.stdout);
    harmless(&ended.stderr);
    assert!(ended.stdout.contains("pwned"), "{}", ended.stdout);
}

#[test]
fn in_a_summary_and_in_facts() {
    let mut guest = Guest::technique("test.summary");
    let summary = guest.text(EVIL);
    let [at, count] = guest.facts(&[(&EVIL[..20], EVIL), ("x", EVIL)]);
    fired(&guest.act(&format!("(call $evidence {summary} (i32.const {at}) (i32.const {count}))")));
}

#[test]
fn in_a_log_line() {
    let mut guest = Guest::technique("test.log");
    let line = guest.text(EVIL);
    fired(&guest.act(&format!("(call $log (i32.const 3) {line} (i32.const 512)) (call $done)")));
}

#[test]
fn in_an_error() {
    // `other`, its code, and its message.
    let mut guest = Guest::technique("test.message");
    let [at, length] = guest.string(EVIL);
    let stores: String = [(520, at), (524, length), (528, at), (532, length)]
        .map(|(place, word)| format!("(i32.store (i32.const {place}) (i32.const {word}))"))
        .concat();
    let act = format!(
        "(i32.store (i32.const 512) (i32.const 1)) (i32.store (i32.const 516) (i32.const 6)) {stores} (i32.const 512)"
    );
    fired(&guest.act(&act));
}

#[test]
fn in_the_path_of_a_refused_call() {
    let mut guest = Guest::technique("test.path").asks("files-read", "allow = [\"/nowhere\"]");
    let name = guest.text(&format!("/{EVIL}"));
    fired(&guest.act(&format!("(call $stat {name} (i32.const 512)) (call $or8)")));
}
