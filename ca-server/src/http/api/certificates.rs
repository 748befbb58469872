//! Certificates.

use std::sync::Arc;
use std::time::Duration;

use api::admin::{
    CertificateView, Page, PageQuery, ReleaseRequest, ReplaceAllRequest, ReplaceAllView, RevokeRequest, RevokedView,
    SameKey,
};
use axum::Json;
use axum::extract::{Query, State};
use pki_core::acme::problem::{Problem, ProblemKind};
use pki_core::ids::CertificateId;
use pki_core::issuance::record::CertificateState;
use pki_core::revocation::Reason;
use pki_core::revocation::reference::Reference;

use super::super::extract::Segment;
use super::super::{Http, HttpError};
use super::revocations::reason;
use super::{Administrator, Body, parse, view};
use crate::flows::inventory::{self, Listed};
use crate::flows::renewal_info;
use crate::flows::revoke::{Why, one};

pub(super) async fn list(
    State(http): State<Arc<Http>>,
    _: Administrator,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<CertificateView>>, HttpError> {
    let limit = view::limit(query.limit);
    let after: Option<CertificateId> = query.cursor.as_deref().map(|cursor| parse(cursor, "cursor")).transpose()?;
    let listed = inventory::list(&http.ctx, query.name, after, limit).await?;
    let next = view::next(&listed, limit, |listed| listed.record.id.to_string());
    let now = http.ctx.now();
    Ok(Json(Page { items: listed.iter().map(|listed| view::certificate(listed, now, false)).collect(), next }))
}

pub(super) async fn show(
    State(http): State<Arc<Http>>,
    _: Administrator,
    Segment(reference): Segment,
) -> Result<Json<CertificateView>, HttpError> {
    let found = find(&http, &reference, None).await?;
    Ok(Json(view::certificate(&found, http.ctx.now(), true)))
}

/// By serial number or SHA-256; `sha256` is what it must have besides.
async fn find(http: &Http, reference: &str, sha256: Option<&str>) -> Result<Listed, HttpError> {
    let found = inventory::find(&http.ctx, &parse(reference, "certificate")?).await?;
    let actual = found.record.state.der().map(view::sha256);
    match sha256 {
        Some(wanted) if actual.as_deref() != Some(&wanted.to_ascii_lowercase()) => {
            let detail = "this CA has issued a certificate of that serial number, but not this one";
            Err(Problem::new(ProblemKind::Malformed, detail).with_status(404).into())
        }
        _ => Ok(found),
    }
}

pub(super) async fn revoke(
    State(http): State<Arc<Http>>,
    who: Administrator,
    Segment(reference): Segment,
    Body(request): Body<RevokeRequest>,
) -> Result<Json<RevokedView>, HttpError> {
    let reason = reason(request.reason.as_deref())?;
    let found = find(&http, &reference, request.sha256.as_deref()).await?;
    let why = Why { reason, comment: request.comment.as_deref(), actor: &who.actor() };
    let changed = one::revoke(&http.ctx, found.record.id, why).await?;
    again(&http, &found, changed).await
}

pub(super) async fn release(
    State(http): State<Arc<Http>>,
    who: Administrator,
    Segment(reference): Segment,
    Body(request): Body<ReleaseRequest>,
) -> Result<Json<RevokedView>, HttpError> {
    let found = find(&http, &reference, request.sha256.as_deref()).await?;
    let id = found.record.id;
    let changed = one::release(&http.ctx, id, request.comment.as_deref(), &who.actor()).await?;
    again(&http, &found, changed).await
}

/// The certificate as it stands now.
async fn again(http: &Http, found: &Listed, changed: bool) -> Result<Json<RevokedView>, HttpError> {
    let found = inventory::find(&http.ctx, &Reference::Serial(vec![found.record.serial.clone()])).await?;
    let same_key = same_key(http, &found).await?;
    Ok(Json(RevokedView { changed, same_key, certificate: view::certificate(&found, http.ctx.now(), true) }))
}

/// What else has a key that is in wrong hands (RFC 8555 section 11.1, protocols REV-6).
async fn same_key(http: &Http, found: &Listed) -> Result<Option<SameKey>, HttpError> {
    let reason = match &found.record.state {
        CertificateState::Revoked { revocation, .. } => revocation.reason,
        _ => None,
    };
    if reason != Some(Reason::KeyCompromise) {
        return Ok(None);
    }
    let (serials, count) = one::others_of_key(&http.ctx, &found.record).await?;
    let serials = serials.iter().map(ToString::to_string).collect();
    Ok((count > 0).then_some(SameKey { count, serials }))
}

/// Renewal information asks all clients to renew (RFC 9773 section 4.2).
pub(super) async fn replace_all(
    State(http): State<Arc<Http>>,
    who: Administrator,
    Body(request): Body<ReplaceAllRequest>,
) -> Result<Json<ReplaceAllView>, HttpError> {
    let within = Duration::from_secs(request.within_seconds);
    let replacement = renewal_info::replace_all(&http.ctx, within, request.comment.as_deref(), &who.actor()).await?;
    Ok(Json(ReplaceAllView { from: replacement.from.rfc3339(), until: replacement.until.rfc3339() }))
}
