//! revokeCert (RFC 8555 section 7.6).

use std::sync::Arc;

use api::acme::RevokeCert;
use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pki_core::acme::problem::ProblemKind;

use super::super::extract::{ByEither, payload};
use super::super::{Http, HttpError};
use crate::flows::revoke::client::{Signer, by_client};

/// Success has an empty body: acme.sh tests for exactly that (protocols REV-3).
pub(super) async fn revoke_cert(State(http): State<Arc<Http>>, request: ByEither) -> Result<StatusCode, HttpError> {
    let (signer, sent) = match &request {
        ByEither::Account(request, _) => (Signer::Account(request), request.payload()),
        ByEither::Key(request, _) => (Signer::Key(request), request.payload()),
    };
    let sent: RevokeCert = payload(sent)?;
    let der = URL_SAFE_NO_PAD
        .decode(&sent.certificate)
        .map_err(|_| HttpError::new(ProblemKind::Malformed, "the certificate is not base64url without padding"))?;
    by_client(&http.ctx, signer, &der, sent.reason).await?;
    Ok(StatusCode::OK)
}
