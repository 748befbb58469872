//! Certificates.

use std::sync::Arc;
use std::time::Duration;

use api::admin::{CertificateView, Page, PageQuery, ReplaceAllRequest, ReplaceAllView, RevokeRequest};
use axum::Json;
use axum::extract::{Query, State};
use pki_core::acme::problem::ProblemKind;
use pki_core::ids::{CertificateId, Serial};
use pki_core::revocation::Reason;

use super::super::extract::Segment;
use super::super::{Http, HttpError};
use super::{Administrator, Body, parse, view};
use crate::flows::{inventory, renewal_info, revoke as flow};

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
    Segment(serial): Segment,
) -> Result<Json<CertificateView>, HttpError> {
    let serial: Serial = parse(&serial, "serial")?;
    let found = inventory::find(&http.ctx, &serial).await?;
    Ok(Json(view::certificate(&found, http.ctx.now(), true)))
}

pub(super) async fn revoke(
    State(http): State<Arc<Http>>,
    who: Administrator,
    Segment(serial): Segment,
    Body(request): Body<RevokeRequest>,
) -> Result<Json<CertificateView>, HttpError> {
    let serial: Serial = parse(&serial, "serial")?;
    let reason = match request.reason.as_deref() {
        None => None,
        Some(name) => Some(Reason::from_name(name).ok_or_else(|| {
            let detail = format!(
                "`{name}` is not a reason of RFC 5280, such as keyCompromise, superseded or cessationOfOperation"
            );
            HttpError::new(ProblemKind::BadRevocationReason, detail)
        })?),
    };
    let found = inventory::find(&http.ctx, &serial).await?;
    flow::by_administrator(&http.ctx, &found.record, reason, request.comment.as_deref(), &who.actor()).await?;
    let found = inventory::find(&http.ctx, &serial).await?;
    Ok(Json(view::certificate(&found, http.ctx.now(), true)))
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
