//! Audit events. They are added in the transaction of what they describe, and never changed.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use pki_core::audit::AuditEvent;
use pki_core::ids::EventId;
use pki_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::sql;
use crate::tx::{Touch, Tx};
use crate::value::{Row, Value};

const TABLE: &str = "audit_event";

/// What a list contains: events that fit every condition that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Exactly this subject.
    pub subject: Option<String>,
    /// Exactly this action.
    pub action: Option<String>,
}

/// Adds an event.
pub async fn append(tx: &mut Tx<'_>, event: &AuditEvent) -> Result<(), StoreError> {
    tx.put(
        (TABLE, event.id),
        Touch::Any,
        "INSERT INTO audit_event (id, action, subject, bytes) VALUES ($1, $2, $3, $4)",
        &[
            Value::text(event.id),
            (&event.action).into(),
            (&event.subject).into(),
            Rest::of(event).bytes().as_slice().into(),
        ],
    )
    .await
}

/// What of an event stands in no column of its own: the columns are half of its canonical bytes. Events that were written
/// before have all of it here as well.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rest<'e> {
    v: u32,
    #[serde(default, skip_serializing)]
    id: Option<EventId>,
    at: Timestamp,
    actor: Cow<'e, str>,
    #[serde(default, skip_serializing)]
    action: Option<String>,
    #[serde(default, skip_serializing)]
    subject: Option<String>,
    #[serde(default, skip_serializing_if = "is_empty")]
    details: Cow<'e, BTreeMap<String, String>>,
}

impl<'e> Rest<'e> {
    fn of(event: &'e AuditEvent) -> Self {
        let (actor, details) = (Cow::Borrowed(event.actor.as_str()), Cow::Borrowed(&event.details));
        Self { v: event.v, id: None, at: event.at, actor, action: None, subject: None, details }
    }

    fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a struct of strings and numbers always serialises")
    }
}

fn is_empty(details: &BTreeMap<String, String>) -> bool {
    details.is_empty()
}

/// The event of this name, if there is one.
pub async fn find(tx: &mut Tx<'_>, id: EventId) -> Result<Option<AuditEvent>, StoreError> {
    let sql = "SELECT id, action, subject, bytes FROM audit_event WHERE id = $1";
    tx.row(sql, &[Value::text(id)]).await?.map(load).transpose()
}

/// The events behind `after` that fit, oldest first.
pub async fn list(
    tx: &mut Tx<'_>,
    filter: &Filter,
    after: Option<EventId>,
    limit: u32,
) -> Result<Vec<AuditEvent>, StoreError> {
    let mut sql = "SELECT id, action, subject, bytes FROM audit_event WHERE id > $1".to_owned();
    let mut values = vec![crate::after(after)];
    for (column, wanted) in [("subject", &filter.subject), ("action", &filter.action)] {
        if let Some(wanted) = wanted {
            values.push(wanted.into());
            // writing into a String cannot fail
            let _ = write!(sql, " AND {column} = ${}", values.len());
        }
    }
    values.push(limit.into());
    let _ = write!(sql, " ORDER BY id LIMIT ${}", values.len());
    tx.rows(sql, &values).await?.into_iter().map(load).collect()
}

/// The newest events of a subject, the newest first.
pub async fn newest(tx: &mut Tx<'_>, subject: &str, limit: u32) -> Result<Vec<AuditEvent>, StoreError> {
    let sql = "SELECT id, action, subject, bytes FROM audit_event WHERE subject = $1 ORDER BY id DESC LIMIT $2";
    tx.rows(sql, &[subject.into(), limit.into()]).await?.into_iter().map(load).collect()
}

/// The newest event of these actions for each of these subjects that has one; the first action before the others.
pub async fn newest_of(
    tx: &mut Tx<'_>,
    actions: &[&str],
    subjects: &[String],
) -> Result<HashMap<String, AuditEvent>, StoreError> {
    if subjects.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = format!(
        "SELECT id, action, subject, bytes FROM audit_event WHERE subject IN ({}) ORDER BY id",
        sql::repeated("$1", subjects.len())
    );
    let values: Vec<Value<'_>> = sql::padded(subjects).map(Value::from).collect();
    let rank = |event: &AuditEvent| actions.iter().position(|action| *action == event.action);
    let mut newest: HashMap<String, AuditEvent> = HashMap::new();
    for row in tx.rows(sql, &values).await? {
        let event = load(row)?;
        let Some(place) = rank(&event) else { continue };
        if newest.get(&event.subject).and_then(rank).is_none_or(|before| place <= before) {
            newest.insert(event.subject.clone(), event);
        }
    }
    Ok(newest)
}

fn load(row: Row) -> Result<AuditEvent, StoreError> {
    let mut fields = row.fields(TABLE);
    let (id, action, subject): (EventId, _, _) = (fields.id()?, fields.text()?, fields.text()?);
    let bytes = fields.bytes()?;
    let rest: Rest<'_> =
        serde_json::from_slice(&bytes).map_err(|error| fields.corrupt(format!("its bytes do not parse: {error}")))?;
    let agrees = rest.id.is_none_or(|other| other == id)
        && rest.action.is_none_or(|other| other == action)
        && rest.subject.is_none_or(|other| other == subject);
    if !agrees {
        return Err(fields.corrupt("its bytes are those of another event"));
    }
    let (actor, details) = (rest.actor.into_owned(), rest.details.into_owned());
    Ok(AuditEvent { v: rest.v, id, at: rest.at, actor, action, subject, details })
}
