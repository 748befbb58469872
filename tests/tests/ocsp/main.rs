//! OCSP by real programs against a real `ca-server`, and by hand where no program can do it wrong enough. The names of tests
//! are those of the requirements (OCS).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests fail by panicking"
)]

mod addresses;
mod hostile;
mod http;
mod programs;
mod replicas;
mod revocations;
mod rollover;
mod stapling;
mod world;
