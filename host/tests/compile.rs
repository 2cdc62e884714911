//! Compiling modules from outside: the helper process, its limits, and what is left of it.

use foil::engine::{Compiler, Engine};
use foil::module::Bytes;
use foil_manifest::Digest;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn engine(folder: &Path) -> Engine {
    let helper = Compiler::Helper(PathBuf::from(env!("CARGO_BIN_EXE_foil")));
    Engine::new(folder.join("cache"), helper).expect("an engine")
}

/// Compiles `text` as a module in a file, and returns what came of it.
async fn compile(engine: &Engine, folder: &Path, text: &str) -> Result<(), String> {
    let bytes = wat::parse_str(text).expect("well-formed");
    let file = folder.join("module.wasm");
    std::fs::write(&file, &bytes).expect("writable");
    let prepared = engine.prepare(Bytes::File(Arc::new(file)), Digest::of(&bytes), &BTreeSet::new()).await;
    prepared.map(drop).map_err(|error| format!("{error:#}"))
}

/// The most memory that a child that has ended ever had, in MiB.
fn largest_child() -> i64 {
    nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN).expect("a figure").max_rss() >> 10
}

#[tokio::test]
async fn a_module_made_to_be_costly_is_given_up_and_the_host_keeps_its_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = engine(folder.path());
    // One function of many blocks that all end at once: some 2 MB for which the compiler wants gigabytes.
    let blocks = 250_000;
    let body =
        format!("{}{}{}", "(block ".repeat(blocks), "(br_if 0 (i32.const 1))".repeat(blocks), ")".repeat(blocks));
    let text = format!("(component (core module (func {body})))");
    let error = compile(&engine, folder.path(), &text).await.expect_err("given up");
    assert!(error.contains("stopped") && error.contains("made to be costly"), "{error}");
    assert!(largest_child() < 1300, "{} MiB", largest_child());

    // The next one is none the worse for it, and comes from the cache the second time, when its file is not even read.
    let honest = "(component (core module (func)))";
    compile(&engine, folder.path(), honest).await.expect("compiled");
    let again = Engine::new(folder.path().join("cache"), Compiler::Helper("/nonexistent".into())).expect("an engine");
    compile(&again, folder.path(), honest).await.expect("from the cache");
    let error = compile(&again, folder.path(), "(component)").await.expect_err("there is no helper");
    assert!(error.contains("cannot be started"), "{error}");
}

#[tokio::test]
async fn what_does_not_compile_is_said_with_the_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    // Valid for the parser; the engine does not take threads.
    let text = "(component (core module (memory 1 1 shared)))";
    let error = compile(&engine(folder.path()), folder.path(), text).await.expect_err("refused");
    assert!(error.contains("does not compile") && error.contains("threads"), "{error}");
}

#[tokio::test]
async fn a_file_that_was_changed_since_it_was_inspected_is_not_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("module.wasm");
    std::fs::write(&file, wat::parse_str("(component)").expect("well-formed")).expect("writable");
    let inspected = Digest::of(b"what a reviewer granted");
    let prepared = engine(folder.path()).prepare(Bytes::File(Arc::new(file)), inspected, &BTreeSet::new()).await;
    let error = prepared.err().expect("refused").to_string();
    assert!(error.contains("was changed since Foil looked at it"), "{error}");
}

#[test]
fn the_helper_is_not_a_command_of_its_own() {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let mut command = Command::new(env!("CARGO_BIN_EXE_foil"));
    let helper = command.arg("__compile").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut helper = helper.spawn().expect("started");
    helper.stdin.take().expect("a pipe").write_all(b"nonsense").expect("read");
    let refused = helper.wait_with_output().expect("ended");
    assert_eq!((refused.status.code(), refused.stdout.as_slice()), (Some(3), [].as_slice()));
}
