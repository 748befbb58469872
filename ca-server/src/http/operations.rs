//! The operations listener: health, readiness, metrics. No secrets, no authentication, loopback by default.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use pki_core::ids::IssuerId;

use super::Http;
use crate::flows::denied::STALE;
use crate::flows::{crl, health};

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
        Ok(()) => match denied_detail(&http) {
            Ok(denied) => format!("ready\n{denied}{}{}", policy_detail(&http), crl_detail(&http)).into_response(),
            Err(detail) => (StatusCode::SERVICE_UNAVAILABLE, detail).into_response(),
        },
        Err(error) => {
            tracing::warn!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "not ready: the database does not answer\n").into_response()
        }
    }
}

/// A policy in files that cannot be put in force keeps no certificate from being issued: it is told beside.
fn policy_detail(http: &Http) -> String {
    let Some(fault) = http.ctx.policies.fault() else { return String::new() };
    format!(
        "policy: the files are broken since {}; revision {} stays in force\n{}\n",
        fault.at.rfc3339(),
        http.ctx.policy().revision(),
        fault.message
    )
}

/// A server that can not read who was revoked elsewhere steps aside for one that can (docs/adr/0013).
fn denied_detail(http: &Http) -> Result<String, String> {
    let (denied, lag) = (&http.ctx.denied, http.ctx.denied.lag());
    let number = denied.number();
    if lag > STALE {
        let seconds = lag.as_secs();
        return Err(format!("not ready: revocations were last read {seconds} s ago, up to number {number}\n"));
    }
    Ok(format!("revocations: read up to number {number}\n{}", published(http)))
}

/// Up to which revocation the complete lists tell; accounts and devices that were taken out have numbers and are on no list.
fn published(http: &Http) -> String {
    let lists = crl::all(&http.ctx);
    let complete = lists.iter().map(|list| &list.record).filter(|record| record.shard.is_none());
    let complete = complete.filter(|record| record.issuer != http.ctx.root.id);
    let line = |number: u64, issuer: IssuerId, covers: u64| {
        format!("list {number} of issuer {issuer}: covers revocations up to number {covers}\n")
    };
    complete.map(|record| line(record.number, record.issuer, record.covers)).collect()
}

/// Lists that cannot be published keep no certificate from being issued either.
fn crl_detail(http: &Http) -> String {
    http.ctx.crls.troubles.lines().iter().map(|what| format!("crl: {what}\n")).collect()
}

async fn metrics(State(http): State<Arc<Http>>) -> Response {
    http.ctx.ocsp.tell();
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], http.ctx.metrics.render()).into_response()
}
