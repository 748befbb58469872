//! The agent's program; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    renew_agent::cli::run(std::env::args_os())
}
