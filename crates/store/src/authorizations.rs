//! Authorizations and their challenges (RFC 8555 section 7.1.4), which change together.

use pki_core::acme::authorization::{Authorization, AuthorizationStatus, Proof};
use pki_core::acme::challenge::{Challenge, ChallengeKind, ChallengeState};
use pki_core::ids::{AccountId, AuthorizationId, ChallengeId, OrderId};
use pki_core::time::Timestamp;
use pki_core::x509::name::Identifier;

use crate::error::StoreError;
use crate::text;
use crate::tx::Tx;
use crate::value::{Fields, Row, Value};

const TABLE: &str = "acme_authorization";
const CHALLENGE: &str = "challenge";

/// One row for each challenge, or one without: an authorization and its challenges in one statement.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT a.id, a.account_id, a.kind, a.value, a.status, a.proof, a.created_at, a.expires_at, a.version, \
             c.id, c.kind, c.token, c.state, c.validated_at, c.error \
             FROM acme_authorization a LEFT JOIN challenge c ON c.authorization_id = a.id ",
            $rest
        )
    };
}

/// Adds an authorization with its challenges.
pub async fn insert(tx: &mut Tx<'_>, authorization: &Authorization) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO acme_authorization (id, account_id, kind, value, status, proof, created_at, expires_at, version) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        &[
            Value::text(authorization.id),
            Value::text(authorization.account),
            authorization.identifier.kind().into(),
            authorization.identifier.value().into(),
            authorization.status.as_str().into(),
            proof_word(authorization.proof).into(),
            authorization.created_at.into(),
            authorization.expires_at.into(),
            authorization.version.into(),
        ],
    )
    .await?;
    for (position, challenge) in (0_i64..).zip(&authorization.challenges) {
        insert_challenge(tx, authorization.id, position, challenge).await?;
    }
    Ok(())
}

async fn insert_challenge(
    tx: &mut Tx<'_>,
    authorization: AuthorizationId,
    position: i64,
    challenge: &Challenge,
) -> Result<(), StoreError> {
    let (state, validated_at, error) = state_columns(&challenge.state);
    tx.execute(
        "INSERT INTO challenge (id, authorization_id, position, kind, token, state, validated_at, error) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        &[
            Value::text(challenge.id),
            Value::text(authorization),
            position.into(),
            challenge.kind.as_str().into(),
            (&challenge.token).into(),
            state.into(),
            validated_at,
            error,
        ],
    )
    .await
    .map(drop)
}

/// The authorization of that id.
pub async fn find(tx: &mut Tx<'_>, id: AuthorizationId) -> Result<Option<Authorization>, StoreError> {
    let rows = tx.rows(select!("WHERE a.id = $1 ORDER BY c.position"), &[Value::text(id)]).await?;
    Ok(gather(rows)?.pop())
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
    let sql = select!(
        "JOIN order_authorization o ON o.authorization_id = a.id WHERE o.order_id = $1 ORDER BY o.position, c.position"
    );
    gather(tx.rows(sql, &[Value::text(order)]).await?)
}

/// The authorization that a challenge belongs to.
pub async fn find_by_challenge(tx: &mut Tx<'_>, challenge: ChallengeId) -> Result<Option<Authorization>, StoreError> {
    let sql = select!("WHERE a.id = (SELECT authorization_id FROM challenge WHERE id = $1) ORDER BY c.position");
    Ok(gather(tx.rows(sql, &[Value::text(challenge)]).await?)?.pop())
}

/// A valid authorization that can be used again, the one that lives longest.
pub async fn find_valid(
    tx: &mut Tx<'_>,
    account: AccountId,
    identifier: &Identifier,
    now: Timestamp,
) -> Result<Option<Authorization>, StoreError> {
    let sql = select!(
        "WHERE a.id = (SELECT id FROM acme_authorization WHERE account_id = $1 AND kind = $2 AND value = $3 \
         AND status = 'valid' AND expires_at > $4 ORDER BY expires_at DESC, id LIMIT 1) ORDER BY c.position"
    );
    let values = [Value::text(account), identifier.kind().into(), identifier.value().into(), now.into()];
    Ok(gather(tx.rows(sql, &values).await?)?.pop())
}

