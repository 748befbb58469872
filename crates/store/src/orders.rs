//! Orders (RFC 8555 section 7.1.3).

use pki_core::acme::order::{Order, OrderState, Replaces};
use pki_core::ids::{AccountId, AuthorizationId, BadId, CertificateId, OrderId};
use pki_core::time::Timestamp;

use crate::dialect;
use crate::error::StoreError;
use crate::text;
use crate::tx::{Touch, Tx};
use crate::value::{Fields, Row, Value};

const TABLE: &str = "acme_order";

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, account_id, identifiers, \
             (SELECT string_agg(authorization_id, ',' ORDER BY position) FROM order_authorization \
              WHERE order_id = acme_order.id), \
             profile, not_before, not_after, replaces, replaces_name, replaces_end, state, certificate_id, error, \
             created_at, expires_at, version FROM acme_order ",
            $rest
        )
    };
}

/// Those that are pending are picked out by [`load_open`]: PostgreSQL would take the index of open orders instead, and read
/// all of them.
macro_rules! for_authorization {
    () => {
        select!("WHERE id IN (SELECT order_id FROM order_authorization WHERE authorization_id = $1) ORDER BY id")
    };
}

/// Adds an order; its authorizations stand already.
pub async fn insert(tx: &mut Tx<'_>, order: &Order) -> Result<(), StoreError> {
    let (state, certificate, error) = columns(&order.state);
    let replaces = order.replaces.as_ref();
    tx.put(
        (TABLE, order.id),
        Touch::Any,
        "INSERT INTO acme_order (id, account_id, identifiers, profile, not_before, not_after, replaces, replaces_name, \
         replaces_end, state, certificate_id, error, created_at, expires_at, version) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        &[
            Value::text(order.id),
            Value::text(order.account),
            text::ordered(&order.identifiers),
            order.profile.as_str().into(),
            order.not_before.into(),
            order.not_after.into(),
            Value::maybe(replaces.map(|replaces| replaces.certificate)),
            replaces.map(|replaces| replaces.as_sent.as_str()).into(),
            replaces.map(|replaces| replaces.not_after).into(),
            state.into(),
            certificate,
            error,
            order.created_at.into(),
            order.expires_at.into(),
            order.version.into(),
        ],
    )
    .await?;
    for (position, authorization) in (0_i64..).zip(&order.authorizations) {
        tx.put(
            ("order_authorization", format_args!("{} {position}", order.id)),
            Touch::Any,
            "INSERT INTO order_authorization (order_id, position, authorization_id) VALUES ($1, $2, $3)",
            &[Value::text(order.id), position.into(), Value::text(authorization)],
        )
        .await?;
    }
    Ok(())
}

/// The order of that id.
pub async fn find(tx: &mut Tx<'_>, id: OrderId) -> Result<Option<Order>, StoreError> {
    tx.row(select!("WHERE id = $1"), &[Value::text(id)]).await?.map(load).transpose()
}

/// Writes state and end; the new version.
pub async fn update(tx: &mut Tx<'_>, order: &Order) -> Result<i64, StoreError> {
    let (state, certificate, error) = columns(&order.state);
    tx.put(
        (TABLE, order.id),
        Touch::One,
        "UPDATE acme_order SET state = $3, certificate_id = $4, error = $5, expires_at = $6, version = version + 1 \
             WHERE id = $1 AND version = $2",
        &[Value::text(order.id), order.version.into(), state.into(), certificate, error, order.expires_at.into()],
    )
    .await?;
    Ok(order.version + 1)
}

/// The ids of an account's orders behind `after`, oldest first; without those that are invalid, or are by now (RFC
/// 8555 section 7.1.2.1).
pub async fn list_ids(
    tx: &mut Tx<'_>,
    account: AccountId,
    now: Timestamp,
    after: Option<OrderId>,
    limit: u32,
) -> Result<Vec<OrderId>, StoreError> {
    let sql = "SELECT id FROM acme_order WHERE account_id = $1 AND id > $2 AND state <> 'invalid' \
               AND (state NOT IN ('pending', 'ready') OR expires_at > $3) ORDER BY id LIMIT $4";
    let values = [Value::text(account), crate::after(after), now.into(), limit.into()];
    let rows = tx.rows(sql, &values).await?;
    rows.into_iter().map(|row| row.fields(TABLE).id()).collect()
}

/// The pending orders that wait for an authorization.
pub async fn list_open_for_authorization(
    tx: &mut Tx<'_>,
    authorization: AuthorizationId,
) -> Result<Vec<Order>, StoreError> {
    load_open(tx.rows(for_authorization!(), &[Value::text(authorization)]).await?)
}

/// The pending orders that wait for an authorization. They are this transaction's until it ends: of two that settle
/// the last two authorizations of an order, the second sees what the first has done.
pub async fn hold_open_for_authorization(
    tx: &mut Tx<'_>,
    authorization: AuthorizationId,
) -> Result<Vec<Order>, StoreError> {
    let sql = format!("{}{}", for_authorization!(), dialect::alone(tx));
    load_open(tx.rows(sql, &[Value::text(authorization)]).await?)
}

