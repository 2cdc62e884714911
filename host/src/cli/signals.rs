//! Ctrl-C and SIGTERM: once to stop and clean up, once more to stop waiting for that.

use super::Exit;
use crate::console::err;
use foil_report::Progress;
use foil_text::hint::of_state;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A terminal sends Ctrl-C to every process of its group, and a wrapper such as `sudo` or `timeout` passes it on: both are one.
const ONE: Duration = Duration::from_secs(1);

/// What a signal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// Stop, clean up and report.
    Stop,
    /// The same signal once more.
    Echo,
    /// Do not wait for the clean-up.
    Leave,
}

/// The signals so far.
#[derive(Debug, Default)]
struct Signals {
    first: Option<Instant>,
}

impl Signals {
    fn hear(&mut self, now: Instant) -> Meaning {
        match self.first {
            None => {
                self.first = Some(now);
                Meaning::Stop
            }
            Some(first) if now.saturating_duration_since(first) < ONE => Meaning::Echo,
            Some(_) => Meaning::Leave,
        }
    }
}

/// Stops all runs at the first signal, and this process at a later one; the journal knows what is left.
pub(super) fn watch(cancel: &CancellationToken, progress: &Progress) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (cancel, progress) = (cancel.clone(), progress.clone());
    tokio::spawn(async move {
        let mut signals = Signals::default();
        loop {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
            match signals.hear(Instant::now()) {
                Meaning::Stop => {
                    // Above what is redrawn in place, which would wipe it out otherwise.
                    progress.aside(|| err!("foil: stopping and cleaning up; Ctrl-C once more stops waiting for that"));
                    cancel.cancel();
                }
                Meaning::Echo => {}
                Meaning::Leave => {
                    progress.aside(|| err!("foil: no longer waiting; `{}` undoes what is left", of_state(["cleanup"])));
                    std::process::exit(Exit::Residue as i32);
                }
            }
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_that_comes_twice_is_one_and_a_later_one_is_another() {
        let begun = Instant::now();
        let mut signals = Signals::default();
        let heard: Vec<Meaning> =
            [0, 1, 500, 999, 1000, 5000].map(|ms| signals.hear(begun + Duration::from_millis(ms))).to_vec();
        use Meaning::{Echo, Leave, Stop};
        assert_eq!(heard, [Stop, Echo, Echo, Echo, Leave, Leave]);
    }
}
