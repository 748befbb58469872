//! The one place where certificates are signed: record, then sign, then release.
//!
//! [`record`] stores the exact bytes to be signed together with everything that must not be lost; [`finish`] signs them and
//! releases the certificate. Requests and recovery share `finish`: it may run any number of times, at once and after a
//! crash, and there is one certificate.

use std::sync::Arc;
use std::time::Duration;

use failpoint::failpoint;
use pki_core::acme::account::AccountStatus;
use pki_core::acme::order::{Order, OrderState};
use pki_core::acme::problem::{Problem, ProblemKind};
use pki_core::device::DeviceState;
use pki_core::ids::CertificateId;
use pki_core::issuance::record::{CertificateRecord, CertificateState, Revocation};
use pki_core::issuance::seal::{Sealed, seal};
use pki_core::revocation::Reason;
use pki_core::time::Timestamp;
use pki_core::x509::key::SignatureAlgorithm;
use signer::{KeyId, Purpose, Signer};
use std::sync::atomic::Ordering;
use store::{Tx, accounts, audit, certificates, devices, orders};

use super::owed::Work;
use super::record::{With, event};
use super::{Context, FlowError};

/// How much later than the request's own end the job begins.
const HEAD_START: Duration = Duration::from_secs(2);

/// The way to the signer; only this module and [`super::crl`] can use it.
pub struct IssueDesk {
    pub(super) signer: Arc<dyn Signer>,
    pub(super) key: KeyId,
}

impl IssueDesk {
    /// Signs with `key` from now on.
    pub fn new(signer: Arc<dyn Signer>, key: KeyId) -> Self {
        Self { signer, key }
    }
}

impl std::fmt::Debug for IssueDesk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IssueDesk {{ key: {:?} }}", self.key)
    }
}

/// A plan as it stands in the database. From here on the certificate will exist.
#[derive(Debug, Clone)]
pub struct Recorded(CertificateRecord);

/// What [`finish`] came to.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The certificate as stored.
    pub certificate: CertificateRecord,
    /// False when its holder lost the right to it meanwhile: it is stored revoked and not handed out.
    pub released: bool,
}

/// Stores the plan, the order that waits for it, and the job that finishes both after a crash. `superseded` is a
/// successor of the same certificate that nobody was seen using; that it was passed over is recorded.
pub async fn record(
    ctx: &Context,
    plan: CertificateRecord,
    order: Option<Order>,
    superseded: Option<CertificateId>,
    actor: &str,
) -> Result<Recorded, FlowError> {
    let id = plan.id;
    let now = ctx.now();
    // The request itself has until then; a job that is due earlier would only sign the same once more.
    let due = now + ctx.limits.signing_deadline + HEAD_START;
    let planned = event(ctx, actor, "certificate.plan", format_args!("certificate:{id}"))
        .with("serial", &plan.serial)
        .with("profile", &plan.profile)
        .with("supersedes", superseded.map(|id| id.to_string()).unwrap_or_default());
    failpoint!("ca.issue.before_record");
    let row = plan.clone();
    ctx.store
        .write_held(async move |tx| {
            require_active(tx, &row).await?;
            certificates::insert(tx, &row).await?;
            if let Some(order) = &order {
                orders::update(tx, order).await?;
            }
            Work::FinishIssuance(id).owe(tx, due, now).await?;
            audit::append(tx, &planned).await?;
            Ok::<_, FlowError>(())
        })
        .await?;
    failpoint!("ca.issue.after_record");
    Ok(Recorded(plan))
}

/// Takes up a plan that recovery found.
pub async fn recall(ctx: &Context, id: CertificateId) -> Result<Option<Recorded>, FlowError> {
    let found = ctx.store.look(async move |tx| Ok::<_, FlowError>(certificates::find(tx, id).await?)).await?;
    Ok(found.map(Recorded))
}

/// Signs what was recorded and releases it.
pub async fn finish(ctx: &Context, Recorded(plan): Recorded) -> Result<Finished, FlowError> {
    let CertificateState::Planned { tbs } = &plan.state else {
        return already_finished(ctx, plan).await;
    };
    let sealed = sign(ctx, &plan, tbs).await?;
    failpoint!("ca.issue.after_sign");
    release(ctx, plan, sealed).await
}

async fn sign(ctx: &Context, plan: &CertificateRecord, tbs: &[u8]) -> Result<Sealed, FlowError> {
    if plan.issuer != ctx.issuing.id {
        let detail =
            format!("certificate {} was planned under issuer {}, whose key is not loaded", plan.id, plan.issuer);
        return Err(FlowError::Internal(detail));
    }
    let issuer_key = ctx.issuing.certificate.public_key();
    let algorithm = SignatureAlgorithm::for_issuer(issuer_key.algorithm());
    let signature = ctx.desk.signer.sign(&ctx.desk.key, Purpose::Certificate, algorithm, tbs).await?;
    seal(tbs, algorithm, &signature, issuer_key)
        .map_err(|error| FlowError::Internal(format!("certificate {} is not released: {error}", plan.id)))
}

