//! What the CA remembers, and the only SQL of the project.
//!
//! [`Store`] opens SQLite or PostgreSQL; [`Store::write`] runs a transaction, [`Store::read`] a point read,
//! [`Store::scan`] a search. Inside, one module for each aggregate has functions over [`Tx`], with types of
//! `pki-core` in and out. Every update repeats the version it was decided on ([`StoreError::Conflict`]).
//!
//! Nothing here decides, signs or speaks to anybody; times and identifiers are arguments.
//!
//! Reading order: [`Store`], [`Tx`], one aggregate ([`orders`]), then `engine/` for how commits are made.

pub mod accounts;
pub mod audit;
pub mod authorizations;
pub mod certificates;
pub mod crls;
pub mod devices;
mod dialect;
pub mod eab_keys;
mod engine;
mod error;
pub mod issuers;
pub mod jobs;
pub mod meta;
mod migrate;
pub mod nonces;
pub mod orders;
pub mod pruning;
pub mod responders;
pub mod revocations;
pub mod sites;
mod sql;
mod store;
mod text;
mod tx;
mod value;

pub use error::StoreError;
pub use store::{OpenOptions, Running, Store};
pub use tx::Tx;
pub use value::{Cell, Fields, Row, Value};

/// A guarded change touches one row, or somebody else was there first.
fn guard(touched: u64, table: &'static str, id: impl std::fmt::Display) -> Result<(), StoreError> {
    if touched == 1 { Ok(()) } else { Err(StoreError::conflict(table, id)) }
}

/// The place in a list that is ordered by id; the empty text comes before every id.
fn after(id: Option<impl std::fmt::Display>) -> Value<'static> {
    id.map_or_else(|| "".into(), Value::text)
}

/// For messages about what a row holds and should not, or the other way round.
const fn with(present: bool) -> &'static str {
    if present { "with" } else { "without" }
}
