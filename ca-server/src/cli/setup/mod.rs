//! Commands that make, check and run a CA.

pub(super) mod config;
pub(super) mod database;
pub(super) mod demo;
pub(super) mod init;
pub(super) mod quickstart;
pub(super) mod root;
pub(super) mod serve;
