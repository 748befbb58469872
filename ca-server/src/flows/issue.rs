//! The one place where certificates are signed: record, then sign, then release.
//!
//! [`record`] stores the exact bytes to be signed together with everything that must not be lost; [`finish`] signs them and
//! releases the certificate. Requests and recovery share `finish`: it may run any number of times, at once and after a
//! crash, and there is one certificate.

use std::sync::Arc;
use std::time::Duration;

use failpoint::failpoint;
use pki_core::acme::order::{Order, OrderState};
use pki_core::acme::problem::{Problem, ProblemKind};
use pki_core::audit::AuditEvent;
use pki_core::ids::CertificateId;
use pki_core::issuance::record::{CertificateRecord, CertificateState};
use pki_core::issuance::seal::{Sealed, seal};
use pki_core::policy::Commit;
use pki_core::policy::profile::ProfileLimits;
use pki_core::x509::key::SignatureAlgorithm;
use signer::{KeyId, Purpose, Signer};
use std::sync::atomic::Ordering;
use store::{Tx, audit, certificates, orders};

use super::denied::after_commit;
use super::owed::Work;
use super::record::{With, event};
use super::standing::{find_inactive, holders, require_active, withdraw};
use super::{Context, FlowError, held};

/// How much later than the request's own end the job begins.
const HEAD_START: Duration = Duration::from_secs(2);

/// The way to the signer; only this module, [`super::crl`] and [`super::responder`] can use it.
pub struct IssueDesk {
    pub(super) signer: Arc<dyn Signer>,
    pub(super) key: KeyId,
    is_open: bool,
}

/// The signer of a replica without key.
#[derive(Debug)]
struct NoKey;

impl Signer for NoKey {
    fn sign<'a>(
        &'a self,
        key: &'a KeyId,
        purpose: Purpose,
        _: SignatureAlgorithm,
        _: &'a [u8],
    ) -> signer::BoxFuture<'a, Result<Vec<u8>, signer::SignError>> {
        let what = format!("this replica has no CA key {key} to sign {purpose} with; ask one that has");
        Box::pin(std::future::ready(Err(signer::SignError::NeedsPerson { what })))
    }

    fn holds(&self, _: &KeyId) -> bool {
        false
    }
}

impl IssueDesk {
    /// Signs with `key` from now on.
    pub fn new(signer: Arc<dyn Signer>, key: KeyId) -> Self {
        Self { signer, key, is_open: true }
    }

    /// Of a replica that holds no CA key: whatever is asked of it is refused.
    pub fn without_key(key: KeyId) -> Self {
        Self { signer: Arc::new(NoKey), key, is_open: false }
    }

    /// Whether the signer has a key.
    pub fn holds(&self, key: &KeyId) -> bool {
        self.signer.holds(key)
    }

    /// Whether the CA's key is here.
    pub fn has_key(&self) -> bool {
        self.is_open
    }
}

impl std::fmt::Debug for IssueDesk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IssueDesk {{ key: {:?} }}", self.key)
    }
}

/// A plan as it stands in the database. From here on the certificate will exist.
#[derive(Debug, Clone)]
pub struct Recorded {
    plan: CertificateRecord,
    /// The order that waits for it; none when it has to be loaded, or there is none.
    order: Option<Order>,
}

/// What [`finish`] came to.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The certificate as stored.
    pub certificate: CertificateRecord,
    /// The order as stored, where it is known.
    pub order: Option<Order>,
    /// False when its holder lost the right to it meanwhile: it is stored revoked and not handed out.
    pub released: bool,
}

