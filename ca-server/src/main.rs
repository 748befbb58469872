//! The certificate authority's program; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ca_server::cli::run()
}
