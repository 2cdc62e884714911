//! Guests that take more than they may have: stopped at the limit, and the report says which and by how much.

use foil_tests::hostile::{Guest, Stage, limited};

#[test]
fn an_endless_loop() {
    let guest = Guest::technique("test.loop").act("(loop $l (br $l)) unreachable");
    Stage::new().fire(&guest).stopped_at("cpu-ms", 300);
}

#[test]
fn an_endless_loop_in_warmup() {
    let guest = Guest::technique("test.loop-warm").warmup("(loop $l (br $l)) unreachable");
    let ended = Stage::new().fire(&guest);
    ended.stopped_at("cpu-ms", 300);
    assert!(ended.report()["detonated"].is_null());
}

#[test]
fn an_endless_loop_at_instantiation() {
    let guest = Guest::technique("test.start").fields("(func $main (loop $l (br $l))) (start $main)");
    Stage::new().fire(&guest).stopped_at("cpu-ms", 300);
}

#[test]
fn a_loop_that_calls_the_host_lest_it_be_noticed() {
    // Time in host calls is not charged as computing; the calls are.
    let guest = Guest::technique("test.calls").act("(loop $l (call $now (i32.const 512)) (br $l)) unreachable");
    Stage::new().fire(&guest).stopped_at("host-calls", 300);
}

#[test]
fn calls_of_wasi_are_host_calls() {
    let act = "(loop $l (drop (call $random)) (br $l)) unreachable";
    Stage::new().fire(&Guest::technique("test.wasi").act(act)).stopped_at("host-calls", 300);
    // Too few to live until the next tick of the clock: the limit holds all the same.
    let few = format!("{} (call $done)", "(drop (call $random))".repeat(301));
    Stage::new().fire(&Guest::technique("test.wasi-few").act(&few)).stopped_at("host-calls", 300);
    let allowed = format!("{} (call $done)", "(drop (call $random))".repeat(300));
    Stage::new().fire(&Guest::technique("test.wasi-allowed").act(&allowed)).is("pass", 0, "");
}

#[test]
fn what_a_module_prints_by_wasi_goes_to_the_log_bounded_and_escaped() {
    let printing = |text: &str, then: &str| {
        let mut guest = Guest::technique("test.wasi-print");
        let text = guest.text(text);
        guest.act(&format!("(call $print (call $stdout) {text} (i32.const 1024)) {then}"))
    };
    let log = |guest: &Guest, verdict: &str, code: i32| {
        let report = Stage::new().fire(guest).is(verdict, code, "").report();
        report["log"]
            .as_array()
            .expect("lines")
            .iter()
            .map(|line| line["message"].as_str().expect("text").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(log(&printing("one\ntwo \u{1b}[31m\n", "(call $done)"), "pass", 0), ["one", "two \\u{1b}[31m"]);
    assert_eq!(log(&printing("last words", "unreachable"), "error", 5), ["last words"], "of one that traps, too");
    let many = log(&printing(&"x\n".repeat(2000), "(call $done)"), "pass", 0);
    assert!(many.len() <= 51 && many.last().is_some_and(|line| line.contains("left out")), "{many:?}");
}

#[test]
fn a_loop_that_outlives_the_wall_clock() {
    let guest = Guest::technique("test.wall").act("(loop $l (br $l)) unreachable");
    let stage = Stage::with(&limited(&[("wall-ms", 400), ("cpu-ms", 60_000)]));
    stage.fire(&guest).stopped_at("wall-ms", 400);
}

#[test]
fn recursion_without_end() {
    let guest = Guest::technique("test.recursion").fields("(func $f (call $f) (call $f))").act("(call $f) unreachable");
    Stage::new().fire(&guest).stopped_at("stack", 512 << 10);
}

#[test]
fn memory_that_grows_for_ever() {
    let act = "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable";
    let guest = Guest::technique("test.grow").act(act);
    Stage::new().fire(&guest).stopped_at("memory", 8 << 20);
}

#[test]
fn a_refused_growth_is_no_crime() {
    let act = "(if (i32.ne (memory.grow (i32.const 1000)) (i32.const -1)) (then unreachable)) (call $done)";
    Stage::new().fire(&Guest::technique("test.copes").act(act)).is("pass", 0, "");
}

#[test]
fn a_memory_that_begins_over_the_limit() {
    Stage::new().fire(&Guest::technique("test.big").memory("200")).stopped_at("memory", 8 << 20);
}

#[test]
fn a_memory_of_four_gigabytes() {
    Stage::new().fire(&Guest::technique("test.huge").memory("65536")).stopped_at("memory", 8 << 20);
}

#[test]
fn memories_are_summed() {
    let guest = Guest::technique("test.memories").fields(&"(memory 20)".repeat(10));
    Stage::new().fire(&guest).stopped_at("memory", 8 << 20);
}

#[test]
fn fifty_memories() {
    let guest = Guest::technique("test.many").fields(&"(memory 0)".repeat(50));
    Stage::new().fire(&guest).stopped_at("memories", 16);
}

#[test]
fn a_table_that_grows_for_ever() {
    let act = "(loop $l (br_if $l (i32.ne (table.grow $t (ref.null func) (i32.const 16)) (i32.const -1)))) unreachable";
    let guest = Guest::technique("test.table").fields("(table $t 1 funcref)").act(act);
    Stage::new().fire(&guest).stopped_at("table-entries", 1_000);
}

#[test]
fn tables_are_summed() {
    let guest = Guest::technique("test.tables").fields(&"(table 200 funcref)".repeat(10));
    Stage::new().fire(&guest).stopped_at("table-entries", 1_000);
}

#[test]
fn a_table_that_begins_over_the_limit() {
    let guest = Guest::technique("test.big-table").fields("(table 100000000 funcref)");
    Stage::new().fire(&guest).stopped_at("table-entries", 1_000);
}

#[test]
fn a_flood_of_log_lines() {
    let mut guest = Guest::technique("test.lines");
    let line = guest.text("again");
    let guest = guest.act(&format!("(loop $l (call $log (i32.const 1) {line} (i32.const 512)) (br $l)) unreachable"));
    let ended = Stage::new().fire(&guest);
    ended.stopped_at("log-lines", 50);
    assert_eq!(ended.report()["log"].as_array().map(Vec::len), Some(50));
}

#[test]
fn a_flood_of_log_bytes() {
    // Lines of 64 KiB, each of which is cut.
    let act = "(memory.fill (i32.const 0) (i32.const 65) (i32.const 65536))
        (loop $l (call $log (i32.const 1) (i32.const 0) (i32.const 65536) (i32.const 512)) (br $l)) unreachable";
    let guest = Guest::technique("test.bytes").memory("2").act(act);
    let ended = Stage::with(&limited(&[("log-lines", 100_000), ("host-calls", 100_000)])).fire(&guest);
    ended.stopped_at("log-bytes", 256 << 10);
    assert!(ended.stdout.len() < 2 << 20, "{} bytes", ended.stdout.len());
}

#[test]
fn a_bulk_fill_is_bounded_by_its_memory() {
    let act = "(loop $l (memory.fill (i32.const 0) (i32.const 7) (i32.const 6000000)) (br $l)) unreachable";
    Stage::new().fire(&Guest::technique("test.fill").memory("100").act(act)).stopped_at("cpu-ms", 300);
}
