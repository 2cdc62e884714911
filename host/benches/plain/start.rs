//! What `foil fire` is compared with: a plain program that starts `/bin/date` and prints what it said. Compiled by the bench.

fn main() {
    let output = std::process::Command::new("/bin/date").arg("+%s%N").output().expect("date starts");
    print!("{}", String::from_utf8_lossy(&output.stdout));
}
