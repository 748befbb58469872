//! The certificate authority, as a library: `main` only calls [`cli::run`].
//!
//! A request goes http -> flows -> (core decides) -> store, and issuing flows go through the signer; ARCHITECTURE.md
//! walks one through. [`app`] builds everything, [`serve`] runs it.

pub mod app;
pub mod ceremony;
pub mod cli;
pub mod config;
pub mod demo;
pub mod flows;
pub mod folder_lock;
pub mod http;
pub mod jobs;
mod own_certificate;
pub mod policies;
pub mod quickstart;
pub mod root_crl_watch;
pub mod serve;
pub mod server;
pub mod tasks;
pub mod telemetry;
pub mod tls;
pub mod validation;
mod yaml;
