//! The keys that lists are signed with: the one that issues, and those that did so before (`crl.keys`).

use pki_core::ids::IssuerId;
use pki_core::issuance::plan::list_url;
use pki_core::x509::certificate::Certificate;
use signer::KeyId;
use store::issuers::{self, IssuerRecord, IssuerState};

use super::{Context, FlowError, report};
use crate::telemetry::crl::Part;

/// A key that signs lists.
#[derive(Debug, Clone)]
pub(super) struct Authority {
    pub(super) id: IssuerId,
    pub(super) certificate: Certificate,
    pub(super) key: KeyId,
    /// What stands before `/crl/`, all places together: leaves carry all of them (CRL-3).
    bases: Vec<String>,
}

/// The keys that this CA signs lists with; one that it should and cannot is told of.
pub(super) async fn signing(ctx: &Context, all: &[IssuerRecord]) -> Vec<IssuerId> {
    let mine = all.iter().filter(|issuer| issuer.id != ctx.root.id && issuer.state != IssuerState::Compromised);
    let (open, closed): (Vec<_>, Vec<_>) = mine
        .partition(|issuer| issuer.id == ctx.issuing.id || issuer.key_id.parse().is_ok_and(|key| ctx.desk.holds(&key)));
    let told = closed.iter().map(|issuer| format!("`{}` (key {}, issuer {})", issuer.name, issuer.key_id, issuer.id));
    let told: Vec<String> = told.collect();
    let outcome = if told.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "the lists of {} are not signed any more: name the key in `crl.keys`, or declare the issuer compromised",
            told.join(", ")
        ))
    };
    report(ctx, Part::Key, None, outcome).await;
    open.into_iter().map(|issuer| issuer.id).collect()
}

impl Authority {
    /// The key of an issuer, with its newest certificate.
    pub(super) async fn of(ctx: &Context, issuer: IssuerId) -> Result<Self, FlowError> {
        let bases = bases(ctx);
        if issuer == ctx.issuing.id {
            let (certificate, key) = (ctx.issuing.certificate.clone(), ctx.desk.key.clone());
            return Ok(Self { id: issuer, certificate, key, bases });
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
        Ok(Self { id: issuer, certificate: newest.ok_or_else(unknown)?, key, bases })
    }

    /// Where a list is fetched: byte for byte what stands in leaves.
    pub(super) fn urls(&self, shard: Option<u32>) -> Vec<String> {
        self.bases.iter().map(|base| list_url(base, self.id, shard, "")).collect()
    }

    /// Where the delta to it is fetched.
    pub(super) fn delta_urls(&self, shard: Option<u32>) -> Vec<String> {
        self.bases.iter().map(|base| list_url(base, self.id, shard, "-delta")).collect()
    }
}

fn bases(ctx: &Context) -> Vec<String> {
    std::iter::once(&ctx.issuing.crl_base).chain(&ctx.issuing.crl_mirrors).cloned().collect()
}