/// Certificate, order, audit event and job in one transaction: only then is anything answered.
async fn release(ctx: &Context, plan: CertificateRecord, sealed: Sealed) -> Result<Finished, FlowError> {
    let id = plan.id;
    let now = ctx.now();
    let (row, der) = (plan.clone(), sealed.der().to_vec());
    let issued = event(ctx, "system", "certificate.issue", format_args!("certificate:{id}"))
        .with("serial", &plan.serial)
        .with("not_after", plan.not_after);
    let outcome = ctx
        .store
        .write_held(async move |tx| {
            let version = certificates::mark_issued(tx, id, &der, row.version).await?;
            let released = require_active(tx, &row).await.is_ok();
            if !released {
                withdraw(tx, id, now).await?;
            }
            settle_order(tx, &row, released).await?;
            audit::append(tx, &issued.clone().with("released", released)).await?;
            Work::FinishIssuance(id).done(tx).await?;
            Ok::<_, FlowError>((released, version))
        })
        .await;
    failpoint!("ca.issue.after_release");
    match outcome {
        Ok((true, version)) => {
            count(ctx, true);
            let state = CertificateState::Issued { der: sealed.der().to_vec() };
            return Ok(Finished { certificate: CertificateRecord { state, version, ..plan }, released: true });
        }
        Ok((false, _)) => count(ctx, false),
        // Somebody else was faster, or the answer of the commit was lost: what is in the row counts.
        Err(FlowError::Conflict(_) | FlowError::Unavailable { .. } | FlowError::Internal(_)) => {}
        Err(error) => return Err(error),
    }
    let found = ctx.store.look(async move |tx| Ok::<_, FlowError>(certificates::find(tx, id).await?)).await?;
    match found {
        Some(record) if !matches!(record.state, CertificateState::Planned { .. }) => {
            already_finished(ctx, record).await
        }
        _ => Err(outcome.err().unwrap_or_else(|| FlowError::Internal(format!("certificate {id} vanished")))),
    }
}

fn count(ctx: &Context, released: bool) {
    let counter = if released { &ctx.metrics.certificates_issued } else { &ctx.metrics.certificates_revoked };
    counter.fetch_add(1, Ordering::Relaxed);
}

/// The certificate exists. Whether it was released is what its state says: one that was withdrawn is revoked.
async fn already_finished(ctx: &Context, certificate: CertificateRecord) -> Result<Finished, FlowError> {
    let released = match (certificate.order, &certificate.state) {
        (None, state) => matches!(state, CertificateState::Issued { .. }),
        (Some(order), _) => {
            let order = ctx.store.look(async move |tx| Ok::<_, FlowError>(orders::find(tx, order).await?)).await?;
            order.is_some_and(|order| matches!(order.state, OrderState::Valid { .. }))
        }
    };
    Ok(Finished { certificate, released })
}

/// Both the recording and the releasing transaction look again at who asked: a revocation in between wins.
async fn require_active(tx: &mut Tx<'_>, plan: &CertificateRecord) -> Result<(), FlowError> {
    let lost = |who: &str| FlowError::problem(ProblemKind::Unauthorized, format!("the {who} was taken out of service"));
    if let Some(id) = plan.account
        && accounts::hold(tx, id).await? != Some(AccountStatus::Valid)
    {
        return Err(lost("account"));
    }
    if let Some(id) = plan.device
        && !devices::hold(tx, id).await?.is_some_and(DeviceState::is_in_service)
    {
        return Err(lost("device"));
    }
    Ok(())
}

async fn withdraw(tx: &mut Tx<'_>, id: CertificateId, now: Timestamp) -> Result<(), FlowError> {
    let record = certificates::find(tx, id).await?;
    let version = record.ok_or_else(|| FlowError::Internal(format!("certificate {id} vanished")))?.version;
    let revocation = Revocation { at: now, reason: Some(Reason::CessationOfOperation) };
    certificates::revoke(tx, id, &revocation, version).await?;
    Ok(())
}

async fn settle_order(tx: &mut Tx<'_>, plan: &CertificateRecord, released: bool) -> Result<(), FlowError> {
    let Some(id) = plan.order else { return Ok(()) };
    let Some(order) = orders::find(tx, id).await? else { return Ok(()) };
    if !matches!(order.state, OrderState::Processing { .. }) {
        return Ok(());
    }
    let settled = if released {
        order.issued()?
    } else {
        let detail = "the account or device lost its right while the order was processed";
        order.fail(Problem::new(ProblemKind::Unauthorized, detail))?
    };
    orders::update(tx, &settled).await?;
    Ok(())
}
