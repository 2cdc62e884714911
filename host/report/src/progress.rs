//! What is being waited for, redrawn in place on a terminal, one line a link; gone before anything else is printed.
//!
//! Cheap and harmless: it draws from a thread of its own, takes nothing but short locks, and where standard error is no terminal
//! it does nothing at all.

use foil_record::LinkVerdict;
use foil_text::cut;
use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Between two drawings: at most five a second.
const PACE: Duration = Duration::from_millis(200);

/// The display. A clone shows the same.
#[derive(Clone, Default)]
pub struct Progress {
    display: Option<Arc<Display>>,
}

/// Ends the drawing with the last clone of a [`Progress`].
struct Display(Arc<Shared>);

struct Shared {
    board: Mutex<Board>,
    /// Told when there is something to draw again, or nothing ever.
    changed: Condvar,
}

struct Board {
    runs: BTreeMap<String, Run>,
    /// Where it is drawn, how large that is, and how many lines are there now.
    out: Box<dyn Write + Send>,
    size: fn() -> Option<(usize, usize)>,
    drawn: usize,
    over: bool,
}

struct Run {
    name: String,
    begun: Instant,
    links: Vec<Waiting>,
}

/// A link that is waited for.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// Which hop.
    pub link: String,
    /// How long it is waited for at most: `within` and grace, from now.
    pub until: Duration,
    /// Set once it is settled.
    pub verdict: Option<LinkVerdict>,
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Progress").field("shown", &self.display.is_some()).finish()
    }
}

impl Progress {
    /// Shows on standard error, if that is a terminal that can move its cursor; otherwise does nothing.
    pub fn new() -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        if dumb || !std::io::stderr().is_terminal() {
            return Self::default();
        }
        let size = || {
            let size = rustix::termios::tcgetwinsize(std::io::stderr()).ok()?;
            Some((usize::from(size.ws_row), usize::from(size.ws_col)))
        };
        Self::to(Box::new(std::io::stderr()), size)
    }

    /// Draws on `out`, which has so many rows and columns.
    fn to(out: Box<dyn Write + Send>, size: fn() -> Option<(usize, usize)>) -> Self {
        let board = Board { runs: BTreeMap::new(), out, size, drawn: 0, over: false };
        let shared = Arc::new(Shared { board: Mutex::new(board), changed: Condvar::new() });
        let display = Display(Arc::clone(&shared));
        let draw = move || {
            while shared.turn() {
                std::thread::sleep(PACE);
            }
        };
        // Without the thread nothing is drawn, and nothing else is lost.
        let started = std::thread::Builder::new().name("foil-progress".into()).spawn(draw);
        Self { display: started.is_ok().then(|| Arc::new(display)) }
    }

    /// A run's links are waited for from now on: call it at the detonation.
    pub fn begin(&self, run: &str, experiment: &str, links: Vec<Waiting>) {
        self.change(|board| {
            let run_of = Run { name: cut(experiment, 80), begun: Instant::now(), links };
            board.runs.insert(run.to_owned(), run_of);
        });
    }

    /// A link is settled; its index is the one it was begun with.
    pub fn link(&self, run: &str, index: usize, verdict: LinkVerdict) {
        self.change(|board| {
            if let Some(link) = board.runs.get_mut(run).and_then(|run| run.links.get_mut(index)) {
                link.verdict = Some(verdict);
            }
        });
    }

    /// The run is no longer waited for.
    pub fn end(&self, run: &str) {
        self.change(|board| {
            board.runs.remove(run);
            if board.runs.is_empty() {
                board.erase();
            }
        });
    }

    /// Prints something else: what is shown disappears first, and comes back later if there is still something to wait for.
    pub fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        let Some(display) = &self.display else { return print() };
        let mut board = display.0.board();
        board.erase();
        // Under the lock, so that no drawing comes in between.
        print()
    }

    fn change(&self, change: impl FnOnce(&mut Board)) {
        let Some(Display(shared)) = self.display.as_deref() else { return };
        let mut board = shared.board();
        change(&mut board);
        shared.changed.notify_all();
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        let mut board = self.0.board();
        board.erase();
        board.over = true;
        self.0.changed.notify_all();
    }
}

impl Shared {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Draws once there is something to draw. False: never again.
    fn turn(&self) -> bool {
        let mut board = self.board();
        while board.runs.is_empty() && !board.over {
            board = self.changed.wait(board).unwrap_or_else(PoisonError::into_inner);
        }
        if board.over {
            return false;
        }
        board.draw();
        true
    }
}

impl Board {
    fn erase(&mut self) {
        if self.drawn > 0 {
            // Up to the first of them, and clear to the end.
            let _ = write!(self.out, "\r\u{1b}[{}A\u{1b}[J", self.drawn);
            let _ = self.out.flush();
            self.drawn = 0;
        }
    }

