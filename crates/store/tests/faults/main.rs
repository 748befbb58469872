//! What happens when something else fails: power, disks, other processes, servers, other versions of this program.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests may")]

mod batches;
mod child;
mod opening;
#[path = "../support/postgres.rs"]
mod postgres;
mod proxy;
mod schema;
mod servers;
mod upgrades;
