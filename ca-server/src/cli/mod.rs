//! The command line: arguments in, text and an exit code out. 0 is success, 1 is failure, 2 is wrong usage.
//!
//! Standard output carries results only, so that it can be piped; everything else goes to standard error. Commands that
//! change a running CA talk to its local socket ([`client`]) and know nothing of its database.

mod admin;
mod args;
mod client;
mod error;
mod output;
mod policy;
mod setup;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::cli::error::CliError;

/// A certificate authority for gateways and the services around them.
#[derive(Debug, Parser)]
#[command(name = "ca-server", version, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make and run a CA on this machine, to try it out
    Quickstart(setup::quickstart::Arguments),
    /// Make a CA in a new folder
    Init(setup::init::Arguments),
    /// Run the CA of a folder; SIGTERM ends it, SIGHUP reads policies again
    Serve(setup::serve::Arguments),
    /// Check the configuration and print what is in force
    #[command(subcommand)]
    Config(setup::config::Command),
    /// Bring the database to the form this program needs
    Migrate(setup::database::Migrate),
    /// Look after the database
    #[command(subcommand)]
    Db(setup::database::Command),
    /// Use the root key
    #[command(subcommand)]
    Root(setup::root::Command),
    /// Devices: register, show, retire
    #[command(subcommand)]
    Device(admin::device::Command),
    /// Certificates: list, show, revoke
    #[command(subcommand)]
    Cert(admin::cert::Command),
    /// Profiles: which certificates there are, and who may have them
    #[command(subcommand)]
    Profile(admin::profile::Command),
    /// The profiles in files: check them, run their cases, ask why
    #[command(subcommand)]
    Policy(policy::Command),
    /// External account keys for ACME clients that are no devices
    #[command(subcommand)]
    Eab(admin::eab::Command),
    /// What is revoked, since when, by whom and why
    #[command(subcommand)]
    Revocation(admin::revocation::Command),
    /// Revocation lists
    #[command(subcommand)]
    Crl(admin::crl::Command),
    /// The audit log
    #[command(subcommand)]
    Audit(admin::audit::Command),
    /// What the running CA is: its roots, its issuers, its policy
    Status(admin::status::Arguments),
    /// The agent of `quickstart --demo`
    #[command(hide = true)]
    DemoAgent(setup::demo::Agent),
    /// The service of `quickstart --demo`
    #[command(hide = true)]
    DemoService(setup::demo::Service),
}

/// Runs the program with the arguments it was started with.
pub fn run() -> ExitCode {
    // clap itself ends the program with 2 on wrong usage and with 0 after --help
    let cli = Cli::parse();
    match execute(cli.command) {
        Ok(code) => code,
        Err(error) => {
            output::complain(&error);
            error.exit_code()
        }
    }
}

fn execute(command: Command) -> Result<ExitCode, CliError> {
    let done = match command {
        Command::DemoAgent(arguments) => return Ok(arguments.run()),
        Command::Quickstart(arguments) => block_on(Threads::Many, arguments.run()),
        Command::Serve(arguments) => block_on(Threads::Many, arguments.run()),
        Command::DemoService(arguments) => block_on(Threads::One, arguments.run()),
        Command::Init(arguments) => block_on(Threads::One, arguments.run()),
        Command::Config(command) => command.run(),
        Command::Migrate(arguments) => block_on(Threads::One, arguments.run()),
        Command::Db(command) => block_on(Threads::One, command.run()),
        Command::Root(command) => block_on(Threads::One, command.run()),
        Command::Device(command) => block_on(Threads::One, command.run()),
        Command::Cert(command) => block_on(Threads::One, command.run()),
        Command::Profile(command) => block_on(Threads::One, command.run()),
        Command::Policy(command) => block_on(Threads::One, command.run()),
        Command::Eab(command) => block_on(Threads::One, command.run()),
        Command::Revocation(command) => block_on(Threads::One, command.run()),
        Command::Crl(command) => block_on(Threads::One, command.run()),
        Command::Audit(command) => block_on(Threads::One, command.run()),
        Command::Status(arguments) => block_on(Threads::One, arguments.run()),
    };
    done.map(|()| ExitCode::SUCCESS)
}

#[derive(Debug, Clone, Copy)]
enum Threads {
    One,
    Many,
}

fn block_on(threads: Threads, work: impl Future<Output = Result<(), CliError>>) -> Result<(), CliError> {
    let mut builder = match threads {
        Threads::One => tokio::runtime::Builder::new_current_thread(),
        Threads::Many => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = builder.enable_all().build().map_err(CliError::failed)?;
    runtime.block_on(work)
}

#[cfg(test)]
mod tests;
