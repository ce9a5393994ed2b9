//! The `legation-sim` binary.

fn main() -> std::process::ExitCode {
    simulator::cli::run()
}
