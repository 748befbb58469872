//! The resources of RFC 8555, one file each.

mod account;
mod authorization;
mod certificate;
mod directory;
mod order;
mod revoke;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, LINK};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};

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
        .route("/acme/order/{id}", post(order::order))
        .route("/acme/order/{id}/finalize", post(order::finalize))
        .route("/acme/authz/{id}", post(authorization::authorization))
        .route("/acme/challenge/{id}", post(authorization::challenge))
        .route("/acme/certificate/{id}", post(certificate::certificate))
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
pub(super) async fn add_headers(State(http): State<Arc<Http>>, request: Request, next: Next) -> Response {
    let is_post = request.method() == Method::POST;
    let is_directory = request.uri().path().ends_with("/directory");
    let mut response = next.run(request).await.into_response();
    if is_post {
        add_nonce(&http, response.headers_mut());
    }
    if !(is_directory && response.status().is_success())
        && let Ok(link) = HeaderValue::from_str(&format!("<{}>;rel=\"index\"", http.urls.directory(None)))
    {
        response.headers_mut().append(LINK, link);
    }
    if response.status() == StatusCode::TOO_MANY_REQUESTS
        && let Ok(link) = HeaderValue::from_str(&format!("<{}>;rel=\"help\"", http.urls.rate_limits()))
    {
        response.headers_mut().append(LINK, link);
    }
    response
}

fn add_nonce(http: &Http, headers: &mut axum::http::HeaderMap) {
    if let Ok(nonce) = HeaderValue::from_str(&http.ctx.fresh_nonce()) {
        headers.insert(REPLAY_NONCE, nonce);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}
