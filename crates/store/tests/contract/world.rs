//! A fresh, migrated store on either database.

use std::path::Path;

use store::{OpenOptions, Store};
use tempfile::TempDir;

use crate::postgres::Postgres;

pub(crate) struct World {
    pub(crate) store: Store,
    _folder: Option<TempDir>,
}

pub(crate) async fn sqlite() -> World {
    let folder = tempfile::tempdir().unwrap();
    let store = open("sqlite:test.db", folder.path()).await;
    World { store, _folder: Some(folder) }
}

pub(crate) async fn postgres() -> World {
    let url = Postgres::shared().new_database();
    World { store: open(&url, Path::new("/")).await, _folder: None }
}

async fn open(url: &str, folder: &Path) -> Store {
    let store = Store::open(OpenOptions::new(url, folder)).await.unwrap();
    store.migrate().await.unwrap();
    store
}

/// Opens the same database once more, as another server does.
pub(crate) async fn again(store: &Store) -> Store {
    let url = if store.is_shared() { store.name().to_owned() } else { format!("sqlite:{}", store.name()) };
    Store::open(OpenOptions::new(&url, Path::new("/"))).await.unwrap()
}

impl World {
    pub(crate) async fn end(self) {
        self.store.close().await;
    }
}
