//! Orders.

use pki_core::acme::authorization::AuthorizationStatus;
use pki_core::acme::challenge::ChallengeKind;
use pki_core::acme::order::{Order, OrderState, Replaces};
use pki_core::acme::problem::{Problem, ProblemKind};
use pki_core::ids::{CertificateId, OrderId};
use store::{Store, StoreError, authorizations, orders};

use crate::fixtures::{at, authorization, dns, entropy, ip, order, read, stored_account, write};

crate::on_both! { every_state_comes_back, update_is_guarded, lists_are_paged, waiting_orders_are_found, the_last_two_proofs_may_come_at_once, ended_ones_are_found, replacements_count }

async fn stored(store: &Store, change: impl Fn(&mut Order)) -> Order {
    let account = stored_account(store).await;
    let kinds = [ChallengeKind::Http01];
    let authorizations =
        [authorization(&account, dns("b.site.test"), &kinds), authorization(&account, ip("192.0.2.1"), &kinds)];
    let mut order = order(&account, &authorizations);
    change(&mut order);
    let to_store = order.clone();
    write(store, async move |tx| {
        for authorization in &authorizations {
            authorizations::insert(tx, authorization).await?;
        }
        orders::insert(tx, &to_store).await
    })
    .await
    .unwrap();
    order
}

async fn found(store: &Store, id: OrderId) -> Order {
    read(store, async move |tx| orders::find(tx, id).await).await.unwrap()
}

async fn every_state_comes_back(store: &Store) {
    let certificate = CertificateId::new(at(0), &entropy());
    let error = Problem::new(ProblemKind::Unauthorized, "no, because \"of that\"").with_status(403);
    let states = [
        OrderState::Pending,
        OrderState::Ready,
        OrderState::Processing { certificate },
        OrderState::Valid { certificate },
        OrderState::Invalid { error },
    ];
    for state in states {
        let inserted = stored(store, |order| order.state = state.clone()).await;
        assert_eq!(found(store, inserted.id).await, inserted);
        let changed = Order { state: OrderState::Pending, ..inserted };
        let to_store = changed.clone();
        write(store, async move |tx| orders::update(tx, &to_store).await).await.unwrap();
        let to_store = Order { state, version: 1, ..changed };
        let expected = Order { version: 2, ..to_store.clone() };
        assert_eq!(write(store, async move |tx| orders::update(tx, &to_store).await).await, Ok(2));
        assert_eq!(found(store, expected.id).await, expected);
    }
}

async fn update_is_guarded(store: &Store) {
    let order = stored(store, |_| ()).await;
    let id = order.id;
    let again = order.clone();
    write(store, async move |tx| orders::update(tx, &order).await).await.unwrap();
    let error = write(store, async move |tx| orders::update(tx, &again).await).await.unwrap_err();
    assert_eq!(error, StoreError::Conflict { table: "acme_order", id: id.to_string() });
}

async fn lists_are_paged(store: &Store) {
    let first = stored(store, |_| ()).await;
    let account = first.account;
    let mut expected = vec![first.id];
    for seconds in 1..6 {
        let next = Order { id: OrderId::new(at(seconds), &entropy()), ..first.clone() };
        expected.push(next.id);
        write(store, async move |tx| orders::insert(tx, &next).await).await.unwrap();
    }
    stored(store, |_| ()).await;
    let error = Problem::new(ProblemKind::Unauthorized, "no");
    let invalid = Order { id: OrderId::new(at(7), &entropy()), state: OrderState::Invalid { error }, ..first.clone() };
    let ended = Order { id: OrderId::new(at(8), &entropy()), expires_at: at(50), ..first };
    write(store, async move |tx| {
        orders::insert(tx, &invalid).await?;
        orders::insert(tx, &ended).await
    })
    .await
    .unwrap();
    let mut listed = Vec::new();
    loop {
        let after = listed.last().copied();
        let page = read(store, async move |tx| orders::list_ids(tx, account, at(50), after, 4).await).await;
        if page.is_empty() {
            break;
        }
        listed.extend(page);
    }
    assert_eq!(listed, expected);
}

async fn waiting_orders_are_found(store: &Store) {
    let waiting = stored(store, |_| ()).await;
    stored(store, |_| ()).await;
    let second = Order { id: OrderId::new(at(9), &entropy()), ..waiting.clone() };
    let done = Order { id: OrderId::new(at(9), &entropy()), state: OrderState::Ready, ..waiting.clone() };
    let (inserted, authorization) = (second.clone(), waiting.authorizations[1]);
    write(store, async move |tx| {
        orders::insert(tx, &inserted).await?;
        orders::insert(tx, &done).await
    })
    .await
    .unwrap();
    let open =
        write(store, async move |tx| orders::hold_open_for_authorization(tx, authorization).await).await.unwrap();
    assert_eq!(open, [waiting, second]);
}

/// Fails when the orders are not held: each of the two sees the other's authorization pending, and the order waits for
/// ever.
async fn the_last_two_proofs_may_come_at_once(store: &Store) {
    for _ in 0..40 {
        let order = stored(store, |_| ()).await;
        let settle = |place: usize| {
            let (id, authorizations) = (order.authorizations[place], order.authorizations.clone());
            store.write_held(async move |tx| {
                let mut settled = authorizations::find(tx, id).await?.unwrap();
                settled.status = AuthorizationStatus::Valid;
                authorizations::update(tx, &settled).await?;
                for order in orders::hold_open_for_authorization(tx, id).await? {
                    let all = authorizations::find_many(tx, &authorizations).await?;
                    orders::update(tx, &order.authorization_settled(&all, at(1))).await?;
                }
                Ok::<_, StoreError>(())
            })
        };
        let (first, second) = tokio::join!(settle(0), settle(1));
        assert_eq!((first, second), (Ok(()), Ok(())));
        let id = order.id;
        let order = read(store, async move |tx| orders::find(tx, id).await).await.unwrap();
        assert_eq!(order.state, OrderState::Ready);
    }
}

async fn ended_ones_are_found(store: &Store) {
    let certificate = CertificateId::new(at(0), &entropy());
    let late = stored(store, |order| order.expires_at = at(20)).await;
    let early = stored(store, |order| (order.expires_at, order.state) = (at(10), OrderState::Ready)).await;
    stored(store, |order| (order.expires_at, order.state) = (at(5), OrderState::Processing { certificate })).await;
    stored(store, |order| order.expires_at = at(21)).await;
    let ended = read(store, async |tx| orders::list_expired(tx, at(20), 10).await).await;
    assert_eq!(ended, [early, late]);
}

async fn replacements_count(store: &Store) {
    let certificate = CertificateId::new(at(0), &entropy());
    let replaces = Some(Replaces { certificate, as_sent: "AQ.Ag".to_owned(), not_after: at(99) });
    let find = async move |tx: &mut store::Tx<'_>| orders::find_replacing(tx, certificate, at(50)).await;
    let error = Problem::new(ProblemKind::Malformed, "x");
    stored(store, |order| {
        (order.replaces, order.state) = (replaces.clone(), OrderState::Invalid { error: error.clone() });
    })
    .await;
    stored(store, |order| (order.replaces, order.expires_at) = (replaces.clone(), at(50))).await;
    assert_eq!(read(store, find).await, None);
    let replacing = stored(store, |order| (order.replaces, order.expires_at) = (replaces.clone(), at(51))).await;
    assert_eq!(read(store, find).await, Some(replacing.id));
    let id = replacing.id;
    assert_eq!(read(store, async move |tx| orders::find(tx, id).await).await, Some(replacing));
}
