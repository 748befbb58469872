//! Download of certificates (RFC 8555 section 7.4.2).

use std::sync::Arc;

use api::acme::CHAIN_CONTENT_TYPE;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::super::extract::{ByAccount, Segment, must_be_empty};
use super::super::{Http, HttpError};
use crate::flows::certificate::download;

pub(super) async fn certificate(
    State(http): State<Arc<Http>>,
    Segment(id): Segment,
    ByAccount(request): ByAccount,
) -> Result<Response, HttpError> {
    must_be_empty(request.payload())?;
    let id = id.parse().map_err(|_| HttpError::not_found("certificate"))?;
    let chain = download(&http.ctx, &request, id).await?;
    Ok(([(CONTENT_TYPE, CHAIN_CONTENT_TYPE)], chain).into_response())
}
