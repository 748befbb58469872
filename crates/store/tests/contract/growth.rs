//! How much a SQLite file grows by an order that ends with a certificate, its audit events included.

use std::collections::BTreeMap;

use pki_core::acme::account::Account;
use pki_core::acme::authorization::{Authorization, AuthorizationStatus, Proof};
use pki_core::acme::challenge::{ChallengeKind, ChallengeState};
use pki_core::acme::order::{Order, OrderState};
use pki_core::audit::AuditEvent;
use pki_core::ids::{EventId, JobId};
use pki_core::issuance::record::{CertificateState, Source};
use store::jobs::NewJob;
use store::{OpenOptions, Store, StoreError, Tx, audit, authorizations, certificates, jobs, orders};
use tokio::task::JoinSet;

use crate::fixtures::{at, authorization, certificate, dns, entropy, issuer, order, stored_account, tick, write};

const ORDERS: u64 = 600;

/// Gateways: the device record proves their names.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_of_a_device_takes_four_kilobytes_at_most() {
    grow(&[], 4000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_with_three_challenges_takes_no_more() {
    grow(&[ChallengeKind::Http01, ChallengeKind::Dns01, ChallengeKind::TlsAlpn01], 4000).await;
}

async fn grow(kinds: &'static [ChallengeKind], most: u64) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let open = async || Store::open(OpenOptions::new("sqlite:test.db", folder.path())).await.unwrap();
    let store = open().await;
    store.migrate().await.unwrap();
    let account = stored_account(&store).await;
    store.close().await;
    let empty = path.metadata().unwrap().len();

    let store = open().await;
    let mut clients = JoinSet::new();
    for client in 0..20 {
        let (store, account) = (store.clone(), account.clone());
        clients.spawn(async move {
            for number in 0..ORDERS / 20 {
                one_order(&store, &account, &format!("gateway-{client}-{number}.north.site.test"), kinds)
                    .await
                    .unwrap();
            }
        });
    }
    clients.join_all().await;
    store.close().await;
    let each = (path.metadata().unwrap().len() - empty) / ORDERS;
    assert!(each <= most, "an order takes {each} bytes");
}

/// The transactions of an order.
async fn one_order(store: &Store, account: &Account, name: &str, kinds: &[ChallengeKind]) -> Result<(), StoreError> {
    let mut authorization = authorization(account, dns(name), kinds);
    let mut order = order(account, std::slice::from_ref(&authorization));
    order.identifiers[0].as_sent = name.to_owned();
    if kinds.is_empty() {
        (authorization.proof, authorization.status, order.state) =
            (Proof::Device, AuthorizationStatus::Valid, OrderState::Ready);
    }
    let (new, authorized) = (order.clone(), authorization.clone());
    write(store, async move |tx| {
        authorizations::insert(tx, &authorized).await?;
        orders::insert(tx, &new).await?;
        log(tx, &new.account.to_string(), "order.create", &format!("order:{}", new.id)).await
    })
    .await?;
    if !kinds.is_empty() {
        order = validate(store, authorization, order).await?;
    }
    issue(store, account, order, name).await
}

/// The client answers, a job validates.
async fn validate(store: &Store, mut authorization: Authorization, mut order: Order) -> Result<Order, StoreError> {
    let job = JobId::new(tick(), &entropy());
    authorization.challenges[0].state = ChallengeState::Processing;
    let changed = authorization.clone();
    authorization.version = write(store, async move |tx| {
        let subject = changed.challenges[0].id.to_string();
        jobs::insert(
            tx,
            &NewJob { id: job, kind: "validate", subject: &subject, run_at: at(0), created_at: at(0), lease: None },
        )
        .await?;
        authorizations::update(tx, &changed).await
    })
    .await?;
    authorization.challenges[0].state = ChallengeState::Valid { at: at(1) };
    authorization.status = AuthorizationStatus::Valid;
    order.state = OrderState::Ready;
    let ready = order.clone();
    order.version = write(store, async move |tx| {
        authorizations::update(tx, &authorization).await?;
        jobs::finish(tx, job).await?;
        let subject = format!("challenge:{}", authorization.challenges[0].id);
        log(tx, &authorization.account.to_string(), "challenge.validate", &subject).await?;
        orders::update(tx, &ready).await
    })
    .await?;
    Ok(order)
}

/// The plan is recorded, then the certificate.
async fn issue(store: &Store, account: &Account, mut order: Order, name: &str) -> Result<(), StoreError> {
    let mut certificate = certificate(issuer(), &[dns(name)]);
    (certificate.account, certificate.order, certificate.source) = (Some(account.id), Some(order.id), Source::Acme);
    certificate.state = CertificateState::Planned { tbs: vec![0x30; 600] };
    order.state = OrderState::Processing { certificate: certificate.id };
    let (planned, processing, id) = (certificate.clone(), order.clone(), certificate.id);
    order.version = write(store, async move |tx| {
        certificates::insert(tx, &planned).await?;
        log(tx, &planned.account.map(|id| id.to_string()).unwrap(), "certificate.plan", &format!("certificate:{id}"))
            .await?;
        orders::update(tx, &processing).await
    })
    .await?;

    order.state = OrderState::Valid { certificate: id };
    write(store, async move |tx| {
        certificates::mark_issued(tx, id, &[0x31; 750], 0).await?;
        log(tx, &order.account.to_string(), "certificate.issue", &format!("certificate:{id}")).await?;
        orders::update(tx, &order).await.map(drop)
    })
    .await
}

async fn log(tx: &mut Tx<'_>, account: &str, action: &str, subject: &str) -> Result<(), StoreError> {
    let details = BTreeMap::from([("profile".to_owned(), "gateway".to_owned())]);
    let event = AuditEvent {
        v: AuditEvent::VERSION,
        id: EventId::new(tick(), &entropy()),
        at: at(0),
        actor: format!("account:{account}"),
        action: action.to_owned(),
        subject: subject.to_owned(),
        details,
    };
    audit::append(tx, &event).await
}
