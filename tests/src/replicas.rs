//! Several servers of one CA: further ones that issue too, and responders, which have none of its keys.

use std::os::unix::fs::PermissionsExt;

use crate::ca::{Ca, snapshot};
use crate::folders::write;

impl Ca {
    /// Makes a CA on a PostgreSQL database of its own, with two servers that run.
    pub async fn start_two_on_postgres() -> (Self, Self) {
        let one = Self::start_on_postgres().await;
        let two = Self::start_replica_of(&one).await;
        (one, two)
    }

    /// Another server of the same CA that runs, as [`Ca::replica_of`] makes it.
    pub async fn start_replica_of(first: &Self) -> Self {
        let mut ca = Self::replica_of(first);
        ca.serve().await;
        ca
    }

    /// A responder of the same CA that runs, as [`Ca::responder_of`] makes it.
    pub async fn start_responder_of(first: &Self) -> Self {
        let mut ca = Self::responder_of(first);
        ca.serve().await;
        ca
    }

    /// Another server of the same CA, with a copy of its folder and listeners of its own; it shares the external address
    /// and, if that is PostgreSQL, the database.
    pub fn replica_of(first: &Self) -> Self {
        let ca = Self::empty();
        for (path, content) in snapshot(&first.dir()) {
            let copy = ca.dir().join(path.strip_prefix(first.dir()).unwrap());
            std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
            write(&copy, content, std::fs::metadata(&path).unwrap().permissions().mode() & 0o777);
        }
        ca.configure(|config| ca.set_listeners(config));
        ca
    }

    /// A replica of a CA that has none of its keys and answers relying parties only, on the same PostgreSQL database.
    pub fn responder_of(first: &Self) -> Self {
        let ca = Self::replica_of(first);
        std::fs::remove_dir_all(ca.dir().join("keys")).unwrap();
        std::fs::remove_dir_all(ca.dir().join("policies")).unwrap();
        std::fs::remove_file(ca.passphrase_file()).unwrap();
        ca.configure(|config| {
            let role = toml::Table::from_iter([("role".to_owned(), "responder".into())]);
            config.insert("replica".to_owned(), role.into());
        });
        ca
    }
}
