//! Guests that lie to the canonical ABI: traps of theirs, never the host's.

use foil_tests::hostile::{Guest, Stage};

fn technique(id: &str, act: &str) -> Guest {
    Guest::technique(id).act(act)
}

fn error(guest: &Guest, reason: &str) {
    Stage::new().fire(guest).is("error", 5, reason);
}

#[test]
fn unreachable() {
    error(&technique("test.trap", "unreachable"), "`unreachable` instruction");
}

#[test]
fn division_by_zero() {
    error(&technique("test.divide", "(i32.div_u (i32.const 1) (local.get $i))"), "divide by zero");
}

#[test]
fn an_indirect_call_to_nothing() {
    let guest = technique("test.null", "(call_indirect $t (result i32) (i32.const 0))").fields("(table $t 1 funcref)");
    error(&guest, "uninitialized element");
}

#[test]
fn a_read_beyond_the_memory() {
    error(&technique("test.beyond", "(i32.load (i32.const -4))"), "out of bounds");
}

#[test]
fn a_result_beyond_the_memory() {
    error(&technique("test.pointer", "(i32.const -8)"), "pointer out of bounds");
}

#[test]
fn a_result_at_an_odd_address() {
    error(&technique("test.odd", "(i32.const 513)"), "not aligned");
}

#[test]
fn a_result_that_is_neither() {
    error(
        &technique("test.neither", "(drop (call $done)) (i32.store8 (i32.const 512) (i32.const 7)) (i32.const 512)"),
        "invalid expected discriminant",
    );
}

#[test]
fn an_error_that_the_contract_does_not_have() {
    let act = "(i32.store8 (i32.const 512) (i32.const 1)) (i32.store8 (i32.const 516) (i32.const 99)) (i32.const 512)";
    error(&technique("test.error", act), "unexpected discriminant: 99");
}

#[test]
fn a_summary_of_one_gigabyte_that_is_not_there() {
    error(
        &technique("test.claim", "(call $say (i32.const 0) (i32.const 0x40000000))"),
        "string pointer/length out of bounds",
    );
}

#[test]
fn a_summary_of_four_megabytes_that_is_there() {
    let guest = technique("test.long", "(call $say (i32.const 0) (i32.const 4000000))").memory("100");
    Stage::new().fire(&guest).stopped_at("transfer", 2 << 20);
}

#[test]
fn a_log_line_of_one_gigabyte_that_is_not_there() {
    let act = "(call $log (i32.const 1) (i32.const 0) (i32.const 0x40000000) (i32.const 512)) (call $done)";
    error(&technique("test.log-claim", act), "string pointer/length out of bounds");
}

#[test]
fn a_log_line_of_four_megabytes_that_is_there() {
    let act = "(call $log (i32.const 1) (i32.const 0) (i32.const 4000000) (i32.const 512)) (call $done)";
    Stage::new().fire(&technique("test.log-long", act).memory("100")).stopped_at("transfer", 2 << 20);
}

#[test]
fn a_list_of_two_billion_facts() {
    error(
        &technique("test.list", "(call $evidence (i32.const 256) (i32.const 4) (i32.const 0) (i32.const 0x80000000))"),
        "list pointer/length out of bounds",
    );
}

#[test]
fn a_list_whose_size_overflows() {
    // 2^28 facts of 16 bytes are 2^32 bytes: none, to who counts in 32 bits.
    error(
        &technique(
            "test.overflow",
            "(call $evidence (i32.const 256) (i32.const 4) (i32.const 0) (i32.const 0x10000000))",
        ),
        "list pointer/length out of bounds",
    );
}

#[test]
fn a_summary_that_is_no_utf_8() {
    let mut guest = Guest::technique("test.utf8");
    let at = guest.bytes(&[0xff, 0xfe, 0x80, 0xc0]);
    error(&guest.act(&format!("(call $say (i32.const {at}) (i32.const 4))")), "utf-8");
}

#[test]
fn a_level_that_does_not_exist() {
    let act = "(call $log (i32.const 77) (i32.const 256) (i32.const 4) (i32.const 512)) (call $done)";
    error(&technique("test.level", act), "unexpected discriminant: 77");
}

#[test]
fn a_place_for_answers_beyond_the_memory() {
    error(&technique("test.place", "(call $now (i32.const -8)) (call $done)"), "pointer out of bounds");
}

#[test]
fn an_allocator_that_points_to_nowhere() {
    let guest = technique("test.realloc", "(call $done)").realloc("(i32.const -16)");
    error(&guest, "beyond end of memory");
}

#[test]
fn an_allocator_that_points_to_an_odd_address() {
    error(&technique("test.realloc-odd", "(call $done)").realloc("(i32.const 1001)"), "result not aligned");
}

#[test]
fn an_allocator_that_never_returns() {
    let guest = technique("test.realloc-loop", "(call $done)").realloc("(loop $l (br $l)) unreachable");
    Stage::new().fire(&guest).stopped_at("cpu-ms", 300);
}

#[test]
fn an_allocator_that_calls_the_host() {
    // While the host writes arguments the guest may not call out.
    let guest = technique("test.realloc-calls", "(call $done)").realloc("(call $now (i32.const 512)) (i32.const 1024)");
    let guest = guest.fields("(func $also (call $now (i32.const 512)))");
    error(&guest, "cannot leave component instance");
}

#[test]
fn ten_thousand_facts() {
    let mut guest = Guest::technique("test.facts");
    let [at, count] = guest.facts(&vec![("a", "b"); 10_000]);
    let guest =
        guest.act(&format!("(call $evidence (i32.const 256) (i32.const 4) (i32.const {at}) (i32.const {count}))"));
    Stage::new().fire(&guest).stopped_at("facts", 256);
}

#[test]
fn a_fact_of_one_megabyte() {
    let mut guest = Guest::technique("test.fact");
    let [at, count] = guest.facts(&[("large", &"x".repeat(1 << 20))]);
    let guest =
        guest.act(&format!("(call $evidence (i32.const 256) (i32.const 4) (i32.const {at}) (i32.const {count}))"));
    Stage::new().fire(&guest).stopped_at("fact-bytes", 64 << 10);
}

#[test]
fn state_of_one_megabyte_for_the_next_phase() {
    let mut guest = Guest::technique("test.state");
    let [at, count] = guest.facts(&[("large", &"x".repeat(1 << 20))]);
    let warm = format!(
        "(drop (call $ready)) (i32.store (i32.const 516) (i32.const {at})) (i32.store (i32.const 520) (i32.const {count})) (i32.const 512)"
    );
    Stage::new().fire(&guest.warmup(&warm)).stopped_at("fact-bytes", 64 << 10);
}
