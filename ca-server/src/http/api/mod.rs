//! The JSON API under `/api/v1`: administration on the local socket, agents on the main listener.
//!
//! Who asks and who may are different types: [`Administrator`] is made by the socket's listener only, so a handler that
//! takes one cannot be reached from the network.

mod agent;
mod certificates;
mod devices;
mod eab;
mod overview;
mod revocations;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::middleware;
use axum::routing::{get, post};
use pki_core::acme::problem::ProblemKind;
use pki_core::revocation::denied::Subject;
use serde::de::DeserializeOwned;

use super::{Http, HttpError, detach};

/// The rights of a root administrator: whoever may open the socket in the CA's folder.
#[derive(Debug, Clone, Copy)]
pub struct Administrator {
    uid: u32,
}

impl Administrator {
    /// The process at the other end of the local socket.
    pub fn local(uid: u32) -> Self {
        Self { uid }
    }

    /// How audit events name them.
    pub(super) fn actor(self) -> String {
        format!("uid:{}", self.uid)
    }
}

impl FromRequestParts<Arc<Http>> for Administrator {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, http: &Arc<Http>) -> Result<Self, HttpError> {
        let who = parts.extensions.get::<Administrator>().copied();
        let who = who.ok_or_else(|| {
            HttpError::new(ProblemKind::Unauthorized, "administration is done through the local socket")
        })?;
        http.ctx.denied.refuse(&[Subject::Session(who.actor())])?;
        Ok(who)
    }
}

/// A JSON body; what is wrong with it is answered as a problem document.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<Http>> for Body<T> {
    type Rejection = HttpError;

    async fn from_request(request: Request, http: &Arc<Http>) -> Result<Self, HttpError> {
        let body = axum::Json::<T>::from_request(request, http).await;
        body.map(|axum::Json(body)| Self(body)).map_err(|rejection: JsonRejection| {
            HttpError::new(ProblemKind::Malformed, format!("the request cannot be read: {}", rejection.body_text()))
        })
    }
}

/// Administration: the routes of the local socket.
pub fn administration(http: &Arc<Http>) -> Router<Arc<Http>> {
    Router::new()
        .route("/api/v1/status", get(overview::status))
        .route("/api/v1/devices", get(devices::list).post(devices::add))
        .route("/api/v1/devices/{name}", get(devices::show))
        .route("/api/v1/devices/{name}/labels", post(devices::label))
        .route("/api/v1/devices/{name}/token", post(devices::token))
        .route("/api/v1/devices/{name}/retire", post(devices::retire))
        .route("/api/v1/devices/{name}/revoke", post(devices::revoke))
        .route("/api/v1/certificates", get(certificates::list))
        .route("/api/v1/certificates/{serial}", get(certificates::show))
        .route("/api/v1/certificates/{serial}/revoke", post(certificates::revoke))
        .route("/api/v1/certificates/{serial}/release", post(certificates::release))
        .route("/api/v1/revocations", get(revocations::list))
        .route("/api/v1/revocations/plan", post(revocations::plan))
        .route("/api/v1/revocations/run", post(revocations::run))
        .route("/api/v1/replace-all", post(certificates::replace_all))
        .route("/api/v1/eab-keys", get(eab::list).post(eab::create))
        .route("/api/v1/eab-keys/{kid}/revoke", post(eab::revoke))
        .route("/api/v1/profiles", get(overview::profiles))
        .route("/api/v1/profiles/{name}", get(overview::profile))
        .route("/api/v1/audit", get(overview::audit))
        .route("/api/v1/crl", get(overview::crls))
        .route("/api/v1/crl/publish", post(overview::publish_crls))
        .fallback(async || HttpError::not_found("resource of the JSON API"))
        .method_not_allowed_fallback(async || HttpError::method_not_allowed())
        .layer(DefaultBodyLimit::max(64 * 1024))
        .layer(middleware::from_fn_with_state(Arc::clone(http), detach))
}

/// What agents ask and tell, signed with their account keys: routes of the main listener.
pub fn agents(http: &Arc<Http>) -> Router<Arc<Http>> {
    Router::new()
        .route("/api/v1/agent/config", post(agent::config))
        .route("/api/v1/agent/report", post(agent::report))
        .layer(middleware::from_fn_with_state(Arc::clone(http), super::visit::layer))
        .layer(middleware::from_fn_with_state(Arc::clone(http), detach))
        .layer(middleware::from_fn_with_state(Arc::clone(http), super::acme::add_headers))
}

/// A text of the request that names something.
fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str, what: &str) -> Result<T, HttpError> {
    text.parse().map_err(|error| HttpError::new(ProblemKind::Malformed, format!("{what}: {error}")))
}
