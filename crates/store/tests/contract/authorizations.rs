//! Authorizations and challenges.

use pki_core::acme::account::Account;
use pki_core::acme::authorization::{Authorization, AuthorizationStatus, Proof};
use pki_core::acme::challenge::{ChallengeKind, ChallengeState};
use pki_core::acme::problem::{Problem, ProblemKind};
use store::{Store, StoreError, authorizations, orders};

use crate::fixtures::{account, at, authorization, dns, ip, order, read, stored_account, write};

crate::on_both! { comes_back_with_its_challenges, changes_as_one, an_order_has_them_in_its_order, valid_ones_are_used_again, belong_to_accounts }

const ALL: [ChallengeKind; 3] = [ChallengeKind::TlsAlpn01, ChallengeKind::Http01, ChallengeKind::Dns01];

async fn stored(store: &Store, authorization: &Authorization) {
    let authorization = authorization.clone();
    write(store, async move |tx| authorizations::insert(tx, &authorization).await).await.unwrap();
}

async fn comes_back_with_its_challenges(store: &Store) {
    let account = stored_account(store).await;
    let mut by_device = authorization(&account, ip("2001:db8::1"), &[]);
    (by_device.proof, by_device.status) = (Proof::Device, AuthorizationStatus::Valid);
    let by_challenge = authorization(&account, dns("*.site.test"), &ALL);
    stored(store, &by_device).await;
    stored(store, &by_challenge).await;
    let ids = [by_challenge.id, authorization(&account, dns("x.test"), &[]).id, by_device.id];
    let found = read(store, async move |tx| authorizations::find_many(tx, &ids).await).await;
    assert_eq!(found, [by_challenge.clone(), by_device]);
    for challenge in &by_challenge.challenges {
        let id = challenge.id;
        let found = read(store, async move |tx| authorizations::find_by_challenge(tx, id).await).await;
        assert_eq!(found.as_ref(), Some(&by_challenge));
    }
}

async fn changes_as_one(store: &Store) {
    let account = stored_account(store).await;
    let mut changed = authorization(&account, dns("a.site.test"), &ALL);
    stored(store, &changed).await;
    let before = changed.clone();
    let error = Problem::new(ProblemKind::Connection, "nobody listens on port 80");
    changed.status = AuthorizationStatus::Valid;
    changed.expires_at = at(7200);
    changed.challenges[0].state = ChallengeState::Invalid { error };
    changed.challenges[1].state = ChallengeState::Valid { at: at(5) };
    changed.challenges[2].state = ChallengeState::Processing;
    let to_store = changed.clone();
    changed.version = write(store, async move |tx| authorizations::update(tx, &to_store).await).await.unwrap();
    let id = changed.id;
    let stored = read(store, async move |tx| authorizations::find(tx, id).await).await;
    // what decided nothing is forgotten; what did keeps its place
    changed.challenges = vec![changed.challenges[1].clone()];
    assert_eq!(stored, Some(changed.clone()));
    changed.status = AuthorizationStatus::Deactivated;
    let deactivated = changed.clone();
    changed.version = write(store, async move |tx| authorizations::update(tx, &deactivated).await).await.unwrap();
    assert_eq!(read(store, async move |tx| authorizations::find(tx, id).await).await, Some(changed));
    let error = write(store, async move |tx| authorizations::update(tx, &before).await).await.unwrap_err();
    assert_eq!(error, StoreError::Conflict { table: "acme_authorization", id: id.to_string() });
}

async fn an_order_has_them_in_its_order(store: &Store) {
    let account = stored_account(store).await;
    let names = ["c.test", "a.test", "b.test"];
    let mut expected: Vec<_> = names.iter().map(|name| authorization(&account, dns(name), &ALL)).collect();
    expected.reverse();
    for authorization in &expected {
        stored(store, authorization).await;
    }
    let order = order(&account, &expected);
    let id = order.id;
    write(store, async move |tx| orders::insert(tx, &order).await).await.unwrap();
    assert_eq!(read(store, async move |tx| authorizations::find_for_order(tx, id).await).await, expected);
}

async fn valid_ones_are_used_again(store: &Store) {
    let account = stored_account(store).await;
    let find = async |account: &Account, name: &str, now: i64| {
        let (account, name) = (account.id, dns(name));
        read(store, async move |tx| authorizations::find_valid(tx, account, &name, at(now)).await).await
    };
    let mut longest = None;
    for (seconds, status) in [
        (100, AuthorizationStatus::Valid),
        (300, AuthorizationStatus::Valid),
        (200, AuthorizationStatus::Valid),
        (400, AuthorizationStatus::Revoked),
    ] {
        let mut authorization = authorization(&account, dns("a.test"), &ALL);
        (authorization.status, authorization.expires_at) = (status, at(seconds));
        stored(store, &authorization).await;
        if seconds == 300 {
            longest = Some(authorization);
        }
    }
    assert_eq!(find(&account, "a.test", 250).await, longest);
    assert_eq!(find(&account, "a.test", 300).await, None);
    assert_eq!(find(&account, "b.test", 0).await, None);
    assert_eq!(find(&stored_account(store).await, "a.test", 0).await, None);
}

async fn belong_to_accounts(store: &Store) {
    let nobody = account();
    let orphan = authorization(&nobody, dns("a.test"), &ALL);
    let error = write(store, async move |tx| authorizations::insert(tx, &orphan).await).await.unwrap_err();
    assert!(matches!(error, StoreError::Dangling { .. }), "{error}");
}
