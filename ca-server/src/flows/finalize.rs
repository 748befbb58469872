//! Finalize (RFC 8555 section 7.4): from a CSR to a certificate.

use std::sync::Arc;

use failpoint::failpoint;
use pki_core::acme::authorization::{Authorization, AuthorizationStatus, Proof};
use pki_core::acme::jwk::Jwk;
use pki_core::acme::order::{Order, OrderState};
use pki_core::acme::problem::ProblemKind;
use pki_core::ids::{CertificateId, LineageId, OrderId, Serial};
use pki_core::issuance::plan::{PlanError, PlanRequest, Planned, plan};
use pki_core::issuance::record::{CertificateRecord, CertificateState, Source};
use pki_core::policy::Policy;
use pki_core::policy::decide::{Approved, Held, Request, Requester};
use pki_core::x509::csr::Csr;
use pki_core::x509::name::Identifier;
use store::certificates::KeyStanding;
use store::{audit, authorizations, certificates, orders};

use super::authenticate::AccountRequest;
use super::issue::{self, Finished, Recorded};
use super::order::is_proven_for;
use super::record::{With, event};
use super::{Context, FlowError, held, replace};

/// What the order has become.
#[derive(Debug)]
pub enum Finalized {
    /// The certificate is there, or the order failed for good: the order as stored.
    Settled(Order),
    /// The signer is slow; a job goes on.
    Processing(Order),
}

/// Everything the decision needs, as loaded; the policy is taken once, so that no half of it decides.
struct Case {
    order: Order,
    authorizations: Vec<Authorization>,
    predecessor: Option<CertificateRecord>,
    /// Of the same predecessor, and not seen in use.
    unconfirmed: Vec<CertificateRecord>,
    key: KeyStanding,
    policy: Arc<Policy>,
}

/// Issues the certificate of an order that is ready.
pub async fn finalize(
    ctx: &Context,
    request: &AccountRequest,
    id: OrderId,
    csr: &[u8],
) -> Result<Finalized, FlowError> {
    let csr = Csr::parse(csr).map_err(|error| FlowError::problem(ProblemKind::BadCsr, error.to_string()))?;
    let begun = match begin(ctx, request, id, &csr).await {
        // Two finalize requests met: what was recorded first is the order's certificate. Decided anew, the same key is
        // a repetition and another one is too late (protocols ORD-10).
        Err(FlowError::Conflict(_)) => begin(ctx, request, id, &csr).await?,
        outcome => outcome?,
    };
    let Some((order, recorded)) = begun else { return reread(ctx, id).await };
    match tokio::time::timeout(ctx.limits.signing_deadline, issue::finish(ctx, recorded)).await {
        Ok(Ok(Finished { order: Some(order), .. })) => Ok(settled(order)),
        Ok(Ok(Finished { order: None, .. })) => reread(ctx, id).await,
        Ok(Err(FlowError::Unavailable { .. })) | Err(_) => Ok(Finalized::Processing(order)),
        Ok(Err(error)) => Err(error),
    }
}

/// Decides and records; none when the same was asked for before and the answer got lost.
async fn begin(
    ctx: &Context,
    request: &AccountRequest,
    id: OrderId,
    csr: &Csr,
) -> Result<Option<(Order, Recorded)>, FlowError> {
    let case = load(ctx, request, id, csr).await?;
    if is_repeated(ctx, &case.order, csr).await? {
        return Ok(None);
    }
    check_key(&case)?;
    case.order.begin_finalize(csr.identifiers(), &case.authorizations, ctx.now())?;
    let held = match case.policy.profile(&case.order.profile) {
        Some(profile) => held::count(ctx, request, profile).await?,
        None => None,
    };
    let approved = decide(request, &case, csr, held)?;
    if let Some(again) = replace::same_again(&case.order, csr, &case.unconfirmed) {
        adopt(ctx, request, case.order.clone(), again.id).await?;
        return Ok(None);
    }
    let planned = plan_certificate(ctx, &case.order, &approved, csr)?;
    let record = describe(ctx, request, &case, csr, &planned, &approved);
    let order = case.order.processing(record.id)?;
    let actor = format!("account:{}", request.account().id);
    failpoint!("ca.finalize.decided");
    let superseded = case.unconfirmed.first().map(|superseded| superseded.id);
    let recorded =
        issue::record(ctx, record, Some(order.clone()), superseded, approved.profile().limits, &actor).await?;
    Ok(Some((order, recorded)))
}

