//! Fills a migrated database, so that measurements can be repeated on a CA that has been busy for years.
//!
//! ```sh
//! cargo run --release -p store --example seed -- sqlite:/srv/ca/pilotlight.db orders 1000000
//! cargo run --release -p store --example seed -- sqlite:/srv/ca/pilotlight.db inventory 1000000 /srv/ca/ca/root.crt
//! cargo run --release -p store --example seed -- sqlite:/srv/ca/pilotlight.db revocations 1000000 100000 serials
//! ```
//!
//! Certificates of orders are random octets of the usual length: nothing reads them before somebody downloads one. Those of an
//! inventory are copies of one in a file, in PEM, since their keys are looked at.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a tool for measuring fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "it has no shutdown that tasks could outlive")]

mod inventory;
mod orders;
mod revocations;

use std::path::Path;

use pki_core::x509::pem::parse_pem_bundle;
use store::{OpenOptions, Store};

/// Orders of one commit.
const BATCH: usize = 500;

#[tokio::main]
async fn main() {
    const USAGE: &str = "usage: seed DATABASE-URL orders COUNT | inventory COUNT CERTIFICATE | \
                         revocations GOOD REVOKED SERIALS-FILE";
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, what, count, further @ ..] = arguments.as_slice() else { panic!("{USAGE}") };
    let count = count.parse().expect(USAGE);
    let store = Store::open(OpenOptions::new(url, Path::new("."))).await.expect("the database opens");
    match (what.as_str(), further) {
        ("orders", []) => orders::fill(&store, count).await,
        ("inventory", [file]) => {
            let text = std::fs::read_to_string(file).expect("the certificate can be read");
            let certificate = parse_pem_bundle(&text).expect("the file is PEM").remove(0);
            inventory::fill(&store, count, certificate.der(), progress).await;
        }
        ("revocations", [revoked, file]) => {
            revocations::fill(&store, (count, revoked.parse().expect(USAGE)), file).await;
        }
        _ => panic!("{USAGE}"),
    }
    eprintln!();
    store.close().await;
}

fn progress(made: usize, count: usize) {
    if made.is_multiple_of(20_000) || made == count {
        eprint!("\r{made} of {count}");
    }
}
