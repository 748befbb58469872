//! The directory and nonces (RFC 8555 sections 7.1.1 and 7.2).

use std::collections::BTreeMap;
use std::sync::Arc;

use api::acme::{Directory, Meta};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use pki_core::ids::ProfileName;

use super::super::extract::{ByAccount, Here, Segment, must_be_empty};
use super::super::{Http, HttpError, Urls};
use super::add_nonce;

pub(super) async fn directory(State(http): State<Arc<Http>>, Here(urls): Here) -> Json<Directory> {
    Json(describe(&http, &urls, None))
}

pub(super) async fn directory_as_get(
    State(http): State<Arc<Http>>,
    ByAccount(request, urls): ByAccount,
) -> Result<Json<Directory>, HttpError> {
    must_be_empty(request.payload())?;
    Ok(Json(describe(&http, &urls, None)))
}

/// The same accounts and orders; only newOrder differs, which fixes the profile.
pub(super) async fn of_profile(
    State(http): State<Arc<Http>>,
    Segment(profile): Segment,
    Here(urls): Here,
) -> Result<Json<Directory>, HttpError> {
    describe_profile(&http, &urls, &profile)
}

pub(super) async fn of_profile_as_get(
    State(http): State<Arc<Http>>,
    Segment(profile): Segment,
    ByAccount(request, urls): ByAccount,
) -> Result<Json<Directory>, HttpError> {
    must_be_empty(request.payload())?;
    describe_profile(&http, &urls, &profile)
}

fn describe_profile(http: &Http, urls: &Urls, profile: &str) -> Result<Json<Directory>, HttpError> {
    let profile: ProfileName = profile.parse().map_err(|_| HttpError::not_found("profile"))?;
    if !http.ctx.policy().profile(&profile).is_some_and(|profile| profile.is_offered()) {
        return Err(HttpError::not_found("profile"));
    }
    Ok(Json(describe(http, urls, Some(&profile))))
}

fn describe(http: &Http, urls: &Urls, profile: Option<&ProfileName>) -> Directory {
    let service = &http.ctx.service;
    let told = |text: &String| (!text.is_empty()).then(|| text.clone());
    let policy = http.ctx.policy();
    let offered = policy
        .profiles()
        .filter(|offered| offered.is_offered() && profile.is_none_or(|profile| *profile == offered.name));
    let profiles: BTreeMap<String, String> =
        offered.map(|profile| (profile.name.to_string(), profile.description.clone())).collect();
    Directory {
        new_nonce: urls.acme("new-nonce"),
        new_account: urls.acme("new-account"),
        new_order: urls.of_profile("new-order", profile),
        new_authz: service.new_authz.then(|| urls.of_profile("new-authz", profile)),
        revoke_cert: urls.acme("revoke-cert"),
        key_change: urls.acme("key-change"),
        renewal_info: Some(urls.acme("renewal-info")),
        meta: Meta {
            external_account_required: http.ctx.external_account_required.then_some(true),
            terms_of_service: told(&service.terms_of_service),
            website: told(&service.website),
            profiles,
            ..Meta::default()
        },
    }
}

/// HEAD is 200, GET is 204: two handlers, since a router answers HEAD with GET's status (protocols NON-1).
pub(super) async fn new_nonce_head(State(http): State<Arc<Http>>) -> Response {
    with_nonce(&http, StatusCode::OK)
}

pub(super) async fn new_nonce(State(http): State<Arc<Http>>) -> Response {
    with_nonce(&http, StatusCode::NO_CONTENT)
}

pub(super) async fn new_nonce_as_get(ByAccount(request, _): ByAccount) -> Result<StatusCode, HttpError> {
    must_be_empty(request.payload())?;
    Ok(StatusCode::NO_CONTENT)
}

fn with_nonce(http: &Http, status: StatusCode) -> Response {
    let mut response = status.into_response();
    add_nonce(http, response.headers_mut());
    response
}
