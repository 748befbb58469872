//! `POST /api/v1/agent/*`: signed like ACME requests, by the account key.

use std::sync::Arc;

use api::agent::{AgentConfig, Probe, Report};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pki_core::acme::problem::ProblemKind;

use super::super::extract::{ByAccount, must_be_empty, payload};
use super::super::{Http, HttpError, wire};
use crate::flows::agent::{self, Configuration};

pub(super) async fn config(
    State(http): State<Arc<Http>>,
    ByAccount(request, _): ByAccount,
) -> Result<Json<AgentConfig>, HttpError> {
    must_be_empty(request.payload())?;
    let Configuration { device, profile, names } = agent::configuration(&http.ctx, &request).await?;
    Ok(Json(AgentConfig {
        device: device.name.to_string(),
        site: device.site.to_string(),
        profile: profile.name.to_string(),
        identifiers: names.iter().map(wire::identifier).collect(),
        lifetime_seconds: profile.lifetime.as_secs(),
        renew_at_permille: profile.renew_at_permille,
        grace_seconds: profile.grace.as_secs(),
        roots_pem: Some(http.roots_pem.clone()),
    }))
}

pub(super) async fn report(
    State(http): State<Arc<Http>>,
    ByAccount(request, _): ByAccount,
) -> Result<StatusCode, HttpError> {
    let report: Report = payload(request.payload())?;
    let sha256 = data_encoding::HEXLOWER
        .decode(report.certificate_sha256.as_bytes())
        .ok()
        .and_then(|octets| octets.try_into().ok())
        .ok_or_else(|| {
            HttpError::new(ProblemKind::Malformed, "`certificateSha256` is 64 lower-case hexadecimal digits")
        })?;
    let outcome = match report.probe {
        Probe::Seen => "seen",
        Probe::Other { .. } => "other",
        Probe::Failed { .. } => "failed",
        Probe::NotProbed => "not-probed",
    };
    agent::report(&http.ctx, &request, sha256, outcome).await?;
    Ok(StatusCode::NO_CONTENT)
}
