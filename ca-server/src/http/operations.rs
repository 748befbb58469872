//! The operations listener: health, readiness, metrics. No secrets, no authentication, loopback by default.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::Http;
use crate::flows::health;

/// All routes of the operations listener.
pub fn router() -> Router<Arc<Http>> {
    Router::new().route("/healthz", get(async || "ok\n")).route("/readyz", get(ready)).route("/metrics", get(metrics))
}

/// Ready: certificates can be issued now. Not while starting, draining, or without the database.
async fn ready(State(http): State<Arc<Http>>) -> Response {
    if !http.ready.get() {
        return (StatusCode::SERVICE_UNAVAILABLE, "not ready: starting or shutting down\n").into_response();
    }
    match health::check(&http.ctx).await {
        Ok(()) => "ready\n".into_response(),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "not ready: the database does not answer\n").into_response()
        }
    }
}

async fn metrics(State(http): State<Arc<Http>>) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], http.ctx.metrics.render()).into_response()
}
