//! The size of `foil` as it is shipped, beside the peers that are in PATH.

mod common;

/// The most that it should have, in bytes.
const AIM: u64 = 35_000_000;

fn main() {
    let size = |path: &std::path::Path| std::fs::metadata(path).map(|meta| meta.len());
    let ours = size(&common::program()).expect("a program");
    println!("foil: {:.1} MB (aim: {} MB)", ours as f64 / 1e6, AIM / 1_000_000);
    let folders = std::env::var_os("PATH").unwrap_or_default();
    for peer in ["event-generator", "threatest", "stratus"] {
        match std::env::split_paths(&folders).find_map(|folder| size(&folder.join(peer)).ok()) {
            Some(theirs) => {
                println!("  beside {peer}: ratio {:.2} ({:.1} MB)", ours as f64 / theirs as f64, theirs as f64 / 1e6);
            }
            None => println!("  skipped: {peer} is not in PATH"),
        }
    }
}
