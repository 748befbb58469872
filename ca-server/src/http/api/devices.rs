//! Devices.

use std::sync::Arc;
use std::time::Duration;

use api::admin::{
    DeviceQuery, DeviceRequest, DeviceView, LabelRequest, Page, RevokeDevice, TakenOutView, TokenRequest, TokenView,
};
use api::token::Secret;
use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use pki_core::acme::problem::ProblemKind;
use pki_core::device::{End, LabelChange, LabelError, LabelValue, Labels, NewDevice};
use pki_core::ids::{DeviceId, DeviceName, SiteName};
use pki_core::x509::name::parse_ip;

use super::super::extract::Segment;
use super::super::{Http, HttpError};
use super::revocations::reason;
use super::{Administrator, Body, parse, view};
use crate::flows::device::{self, Filter, Token};
use crate::flows::label;
use crate::flows::revoke::{self, Why};

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
        labels: Labels::parse(request.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())))
            .map_err(|error| HttpError::new(ProblemKind::Malformed, format!("labels: {error}")))?,
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
    Query(query): Query<DeviceQuery>,
) -> Result<Json<Page<DeviceView>>, HttpError> {
    let limit = view::limit(query.limit);
    let after: Option<DeviceId> = query.cursor.as_deref().map(|cursor| parse(cursor, "cursor")).transpose()?;
    let selectors = query.label.as_deref().unwrap_or_default().split(',').filter(|selector| !selector.is_empty());
    let labels = selectors.map(|selector| parse(selector, "label")).collect::<Result<_, _>>()?;
    let devices = device::list(&http.ctx, Filter { name: query.name, labels }, after, limit).await?;
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

pub(super) async fn label(
    State(http): State<Arc<Http>>,
    who: Administrator,
    Segment(name): Segment,
    Body(request): Body<LabelRequest>,
) -> Result<Json<DeviceView>, HttpError> {
    let changes =
        changes(&request).map_err(|error| HttpError::new(ProblemKind::Malformed, format!("labels: {error}")))?;
    let device = label::change(&http.ctx, &parse(&name, "name")?, &changes, &who.actor()).await?;
    Ok(Json(view::device(&device, None)))
}

fn changes(request: &LabelRequest) -> Result<Vec<LabelChange>, LabelError> {
    let set = request.set.iter().map(|(key, value)| {
        let key = key.parse()?;
        let value = LabelValue::parse(&key, value)?;
        Ok(LabelChange::Set(key, value))
    });
    let remove = request.remove.iter().map(|key| Ok(LabelChange::Remove(key.parse()?)));
    set.chain(remove).collect()
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
) -> Result<Json<TakenOutView>, HttpError> {
    let why = Why { reason: None, comment: None, actor: &who.actor() };
    take_out(&http, &name, End::Retired, why).await
}

pub(super) async fn revoke(
    State(http): State<Arc<Http>>,
    who: Administrator,
    Segment(name): Segment,
    Body(request): Body<RevokeDevice>,
) -> Result<Json<TakenOutView>, HttpError> {
    let end = match request.state.as_deref() {
        None | Some("compromised") => End::Compromised,
        Some("retired") => End::Retired,
        Some(other) => {
            let detail = format!("`{other}` is no state of a device that is out of service: compromised or retired");
            return Err(HttpError::new(ProblemKind::Malformed, detail));
        }
    };
    let reason = reason(request.reason.as_deref())?;
    let why = Why { reason, comment: request.comment.as_deref(), actor: &who.actor() };
    take_out(&http, &name, end, why).await
}

async fn take_out(http: &Http, name: &str, end: End, why: Why<'_>) -> Result<Json<TakenOutView>, HttpError> {
    let name: DeviceName = parse(name, "name")?;
    let out = revoke::device::take_out(&http.ctx, &name, end, why).await?;
    let detail = device::show(&http.ctx, &name).await?;
    let many = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    Ok(Json(TakenOutView {
        changed: out.changed,
        certificates: many(out.certificates),
        accounts: many(out.accounts),
        orders: many(out.orders),
        goes_on: out.goes_on,
        device: view::device(&detail.device, detail.newest.as_ref()),
    }))
}