/// Pending and ready orders whose time is over, the oldest end first. A plan is never voided, so those in processing
/// are not among them.
pub async fn list_expired(tx: &mut Tx<'_>, now: Timestamp, limit: u32) -> Result<Vec<Order>, StoreError> {
    let sql = select!("WHERE state IN ('pending', 'ready') AND expires_at <= $1 ORDER BY expires_at LIMIT $2");
    tx.rows(sql, &[now.into(), limit.into()]).await?.into_iter().map(load).collect()
}

/// The pending and ready orders of an account, oldest first; they are this transaction's until it ends.
pub async fn hold_open_of_account(tx: &mut Tx<'_>, account: AccountId, limit: u32) -> Result<Vec<Order>, StoreError> {
    let sql = format!(
        "{}{}",
        select!("WHERE account_id = $1 AND state IN ('pending', 'ready') ORDER BY id LIMIT $2"),
        dialect::alone(tx)
    );
    tx.rows(sql, &[Value::text(account), limit.into()]).await?.into_iter().map(load).collect()
}

/// The order that replaces a certificate or is about to (RFC 9773 section 5); those that are invalid, or are by now, do
/// not count.
pub async fn find_replacing(
    tx: &mut Tx<'_>,
    certificate: CertificateId,
    now: Timestamp,
) -> Result<Option<OrderId>, StoreError> {
    let sql = "SELECT id FROM acme_order WHERE replaces = $1 AND state <> 'invalid' \
               AND (state NOT IN ('pending', 'ready') OR expires_at > $2) ORDER BY id LIMIT 1";
    tx.row(sql, &[Value::text(certificate), now.into()]).await?.map(|row| row.fields(TABLE).id()).transpose()
}

fn columns(state: &OrderState) -> (&'static str, Value<'static>, Value<'static>) {
    let (word, certificate, error) = match state {
        OrderState::Pending => ("pending", None, None),
        OrderState::Ready => ("ready", None, None),
        OrderState::Processing { certificate } => ("processing", Some(certificate), None),
        OrderState::Valid { certificate } => ("valid", Some(certificate), None),
        OrderState::Invalid { error } => ("invalid", None, Some(error)),
    };
    (word, Value::maybe(certificate), text::problem(error))
}

fn load_open(rows: Vec<Row>) -> Result<Vec<Order>, StoreError> {
    let orders = rows.into_iter().map(load);
    orders.filter(|order| !matches!(order, Ok(order) if order.state != OrderState::Pending)).collect()
}

fn load(row: Row) -> Result<Order, StoreError> {
    let mut fields = row.fields(TABLE);
    Ok(Order {
        id: fields.id()?,
        account: fields.parse()?,
        identifiers: text::read_ordered(&mut fields)?,
        authorizations: load_authorizations(&mut fields)?,
        profile: fields.parse()?,
        not_before: fields.maybe_time()?,
        not_after: fields.maybe_time()?,
        replaces: load_replaces(&mut fields)?,
        state: load_state(&mut fields)?,
        created_at: fields.time()?,
        expires_at: fields.time()?,
        version: fields.int()?,
    })
}

fn load_replaces(fields: &mut Fields) -> Result<Option<Replaces>, StoreError> {
    match (fields.maybe_parse()?, fields.maybe_text()?, fields.maybe_time()?) {
        (Some(certificate), Some(as_sent), Some(not_after)) => Ok(Some(Replaces { certificate, as_sent, not_after })),
        (None, None, None) => Ok(None),
        _ => Err(fields.corrupt("what it replaces is there in part")),
    }
}

fn load_authorizations(fields: &mut Fields) -> Result<Vec<AuthorizationId>, StoreError> {
    let list = fields.maybe_text()?.unwrap_or_default();
    let ids: Result<_, BadId> = list.split_terminator(',').map(str::parse).collect();
    ids.map_err(|error| fields.corrupt(error.to_string()))
}

fn load_state(fields: &mut Fields) -> Result<OrderState, StoreError> {
    let word = fields.text()?;
    let certificate = fields.maybe_parse()?;
    let error = text::read_problem(fields)?;
    match (word.as_str(), certificate, error) {
        ("pending", None, None) => Ok(OrderState::Pending),
        ("ready", None, None) => Ok(OrderState::Ready),
        ("processing", Some(certificate), None) => Ok(OrderState::Processing { certificate }),
        ("valid", Some(certificate), None) => Ok(OrderState::Valid { certificate }),
        ("invalid", None, Some(error)) => Ok(OrderState::Invalid { error }),
        (word, certificate, error) => Err(fields.corrupt(format!(
            "state `{word}` {} certificate and {} error",
            crate::with(certificate.is_some()),
            crate::with(error.is_some())
        ))),
    }
}
