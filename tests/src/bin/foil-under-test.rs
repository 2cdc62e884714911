//! The `foil` command as the end-to-end tests start it: with fault injection compiled in, and built whenever they are.

fn main() -> std::process::ExitCode {
    foil::cli::main()
}
