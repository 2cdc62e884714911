//! The `foil` command. All of it is in the library; see `cli`.

fn main() -> std::process::ExitCode {
    foil::cli::main()
}
