//! The keys that lists are signed with: the one that issues, and those that did so before (`crl.keys`).

use std::sync::Arc;

use pki_core::ids::IssuerId;
use pki_core::issuance::plan::IssuingCa;
use pki_core::time::Timestamp;
use pki_core::x509::certificate::Certificate;
use signer::KeyId;
use store::Tx;
use store::issuers::{self, IssuerRecord, IssuerState};

use super::{Context, FlowError, report};
use crate::telemetry::crl::Part;

/// A key that signs lists.
#[derive(Debug, Clone)]
pub(super) struct Authority {
    pub(super) id: IssuerId,
    pub(super) certificate: Certificate,
    pub(super) key: KeyId,
    /// The CA that issues now: its lists and those of its former keys are at the same places, and leaves carry all of them
    /// (CRL-3).
    issuing: Arc<IssuingCa>,
}

/// The issuers whose lists are to be renewed.
#[derive(Debug)]
pub(super) struct Living(Vec<(IssuerRecord, Option<Timestamp>)>);

impl Living {
    /// All that this CA issued with, but for keys in wrong hands and for those whose last certificate has ended: no leaf
    /// outlives that, so nobody needs another list.
    pub(super) async fn read(
        tx: &mut Tx<'_>,
        root: IssuerId,
        issuing: IssuerId,
        now: Timestamp,
    ) -> Result<Self, FlowError> {
        let ends = issuers::ends(tx).await?;
        let all = issuers::list(tx).await?.into_iter().filter(|issuer| issuer.id != root);
        let all = all.filter(|issuer| issuer.state != IssuerState::Compromised);
        let all = all.map(|issuer| (ends.get(&issuer.id).copied(), issuer)).map(|(end, issuer)| (issuer, end));
        Ok(Self(all.filter(|(issuer, end)| issuer.id == issuing || end.is_none_or(|end| now <= end)).collect()))
    }

    pub(super) fn has(&self, id: IssuerId) -> bool {
        self.0.iter().any(|(issuer, _)| issuer.id == id)
    }
}

/// The keys that this CA signs lists with; one that it should and cannot is told of.
pub(super) async fn signing(ctx: &Context, living: &Living) -> Vec<IssuerId> {
    let (open, closed): (Vec<_>, Vec<_>) = living.0.iter().partition(|(issuer, _)| {
        issuer.id == ctx.issuing.id || issuer.key_id.parse().is_ok_and(|key| ctx.desk.holds(&key))
    });
    let told = closed.iter().map(|(issuer, end)| {
        let until = end.map_or_else(String::new, |end| format!(", needed until {}", end.rfc3339()));
        format!("`{}` (key {}, issuer {}{until})", issuer.name, issuer.key_id, issuer.id)
    });
    let told: Vec<String> = told.collect();
    let outcome = if told.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "the lists of {} are not signed any more: name the key in `crl.keys` until its certificate has ended",
            told.join(", ")
        ))
    };
    report(ctx, Part::Key, None, outcome).await;
    open.into_iter().map(|(issuer, _)| issuer.id).collect()
}

impl Authority {
    /// The key of an issuer, with its newest certificate.
    pub(super) async fn of(ctx: &Context, issuer: IssuerId) -> Result<Self, FlowError> {
        let issuing = Arc::clone(&ctx.issuing);
        if issuer == ctx.issuing.id {
            let (certificate, key) = (issuing.certificate.clone(), ctx.desk.key.clone());
            return Ok(Self { id: issuer, certificate, key, issuing });
        }
        let found = ctx
            .store
            .read(async move |tx| {
                Ok::<_, FlowError>((issuers::find(tx, issuer).await?, issuers::list_certificates(tx, issuer).await?))
            })
            .await?;
        let unknown = || FlowError::Internal(format!("issuer {issuer} has no key or no certificate in the database"));
        let key = found.0.and_then(|record| record.key_id.parse().ok()).ok_or_else(unknown)?;
        let newest = found.1.first().and_then(|row| Certificate::parse(&row.der).ok());
        Ok(Self { id: issuer, certificate: newest.ok_or_else(unknown)?, key, issuing })
    }

    /// Where a list is fetched: byte for byte what stands in leaves.
    pub(super) fn urls(&self, shard: Option<u32>) -> Vec<String> {
        self.issuing.list_urls_of(self.id, shard, "")
    }

    /// Where the delta to it is fetched.
    pub(super) fn delta_urls(&self, shard: Option<u32>) -> Vec<String> {
        self.issuing.list_urls_of(self.id, shard, "-delta")
    }
}
