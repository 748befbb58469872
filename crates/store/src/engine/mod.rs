//! The two databases: how a transaction begins, ends and fails on each. Nothing here knows a table.

pub(crate) mod location;
pub(crate) mod postgres;
pub(crate) mod sqlite;

use std::fmt;

/// The name of a database for messages: a path, or an address without password.
#[derive(Debug, Clone)]
pub(crate) struct Database(pub(crate) String);

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
