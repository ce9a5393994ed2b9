//! The `legation` binary.

/// Freed memory is wiped: keys that a library leaves behind on the heap do not outlive their use.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> = zeroizing_alloc::ZeroAlloc(std::alloc::System);

fn main() -> std::process::ExitCode {
    node::cli::run().into()
}
