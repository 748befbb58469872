//! Profiles, audit events, revocation lists, and the state of the whole.

use std::sync::Arc;

use api::admin::{AuditView, CrlView, IssuerView, Page, PageQuery, ProfileView, Status};
use axum::Json;
use axum::extract::{Query, State};
use pki_core::ids::EventId;

use super::super::extract::Segment;
use super::super::{Http, HttpError};
use super::{Administrator, parse, view};
use crate::flows::{crl, inventory};

pub(super) async fn status(State(http): State<Arc<Http>>, _: Administrator) -> Json<Status> {
    let (issuing, policy) = (&http.ctx.issuing, view::policy(&http.ctx.policies));
    Json(Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        roots_sha256: http.ctx.roots.iter().map(|root| view::hex(&root.sha256())).collect(),
        directory: http.urls.directory(None),
        issuers: vec![IssuerView {
            id: issuing.id.to_string(),
            subject: issuing.certificate.common_name().unwrap_or_default(),
            key: issuing.certificate.public_key().algorithm().to_string(),
            not_after: issuing.certificate.not_after().rfc3339(),
            sha256: view::hex(&issuing.certificate.sha256()),
            active: true,
        }],
        policy_revision: policy.revision.clone(),
        policy: Some(policy),
    })
}

pub(super) async fn profiles(State(http): State<Arc<Http>>, _: Administrator) -> Json<Page<ProfileView>> {
    let policy = http.ctx.policy();
    Json(Page {
        items: policy.profiles().map(|profile| view::profile(profile, policy.revision())).collect(),
        next: None,
    })
}

pub(super) async fn profile(
    State(http): State<Arc<Http>>,
    _: Administrator,
    Segment(name): Segment,
) -> Result<Json<ProfileView>, HttpError> {
    let policy = http.ctx.policy();
    let profile = policy.profile(&parse(&name, "name")?).ok_or_else(|| HttpError::not_found("profile"))?;
    Ok(Json(view::profile(profile, policy.revision())))
}

pub(super) async fn audit(
    State(http): State<Arc<Http>>,
    _: Administrator,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<AuditView>>, HttpError> {
    let limit = view::limit(query.limit);
    let after: Option<EventId> = query.cursor.as_deref().map(|cursor| parse(cursor, "cursor")).transpose()?;
    let events = inventory::events(&http.ctx, after, limit).await?;
    let next = view::next(&events, limit, |event| event.id.to_string());
    Ok(Json(Page { items: events.iter().map(view::event).collect(), next }))
}

pub(super) async fn crls(State(http): State<Arc<Http>>, _: Administrator) -> Result<Json<Page<CrlView>>, HttpError> {
    let crls = crl::all(&http.ctx);
    Ok(Json(Page { items: crls.iter().map(|crl| view::crl(&http.ctx, crl)).collect(), next: None }))
}

pub(super) async fn publish_crls(
    State(http): State<Arc<Http>>,
    _: Administrator,
) -> Result<Json<Page<CrlView>>, HttpError> {
    let crls = crl::publish_all(&http.ctx, crl::Occasion::Asked).await?;
    Ok(Json(Page { items: crls.iter().map(|crl| view::crl(&http.ctx, crl)).collect(), next: None }))
}
