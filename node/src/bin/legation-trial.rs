//! The `legation-trial` binary: hurts a real mesh on this machine and says which promises held.

fn main() -> std::process::ExitCode {
    node::trial::run().into()
}
