//! Good experiments beside hostile ones.

use foil_tests::hostile::{Command, Guest, Stage};

#[test]
fn a_good_experiment_passes_beside_two_hostile_ones() {
    let stage = Stage::new();
    let spins = Guest::technique("test.spins").act("(loop $l (br $l)) unreachable");
    let grows = Guest::technique("test.grows")
        .act("(loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable");
    let mut good = Guest::technique("test.good").asks("exec", "allow = [\"/bin/sleep 0.3\"]");
    let call = Command::new("/bin/sleep", &["0.3"]).call(&mut good);
    let good = good.act(&format!("{call} (call $or8)"));
    let files: Vec<String> = [&spins, &good, &grows]
        .map(|guest| {
            stage.add(guest).grant(&guest.id);
            stage.experiment(&guest.id.replace('.', "-"), &format!("technique: {}\n", guest.id))
        })
        .to_vec();
    let ended = stage.foil(&["run", &files[0], &files[1], &files[2], "--parallel", "3", "--format", "json"]);
    let verdicts: Vec<String> = ended.reports().iter().map(|r| r["verdict"].to_string()).collect();
    assert_eq!(verdicts, ["\"error\"", "\"pass\"", "\"error\""], "{}", ended.stdout);
    assert_eq!(ended.code, 5);
    assert!(ended.reports()[0]["reason"].to_string().contains("cpu-ms"));
    assert!(ended.reports()[2]["reason"].to_string().contains("memory"));
}

#[test]
fn a_hostile_module_leaves_the_next_run_alone() {
    let stage = Stage::new();
    let spins = Guest::technique("test.spins").act("(loop $l (br $l)) unreachable");
    stage.fire(&spins).stopped_at("cpu-ms", 300);
    stage.fire(&Guest::technique("test.good")).is("pass", 0, "");
}
