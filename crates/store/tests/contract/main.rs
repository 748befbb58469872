//! One suite for both databases: each case runs on a fresh SQLite file and on a fresh database of a PostgreSQL 15 that
//! the suite starts itself.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests may")]

mod accounts;
mod authorizations;
mod certificates;
mod devices;
mod fixtures;
mod growth;
mod holdings;
mod issuers;
mod jobs;
mod orders;
#[path = "../support/postgres.rs"]
mod postgres;
mod pruning;
mod responders;
mod revocations;
mod selected;
mod small;
mod transactions;
mod world;

/// Runs each case, an `async fn(&Store)`, on both databases.
macro_rules! on_both {
    ($($case:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                let world = crate::world::sqlite().await;
                super::$case(&world.store).await;
                world.end().await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                let world = crate::world::postgres().await;
                super::$case(&world.store).await;
                world.end().await;
            })*
        }
    };
}
pub(crate) use on_both;
