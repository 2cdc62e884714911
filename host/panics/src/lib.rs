//! Panics: faults of Foil or of a library, which end what they happen in and nothing else.
//!
//! A library's message may repeat what it was given, tokens included, so that only the place of the fault is ever shown.

use futures_util::FutureExt as _;
use std::cell::RefCell;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, Location, PanicHookInfo, catch_unwind};

thread_local! {
    /// Where the last panic of this thread happened.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// A part of Foil that broke off.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a part of Foil broke off{}: this is a fault of Foil or of a library, please report it", place(.0))]
pub struct Broken(Option<String>);

fn place(place: &Option<String>) -> String {
    place.as_ref().map(|place| format!(" at {place}")).unwrap_or_default()
}

/// From now on a panic prints its place and not its message.
pub fn hide_messages() {
    std::panic::set_hook(Box::new(|info: &PanicHookInfo<'_>| {
        let broken = Broken(info.location().map(shown));
        PLACE.with(|place| place.borrow_mut().clone_from(&broken.0));
        let _ = writeln!(std::io::stderr(), "foil: {broken}");
    }));
}

/// The crate's folder and the file in it, without the folders of the machine that built it.
fn shown(location: &Location<'_>) -> String {
    let parts: Vec<&str> = location.file().split('/').collect();
    let kept = parts.get(parts.len().saturating_sub(4)..).unwrap_or(&parts);
    format!("{}:{}:{}", kept.join("/"), location.line(), location.column())
}

fn taken() -> Broken {
    Broken(PLACE.with(|place| place.borrow_mut().take()))
}

/// Runs something to its end, or to its panic. What it shares with others must hold whatever it was doing.
///
/// # Errors
/// It broke off.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Broken> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| taken())
}

/// The same of a future.
///
/// # Errors
/// It broke off.
pub async fn caught_in<T>(work: impl Future<Output = T>) -> Result<T, Broken> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|_| taken())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_breaks_off_is_an_error_without_its_message() {
        let broken = caught(|| std::panic::panic_any("S3CR3T")).unwrap_err();
        assert!(broken.to_string().starts_with("a part of Foil broke off") && !broken.to_string().contains("S3CR3T"));
        assert!(caught_in(async { std::panic::panic_any("S3CR3T") }).await.is_err());
        assert_eq!(caught_in(async { 7 }).await, Ok(7));
    }
}
