//! Accounts (RFC 8555 section 7.3).

use std::sync::Arc;

use api::acme::{AccountObject, AccountUpdate, NewAccount, OrdersList};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header::{LINK, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use pki_core::acme::eab::BindingRequest;
use pki_core::ids::{AccountId, OrderId};
use serde::Deserialize;

use super::super::extract::{ByAccount, ByKey, Segment, must_be_empty, payload};
use super::super::visit::Visit;
use super::super::{Http, HttpError, wire};
use crate::flows::account::{self, Registered, Update};
use crate::flows::authenticate::AccountRequest;
use crate::flows::{FlowError, key_change as flow};

pub(super) async fn new_account(
    State(http): State<Arc<Http>>,
    Extension(visit): Extension<Visit>,
    ByKey(request, urls): ByKey,
) -> Result<Response, HttpError> {
    let sent: NewAccount = payload(request.payload())?;
    let url = urls.acme("new-account");
    let binding =
        sent.external_account_binding.as_ref().map(|binding| BindingRequest::parse(binding, &url, request.key()));
    let new = account::NewAccount {
        contacts: sent.contact.unwrap_or_default(),
        only_existing: sent.only_return_existing.unwrap_or(false),
        agreed: sent.terms_of_service_agreed == Some(true),
        binding: binding.transpose().map_err(|error| error.problem())?,
        network: visit.network,
    };
    let (status, account) = match account::register(&http.ctx, &request, new).await? {
        Registered::New(account) => (StatusCode::CREATED, account),
        Registered::Known(account) => (StatusCode::OK, account),
    };
    let location = [(LOCATION, urls.account(account.id))];
    // A binding that was accepted is told back as it was sent (section 7.3.4).
    let shown =
        AccountObject { external_account_binding: sent.external_account_binding, ..wire::account(&urls, &account) };
    Ok((status, location, Json(shown)).into_response())
}

/// POST-as-GET reads; so does `{}`, which some clients send (protocols JWS-13).
pub(super) async fn account(
    State(http): State<Arc<Http>>,
    Segment(id): Segment,
    ByAccount(request, urls): ByAccount,
) -> Result<Response, HttpError> {
    own(&request, &id)?;
    let account = match request.payload() {
        [] => request.account().clone(),
        sent => {
            let sent: AccountUpdate = payload(sent)?;
            let change = Update {
                contacts: sent.contact,
                deactivate: sent.status.as_deref() == Some("deactivated"),
                agree: sent.terms_of_service_agreed == Some(true),
            };
            account::update(&http.ctx, &request, change).await?
        }
    };
    let location = [(LOCATION, urls.account(account.id))];
    Ok((location, Json(wire::account(&urls, &account))).into_response())
}

#[derive(Deserialize)]
pub(super) struct Cursor {
    cursor: Option<String>,
}

pub(super) async fn orders(
    State(http): State<Arc<Http>>,
    Segment(id): Segment,
    query: Result<Query<Cursor>, QueryRejection>,
    ByAccount(request, urls): ByAccount,
) -> Result<Response, HttpError> {
    let account = own(&request, &id)?;
    must_be_empty(request.payload())?;
    let no_such_page = || HttpError::not_found("page of orders");
    let Query(Cursor { cursor }) = query.map_err(|_| no_such_page())?;
    let after = cursor.map(|cursor| cursor.parse::<OrderId>().map_err(|_| no_such_page())).transpose()?;
    let (ids, next) = crate::flows::order::list(&http.ctx, &request, after).await?;
    let list = OrdersList { orders: ids.into_iter().map(|id| urls.order(id)).collect() };
    let mut headers = HeaderMap::new();
    if let Some(next) = next {
        let link = format!("<{}>;rel=\"next\"", urls.orders(account, Some(next)));
        if let Ok(link) = HeaderValue::from_str(&link) {
            headers.insert(LINK, link);
        }
    }
    Ok((headers, Json(list)).into_response())
}

/// Section 7.3.5; the inner signature is the new key's.
pub(super) async fn key_change(
    State(http): State<Arc<Http>>,
    ByAccount(request, urls): ByAccount,
) -> Result<Response, HttpError> {
    let url = urls.acme("key-change");
    let account_url = urls.account(request.account().id);
    let account = match flow::change(&http.ctx, &request, &url, &account_url).await {
        Ok(account) => account,
        Err(FlowError::KeyInUse(holder)) => return Err(HttpError::key_in_use(urls.account(holder))),
        Err(error) => return Err(error.into()),
    };
    let location = [(LOCATION, urls.account(account.id))];
    Ok((location, Json(wire::account(&urls, &account))).into_response())
}

/// The account in the path must be the one that signed.
fn own(request: &AccountRequest, id: &str) -> Result<AccountId, HttpError> {
    let own = request.account().id;
    if id.parse() == Ok(own) { Ok(own) } else { Err(HttpError::not_found("account")) }
}
