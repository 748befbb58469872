//! Orders and their finalization (RFC 8555 section 7.4).

use std::sync::Arc;

use api::acme::{Finalize, NewOrder};
use axum::extract::State;
use axum::http::header::{LOCATION, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pki_core::acme::order::{Order, OrderState};
use pki_core::acme::problem::ProblemKind;
use pki_core::ids::OrderId;

use super::super::extract::{ByAccount, Segment, must_be_empty, payload};
use super::super::visit::Visit;
use super::super::{Http, HttpError, Urls, wire};
use super::authorization::await_looks;
use crate::flows::authenticate::AccountRequest;
use crate::flows::finalize::{Finalized, finalize as issue};
use crate::flows::rates::Asker;
use crate::flows::{order, urgency};

pub(super) async fn new_order(
    State(http): State<Arc<Http>>,
    Extension(visit): Extension<Visit>,
    ByAccount(request, urls): ByAccount,
) -> Result<Response, HttpError> {
    create(&http, &visit, (&request, &urls), None).await
}

pub(super) async fn new_order_of_profile(
    State(http): State<Arc<Http>>,
    Segment(profile): Segment,
    Extension(visit): Extension<Visit>,
    ByAccount(request, urls): ByAccount,
) -> Result<Response, HttpError> {
    create(&http, &visit, (&request, &urls), Some(profile)).await
}

async fn create(
    http: &Http,
    visit: &Visit,
    (request, urls): (&AccountRequest, &Urls),
    fixed: Option<String>,
) -> Result<Response, HttpError> {
    let sent: NewOrder = payload(request.payload())?;
    if let (Some(fixed), Some(asked)) = (&fixed, &sent.profile)
        && fixed != asked
        && !asked.is_empty()
    {
        let detail = format!("this directory issues by the profile {fixed} only");
        return Err(HttpError::new(ProblemKind::InvalidProfile, detail));
    }
    let asker = Asker::of(request, visit.network);
    if sent.replaces.is_none() {
        http.ctx.rates.new_order(&asker)?;
    }
    let replaces_something = sent.replaces.is_some();
    queue(http, visit, request, sent.replaces.as_deref()).await?;
    let new = order::NewOrder {
        identifiers: sent.identifiers.into_iter().map(|one| (one.kind, one.value)).collect(),
        profile: fixed.or(sent.profile),
        not_before: sent.not_before,
        not_after: sent.not_after,
        replaces: sent.replaces,
    };
    let order = order::create(&http.ctx, request, new).await?;
    if replaces_something && order.replaces.is_none() {
        http.ctx.rates.owe_new_order(&asker);
    }
    Ok((StatusCode::CREATED, show(urls, &order)).into_response())
}

/// When others wait, an order goes before those that are less urgent.
async fn queue(http: &Http, visit: &Visit, request: &AccountRequest, replaces: Option<&str>) -> Result<(), HttpError> {
    if !http.gate.is_crowded() {
        return Ok(());
    }
    let rank = urgency::of_order(&http.ctx, request, replaces).await?;
    http.gate.enter(&visit.place, rank).await
}

pub(super) async fn order(
    State(http): State<Arc<Http>>,
    Segment(id): Segment,
    Extension(visit): Extension<Visit>,
    ByAccount(request, urls): ByAccount,
) -> Result<Response, HttpError> {
    must_be_empty(request.payload())?;
    let id = parse(&id)?;
    let mut order = order::read(&http.ctx, &request, id).await?;
    if order.state == OrderState::Pending && await_looks(&http, &visit, &order.authorizations).await {
        order = order::read(&http.ctx, &request, id).await?;
    }
    Ok(show(&urls, &order))
}

pub(super) async fn finalize(
    State(http): State<Arc<Http>>,
    Segment(id): Segment,
    ByAccount(request, urls): ByAccount,
) -> Result<Response, HttpError> {
    let sent: Finalize = payload(request.payload())?;
    let csr = URL_SAFE_NO_PAD
        .decode(&sent.csr)
        .map_err(|_| HttpError::new(ProblemKind::BadCsr, "the CSR is not base64url without padding"))?;
    let (Finalized::Settled(order) | Finalized::Processing(order)) =
        issue(&http.ctx, &request, parse(&id)?, &csr).await?;
    Ok(show(&urls, &order))
}

/// `Location` is the order everywhere, on finalize too: Go's clients poll it (protocols 0.1).
fn show(urls: &Urls, order: &Order) -> Response {
    let location = [(LOCATION, urls.order(order.id))];
    let mut response = (location, Json(wire::order(urls, order))).into_response();
    if matches!(order.state, OrderState::Processing { .. }) {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("2"));
    }
    response
}

fn parse(id: &str) -> Result<OrderId, HttpError> {
    id.parse().map_err(|_| HttpError::not_found("order"))
}
