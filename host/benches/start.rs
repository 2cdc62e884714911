//! From the start of `foil fire` to the moment at which the technique's first child runs, beside a plain Rust program that
//! starts the same child. The child is `date +%s%N`, which says itself when it ran, so that both ways end at one instant. The
//! module's native code is in the cache, as it is from the second run on. `cargo bench --workspace --bench start`.

mod common;

use common::guest::{SAY_OUTPUT, START, Starts, technique};
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const ROUNDS: usize = 40;
const ID: &str = "bench.start";

fn main() {
    let stage = tempfile::tempdir().expect("a folder");
    let stage = stage.path();
    let starts = Starts { allow: "/bin/date +%s%N", program: "/bin/date", argument: "+%s%N" };
    let module = technique(ID, starts, &format!("{START} {SAY_OUTPUT}"));
    std::fs::write(stage.join("start.wasm"), module).expect("the module");
    done(foil(stage).args(["grant", ID, "--yes", "--reviewer", "bench", "--reason", "is measured"]));
    let plain = stage.join("plain");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/plain/start.rs");
    done(Command::new("rustc").args(["--edition=2024", "-O", "-o"]).arg(&plain).arg(source));
    if started(&mut Command::new(&plain)).is_none() {
        println!("start: skipped: this machine's date knows no nanoseconds");
        return;
    }
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS + 2 {
        let theirs_took = started(&mut Command::new(&plain));
        let ours_took = started(foil(stage).args(["fire", ID, "--format", "json"]));
        // The first rounds fill the caches: ours, and the kernel's.
        if round >= 2 {
            ours.extend(ours_took);
            theirs.extend(theirs_took);
        }
    }
    common::line("start of fire to first child", &mut ours, "plain program", &mut theirs);
    let more = common::median(&mut ours).saturating_sub(common::median(&mut theirs));
    println!("start of fire to first child: {} more than the plain program (aim: 20 ms)", common::shown(more));
}

fn foil(stage: &Path) -> Command {
    let mut command = Command::new(common::program());
    command.current_dir(stage).env("FOIL_STATE", stage.join("state")).arg("--modules").arg(stage);
    command
}

/// From here to when the child says that it ran.
fn started(command: &mut Command) -> Option<Duration> {
    let before = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock that is set");
    let output = done(command);
    let text = String::from_utf8_lossy(&output.stdout);
    // The child's output: alone, or the report's summary.
    let said = match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(report) if report.is_array() => report[0]["summary"].as_str().expect("a summary").to_owned(),
        _ => text.into_owned(),
    };
    // A report shows the end of the line as two characters.
    let digits: String = said.chars().take_while(char::is_ascii_digit).collect();
    let nanos = digits.parse().ok().filter(|nanos| *nanos > 1_000_000_000_000_000_000)?;
    Some(Duration::from_nanos(nanos).saturating_sub(before))
}

fn done(command: &mut Command) -> Output {
    let output = command.output().expect("it starts");
    let both = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat();
    assert!(output.status.success(), "{command:?}: {both}");
    output
}