/// Stores the plan, the order that waits for it, and the job that finishes both after a crash. `superseded` is a
/// successor of the same certificate that nobody was seen using; that it was passed over is recorded. `limits` are those of
/// its profile: what the holder has is counted once more, since others may have been recorded after the decision.
pub async fn record(
    ctx: &Context,
    plan: CertificateRecord,
    order: Option<Order>,
    superseded: Option<CertificateId>,
    limits: ProfileLimits,
    actor: &str,
) -> Result<Recorded, FlowError> {
    let id = plan.id;
    let now = ctx.now();
    ctx.denied.refuse(&holders(&plan))?;
    // The request itself has until then; a job that is due earlier would only sign the same once more.
    let due = now + ctx.limits.signing_deadline + HEAD_START;
    let planned = event(ctx, actor, "certificate.plan", format_args!("certificate:{id}"))
        .with("serial", &plan.serial)
        .with("profile", &plan.profile)
        .with("policy", &plan.policy_revision)
        .with("policy_commit", plan.policy_commit.as_ref().map(Commit::as_str).unwrap_or_default())
        .with("supersedes", superseded.map(|id| id.to_string()).unwrap_or_default());
    failpoint!("ca.issue.before_record");
    let (row, waiting) = (plan.clone(), order.clone());
    let stored = ctx
        .store
        .write_held(async move |tx| {
            held::require_room(tx, &row, &limits, now).await?;
            require_active(tx, &row).await?;
            certificates::insert(tx, &row).await?;
            if let Some(order) = &waiting {
                orders::update(tx, order).await?;
            }
            Work::FinishIssuance(id).owe(tx, due, now).await?;
            audit::append(tx, &planned).await?;
            Ok::<_, FlowError>(())
        })
        .await;
    if let Err(FlowError::Conflict(_)) = stored {
        refuse_inactive(ctx, &plan).await?;
    }
    stored?;
    failpoint!("ca.issue.after_record");
    Ok(Recorded { plan, order: order.map(|order| Order { version: order.version + 1, ..order }) })
}

/// Takes up a plan that recovery found.
pub async fn recall(ctx: &Context, id: CertificateId) -> Result<Option<Recorded>, FlowError> {
    let found = ctx.store.look(async move |tx| Ok::<_, FlowError>(certificates::find(tx, id).await?)).await?;
    Ok(found.map(|plan| Recorded { plan, order: None }))
}

