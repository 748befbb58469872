//! What is over goes, page by page, and nothing else does.

use std::collections::BTreeMap;
use std::sync::Arc;

use pki_core::acme::account::{Account, Binding};
use pki_core::acme::challenge::ChallengeKind;
use pki_core::acme::order::{Order, OrderState, Replaces};
use pki_core::acme::problem::{Problem, ProblemKind};
use pki_core::audit::AuditEvent;
use pki_core::device::{EabKey, EabKeyState};
use pki_core::ids::{AuthorizationId, CertificateId, EabKeyId, EventId, OrderId};
use pki_core::time::Timestamp;
use store::pruning::{self, Table};
use store::{Store, Tx, accounts, audit, authorizations, certificates, eab_keys, orders};

use crate::fixtures::{
    account, at, authorization, certificate, dns, entropy, issuer, order, read, stored_account, tick, write,
};

crate::on_both! {
    ord_9_only_ended_orders_go_and_not_before_their_time, crt_6_certificates_outlive_their_orders,
    a_replaced_certificate_keeps_its_order, authorizations_go_with_their_last_order, keys_of_accounts_stay,
    pages_walk_the_whole_table
}

/// The time of pruning; what ended before `CUTOFF` goes.
const CUTOFF: i64 = 86_400;

fn now() -> Timestamp {
    at(10 * CUTOFF)
}

/// Walks a table in pages of `limit`; how many rows went.
async fn prune(store: &Store, table: Table, limit: u32) -> u64 {
    let (mut after, mut deleted) = (String::new(), 0);
    loop {
        let from = after.clone();
        let page = write(store, async move |tx| pruning::page(tx, table, &from, at(CUTOFF), now(), limit).await)
            .await
            .unwrap();
        deleted += page.deleted;
        match page.last {
            Some(last) => after = last,
            None => return deleted,
        }
    }
}

/// Rows of each table.
async fn counts(store: &Store) -> BTreeMap<&'static str, i64> {
    const TABLES: [&str; 8] = [
        "account",
        "acme_order",
        "order_authorization",
        "acme_authorization",
        "certificate",
        "certificate_name",
        "audit_event",
        "eab_key",
    ];
    read(store, async move |tx: &mut Tx<'_>| {
        let mut counts = BTreeMap::new();
        for table in TABLES {
            let row = tx.row(format!("SELECT count(*) FROM {table}"), &[]).await?.unwrap();
            counts.insert(table, row.fields(table).int()?);
        }
        Ok(counts)
    })
    .await
}

/// An order with two authorizations of its own.
async fn stored(store: &Store, account: &Account, change: impl FnOnce(&mut Order)) -> Order {
    let kinds = [ChallengeKind::Http01];
    let own = [authorization(account, dns("a.site.test"), &kinds), authorization(account, dns("b.site.test"), &kinds)];
    let mut order = order(account, &own);
    change(&mut order);
    let row = order.clone();
    write(store, async move |tx| {
        for authorization in &own {
            authorizations::insert(tx, authorization).await?;
        }
        orders::insert(tx, &row).await
    })
    .await
    .unwrap();
    order
}

async fn is_there(store: &Store, id: OrderId) -> bool {
    read(store, async move |tx| orders::find(tx, id).await).await.is_some()
}

fn invalid() -> OrderState {
    OrderState::Invalid { error: Problem::new(ProblemKind::Unauthorized, "no") }
}

async fn ord_9_only_ended_orders_go_and_not_before_their_time(store: &Store) {
    let account = stored_account(store).await;
    let certificate = CertificateId::new(at(0), &entropy());
    let states = [
        (OrderState::Pending, true),
        (OrderState::Ready, true),
        (OrderState::Processing { certificate }, true),
        (OrderState::Valid { certificate }, false),
        (invalid(), false),
    ];
    let mut expected = Vec::new();
    for (state, stays) in states {
        let old = stored(store, &account, |order| order.state = state.clone()).await;
        let young = stored(store, &account, |order| {
            (order.state, order.expires_at) = (state, at(CUTOFF));
        })
        .await;
        expected.extend([(old, stays), (young, true)]);
    }
    assert_eq!(prune(store, Table::Orders, 100).await, 2);
    for (order, stays) in expected {
        assert_eq!(is_there(store, order.id).await, stays, "{order:?}");
    }
    assert_eq!(prune(store, Table::Orders, 100).await, 0);
}

async fn crt_6_certificates_outlive_their_orders(store: &Store) {
    let account = stored_account(store).await;
    let mut issued = certificate(issuer(), &[dns("a.site.test")]);
    let ended = stored(store, &account, |order| order.state = OrderState::Valid { certificate: issued.id }).await;
    (issued.order, issued.account) = (Some(ended.id), Some(account.id));
    let event = AuditEvent {
        v: AuditEvent::VERSION,
        id: EventId::new(at(1), &entropy()),
        at: at(1),
        actor: "system".to_owned(),
        action: "order.create".to_owned(),
        subject: format!("order:{}", ended.id),
        details: BTreeMap::new(),
    };
    let row = Arc::new((issued.clone(), event));
    write(store, async move |tx| {
        certificates::insert(tx, &row.0).await?;
        audit::append(tx, &row.1).await
    })
    .await
    .unwrap();
    let before = counts(store).await;
    for table in Table::ALL {
        prune(store, table, 100).await;
    }
    let mut after = counts(store).await;
    assert_eq!(after.insert("acme_order", 1), Some(0));
    assert_eq!(after.insert("order_authorization", 2), Some(0));
    assert_eq!(after.insert("acme_authorization", 2), Some(0));
    assert_eq!(after, before, "and nothing else");
    let id = issued.id;
    assert_eq!(read(store, async move |tx| certificates::find(tx, id).await).await, Some(issued));
}

