//! What the benches share: one line a measurement, always a ratio, and a technique written by hand.

#![allow(dead_code, reason = "no bench uses all of it")]

pub mod guest;

use std::time::Duration;

/// Prints `name: ratio x.xx (ours … vs NAME …, n=…)`. Medians: a busy machine has outliers, all of them upwards.
pub fn line(name: &str, ours: &mut [Duration], than: &str, theirs: &mut [Duration]) {
    let n = ours.len();
    let (ours, theirs) = (median(ours), median(theirs));
    let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
    let digits = if ratio < 0.1 { 4 } else { 2 };
    println!("{name}: ratio {ratio:.digits$} (ours {} vs {than} {}, n={n})", shown(ours), shown(theirs));
}

/// The middle of them; sorts.
pub fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Three digits or so, with the unit that suits.
pub fn shown(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    if micros < 10.0 {
        format!("{micros:.2} us")
    } else if micros < 1e4 {
        format!("{micros:.0} us")
    } else if micros < 1e7 {
        format!("{:.1} ms", micros / 1e3)
    } else {
        format!("{:.1} s", micros / 1e6)
    }
}
