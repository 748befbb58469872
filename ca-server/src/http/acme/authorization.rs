//! Authorizations and challenges (RFC 8555 section 7.5).

use std::sync::Arc;

use api::acme::{AuthorizationUpdate, NewAuthorization};
use axum::extract::State;
use axum::http::header::{LINK, LOCATION, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use pki_core::acme::authorization::{Authorization, AuthorizationStatus};
use pki_core::acme::challenge::{Challenge, ChallengeState};
use pki_core::acme::problem::ProblemKind;
use pki_core::ids::{AuthorizationId, ChallengeId};
use serde_json::{Map, Value};

use super::super::extract::{ByAccount, Segment, payload};
use super::super::visit::Visit;
use super::super::{Http, HttpError, Urls, wire};
use crate::flows::authenticate::AccountRequest;
use crate::flows::authorization;
use crate::flows::rates::Asker;

pub(super) async fn new_authz(
    State(http): State<Arc<Http>>,
    ByAccount(request, urls): ByAccount,
) -> Result<Response, HttpError> {
    create(&http, &request, &urls, None).await
}

pub(super) async fn new_authz_of_profile(
    State(http): State<Arc<Http>>,
    Segment(profile): Segment,
    ByAccount(request, urls): ByAccount,
) -> Result<Response, HttpError> {
    create(&http, &request, &urls, Some(&profile)).await
}

/// Section 7.4.1.
async fn create(
    http: &Http,
    request: &AccountRequest,
    urls: &Urls,
    profile: Option<&str>,
) -> Result<Response, HttpError> {
    if !http.ctx.service.new_authz {
        return Err(HttpError::not_found("ACME resource: this CA authorises names by orders only"));
    }
    let sent: NewAuthorization = payload(request.payload())?;
    let name = (sent.identifier.kind, sent.identifier.value);
    let begun = authorization::create(&http.ctx, request, name, profile).await?;
    let location = [(LOCATION, urls.authorization(begun.id))];
    Ok((StatusCode::CREATED, location, show(http, urls, &begun)).into_response())
}

pub(super) async fn authorization(
    State(http): State<Arc<Http>>,
    Segment(id): Segment,
    Extension(visit): Extension<Visit>,
    ByAccount(request, urls): ByAccount,
) -> Result<Response, HttpError> {
    let id = id.parse().map_err(|_| HttpError::not_found("authorization"))?;
    let found = match request.payload() {
        [] => {
            await_looks(&http, &visit, &[id]).await;
            authorization::read(&http.ctx, &request, id).await?
        }
        sent => {
            let sent: AuthorizationUpdate = payload(sent)?;
            match sent.status.as_deref() {
                Some("deactivated") => authorization::deactivate(&http.ctx, &request, id).await?,
                _ => authorization::read(&http.ctx, &request, id).await?,
            }
        }
    };
    Ok(show(&http, &urls, &found))
}

/// A client that asks while its names are looked at is answered when that has ended, or after a second. It takes no place
/// from others meanwhile. Whether there was anything to wait for.
pub(super) async fn await_looks(http: &Http, visit: &Visit, authorizations: &[AuthorizationId]) -> bool {
    let Some(looks) = http.ctx.underway.looks_at(authorizations) else { return false };
    visit.place.free();
    looks.ended().await;
    true
}

fn show(http: &Http, urls: &Urls, authorization: &Authorization) -> Response {
    let mut response = Json(wire::authorization(http, urls, authorization)).into_response();
    let is_looked_at = authorization.challenges.iter().any(|one| one.state == ChallengeState::Processing);
    if authorization.status == AuthorizationStatus::Pending && is_looked_at {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// POST-as-GET reads, any object responds (section 7.5.1).
pub(super) async fn challenge(
    State(http): State<Arc<Http>>,
    Segment(id): Segment,
    Extension(visit): Extension<Visit>,
    ByAccount(request, urls): ByAccount,
) -> Result<Response, HttpError> {
    let id: ChallengeId = id.parse().map_err(|_| HttpError::not_found("challenge"))?;
    let (authorization, challenge): (Authorization, Challenge) = match request.payload() {
        [] => {
            await_looks(&http, &visit, &[id.authorization()]).await;
            authorization::read_challenge(&http.ctx, &request, id).await?
        }
        sent => {
            serde_json::from_slice::<Map<String, Value>>(sent).map_err(|_| {
                HttpError::new(ProblemKind::Malformed, "respond to a challenge with a JSON object: `{}`")
            })?;
            http.ctx.rates.challenge(id, Asker::of(&request, visit.network))?;
            let responded = authorization::respond(&http.ctx, &request, id).await;
            if !responded.as_ref().is_ok_and(|(_, challenge)| challenge.state == ChallengeState::Processing) {
                http.ctx.rates.not_asked(id);
            }
            responded?
        }
    };
    let mut response = Json(wire::challenge(&http, &urls, authorization.account, &challenge)).into_response();
    let up = format!("<{}>;rel=\"up\"", urls.authorization(authorization.id));
    if let Ok(up) = HeaderValue::from_str(&up) {
        response.headers_mut().append(LINK, up);
    }
    if challenge.state == ChallengeState::Processing {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    Ok(response)
}