async fn a_replaced_certificate_keeps_its_order(store: &Store) {
    let account = stored_account(store).await;
    for (not_after, stays) in [(now(), true), (at(CUTOFF), false)] {
        let mut replaced = certificate(issuer(), &[dns("a.site.test")]);
        replaced.not_after = not_after;
        let id = replaced.id;
        write(store, async move |tx| certificates::insert(tx, &replaced).await).await.unwrap();
        let ended = stored(store, &account, |order| {
            order.state = OrderState::Valid { certificate: id };
            order.replaces = Some(Replaces { certificate: id, as_sent: "AQ.Ag".to_owned(), not_after });
        })
        .await;
        prune(store, Table::Orders, 100).await;
        assert_eq!(is_there(store, ended.id).await, stays);
    }
}

async fn authorizations_go_with_their_last_order(store: &Store) {
    let account = stored_account(store).await;
    let is_there =
        async |id: AuthorizationId| read(store, async move |tx| authorizations::find(tx, id).await).await.is_some();
    let ended = stored(store, &account, |order| order.state = invalid()).await;
    let shared = ended.authorizations[0];
    let live = stored(store, &account, |order| order.authorizations.push(shared)).await;
    let mut young = authorization(&account, dns("c.site.test"), &[]);
    young.expires_at = at(CUTOFF);
    let alone = authorization(&account, dns("d.site.test"), &[ChallengeKind::Http01]);
    let (young_id, alone_id) = (young.id, alone.id);
    write(store, async move |tx| {
        authorizations::insert(tx, &young).await?;
        authorizations::insert(tx, &alone).await
    })
    .await
    .unwrap();
    assert_eq!(prune(store, Table::Authorizations, 100).await, 1, "of those without order the old one");
    assert!(is_there(young_id).await && !is_there(alone_id).await);
    assert_eq!(prune(store, Table::Orders, 100).await, 1);
    assert_eq!(prune(store, Table::Authorizations, 100).await, 1);
    assert!(is_there(shared).await, "another order needs it");
    assert!(!is_there(ended.authorizations[1]).await);
    let id = live.id;
    assert_eq!(read(store, async move |tx| orders::find(tx, id).await).await, Some(live));
}

async fn keys_of_accounts_stay(store: &Store) {
    let key = |state, expires_at| EabKey {
        id: EabKeyId::new(tick(), &entropy()),
        device: None,
        state,
        created_at: at(0),
        expires_at,
    };
    let unused = || EabKeyState::Unused { sealed_secret: vec![7; 40] };
    let keys = [
        (key(unused(), None), true),
        (key(unused(), Some(at(CUTOFF))), true),
        (key(unused(), Some(at(CUTOFF - 1))), false),
        (key(EabKeyState::Revoked { at: at(CUTOFF) }, None), true),
        (key(EabKeyState::Revoked { at: at(CUTOFF - 1) }, None), false),
    ];
    let used = [key(unused(), None), key(unused(), None)];
    let rows: Vec<EabKey> = keys.iter().map(|(key, _)| key.clone()).chain(used.clone()).collect();
    let holders = used.each_ref().map(|key| {
        let binding = Some(Binding { key: key.id, device: None });
        Account { binding, ..account() }
    });
    write(store, async move |tx| {
        for key in &rows {
            eab_keys::insert(tx, key).await?;
        }
        for account in &holders {
            accounts::insert(tx, account).await?;
            eab_keys::bind(tx, account.binding.unwrap().key, account.id, at(1)).await?;
        }
        eab_keys::revoke(tx, holders[1].binding.unwrap().key, at(2)).await
    })
    .await
    .unwrap();
    assert_eq!(prune(store, Table::EabKeys, 100).await, 2);
    let expected = keys.iter().map(|(key, stays)| (key.id, *stays)).chain(used.iter().map(|key| (key.id, true)));
    for (id, stays) in expected {
        let found = read(store, async move |tx| eab_keys::find(tx, id).await).await;
        assert_eq!(found.is_some(), stays, "{found:?}");
    }
}

async fn pages_walk_the_whole_table(store: &Store) {
    let account = stored_account(store).await;
    for number in 0..11 {
        stored(store, &account, |order| {
            if number % 3 != 0 {
                order.state = invalid();
            }
        })
        .await;
    }
    let first =
        write(store, async |tx| pruning::page(tx, Table::Orders, "", at(CUTOFF), now(), 4).await).await.unwrap();
    assert_eq!(first.deleted, 2, "of the first four orders");
    assert!(first.last.is_some());
    assert_eq!(prune(store, Table::Orders, 2).await, 5);
    assert_eq!(counts(store).await["acme_order"], 4);
    let before_all =
        write(store, async |tx| pruning::page(tx, Table::Orders, "", at(-2_000_000), now(), 4).await).await;
    assert_eq!(before_all.unwrap().last, None, "younger rows are not looked at");
}
