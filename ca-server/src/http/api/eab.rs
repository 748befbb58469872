//! External account keys that belong to no device.

use std::sync::Arc;
use std::time::Duration;

use api::admin::{EabRequest, EabSecretView, EabView, Page, PageQuery};
use api::token::Secret;
use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use pki_core::ids::EabKeyId;

use super::super::extract::Segment;
use super::super::{Http, HttpError};
use super::{Administrator, Body, parse, view};
use crate::flows::eab;

pub(super) async fn create(
    State(http): State<Arc<Http>>,
    who: Administrator,
    Body(request): Body<EabRequest>,
) -> Result<(StatusCode, Json<EabSecretView>), HttpError> {
    let made = eab::create(
        &http.ctx,
        request.expires_seconds.map(Duration::from_secs),
        request.comment.as_deref(),
        &who.actor(),
    )
    .await?;
    let shown = EabSecretView {
        kid: made.key.id.to_string(),
        hmac_key: Secret::new(made.secret.to_string()),
        directory: http.urls.directory(None),
        expires_at: made.key.expires_at.map(|at| at.rfc3339()),
    };
    Ok((StatusCode::CREATED, Json(shown)))
}

pub(super) async fn list(
    State(http): State<Arc<Http>>,
    _: Administrator,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<EabView>>, HttpError> {
    let limit = view::limit(query.limit);
    let after: Option<EabKeyId> = query.cursor.as_deref().map(|cursor| parse(cursor, "cursor")).transpose()?;
    let keys = eab::list(&http.ctx, after, limit).await?;
    let next = view::next(&keys, limit, |key| key.id.to_string());
    let now = http.ctx.now();
    Ok(Json(Page { items: keys.iter().map(|key| view::eab_key(key, now)).collect(), next }))
}

pub(super) async fn revoke(
    State(http): State<Arc<Http>>,
    who: Administrator,
    Segment(kid): Segment,
) -> Result<StatusCode, HttpError> {
    eab::revoke(&http.ctx, parse(&kid, "kid")?, &who.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}
