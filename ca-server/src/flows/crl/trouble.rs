//! What goes wrong with publication: told once in the log and the audit log, and by metric and readiness for as long as it lasts.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use pki_core::audit::AuditEvent;
use pki_core::ids::IssuerId;
use store::audit;

use super::{Context, FlowError};
use crate::flows::record::{With, event};
use crate::telemetry::crl::Part;

/// What is wrong now, by the part of publication and, where there is one, the issuer.
#[derive(Debug, Default)]
pub struct Troubles(Mutex<BTreeMap<(Part, Option<IssuerId>), String>>);

impl Troubles {
    /// A line each.
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Whose lists could not be published.
    pub(super) fn issuers(&self) -> Vec<IssuerId> {
        let troubles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        troubles.keys().filter(|(part, _)| *part == Part::Publish).filter_map(|(_, issuer)| *issuer).collect()
    }

    /// Whether `what` is news, and whether its part goes well on the whole.
    fn set(&self, part: Part, of: Option<IssuerId>, what: Option<String>) -> (bool, bool) {
        let mut troubles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = troubles.remove(&(part, of));
        // what is said of the clock has the time in it: another text with every look, and no other news
        let is_same = before == what || part == Part::Clock && before.is_some();
        let is_new = what.is_some() && !is_same;
        troubles.extend(what.map(|what| ((part, of), what)));
        (is_new, !troubles.keys().any(|(other, _)| *other == part))
    }
}

/// Tells of something that went wrong with a part of publication, or that it goes well again: metric, readiness, and what is
/// new also in the log and, as far as it can be written, in the audit log.
pub async fn report(ctx: &Context, part: Part, of: Option<IssuerId>, outcome: Result<(), String>) {
    let detail = outcome.err();
    let (is_new, goes_well) = ctx.crls.troubles.set(part, of, detail.clone());
    ctx.metrics.crl.went(part, detail.is_none(), goes_well);
    let Some(detail) = detail.filter(|_| is_new) else { return };
    tracing::error!(part = part.as_str(), error = detail, "revocation lists: what was published stays in force");
    let failed = event(ctx, "system", "crl.fail", format_args!("issuer:{}", of.unwrap_or(ctx.issuing.id)))
        .with("part", part.as_str())
        .with("error", detail);
    append(ctx, failed).await;
}

/// Writes to the audit log, as far as that is possible.
pub(super) async fn append(ctx: &Context, event: AuditEvent) {
    let written = ctx.store.write(async move |tx| Ok::<_, FlowError>(audit::append(tx, &event).await?)).await;
    if let Err(error) = written {
        tracing::warn!(%error, "the audit log does not hold this");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails when a wrong clock fills the log and the audit log with a line for each look, or another reason is kept back.
    #[test]
    fn what_lasts_is_told_once() {
        let troubles = Troubles::default();
        let tell = |part, what: Option<&str>| troubles.set(part, None, what.map(ToOwned::to_owned)).0;
        assert!(tell(Part::Clock, Some("dated 12:00, and it is 11:00:00")));
        assert!(!tell(Part::Clock, Some("dated 12:00, and it is 11:00:01")));
        assert_eq!(troubles.lines(), ["dated 12:00, and it is 11:00:01"], "readiness has the newest");
        assert!(!tell(Part::Clock, None));
        assert!(tell(Part::Clock, Some("dated 12:00, and it is 11:00:02")), "it came back");
        assert!(tell(Part::Folder, Some("the disk is full")));
        assert!(!tell(Part::Folder, Some("the disk is full")));
        assert!(tell(Part::Folder, Some("the rights are wrong")));
    }
}
