//! Finished orders: each has its account, authorization, challenge, certificate and audit events, as ACME leaves them.

use std::collections::BTreeMap;

use pki_core::acme::account::{Account, AccountStatus};
use pki_core::acme::authorization::{Authorization, NewAuthorization, Proof};
use pki_core::acme::challenge::ChallengeKind;
use pki_core::acme::jwk::Jwk;
use pki_core::acme::order::{NewOrder, Order, OrderState, OrderedIdentifier};
use pki_core::audit::AuditEvent;
use pki_core::ids::{AccountId, EventId, IssuerId, SiteName};
use pki_core::issuance::record::CertificateRecord;
use pki_core::random::{self, Entropy, SystemEntropy};
use pki_core::time::{Clock, SystemClock, Timestamp};
use pki_core::x509::name::Identifier;
use store::{Store, StoreError, accounts, audit, authorizations, certificates, orders};

use crate::inventory::{LIFE, certificate};
use crate::{BATCH, progress};

/// Accounts that the orders belong to.
const ACCOUNTS: usize = 1000;
/// Octets of a certificate.
const CERTIFICATE: usize = 750;

/// Adds orders.
pub(crate) async fn fill(store: &Store, count: usize) {
    let issuer = IssuerId::random(&SystemEntropy::new());
    let accounts = make_accounts(store).await;
    for first in (0..count).step_by(BATCH) {
        let until = count.min(first + BATCH);
        let orders: Vec<_> = (first..until).map(|number| Finished::new(number, &accounts, issuer)).collect();
        let written: Result<(), StoreError> = store
            .write(async move |tx| {
                for order in &orders {
                    order.insert(tx).await?;
                }
                Ok(())
            })
            .await;
        written.unwrap();
        progress(until, count);
    }
}

async fn make_accounts(store: &Store) -> Vec<AccountId> {
    let made: Vec<Account> = (0..ACCOUNTS).map(|_| account()).collect();
    let ids = made.iter().map(|account| account.id).collect();
    let written: Result<(), StoreError> = store
        .write(async move |tx| {
            for account in &made {
                accounts::insert(tx, account).await?;
            }
            Ok(())
        })
        .await;
    written.unwrap();
    ids
}

/// Any 32 octets that decode to a point are an Ed25519 key.
fn account() -> Account {
    let (now, entropy) = (SystemClock.now(), SystemEntropy::new());
    let key = std::iter::repeat_with(|| {
        let x = data_encoding::BASE64URL_NOPAD.encode(&random::bytes::<32>(&entropy));
        Jwk::from_canonical_json(&format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#)).ok()
    });
    let key = key.flatten().next().unwrap();
    Account {
        id: AccountId::new(now, &entropy),
        site: SiteName::home(),
        thumbprint: key.thumbprint(),
        key,
        contacts: Vec::new(),
        status: AccountStatus::Valid,
        binding: None,
        terms_agreed: None,
        created_at: now,
        version: 0,
    }
}

/// What ACME leaves of an order.
struct Finished {
    authorization: Authorization,
    order: Order,
    certificate: CertificateRecord,
    events: Vec<AuditEvent>,
}

impl Finished {
    fn new(number: usize, accounts: &[AccountId], issuer: IssuerId) -> Self {
        let (now, entropy) = (SystemClock.now(), SystemEntropy::new());
        let account = *accounts.get(number % accounts.len()).unwrap();
        let identifier = Identifier::parse("dns", &format!("s{number}.seed.test")).unwrap();
        let beginning = NewAuthorization {
            account,
            identifier: identifier.clone(),
            proof: Proof::Challenge,
            challenges: &[ChallengeKind::Http01],
            lifetime: LIFE,
        };
        let authorization = proven(Authorization::new(beginning, now, &entropy), now);
        let certificate = CertificateRecord {
            account: Some(account),
            profile: "server".parse().unwrap(),
            ..certificate(issuer, &identifier, now, &random::bytes::<CERTIFICATE>(&entropy))
        };
        let beginning = NewOrder {
            account,
            identifiers: vec![OrderedIdentifier { as_sent: identifier.value(), identifier }],
            profile: certificate.profile.clone(),
            not_before: None,
            not_after: None,
            replaces: None,
            lifetime: LIFE,
        };
        let order = Order {
            state: OrderState::Valid { certificate: certificate.id },
            ..Order::new(beginning, std::slice::from_ref(&authorization), now, &entropy)
        };
        let certificate = CertificateRecord { order: Some(order.id), ..certificate };
        let events = events(&authorization, &order, &certificate, now, &entropy);
        Self { authorization, order, certificate, events }
    }

    async fn insert(&self, tx: &mut store::Tx<'_>) -> Result<(), StoreError> {
        authorizations::insert(tx, &self.authorization).await?;
        orders::insert(tx, &self.order).await?;
        certificates::insert(tx, &self.certificate).await?;
        for event in &self.events {
            audit::append(tx, event).await?;
        }
        Ok(())
    }
}

fn proven(authorization: Authorization, now: Timestamp) -> Authorization {
    let challenge = authorization.challenges.first().unwrap().id;
    match authorization.respond(challenge, now).unwrap() {
        pki_core::acme::authorization::Response::Begun(begun) => begun.succeed(challenge, now).unwrap(),
        pki_core::acme::authorization::Response::Unchanged(_) => panic!("a new challenge can be begun"),
    }
}

fn events(
    authorization: &Authorization,
    order: &Order,
    certificate: &CertificateRecord,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Vec<AuditEvent> {
    let event = |action: &str, subject: String, details: &[(&str, String)]| AuditEvent {
        v: AuditEvent::VERSION,
        id: EventId::new(now, entropy),
        at: now,
        actor: format!("account:{}", order.account),
        action: action.to_owned(),
        subject,
        details: details.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect::<BTreeMap<_, _>>(),
    };
    let challenge = authorization.challenges.first().map(|challenge| challenge.id.to_string()).unwrap_or_default();
    let serial = certificate.serial.to_string();
    vec![
        event("order.create", format!("order:{}", order.id), &[("profile", order.profile.to_string())]),
        event("challenge.validate", format!("challenge:{challenge}"), &[("outcome", "valid".to_owned())]),
        event(
            "certificate.plan",
            format!("certificate:{}", certificate.id),
            &[("profile", order.profile.to_string()), ("serial", serial.clone())],
        ),
        event(
            "certificate.issue",
            format!("certificate:{}", certificate.id),
            &[("not_after", certificate.not_after.to_string()), ("released", "true".to_owned()), ("serial", serial)],
        ),
    ]
}
