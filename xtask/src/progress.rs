//! Runs a cargo build and says how far it is: a build from nothing takes minutes, and cargo shows its progress on a terminal only.

use crate::tools::root;
use anyhow::{Context as _, Result, bail};
use std::io::{BufRead as _, BufReader, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How often a line is printed where standard error is not a terminal.
const EVERY: Duration = Duration::from_secs(10);

/// How far cargo says it is.
#[derive(Debug, PartialEq, Eq)]
struct Counted<'a> {
    done: usize,
    all: usize,
    /// The crates that are being compiled.
    now: &'a str,
}

/// Runs `cargo build` in `target` to its end, with a line for how many of how many crates are done. What else cargo says is
/// passed on.
///
/// # Errors
/// Where cargo cannot be started or fails; its own words are above.
pub fn build(command: &mut Command, target: &Path) -> Result<()> {
    command
        .env("CARGO_TERM_PROGRESS_WHEN", "always")
        .env("CARGO_TERM_PROGRESS_WIDTH", "400")
        .env("CARGO_TERM_COLOR", "never");
    let mut cargo = command.stderr(Stdio::piped()).spawn().context("cannot start cargo")?;
    let stderr = cargo.stderr.take().context("cargo has no standard error")?;
    let mut shown = Shown { started: Instant::now(), last: None, terminal: std::io::stderr().is_terminal() };
    let modules = Modules::of(target)?;
    // Cargo redraws its line by a carriage return.
    let mut pieces = BufReader::new(stderr).split(b'\r');
    while let Some(piece) = pieces.next().transpose()? {
        for line in String::from_utf8_lossy(&piece).lines().map(plain) {
            match counted(&line) {
                Some(counted) => shown.show(&counted, &modules),
                None if is_status(&line) => {}
                None => eprintln!("{line}"),
            }
        }
    }
    let status = cargo.wait()?;
    shown.end();
    if !status.success() {
        bail!("cargo build failed: {status}");
    }
    Ok(())
}

struct Shown {
    started: Instant,
    last: Option<Instant>,
    terminal: bool,
}

impl Shown {
    fn show(&mut self, counted: &Counted<'_>, modules: &Modules) {
        let every = if self.terminal { Duration::from_millis(200) } else { EVERY };
        if self.last.is_some_and(|last| last.elapsed() < every) {
            return;
        }
        self.last = Some(Instant::now());
        let seconds = self.started.elapsed().as_secs();
        let Counted { done, all, now } = counted;
        // Its build script compiles the modules, each of which is a build of its own.
        let now = if now.contains("foil(build)") { modules.progress() } else { (*now).to_owned() };
        let line = format!("  {seconds:>4} s  {done} of {all} crates are built, now {now}");
        if self.terminal {
            eprint!("\r\x1b[K{}", line.get(..line.floor_char_boundary(100)).unwrap_or_default());
            let _ = std::io::stderr().flush();
        } else {
            eprintln!("{line}");
        }
    }

    fn end(&self) {
        if self.terminal && self.last.is_some() {
            eprint!("\r\x1b[K");
        }
        eprintln!("  {:>4} s  the build has ended", self.started.elapsed().as_secs());
    }
}

/// The modules that are built into `foil`.
struct Modules {
    built: PathBuf,
    all: usize,
}

impl Modules {
    fn of(target: &Path) -> Result<Self> {
        let folders = |folder: &Path| -> Result<Vec<PathBuf>> {
            let entries = std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
            let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
            Ok(paths.into_iter().filter(|path| path.is_dir()).collect())
        };
        let mut all = 0;
        // Without those that the feature `kubernetes` brings, which the demo's build leaves out.
        for platform in folders(&root().join("techniques"))?.iter().filter(|platform| !platform.ends_with("kubernetes"))
        {
            all += folders(platform)?.len();
        }
        Ok(Self { built: target.join("foil-modules/wasm32-unknown-unknown/module"), all })
    }

    fn progress(&self) -> String {
        let built = std::fs::read_dir(&self.built).map_or(0, |entries| {
            entries.flatten().filter(|entry| entry.path().extension().is_some_and(|e| e == "wasm")).count()
        });
        format!("{built} of {} modules", self.all)
    }
}

/// Reads `Building [===>   ] 12/345: a, b`.
fn counted(line: &str) -> Option<Counted<'_>> {
    let (_, rest) = line.trim_start().strip_prefix("Building [")?.split_once("] ")?;
    let (numbers, now) = rest.split_once(": ").unwrap_or((rest, ""));
    let (done, all) = numbers.trim_end_matches([':', ' ']).split_once('/')?;
    Some(Counted { done: done.parse().ok()?, all: all.parse().ok()?, now: now.trim() })
}

/// Cargo's words about single crates, which the count stands for.
fn is_status(line: &str) -> bool {
    const WORDS: [&str; 10] = [
        "",
        "Compiling",
        "Downloading",
        "Downloaded",
        "Updating",
        "Locking",
        "Adding",
        "Finished",
        "Blocking",
        "Fetch",
    ];
    WORDS.contains(&line.split_whitespace().next().unwrap_or_default())
}

/// Without the escape sequences that erase a line.
fn plain(line: &str) -> String {
    line.replace("\x1b[K", "").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_progress_is_read() {
        let line = "    Building [=====>                ] 123/456: wasmtime, foil(build)";
        assert_eq!(counted(line), Some(Counted { done: 123, all: 456, now: "wasmtime, foil(build)" }));
        assert_eq!(counted("    Building [=> ] 7/9"), Some(Counted { done: 7, all: 9, now: "" }));
        for other in
            ["error: could not compile `foil`", "warning: unused", "   Compiling foil v0.1.0", "Building [x] a/b"]
        {
            assert_eq!(counted(other), None, "{other}");
        }
        assert!(is_status("   Compiling foil v0.1.0") && is_status("") && !is_status("error: no"));
    }
}