/// Writes status, end and the states of all challenges, which clients see change at once (AUZ-3); the new version.
pub async fn update(tx: &mut Tx<'_>, authorization: &Authorization) -> Result<i64, StoreError> {
    let touched = tx
        .execute(
            "UPDATE acme_authorization SET status = $3, expires_at = $4, version = version + 1 \
             WHERE id = $1 AND version = $2",
            &[
                Value::text(authorization.id),
                authorization.version.into(),
                authorization.status.as_str().into(),
                authorization.expires_at.into(),
            ],
        )
        .await?;
    crate::guard(touched, TABLE, authorization.id)?;
    for challenge in &authorization.challenges {
        let (state, validated_at, error) = state_columns(&challenge.state);
        let sql =
            "UPDATE challenge SET state = $3, validated_at = $4, error = $5 WHERE id = $1 AND authorization_id = $2";
        let values = [Value::text(challenge.id), Value::text(authorization.id), state.into(), validated_at, error];
        crate::guard(tx.execute(sql, &values).await?, CHALLENGE, challenge.id)?;
    }
    Ok(authorization.version + 1)
}

const fn proof_word(proof: Proof) -> &'static str {
    match proof {
        Proof::Challenge => "challenge",
        Proof::Device => "device",
    }
}

fn state_columns(state: &ChallengeState) -> (&'static str, Value<'static>, Value<'static>) {
    let (word, at, error) = match state {
        ChallengeState::Pending => ("pending", None, None),
        ChallengeState::Processing => ("processing", None, None),
        ChallengeState::Valid { at } => ("valid", Some(*at), None),
        ChallengeState::Invalid { error } => ("invalid", None, Some(error)),
    };
    (word, at.into(), text::problem(error))
}

/// Rows of one authorization follow each other.
fn gather(rows: Vec<Row>) -> Result<Vec<Authorization>, StoreError> {
    let mut gathered: Vec<Authorization> = Vec::new();
    for row in rows {
        let mut fields = row.fields(TABLE);
        let authorization = load(&mut fields)?;
        let challenge = load_challenge(&mut fields, authorization.id)?;
        match gathered.last_mut().filter(|last| last.id == authorization.id) {
            Some(last) => last.challenges.extend(challenge),
            None => gathered.push(Authorization { challenges: challenge.into_iter().collect(), ..authorization }),
        }
    }
    Ok(gathered)
}

fn load(fields: &mut Fields) -> Result<Authorization, StoreError> {
    Ok(Authorization {
        id: fields.id()?,
        account: fields.parse()?,
        identifier: {
            let (kind, value) = (fields.text()?, fields.text()?);
            text::identifier(fields, &kind, &value)?
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
        challenges: Vec::new(),
        created_at: fields.time()?,
        expires_at: fields.time()?,
        version: fields.int()?,
    })
}

fn load_challenge(fields: &mut Fields, authorization: AuthorizationId) -> Result<Option<Challenge>, StoreError> {
    let Some(id) = fields.maybe_parse()? else { return Ok(None) };
    let kind = match fields.text()?.as_str() {
        "http-01" => ChallengeKind::Http01,
        "dns-01" => ChallengeKind::Dns01,
        "tls-alpn-01" => ChallengeKind::TlsAlpn01,
        other => return Err(fields.corrupt(format!("no challenge is called `{other}`"))),
    };
    let (token, word) = (fields.text()?, fields.text()?);
    let (at, error) = (fields.maybe_time()?, text::read_problem(fields)?);
    let state = match (word.as_str(), at, error) {
        ("pending", None, None) => ChallengeState::Pending,
        ("processing", None, None) => ChallengeState::Processing,
        ("valid", Some(at), None) => ChallengeState::Valid { at },
        ("invalid", None, Some(error)) => ChallengeState::Invalid { error },
        (word, at, error) => {
            return Err(fields.corrupt(format!(
                "its challenge {id} is `{word}` {} time and {} error",
                crate::with(at.is_some()),
                crate::with(error.is_some())
            )));
        }
    };
    Ok(Some(Challenge { id, authorization, kind, token, state }))
}
