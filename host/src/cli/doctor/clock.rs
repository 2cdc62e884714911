//! The clock: sensors' times are compared with ours.

use super::{Area, Finding};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Nobody's clock is right before Foil was written: 2026-01-01.
const EARLIEST: Duration = Duration::from_secs(1_767_225_600);
/// How long the two clocks are compared, and how far they may come apart in it.
const LOOK: Duration = Duration::from_millis(50);
const APART: Duration = Duration::from_millis(5);

pub(super) fn look() -> Vec<Finding> {
    let mut area = Area::new("clock");
    let (start, at) = (Instant::now(), now());
    if at < EARLIEST {
        area.warning(
            "time",
            "the clock is not set",
            "set it: sensors' times are compared with it, grants expire by it",
        );
    }
    std::thread::sleep(LOOK);
    let apart = now().saturating_sub(at).abs_diff(start.elapsed());
    if apart > APART {
        area.warning(
            "steps",
            format!("the clock moved by {} ms while {} ms passed", apart.as_millis(), LOOK.as_millis()),
            "have it slewed, not stepped, while experiments run",
        );
    } else {
        area.ok("steps", "it runs evenly");
    }
    synchronised(&mut area);
    area.found
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Asks the kernel whether somebody keeps its clock; changes nothing (`modes` is 0).
fn synchronised(area: &mut Area) {
    // SAFETY: a structure of numbers, for which zeros are valid.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: with `modes` 0 the call only fills the structure.
    let state = unsafe { libc::adjtimex(&raw mut timex) };
    if state < 0 {
        let error = std::io::Error::last_os_error();
        area.warning(
            "synchronisation",
            format!("the kernel does not say: {error}"),
            "make sure that it is kept by NTP",
        );
    } else if state == libc::TIME_ERROR || timex.status & libc::STA_UNSYNC != 0 {
        area.warning(
            "synchronisation",
            "the kernel's clock is not synchronised",
            "run chrony or systemd-timesyncd, where sensors on other machines are compared with this one",
        );
    } else {
        area.ok("synchronisation", format!("kept, to within {} ms", timex.maxerror / 1000));
    }
}