/// Signs what was recorded and releases it.
pub async fn finish(ctx: &Context, recorded: Recorded) -> Result<Finished, FlowError> {
    let CertificateState::Planned { tbs } = &recorded.plan.state else {
        return already_finished(ctx, recorded.plan).await;
    };
    let sealed = sign(ctx, &recorded.plan, tbs).await?;
    failpoint!("ca.issue.after_sign");
    let released = match ctx.denied.refuse(&holders(&recorded.plan)) {
        Ok(()) => release(ctx, &recorded, &sealed).await,
        Err(_) => Err(FlowError::Conflict("its holder is denied".to_owned())),
    };
    failpoint!("ca.issue.after_release");
    match released {
        Ok(finished) => {
            ctx.metrics.certificates_issued.fetch_add(1, Ordering::Relaxed);
            Ok(finished)
        }
        // Its holder lost the right to it, somebody else was faster, or the answer of the commit was lost.
        Err(error @ (FlowError::Conflict(_) | FlowError::Unavailable { .. } | FlowError::Internal(_))) => {
            decide_release(ctx, recorded.plan, sealed, error).await
        }
        Err(error) => Err(error),
    }
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

fn issued(ctx: &Context, plan: &CertificateRecord, released: bool) -> AuditEvent {
    event(ctx, "system", "certificate.issue", format_args!("certificate:{}", plan.id))
        .with("serial", &plan.serial)
        .with("not_after", plan.not_after)
        .with("released", released)
}

/// Certificate, order, audit event and job in one transaction: only then is anything answered. Fails as a whole when
/// account or device lost its right.
async fn release(ctx: &Context, recorded: &Recorded, sealed: &Sealed) -> Result<Finished, FlowError> {
    let event = issued(ctx, &recorded.plan, true);
    let (Recorded { plan, order }, der) = (recorded.clone(), sealed.der().to_vec());
    ctx.store
        .write_held(async move |tx| {
            let order = match (&order, plan.order) {
                (None, Some(id)) => orders::find(tx, id).await?,
                (known, _) => known.clone(),
            };
            require_active(tx, &plan).await?;
            let version = certificates::mark_issued(tx, plan.id, &der, plan.version).await?;
            let order = settle_order(tx, order, true).await?;
            audit::append(tx, &event).await?;
            Work::FinishIssuance(plan.id).done(tx).await?;
            let state = CertificateState::Issued { der: der.clone() };
            let certificate = CertificateRecord { state, version, ..plan.clone() };
            Ok::<_, FlowError>(Finished { certificate, order, released: true })
        })
        .await
}

/// As [`release`], looking whether account and device still have their right: a certificate that they have not is stored
/// revoked. `doubt` is what the release came to.
async fn decide_release(
    ctx: &Context,
    plan: CertificateRecord,
    sealed: Sealed,
    doubt: FlowError,
) -> Result<Finished, FlowError> {
    let (id, now, der, row) = (plan.id, ctx.now(), sealed.der().to_vec(), plan.clone());
    let denied = ctx.denied.denies(&holders(&plan));
    let (kept, withdrawn) = (issued(ctx, &plan, true), issued(ctx, &plan, false));
    let outcome = ctx
        .store
        .write_held(async move |tx| {
            let released = find_inactive(tx, &row).await?.is_none() && !denied;
            certificates::mark_issued(tx, id, &der, row.version).await?;
            let order = match row.order {
                Some(order) => orders::find(tx, order).await?,
                None => None,
            };
            settle_order(tx, order, released).await?;
            audit::append(tx, if released { &kept } else { &withdrawn }).await?;
            Work::FinishIssuance(id).done(tx).await?;
            if released { Ok(None) } else { withdraw(tx, id, now).await.map(Some) }
        })
        .await;
    match outcome {
        Ok(withdrawn) => match withdrawn {
            Some(reason) => {
                ctx.metrics.revoked(Some(reason), 1);
                after_commit(ctx).await;
            }
            None => {
                ctx.metrics.certificates_issued.fetch_add(1, Ordering::Relaxed);
            }
        },
        Err(FlowError::Conflict(_) | FlowError::Unavailable { .. } | FlowError::Internal(_)) => {}
        Err(error) => return Err(error),
    }
    // What is in the row counts.
    let found = ctx.store.look(async move |tx| Ok::<_, FlowError>(certificates::find(tx, id).await?)).await?;
    match found {
        Some(record) if !matches!(record.state, CertificateState::Planned { .. }) => {
            already_finished(ctx, record).await
        }
        _ => Err(outcome.err().unwrap_or(doubt)),
    }
}

/// The certificate exists. Whether it was released is what its state says: one that was withdrawn is revoked.
async fn already_finished(ctx: &Context, certificate: CertificateRecord) -> Result<Finished, FlowError> {
    let order = match certificate.order {
        Some(order) => ctx.store.look(async move |tx| Ok::<_, FlowError>(orders::find(tx, order).await?)).await?,
        None => None,
    };
    let released = match (certificate.order, &order) {
        (None, _) => matches!(certificate.state, CertificateState::Issued { .. }),
        (Some(_), order) => order.as_ref().is_some_and(|order| matches!(order.state, OrderState::Valid { .. })),
    };
    Ok(Finished { certificate, order, released })
}

/// Tells a plan that somebody else was faster with from one whose holder lost the right to it.
async fn refuse_inactive(ctx: &Context, plan: &CertificateRecord) -> Result<(), FlowError> {
    let plan = plan.clone();
    match ctx.store.write_held(async move |tx| find_inactive(tx, &plan).await).await? {
        Some(who) => Err(FlowError::problem(ProblemKind::Unauthorized, format!("the {who} was taken out of service"))),
        None => Ok(()),
    }
}

/// The order as it is stored then.
async fn settle_order(tx: &mut Tx<'_>, order: Option<Order>, released: bool) -> Result<Option<Order>, FlowError> {
    let Some(order) = order.filter(|order| matches!(order.state, OrderState::Processing { .. })) else {
        return Ok(None);
    };
    let settled = if released {
        order.issued()?
    } else {
        let detail = "the account or device lost its right while the order was processed";
        order.fail(Problem::new(ProblemKind::Unauthorized, detail))?
    };
    let version = orders::update(tx, &settled).await?;
    Ok(Some(Order { version, ..settled }))
}