/// The device lost the answer to an earlier order, and asks for the same by another: it gets the same certificate (ARI-4).
async fn adopt(ctx: &Context, request: &AccountRequest, order: Order, id: CertificateId) -> Result<(), FlowError> {
    let actor = format!("account:{}", request.account().id);
    let adopted = event(ctx, actor, "order.adopt", format_args!("order:{}", order.id)).with("certificate", id);
    let order = order.processing(id)?.issued()?;
    ctx.store
        .write(async move |tx| {
            orders::update(tx, &order).await?;
            audit::append(tx, &adopted).await?;
            Ok::<_, FlowError>(())
        })
        .await
}

/// Protocols FIN-7 and FIN-8: keys that must not be certified, however good they are.
fn check_key(case: &Case) -> Result<(), FlowError> {
    let refuse = |detail: &str| Err(FlowError::problem(ProblemKind::BadCsr, detail));
    if case.key.is_an_accounts {
        return refuse(
            "the CSR's key is an account key; make a key of its own for the certificate (RFC 8555 section 11.1)",
        );
    }
    if case.key.is_compromised {
        return refuse("a certificate of the CSR's key was revoked because the key was compromised; make a new key");
    }
    Ok(())
}

async fn load(ctx: &Context, request: &AccountRequest, id: OrderId, csr: &Csr) -> Result<Case, FlowError> {
    let owner = request.account().id;
    // Keys that no account can have, such as long RSA ones, are no account's key.
    let thumbprint = Jwk::from_public_key(csr.public_key()).ok().map(|key| key.thumbprint());
    let spki_sha256 = csr.public_key().spki_sha256();
    let policy = ctx.policy();
    ctx.store
        .look(async move |tx| {
            let found = orders::find(tx, id).await?.filter(|order| order.account == owner);
            let order = found.ok_or_else(|| FlowError::not_found("order"))?;
            let authorizations = authorizations::find_many(tx, &order.authorizations).await?;
            let (predecessor, unconfirmed) = match &order.replaces {
                Some(replaces) => {
                    let successors = replace::unconfirmed(tx, replaces.certificate).await?;
                    (certificates::find(tx, replaces.certificate).await?, successors)
                }
                None => (None, Vec::new()),
            };
            let key = certificates::key_standing(tx, thumbprint.as_ref(), &spki_sha256).await?;
            let policy = Arc::clone(&policy);
            Ok::<_, FlowError>(Case { order, authorizations, predecessor, unconfirmed, key, policy })
        })
        .await
}

/// A client that lost the answer sends the same CSR again (protocols ORD-10): it gets the order as it is. The key and the
/// names are all that is ever taken from one.
async fn is_repeated(ctx: &Context, order: &Order, csr: &Csr) -> Result<bool, FlowError> {
    let Some(id) = certificate_of(order) else { return Ok(false) };
    let found = ctx.store.look(async move |tx| Ok::<_, FlowError>(certificates::find(tx, id).await?)).await?;
    let mut ordered: Vec<_> = order.identifiers.iter().map(|ordered| &ordered.identifier).collect();
    ordered.sort();
    let is_same = csr.identifiers().iter().eq(ordered);
    let same_further =
        |record: &CertificateRecord| record.identifiers.iter().filter(|name| !name.is_orderable()).eq(csr.further());
    let same_key = |record: &CertificateRecord| record.spki_sha256 == csr.public_key().spki_sha256();
    Ok(is_same && found.is_some_and(|record| same_key(&record) && same_further(&record)))
}

async fn reread(ctx: &Context, id: OrderId) -> Result<Finalized, FlowError> {
    let order = ctx.store.look(async move |tx| Ok::<_, FlowError>(orders::find(tx, id).await?)).await?;
    Ok(settled(order.ok_or_else(|| FlowError::not_found("order"))?))
}

fn settled(order: Order) -> Finalized {
    match order.state {
        OrderState::Processing { .. } => Finalized::Processing(order),
        _ => Finalized::Settled(order),
    }
}

fn certificate_of(order: &Order) -> Option<CertificateId> {
    match order.state {
        OrderState::Processing { certificate } | OrderState::Valid { certificate } => Some(certificate),
        OrderState::Pending | OrderState::Ready | OrderState::Invalid { .. } => None,
    }
}

