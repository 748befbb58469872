//! Revocation lists as relying parties see them: read by programs that are not ours, fetched by HTTP, published in time by
//! whatever server is there, and kept through every kind of trouble. The names of tests are those of the requirements (CRL).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests fail by panicking"
)]

mod addresses;
mod cuts;
mod issuers;
mod nginx;
mod outages;
mod programs;
mod publishing;
mod replicas;
mod root;
mod serving;
mod trouble;
mod world;
