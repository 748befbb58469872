//! The resources of RFC 8555, one file each.

mod account;
mod authorization;
mod certificate;
mod directory;
mod order;
mod renewal_info;
mod revoke;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, CACHE_CONTROL, LINK,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use pki_core::acme::problem::ProblemKind;

use super::extract::SignedFor;
use super::problem::Kind;
use super::{Http, HttpError, detach, visit};

const REPLAY_NONCE: HeaderName = HeaderName::from_static("replay-nonce");

/// All routes under `/acme`. The layer that adds nonces is the outermost: no answer to a POST escapes it, whoever wrote it.
pub fn router(http: &Arc<Http>) -> Router<Arc<Http>> {
    Router::new()
        .route("/acme/directory", get(directory::directory).post(directory::directory_as_get))
        .route("/acme/p/{profile}/directory", get(directory::of_profile).post(directory::of_profile_as_get))
        .route(
            "/acme/new-nonce",
            get(directory::new_nonce).head(directory::new_nonce_head).post(directory::new_nonce_as_get),
        )
        .route("/acme/new-account", post(account::new_account))
        .route("/acme/account/{id}", post(account::account))
        .route("/acme/account/{id}/orders", post(account::orders))
        .route("/acme/new-order", post(order::new_order))
        .route("/acme/p/{profile}/new-order", post(order::new_order_of_profile))
        .route("/acme/new-authz", post(authorization::new_authz))
        .route("/acme/p/{profile}/new-authz", post(authorization::new_authz_of_profile))
        .route("/acme/order/{id}", post(order::order))
        .route("/acme/order/{id}/finalize", post(order::finalize))
        .route("/acme/authz/{id}", post(authorization::authorization))
        .route("/acme/challenge/{id}", post(authorization::challenge))
        .route("/acme/certificate/{id}", post(certificate::certificate))
        .route("/acme/certificate/{id}/{number}", post(certificate::alternate))
        .route("/acme/renewal-info/{name}", get(renewal_info::renewal_info))
        .route("/acme/revoke-cert", post(revoke::revoke_cert))
        .route("/acme/key-change", post(account::key_change))
        .route("/acme", any(unknown))
        .route("/acme/", any(unknown))
        .route("/acme/{*rest}", any(unknown))
        .method_not_allowed_fallback(async || HttpError::method_not_allowed())
        .layer(middleware::from_fn_with_state(Arc::clone(http), visit::layer))
        .layer(middleware::from_fn_with_state(Arc::clone(http), detach))
        .layer(middleware::from_fn_with_state(Arc::clone(http), add_headers))
}

async fn unknown() -> HttpError {
    HttpError::not_found("ACME resource")
}

/// Protocols NON-2, HTP-2 and HTP-6.
pub(super) async fn add_headers(State(http): State<Arc<Http>>, mut request: Request, next: Next) -> Response {
    let is_post = request.method() == Method::POST;
    let is_directory = request.uri().path().ends_with("/directory");
    let sent_to = http.urls_for(request.headers(), request.uri()).clone();
    let signed_for = SignedFor::default();
    request.extensions_mut().insert(signed_for.clone());
    let mut response = if is_preflight(&http, &request) {
        StatusCode::NO_CONTENT.into_response()
    } else {
        next.run(request).await.into_response()
    };
    if is_post {
        add_nonce(&http, response.headers_mut());
    }
    let urls = signed_for.urls().unwrap_or(&sent_to);
    if !(is_directory && response.status().is_success()) {
        add_link(response.headers_mut(), &urls.directory(None), "index");
    }
    if response.extensions().get::<Kind>().is_some_and(|kind| kind.0 == ProblemKind::RateLimited.name()) {
        add_link(response.headers_mut(), &urls.rate_limits(), "help");
    }
    if http.ctx.service.cross_origin {
        add_cross_origin(response.headers_mut());
    }
    response
}

/// Each link has a line of its own: some clients read line by line (protocols HTP-2).
fn add_link(headers: &mut HeaderMap, url: &str, relation: &str) {
    if let Ok(link) = HeaderValue::from_str(&format!("<{url}>;rel=\"{relation}\"")) {
        headers.append(LINK, link);
    }
}

/// A browser's question whether a page of another origin may send this request.
fn is_preflight(http: &Http, request: &Request) -> bool {
    let asks = request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    http.ctx.service.cross_origin && request.method() == Method::OPTIONS && asks
}

/// RFC 8555 section 6.1 (protocols HTP-7). Nothing here rests on what a browser adds by itself, so any origin may ask.
fn add_cross_origin(headers: &mut HeaderMap) {
    for (name, value) in [
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, POST"),
        (ACCESS_CONTROL_ALLOW_HEADERS, "Content-Type"),
        (ACCESS_CONTROL_EXPOSE_HEADERS, "Link, Location, Replay-Nonce, Retry-After"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

fn add_nonce(http: &Http, headers: &mut HeaderMap) {
    if let Ok(nonce) = HeaderValue::from_str(&http.ctx.fresh_nonce()) {
        headers.insert(REPLAY_NONCE, nonce);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}
