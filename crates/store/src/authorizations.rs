//! Authorizations with their challenges (RFC 8555 section 7.1.4), which change together and are one row.

use pki_core::acme::authorization::{Authorization, AuthorizationStatus, Proof};
use pki_core::acme::challenge::{Challenge, ChallengeKind, ChallengeState};
use pki_core::acme::problem::Problem;
use pki_core::ids::{AccountId, AuthorizationId, ChallengeId, OrderId};
use pki_core::time::Timestamp;
use pki_core::x509::name::Identifier;
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::text;
use crate::tx::{Touch, Tx};
use crate::value::{Fields, Row, Value};

const TABLE: &str = "acme_authorization";

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT a.id, a.account_id, a.kind, a.value, a.status, a.proof, a.challenges, a.created_at, a.expires_at, \
             a.version FROM acme_authorization a ",
            $rest
        )
    };
}

/// Adds an authorization with its challenges.
pub async fn insert(tx: &mut Tx<'_>, authorization: &Authorization) -> Result<(), StoreError> {
    tx.put(
        (TABLE, authorization.id),
        Touch::Any,
        "INSERT INTO acme_authorization \
         (id, account_id, kind, value, status, proof, challenges, created_at, expires_at, version) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        &[
            Value::text(authorization.id),
            Value::text(authorization.account),
            authorization.identifier.kind().into(),
            authorization.identifier.value().into(),
            authorization.status.as_str().into(),
            proof_word(authorization.proof).into(),
            challenges(authorization),
            authorization.created_at.into(),
            authorization.expires_at.into(),
            authorization.version.into(),
        ],
    )
    .await
}

/// The authorization of that id.
pub async fn find(tx: &mut Tx<'_>, id: AuthorizationId) -> Result<Option<Authorization>, StoreError> {
    tx.row(select!("WHERE a.id = $1"), &[Value::text(id)]).await?.map(load).transpose()
}

/// The authorizations of those ids, in that order; missing ones are left out.
pub async fn find_many(tx: &mut Tx<'_>, ids: &[AuthorizationId]) -> Result<Vec<Authorization>, StoreError> {
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        found.extend(find(tx, *id).await?);
    }
    Ok(found)
}

/// The authorizations of an order, in the order of its identifiers, by one statement.
pub async fn find_for_order(tx: &mut Tx<'_>, order: OrderId) -> Result<Vec<Authorization>, StoreError> {
    let sql =
        select!("JOIN order_authorization o ON o.authorization_id = a.id WHERE o.order_id = $1 ORDER BY o.position");
    tx.rows(sql, &[Value::text(order)]).await?.into_iter().map(load).collect()
}

/// The authorization that a challenge belongs to.
pub async fn find_by_challenge(tx: &mut Tx<'_>, challenge: ChallengeId) -> Result<Option<Authorization>, StoreError> {
    let found = find(tx, challenge.authorization()).await?;
    Ok(found.filter(|authorization| authorization.challenge(challenge).is_some()))
}

/// A valid authorization that can be used again, the one that lives longest.
pub async fn find_valid(
    tx: &mut Tx<'_>,
    account: AccountId,
    identifier: &Identifier,
    now: Timestamp,
) -> Result<Option<Authorization>, StoreError> {
    let sql = select!(
        "WHERE a.account_id = $1 AND a.kind = $2 AND a.value = $3 AND a.status = 'valid' AND a.expires_at > $4 \
         ORDER BY a.expires_at DESC, a.id LIMIT 1"
    );
    let values = [Value::text(account), identifier.kind().into(), identifier.value().into(), now.into()];
    tx.row(sql, &values).await?.map(load).transpose()
}

/// Writes status, end and the states of all challenges, which clients see change at once (AUZ-3); the new version.
pub async fn update(tx: &mut Tx<'_>, authorization: &Authorization) -> Result<i64, StoreError> {
    tx.put(
        (TABLE, authorization.id),
        Touch::One,
        "UPDATE acme_authorization SET status = $3, challenges = $4, expires_at = $5, version = version + 1 \
             WHERE id = $1 AND version = $2",
        &[
            Value::text(authorization.id),
            authorization.version.into(),
            authorization.status.as_str().into(),
            challenges(authorization),
            authorization.expires_at.into(),
        ],
    )
    .await?;
    Ok(authorization.version + 1)
}

