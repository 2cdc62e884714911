//! Log lines on standard error: warnings of Foil itself, more with `--verbose`, exactly what `--log` says.

use super::Global;
use std::sync::OnceLock;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// What is logged where nobody asks for more: libraries have their own ideas of what is worth a warning.
const DEFAULT: &str = "off,foil=warn";

/// Somebody asked for log lines.
static ASKED: OnceLock<()> = OnceLock::new();

/// Begins to log. Before any thread: a second time changes nothing.
pub(super) fn begin(global: &Global) {
    let by_count = match global.verbose {
        0 => DEFAULT,
        1 => "off,foil=info",
        2 => "off,foil=debug",
        _ => "info,foil=trace",
    };
    let named = global.log.as_deref().filter(|filter| !filter.is_empty());
    if global.verbose > 0 || named.is_some() {
        _ = ASKED.set(());
    }
    let filter = EnvFilter::builder().parse_lossy(named.unwrap_or(by_count));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    // A line that cannot be written is dropped; to say so on standard error would panic.
    let lines = lines.log_internal_errors(false);
    // The one who embeds Foil's library may log already.
    _ = lines.try_init();
}

/// Whether log lines may come at any time, so that nothing is to be redrawn in place.
pub(super) fn shown() -> bool {
    ASKED.get().is_some()
}

/// A filter: a level, or `TARGET=LEVEL` with commas between them.
pub(super) fn filter(text: &str) -> Result<String, String> {
    // As `FOIL_LOG=` means it in a shell.
    if text.is_empty() {
        return Ok(String::new());
    }
    for directive in text.split(',').map(str::trim) {
        let is_target = directive.contains(['=', ':', '[']) || directive == "foil";
        if directive.is_empty() || !is_target && directive.parse::<LevelFilter>().is_err() {
            return Err(format!(
                "`{directive}` is not a level: write off, error, warn, info, debug or trace, or TARGET=LEVEL such as \
                 foil::collector=debug, with commas between several"
            ));
        }
    }
    EnvFilter::builder().parse(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_level_is_not_taken_for_a_target() {
        for good in ["debug", "off,foil=info", "foil", "foil::collector=trace, warn", "OFF", ""] {
            assert!(filter(good).is_ok(), "{good}");
        }
        for bad in ["debgu", "foil=lots", "info,,warn", ",", "verbose"] {
            assert!(filter(bad).is_err(), "{bad}");
        }
    }
}
