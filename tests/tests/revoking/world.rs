//! How the CA lists its certificates, and a CA with many.

use serde_json::Value;
use tests::ca::Ca;
use tests::gateway::{Gateway, Issued};

/// How the CA lists a certificate.
pub(crate) async fn shown(ca: &Ca, serial: &str) -> Value {
    ca.json(&["cert", "show", serial]).await
}

/// A CA that runs, a device's certificate, and copies of that as [`Ca::multiply`] makes them.
pub(crate) async fn with_many(groups: &[(&str, &str, u32, i64)]) -> (Ca, Issued) {
    let mut ca = Ca::start(&[]).await;
    let issued = Gateway::of(&ca).await.issue().await;
    ca.stop().await;
    ca.multiply(groups).await;
    ca.serve().await;
    (ca, issued)
}

/// How many certificates stand so, by the database.
pub(crate) async fn count(ca: &Ca, condition: &str) -> u64 {
    ca.query(&format!("SELECT COUNT(*) FROM certificate WHERE {condition}")).await.trim().parse().unwrap()
}
