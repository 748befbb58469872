//! The audit events of flows.

use std::collections::BTreeMap;
use std::fmt::Display;

use pki_core::audit::AuditEvent;
use pki_core::ids::EventId;
use pki_core::random::Entropy;
use pki_core::time::Timestamp;

use super::Context;

/// Begins an event: who did what to what.
pub(crate) fn event(ctx: &Context, actor: impl Display, action: &str, subject: impl Display) -> AuditEvent {
    event_at((ctx.now(), ctx.entropy.as_ref()), actor, action, subject)
}

/// The same where no context is at hand, as in a transaction.
pub(crate) fn event_at(
    (at, entropy): (Timestamp, &dyn Entropy),
    actor: impl Display,
    action: &str,
    subject: impl Display,
) -> AuditEvent {
    AuditEvent {
        v: AuditEvent::VERSION,
        id: EventId::new(at, entropy),
        at,
        actor: actor.to_string(),
        action: action.to_owned(),
        subject: subject.to_string(),
        details: BTreeMap::new(),
    }
}

/// Adds details.
pub(crate) trait With {
    /// The same event with one more detail; an empty one says nothing and is left out.
    fn with(self, name: &str, value: impl Display) -> Self;
}

impl With for AuditEvent {
    fn with(mut self, name: &str, value: impl Display) -> Self {
        let value = value.to_string();
        if !value.is_empty() {
            self.details.insert(name.to_owned(), value);
        }
        self
    }
}
