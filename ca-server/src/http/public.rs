//! The public listener: what relying parties fetch over plain HTTP, since it is signed anyway.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use pki_core::ids::IssuerId;

use super::extract::Segment;
use super::{Http, HttpError, crl, detach};

/// All routes of the public listener.
pub fn router(http: &Arc<Http>) -> Router<Arc<Http>> {
    Router::new()
        .route("/roots.pem", get(roots))
        .route("/ca/{file}", get(certificate))
        .merge(crl::router())
        .fallback(async || HttpError::not_found("resource"))
        .layer(middleware::from_fn_with_state(Arc::clone(http), detach))
}

/// The roots in PEM: whoever fetches them compares their fingerprints before believing them.
pub(crate) async fn roots(State(http): State<Arc<Http>>) -> Response {
    ([(CONTENT_TYPE, "application/x-pem-file"), (CACHE_CONTROL, "max-age=3600")], http.roots_pem.clone())
        .into_response()
}

/// The rate limits in force, for whoever was told of one (RFC 8555 section 6.6).
pub(crate) async fn rate_limits(State(http): State<Arc<Http>>) -> Response {
    ([(CONTENT_TYPE, "text/plain; charset=utf-8")], http.ctx.rates.describe()).into_response()
}

/// The issuing certificate, for the AIA of leaves (RFC 5280 section 4.2.2.1).
async fn certificate(State(http): State<Arc<Http>>, Segment(file): Segment) -> Result<Response, HttpError> {
    let issuer = issuer(file.strip_suffix(".crt"))?;
    let der = http.ctx.ca_certificate(issuer).ok_or_else(|| HttpError::not_found("certificate"))?;
    Ok(([(CONTENT_TYPE, "application/pkix-cert"), (CACHE_CONTROL, "max-age=3600")], der.to_vec()).into_response())
}

fn issuer(text: Option<&str>) -> Result<IssuerId, HttpError> {
    text.and_then(|text| text.parse().ok()).ok_or_else(|| HttpError::not_found("issuer"))
}