/// Policy, anew: profiles and device records may have changed since the order was made. What each authorization rests
/// on must still be good enough: a name in the device record now, or a challenge that the profile accepts now.
/// The names that no order can name stand in the CSR only, and are decided here for the first time.
fn decide(request: &AccountRequest, case: &Case, csr: &Csr, held: Option<Held>) -> Result<Approved, FlowError> {
    let ordered = case.order.identifiers.iter().map(|ordered| ordered.identifier.clone());
    let identifiers: Vec<_> = ordered.chain(csr.further().iter().cloned()).collect();
    let requester = match request.account().binding {
        Some(_) => Requester::Bound { device: request.device() },
        None => Requester::Unbound,
    };
    let (profile, key) = (&case.order.profile, Some(csr.public_key().algorithm()));
    let asked = Request { profile, identifiers: &identifiers, key, requester, held };
    let approved = case.policy.decide(&asked)?;
    for authorization in &case.authorizations {
        let is_good = match authorization.proof {
            Proof::Device => approved.proof(&authorization.identifier) == Proof::Device,
            Proof::Challenge => is_proven_for(approved.profile(), authorization),
        };
        if authorization.status != AuthorizationStatus::Valid || !is_good {
            let detail = format!("the permission for {} is gone; make a new order", authorization.identifier);
            return Err(FlowError::problem(ProblemKind::Unauthorized, detail));
        }
    }
    Ok(approved)
}

fn plan_certificate(ctx: &Context, order: &Order, approved: &Approved, csr: &Csr) -> Result<Planned, FlowError> {
    let serial = Serial::random(ctx.entropy.as_ref());
    let request = PlanRequest {
        approved,
        public_key: csr.public_key(),
        common_name: csr.common_name(),
        shard: ctx.crls.shard_of(&serial),
        serial,
        now: ctx.now(),
        not_before: order.not_before,
        not_after: order.not_after,
    };
    plan(&ctx.issuing, request).map_err(refused)
}

/// What the request is to blame for is told; the rest is a fault of the CA.
pub(super) fn refused(error: PlanError) -> FlowError {
    let kind = match &error {
        PlanError::Constraints(_) | PlanError::NoNames => ProblemKind::RejectedIdentifier,
        PlanError::OtherIssuer { .. }
        | PlanError::CaProfile(_)
        | PlanError::NothingToStaple(_)
        | PlanError::SubjectOutside => ProblemKind::InvalidProfile,
        PlanError::NotBeforeTooEarly { .. }
        | PlanError::NotBeforeTooLate { .. }
        | PlanError::NotAfterTooLate { .. }
        | PlanError::BeyondIssuer { .. }
        | PlanError::NoLife { .. } => ProblemKind::Malformed,
        PlanError::IssuersKey | PlanError::TooLong => ProblemKind::BadCsr,
        PlanError::IssuerNotYetValid { .. }
        | PlanError::IssuerExpired { .. }
        | PlanError::IssuerMayNotSign(_)
        | PlanError::CommonName(_)
        | PlanError::PathLength
        | PlanError::ResponderLife
        | PlanError::Encoding(_)
        | PlanError::Lint(_) => return FlowError::Internal(error.to_string()),
    };
    FlowError::problem(kind, error.to_string())
}

/// The order's names in its order, and behind them those of the CSR.
fn named(order: &Order, approved: &Approved) -> Vec<Identifier> {
    let further = approved.identifiers().iter().filter(|name| !name.is_orderable()).cloned();
    order.identifiers.iter().map(|ordered| ordered.identifier.clone()).chain(further).collect()
}

/// The row that remembers the certificate.
fn describe(
    ctx: &Context,
    request: &AccountRequest,
    case: &Case,
    csr: &Csr,
    planned: &Planned,
    approved: &Approved,
) -> CertificateRecord {
    let now = ctx.now();
    let predecessor = case.predecessor.as_ref();
    CertificateRecord {
        id: CertificateId::new(now, ctx.entropy.as_ref()),
        issuer: ctx.issuing.id,
        serial: planned.serial().clone(),
        site: request.account().site.clone(),
        device: request.account().binding.and_then(|binding| binding.device),
        account: Some(request.account().id),
        order: Some(case.order.id),
        source: Source::Acme,
        profile: case.order.profile.clone(),
        policy_revision: case.policy.revision().to_owned(),
        policy_commit: case.policy.commit().cloned(),
        epoch: ctx.epoch,
        identifiers: named(&case.order, approved),
        spki_sha256: csr.public_key().spki_sha256(),
        not_before: planned.not_before(),
        not_after: planned.not_after(),
        lineage: predecessor.map_or_else(|| LineageId::new(now, ctx.entropy.as_ref()), |old| old.lineage),
        generation: predecessor.map_or(1, |old| old.generation.saturating_add(1)),
        predecessor: predecessor.map(|old| old.id),
        confirmed_at: None,
        shard: ctx.crls.shard_of(planned.serial()),
        crl_urls: planned.crl_urls().to_vec(),
        state: CertificateState::Planned { tbs: planned.tbs().to_vec() },
        created_at: now,
        version: 1,
    }
}
