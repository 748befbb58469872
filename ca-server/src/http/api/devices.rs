//! Devices.

use std::sync::Arc;
use std::time::Duration;

use api::admin::{DeviceRequest, DeviceView, Page, PageQuery, RevokeDevice, TokenRequest, TokenView};
use api::token::Secret;
use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use pki_core::acme::problem::ProblemKind;
use pki_core::ids::{DeviceId, DeviceName, SiteName};
use pki_core::x509::name::parse_ip;

use super::super::extract::Segment;
use super::super::{Http, HttpError};
use super::{Administrator, Body, parse, view};
use crate::flows::device::{self, NewDevice, Token};

pub(super) async fn add(
    State(http): State<Arc<Http>>,
    who: Administrator,
    Body(request): Body<DeviceRequest>,
) -> Result<(StatusCode, Json<TokenView>), HttpError> {
    let ips: Result<Vec<_>, _> = request.ips.iter().map(|text| parse_ip(text)).collect();
    let new = NewDevice {
        name: parse(&request.name, "name")?,
        site: request.site.as_deref().map_or_else(|| Ok(SiteName::home()), |site| parse(site, "site"))?,
        profile: parse(&request.profile, "profile")?,
        dns: request.dns.iter().map(|name| parse(name, "dns")).collect::<Result<_, _>>()?,
        ips: ips.map_err(|error| HttpError::new(ProblemKind::Malformed, error.to_string()))?,
    };
    let token = device::add(&http.ctx, new, request.token_seconds.map(Duration::from_secs), &who.actor()).await?;
    Ok((StatusCode::CREATED, Json(show_token(token))))
}

fn show_token(token: Token) -> TokenView {
    TokenView {
        device: view::device(&token.device, None),
        token: Secret::new(token.token.to_line().to_string()),
        expires_at: token.expires_at.map(|at| at.rfc3339()),
    }
}

pub(super) async fn list(
    State(http): State<Arc<Http>>,
    _: Administrator,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<DeviceView>>, HttpError> {
    let limit = view::limit(query.limit);
    let after: Option<DeviceId> = query.cursor.as_deref().map(|cursor| parse(cursor, "cursor")).transpose()?;
    let devices = device::list(&http.ctx, after, limit).await?;
    let next = view::next(&devices, limit, |device| device.id.to_string());
    Ok(Json(Page { items: devices.iter().map(|device| view::device(device, None)).collect(), next }))
}

pub(super) async fn show(
    State(http): State<Arc<Http>>,
    _: Administrator,
    Segment(name): Segment,
) -> Result<Json<DeviceView>, HttpError> {
    let detail = device::show(&http.ctx, &parse(&name, "name")?).await?;
    let mut shown = view::device(&detail.device, detail.newest.as_ref());
    shown.conflicts = detail.conflicts.iter().map(view::conflict).collect();
    Ok(Json(shown))
}

pub(super) async fn token(
    State(http): State<Arc<Http>>,
    who: Administrator,
    Segment(name): Segment,
    Body(request): Body<TokenRequest>,
) -> Result<(StatusCode, Json<TokenView>), HttpError> {
    let life = request.token_seconds.map(Duration::from_secs);
    let token = device::new_token(&http.ctx, &parse(&name, "name")?, life, &who.actor()).await?;
    Ok((StatusCode::CREATED, Json(show_token(token))))
}

pub(super) async fn retire(
    State(http): State<Arc<Http>>,
    who: Administrator,
    Segment(name): Segment,
) -> Result<Json<DeviceView>, HttpError> {
    take_out(&http, who, &name, false, None).await
}

pub(super) async fn revoke(
    State(http): State<Arc<Http>>,
    who: Administrator,
    Segment(name): Segment,
    Body(request): Body<RevokeDevice>,
) -> Result<Json<DeviceView>, HttpError> {
    take_out(&http, who, &name, true, request.comment).await
}

async fn take_out(
    http: &Http,
    who: Administrator,
    name: &str,
    compromised: bool,
    comment: Option<String>,
) -> Result<Json<DeviceView>, HttpError> {
    let name: DeviceName = parse(name, "name")?;
    device::take_out(&http.ctx, &name, compromised, comment.as_deref(), &who.actor()).await?;
    let detail = device::show(&http.ctx, &name).await?;
    Ok(Json(view::device(&detail.device, detail.newest.as_ref())))
}
