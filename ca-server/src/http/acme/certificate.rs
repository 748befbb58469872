//! Download of certificates (RFC 8555 section 7.4.2).

use std::sync::Arc;

use api::acme::CHAIN_CONTENT_TYPE;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_TYPE, LINK};
use axum::response::{IntoResponse, Response};

use super::super::extract::{ByAccount, Segment, Segments, must_be_empty};
use super::super::{Http, HttpError, Urls};
use crate::flows::authenticate::AccountRequest;
use crate::flows::certificate::download;

pub(super) async fn certificate(
    State(http): State<Arc<Http>>,
    Segment(id): Segment,
    ByAccount(request, urls): ByAccount,
) -> Result<Response, HttpError> {
    show(&http, &request, &urls, &id, 0).await
}

/// A chain to another root, or by another way.
pub(super) async fn alternate(
    State(http): State<Arc<Http>>,
    Segments([id, number]): Segments<2>,
    ByAccount(request, urls): ByAccount,
) -> Result<Response, HttpError> {
    // the default chain has one address only
    let number = number.parse().ok().filter(|number| *number > 0).ok_or_else(|| HttpError::not_found("chain"))?;
    show(&http, &request, &urls, &id, number).await
}

async fn show(
    http: &Http,
    request: &AccountRequest,
    urls: &Urls,
    id: &str,
    alternate: usize,
) -> Result<Response, HttpError> {
    must_be_empty(request.payload())?;
    let id = id.parse().map_err(|_| HttpError::not_found("certificate"))?;
    let chain = download(&http.ctx, request, id, alternate).await?;
    let mut response = ([(CONTENT_TYPE, CHAIN_CONTENT_TYPE)], chain).into_response();
    for other in (0..=http.ctx.alternates.len()).filter(|other| *other != alternate) {
        let link = format!("<{}>;rel=\"alternate\"", urls.certificate(id, other));
        if let Ok(link) = HeaderValue::from_str(&link) {
            response.headers_mut().append(LINK, link);
        }
    }
    Ok(response)
}
