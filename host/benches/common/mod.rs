//! What the benches share: one line a measurement, always a ratio, and a technique written by hand.

#![allow(dead_code, reason = "no bench uses all of it")]

pub mod guest;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The `foil` that is measured: as it is shipped where `cargo xtask bench` built it, else as benches are built.
pub fn program() -> PathBuf {
    std::env::var_os("FOIL_BENCH_PROGRAM").map_or_else(|| env!("CARGO_BIN_EXE_foil").into(), PathBuf::from)
}

/// When the alert that experiments wait for comes, after their `foil` was started.
pub const DELAY: Duration = Duration::from_secs(2);

/// Pushes an event that says `it-came` to the inbox of that port after [`DELAY`], and again for those that began later, until all is over.
pub fn push(port: u16, began: Instant, over: &AtomicBool) {
    std::thread::sleep(DELAY.saturating_sub(began.elapsed()));
    while !over.load(Ordering::Relaxed) {
        let body = r#"{"message":"it-came"}"#;
        let request = format!(
            "POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
            let _ = stream.write_all(request.as_bytes());
            let _ = stream.read(&mut [0; 512]);
        }
        std::thread::sleep(Duration::from_millis(250));
    }
}

/// A port of this machine that nobody listens on.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

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
