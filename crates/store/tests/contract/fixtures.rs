//! Things to store.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use pki_core::acme::account::{Account, AccountStatus};
use pki_core::acme::authorization::{Authorization, AuthorizationStatus, Proof};
use pki_core::acme::challenge::{Challenge, ChallengeKind};
use pki_core::acme::jwk::Jwk;
use pki_core::acme::order::{Order, OrderState, OrderedIdentifier};
use pki_core::device::{Device, DeviceState, EabKey, EabKeyState, Labels};
use pki_core::ids::*;
use pki_core::issuance::record::{CertificateRecord, CertificateState, Source};
use pki_core::random::{Entropy, SystemEntropy};
use pki_core::time::Timestamp;
use pki_core::x509::name::Identifier;
use store::{Store, StoreError, Tx};

pub(crate) fn entropy() -> SystemEntropy {
    SystemEntropy::new()
}

/// A time; seconds after the beginning of 2026.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(1_767_225_600 + seconds)
}

/// The time in the next identifier: a millisecond after the last one's, all before `at(0)`.
pub(crate) fn tick() -> Timestamp {
    static LAST: AtomicI64 = AtomicI64::new(0);
    at(-1_000_000) + Duration::from_millis(LAST.fetch_add(1, Ordering::Relaxed).unsigned_abs())
}

pub(crate) fn dns(name: &str) -> Identifier {
    Identifier::parse("dns", name).unwrap()
}

pub(crate) fn ip(address: &str) -> Identifier {
    Identifier::parse("ip", address).unwrap()
}

/// An account with a key of its own: an Ed25519 key is any 32 bytes that decode to a point, so a fresh one is drawn
/// until it is one.
pub(crate) fn account() -> Account {
    let key = key();
    Account {
        id: AccountId::new(tick(), &entropy()),
        site: SiteName::home(),
        thumbprint: key.thumbprint(),
        key,
        contacts: vec!["mailto:a@site.test".to_owned(), "mailto:\"b\"@site.test".to_owned()],
        status: AccountStatus::Valid,
        binding: None,
        terms_agreed: None,
        created_at: at(0),
        version: 0,
    }
}

pub(crate) fn key() -> Jwk {
    let mut bytes = [0; 32];
    loop {
        entropy().fill(&mut bytes);
        let x = data_encoding::BASE64URL_NOPAD.encode(&bytes);
        let text = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        if let Ok(key) = Jwk::from_canonical_json(&text) {
            return key;
        }
    }
}

pub(crate) fn authorization(account: &Account, identifier: Identifier, kinds: &[ChallengeKind]) -> Authorization {
    let id = AuthorizationId::new(tick(), &entropy());
    let challenge =
        |(place, kind): (u8, &ChallengeKind)| Challenge::new(ChallengeId::new(id, place), *kind, &entropy());
    Authorization {
        id,
        account: account.id,
        identifier,
        status: AuthorizationStatus::Pending,
        proof: Proof::Challenge,
        challenges: (0..).zip(kinds).map(challenge).collect(),
        created_at: at(0),
        expires_at: at(3600),
        version: 0,
    }
}

pub(crate) fn order(account: &Account, authorizations: &[Authorization]) -> Order {
    Order {
        id: OrderId::new(tick(), &entropy()),
        account: account.id,
        identifiers: authorizations
            .iter()
            .map(|authorization| OrderedIdentifier {
                identifier: authorization.identifier.clone(),
                as_sent: authorization.identifier.value().to_uppercase(),
            })
            .collect(),
        authorizations: authorizations.iter().map(|authorization| authorization.id).collect(),
        profile: "gateway".parse().unwrap(),
        not_before: None,
        not_after: Some(at(86_400)),
        replaces: None,
        state: OrderState::Pending,
        created_at: at(0),
        expires_at: at(3600),
        version: 0,
    }
}

pub(crate) fn device(name: &str) -> Device {
    Device {
        id: DeviceId::new(tick(), &entropy()),
        site: SiteName::home(),
        name: name.parse().unwrap(),
        profile: "gateway".parse().unwrap(),
        dns: vec![format!("{name}.site.test").parse().unwrap(), "a.site.test".parse().unwrap()],
        ips: vec!["192.0.2.7".parse().unwrap(), "2001:db8::7".parse().unwrap()],
        labels: Labels::parse([("role", "edge"), ("plant.line", "Line 4 = \u{e4}")]).unwrap(),
        state: DeviceState::Registered,
        created_at: at(0),
        last_seen_at: None,
        version: 0,
    }
}

/// An external account key that waits for its use.
pub(crate) fn eab_key(device: Option<DeviceId>) -> EabKey {
    let state = EabKeyState::Unused { sealed_secret: vec![9; 60] };
    EabKey { id: EabKeyId::random(&entropy()), device, state, created_at: at(0), expires_at: Some(at(600)) }
}

pub(crate) fn certificate(issuer: IssuerId, names: &[Identifier]) -> CertificateRecord {
    CertificateRecord {
        id: CertificateId::new(tick(), &entropy()),
        issuer,
        serial: Serial::random(&entropy()),
        site: SiteName::home(),
        device: None,
        account: None,
        order: None,
        source: Source::Api,
        profile: "gateway".parse().unwrap(),
        policy_revision: "0123456789abcdef".repeat(4),
        policy_commit: Some("8f14e45fceea167a5a36dedd4bea2543a1b2c3d4".parse().unwrap()),
        epoch: 1,
        identifiers: names.to_vec(),
        spki_sha256: pki_core::random::bytes(&entropy()),
        not_before: at(0),
        not_after: at(86_400),
        lineage: LineageId::random(&entropy()),
        generation: 1,
        predecessor: None,
        confirmed_at: None,
        shard: 3,
        crl_urls: vec!["http://ca.site.test:8080/crl/0123/3.crl".to_owned()],
        state: CertificateState::Planned { tbs: vec![0x30; 500] },
        created_at: at(0),
        version: 0,
    }
}

/// Adds a certificate.
pub(crate) async fn store_certificate(store: &Store, record: &CertificateRecord) {
    let row = record.clone();
    write(store, async move |tx| store::certificates::insert(tx, &row).await).await.unwrap();
}

pub(crate) fn issuer() -> IssuerId {
    IssuerId::random(&entropy())
}

/// Adds an account and answers it.
pub(crate) async fn stored_account(store: &Store) -> Account {
    let account = Arc::new(account());
    let to_store = Arc::clone(&account);
    write(store, async move |tx| store::accounts::insert(tx, &to_store).await).await.unwrap();
    Arc::unwrap_or_clone(account)
}

/// [`Store::write`] with the store's own errors, which closures cannot infer.
pub(crate) async fn write<T, F>(store: &Store, body: F) -> Result<T, StoreError>
where
    T: Send + 'static,
    F: AsyncFn(&mut Tx<'_>) -> Result<T, StoreError> + Send + Sync + 'static,
{
    store.write(body).await
}

/// [`Store::read`], likewise; a failure ends the test.
pub(crate) async fn read<T, F>(store: &Store, body: F) -> T
where
    T: Send + 'static,
    F: AsyncFn(&mut Tx<'_>) -> Result<T, StoreError> + Send + Sync + 'static,
{
    store.read(body).await.unwrap()
}