    fn draw(&mut self) {
        let Some((rows, columns)) = (self.size)().filter(|(rows, columns)| *rows > 1 && *columns > 10) else { return };
        let lines = self.lines(rows.saturating_sub(1), columns.saturating_sub(1));
        let mut text = String::new();
        if self.drawn > 0 {
            text.push_str(&format!("\r\u{1b}[{}A\u{1b}[J", self.drawn));
        }
        for line in &lines {
            text.push_str(line);
            text.push('\n');
        }
        // In one piece, so that nothing flickers.
        let _ = self.out.write_all(text.as_bytes());
        let _ = self.out.flush();
        self.drawn = lines.len();
    }

    /// At most `rows` lines of at most `columns` characters.
    fn lines(&self, rows: usize, columns: usize) -> Vec<String> {
        let all: usize = self.runs.values().map(|run| run.links.len()).sum();
        let shown = if all > rows { rows.saturating_sub(1) } else { all };
        let lines = self.runs.values().flat_map(|run| run.links.iter().map(move |link| line(run, link)));
        let mut lines: Vec<String> = lines.take(shown).map(|line| line.chars().take(columns).collect()).collect();
        if all > shown {
            let waiting = self.runs.values().flat_map(|run| &run.links).filter(|link| link.verdict.is_none()).count();
            let rest = format!("  and {} more links; {waiting} in all are waited for", all.saturating_sub(shown));
            lines.push(rest.chars().take(columns).collect());
        }
        lines
    }
}

fn line(run: &Run, link: &Waiting) -> String {
    let state = match link.verdict {
        Some(verdict) => verdict.to_string(),
        None => {
            let left = link.until.saturating_sub(run.begun.elapsed());
            // Whole seconds, rounded up: it says 0 s only when the time is over.
            let left = left.as_secs().saturating_add(u64::from(left.subsec_nanos() > 0));
            format!("waiting, {} left", super::words::span_ms(left.saturating_mul(1000)).replace("0 ms", "0 s"))
        }
    };
    format!("  {:<9} {state:<24} {}", cut(&link.link, 9), run.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was written, shared with the display.
    #[derive(Clone, Default)]
    struct Screen(Arc<Mutex<Vec<u8>>>);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("ours").extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Screen {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().expect("ours").clone()).expect("UTF-8")
        }
    }

    fn waiting(link: &str, seconds: u64) -> Waiting {
        Waiting { link: link.into(), until: Duration::from_secs(seconds), verdict: None }
    }

    fn board(runs: usize, links: usize) -> Board {
        let run = |n: usize| {
            let links = (0..links).map(|l| waiting("telemetry", 90 + l as u64)).collect();
            (format!("{n:04}"), Run { name: format!("experiment-{n}"), begun: Instant::now(), links })
        };
        let runs = (0..runs).map(run).collect();
        Board { runs, out: Box::new(Vec::new()), size: || Some((24, 80)), drawn: 0, over: false }
    }

    #[test]
    fn never_more_lines_than_the_terminal_has() {
        let lines = board(1, 2).lines(23, 79);
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("  telemetry waiting, 1 min 30 s left"), "{lines:?}");
        let lines = board(1000, 3).lines(23, 79);
        assert_eq!(lines.len(), 23);
        assert_eq!(lines[22], "  and 2978 more links; 3000 in all are waited for");
        assert!(board(30, 1).lines(5, 20).iter().all(|line| line.chars().count() <= 20));
        assert_eq!(board(0, 0).lines(23, 79), Vec::<String>::new());
    }

    #[test]
    fn it_is_drawn_in_place_and_gone_before_anything_else_is_printed() {
        let screen = Screen::default();
        let progress = Progress::to(Box::new(screen.clone()), || Some((24, 80)));
        progress.begin("a", "one", vec![waiting("telemetry", 30), waiting("rule", 60)]);
        let until = Instant::now() + Duration::from_secs(10);
        let wait_for = |text: &str| {
            while !screen.text().contains(text) {
                assert!(Instant::now() < until, "{:?}", screen.text());
                std::thread::sleep(Duration::from_millis(10));
            }
        };
        wait_for("waiting, 1 min left");
        progress.link("a", 0, LinkVerdict::Seen);
        progress.link("a", 7, LinkVerdict::Seen);
        progress.link("b", 0, LinkVerdict::Seen);
        wait_for("telemetry seen");
        let seen = screen.clone();
        let erased = progress.aside(move || seen.text().ends_with("\r\u{1b}[2A\u{1b}[J"));
        assert!(erased, "{:?}", screen.text());
        progress.end("a");
        progress.aside(|| ());
        let last = screen.text();
        assert!(last.ends_with("\u{1b}[J"), "{last:?}");
        drop(progress);
        std::thread::sleep(PACE * 2);
        assert_eq!(screen.text(), last);
    }

    #[test]
    fn a_thousand_changes_cost_a_few_drawings() {
        let screen = Screen::default();
        let progress = Progress::to(Box::new(screen.clone()), || Some((24, 80)));
        for run in 0..1000 {
            progress.begin(&run.to_string(), "many", vec![waiting("telemetry", 30)]);
        }
        for run in 0..1000 {
            progress.link(&run.to_string(), 0, LinkVerdict::Missed);
            progress.end(&run.to_string());
        }
        assert!(screen.text().len() < 100_000, "{}", screen.text().len());
        assert!(!format!("{:?}", Progress::default()).contains("true"));
    }
}
