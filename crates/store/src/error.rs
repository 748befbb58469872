//! What can go wrong with the database, in words that say what to do.

use std::fmt;

/// A failure of the store. Nothing secret stands in it: database addresses lose their password first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The row was changed by somebody else since it was loaded, or is gone.
    #[error("{table} {id} changed while this was decided: load it again and decide anew")]
    Conflict {
        /// The table.
        table: &'static str,
        /// The row.
        id: String,
    },
    /// A row with the same unique value exists.
    #[error("a row with the same unique value exists already ({what})")]
    Duplicate {
        /// The columns or the constraint, as the database names them.
        what: String,
    },
    /// A row points at another that does not exist.
    #[error("the row belongs to another one that does not exist ({what})")]
    Dangling {
        /// The constraint, as far as the database names it.
        what: String,
    },
    /// A row that no version of this program writes.
    #[error("the database is inconsistent: {table} {id}: {what}; restore a backup, or report it as a fault")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The row.
        id: String,
        /// What does not fit.
        what: String,
    },
    /// Too many callers at once; nothing was changed.
    #[error("the database is busy ({what}); nothing was changed, try again")]
    Busy {
        /// What ran out.
        what: &'static str,
    },
    /// The database cannot be reached; nothing was changed.
    #[error("cannot reach the database {database}: {reason}; check that it runs and accepts this user")]
    Unavailable {
        /// The database, without password.
        database: String,
        /// What was seen.
        reason: String,
    },
    /// The connection broke while a transaction was being committed: it may or may not be in force.
    #[error("the connection to the database broke during a commit; read the result back before answering")]
    Unknown,
    /// A query took longer than it may.
    #[error("the query took too long and was stopped; ask for less")]
    TooSlow,
    /// Another process holds the lock of the SQLite file.
    #[error(
        "the database {database} is locked by another process; end it (`fuser` on that file names it) and try again"
    )]
    Locked {
        /// The file.
        database: String,
    },
    /// No space left.
    #[error("no space is left for the database {database}; nothing was changed; free disk space and try again")]
    Full {
        /// The database.
        database: String,
    },
    /// Writing is not possible.
    #[error(
        "the database {database} is read-only; check the owner and mode of the file, the mount, or that the server is the primary"
    )]
    ReadOnly {
        /// The database.
        database: String,
    },
    /// The database cannot be opened at all.
    #[error("cannot open the database {database}: {reason}")]
    CannotOpen {
        /// The database.
        database: String,
        /// What was seen, and what to do.
        reason: String,
    },
    /// The file is damaged or not a database.
    #[error("the database {database} is damaged ({reason}); stop the server and restore a backup")]
    Damaged {
        /// The database.
        database: String,
        /// What was seen.
        reason: String,
    },
    /// The disk or file system failed.
    #[error("the disk under the database {database} failed ({reason}); check the disk before going on")]
    Disk {
        /// The database.
        database: String,
        /// What was seen.
        reason: String,
    },
    /// The database address is not understood.
    #[error("the database address is not valid: {reason}; write `sqlite:PATH` or `postgres://USER@HOST/DATABASE`")]
    BadUrl {
        /// What is wrong with it.
        reason: String,
    },
    /// Migrations are recorded that this program does not know.
    #[error(
        "the database was written by a newer version (its schema is {found}, this program knows {known}); install that version or restore a backup"
    )]
    NewerSchema {
        /// The newest migration in the database.
        found: i64,
        /// The newest migration this program knows.
        known: i64,
    },
    /// A migration in the database is not the one in this program.
    #[error(
        "migration {version} of this program is not the one that was applied to the database; install a released version, or restore a backup"
    )]
    ChangedMigration {
        /// Its number.
        version: i64,
    },
    /// A table is missing.
    #[error("the database lacks a table or column ({what}); run `ca-server migrate`")]
    NotMigrated {
        /// What is missing, as the database says it.
        what: String,
    },
    /// The SQLite library is one that can damage its files.
    #[error("this program runs with SQLite {found}, which can damage a write-ahead log; it needs {needed} or newer")]
    OldSqlite {
        /// The version in use.
        found: String,
        /// The oldest version that is safe.
        needed: &'static str,
    },
    /// The store was closed.
    #[error("the database is closed: the server is shutting down")]
    Closed,
    /// A fault of this program.
    #[error("a fault in the program: {what}; please report it")]
    Fault {
        /// What happened.
        what: String,
    },
}

impl StoreError {
    /// Whether running the whole flow again, loading included, may succeed without anybody's help.
    /// [`StoreError::Unknown`] is not among them: what was asked may be done already.
    pub const fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Conflict { .. }
                | Self::Busy { .. }
                | Self::Unavailable { .. }
                | Self::Locked { .. }
                | Self::Full { .. }
        )
    }

    /// Whether it is a row that exists already.
    pub const fn is_duplicate(&self) -> bool {
        matches!(self, Self::Duplicate { .. })
    }

    pub(crate) fn conflict(table: &'static str, id: impl fmt::Display) -> Self {
        Self::Conflict { table, id: id.to_string() }
    }

    pub(crate) fn corrupt(table: &'static str, id: impl fmt::Display, what: impl Into<String>) -> Self {
        Self::Corrupt { table, id: id.to_string(), what: what.into() }
    }

    pub(crate) fn fault(what: impl Into<String>) -> Self {
        Self::Fault { what: what.into() }
    }
}
