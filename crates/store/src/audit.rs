//! Audit events. They are added in the transaction of what they describe, and never changed.

use std::fmt::Write as _;

use pki_core::audit::AuditEvent;
use pki_core::ids::EventId;

use crate::error::StoreError;
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
            event.canonical_bytes().as_slice().into(),
        ],
    )
    .await
}

/// The events behind `after` that fit, oldest first.
pub async fn list(
    tx: &mut Tx<'_>,
    filter: &Filter,
    after: Option<EventId>,
    limit: u32,
) -> Result<Vec<AuditEvent>, StoreError> {
    let mut sql = "SELECT id, bytes FROM audit_event WHERE id > $1".to_owned();
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

fn load(row: Row) -> Result<AuditEvent, StoreError> {
    let mut fields = row.fields(TABLE);
    let id: EventId = fields.id()?;
    let event: AuditEvent = serde_json::from_slice(&fields.bytes()?)
        .map_err(|error| fields.corrupt(format!("its bytes do not parse: {error}")))?;
    if event.id == id { Ok(event) } else { Err(fields.corrupt(format!("its bytes are those of {}", event.id))) }
}
