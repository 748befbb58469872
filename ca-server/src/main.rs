//! The certificate authority's program; everything is in the library.

use std::process::ExitCode;

/// Requests are many small allocations on one thread and their end on another, which this one is made for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ca_server::cli::run()
}