const fn proof_word(proof: Proof) -> &'static str {
    match proof {
        Proof::Challenge => "challenge",
        Proof::Device => "device",
    }
}

fn load(row: Row) -> Result<Authorization, StoreError> {
    let mut fields = row.fields(TABLE);
    let id = fields.id()?;
    Ok(Authorization {
        id,
        account: fields.parse()?,
        identifier: {
            let (kind, value) = (fields.text()?, fields.text()?);
            text::identifier(&fields, &kind, &value)?
        },
        status: match fields.text()?.as_str() {
            "pending" => AuthorizationStatus::Pending,
            "valid" => AuthorizationStatus::Valid,
            "invalid" => AuthorizationStatus::Invalid,
            "deactivated" => AuthorizationStatus::Deactivated,
            "revoked" => AuthorizationStatus::Revoked,
            other => return Err(fields.corrupt(format!("no status is called `{other}`"))),
        },
        proof: match fields.text()?.as_str() {
            "challenge" => Proof::Challenge,
            "device" => Proof::Device,
            other => return Err(fields.corrupt(format!("no proof is called `{other}`"))),
        },
        challenges: load_challenges(&mut fields, id)?,
        created_at: fields.time()?,
        expires_at: fields.time()?,
        version: fields.int()?,
    })
}

/// One member of the text in `challenges`; its place there is part of its id.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    kind: String,
    token: String,
    state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<Problem>,
}

/// A challenge that decided nothing is of no use once another one has, and is forgotten; its place stays empty.
fn challenges(authorization: &Authorization) -> Value<'static> {
    let mut places: Vec<Option<Stored>> = Vec::new();
    for challenge in authorization.shown_challenges() {
        let (at, error) = match &challenge.state {
            ChallengeState::Pending | ChallengeState::Processing => (None, None),
            ChallengeState::Valid { at } => (Some(at.unix_millis()), None),
            ChallengeState::Invalid { error } => (None, Some(error.clone())),
        };
        places.resize_with(challenge.id.place().into(), || None);
        places.push(Some(Stored {
            kind: challenge.kind.as_str().to_owned(),
            token: challenge.token.clone(),
            state: challenge.state.as_str().to_owned(),
            at,
            error,
        }));
    }
    text::json(&places)
}

fn load_challenges(fields: &mut Fields, authorization: AuthorizationId) -> Result<Vec<Challenge>, StoreError> {
    let written = fields.text()?;
    let stored: Vec<Option<Stored>> = text::from_json(fields, &written)?;
    let load = |(place, one)| Some(load_challenge(fields, ChallengeId::new(authorization, place), one?));
    (0..=u8::MAX).zip(stored).filter_map(load).collect()
}

fn load_challenge(fields: &Fields, id: ChallengeId, stored: Stored) -> Result<Challenge, StoreError> {
    let Some(kind) = ChallengeKind::from_name(&stored.kind) else {
        return Err(fields.corrupt(format!("no challenge is called `{}`", stored.kind)));
    };
    let state = match (stored.state.as_str(), stored.at, stored.error) {
        ("pending", None, None) => ChallengeState::Pending,
        ("processing", None, None) => ChallengeState::Processing,
        ("valid", Some(at), None) => ChallengeState::Valid { at: Timestamp::from_unix_millis(at) },
        ("invalid", None, Some(error)) => ChallengeState::Invalid { error },
        (word, at, error) => {
            return Err(fields.corrupt(format!(
                "its challenge {id} is `{word}` {} time and {} error",
                crate::with(at.is_some()),
                crate::with(error.is_some())
            )));
        }
    };
    Ok(Challenge { id, kind, token: stored.token, state })
}
