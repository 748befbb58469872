//! renewalInfo (RFC 9773 section 4): read by anybody, without signature.

use std::sync::Arc;

use api::acme::{RenewalInfo, SuggestedWindow};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, RETRY_AFTER};
use axum::response::{IntoResponse, Response};

use super::super::extract::Segment;
use super::super::{Http, HttpError};
use crate::flows::renewal_info::advise;

pub(super) async fn renewal_info(State(http): State<Arc<Http>>, Segment(name): Segment) -> Result<Response, HttpError> {
    let advice = advise(&http.ctx, &name).await?;
    let explanation = &http.ctx.service.explanation_url;
    let info = RenewalInfo {
        suggested_window: SuggestedWindow { start: advice.window.start.rfc3339(), end: advice.window.end.rfc3339() },
        explanation_url: (!explanation.is_empty()).then(|| explanation.clone()),
    };
    let mut response = Json(info).into_response();
    let seconds = advice.ask_again_after.as_secs();
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    // A revocation has to be seen soon, whatever lies between the CA and the client.
    if let Ok(cache) = HeaderValue::from_str(&format!("public, max-age={}", seconds.min(300))) {
        response.headers_mut().insert(CACHE_CONTROL, cache);
    }
    Ok(response)
}
