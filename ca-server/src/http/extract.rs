//! Signed requests: bounded, parsed, held against the requested URL, then authenticated by a flow.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use api::acme::JOSE_CONTENT_TYPE;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Bytes;
use pki_core::acme::jws::{FlatJws, KeyRef};
use pki_core::acme::problem::{Problem, ProblemKind};
use pki_core::admission::Rank;
use serde::de::DeserializeOwned;

use super::visit::Visit;
use super::{Http, HttpError, Urls};
use crate::flows::authenticate::{self, AccountRequest, KeyRequest};
use crate::flows::rates::Asker;

/// Protocols HTP-4: bodies are small.
const MAX_BODY: usize = 50 * 1024;

/// How long a body of that size may take to arrive: who sends it in drops holds a place that others need.
const BODY_PATIENCE: Duration = Duration::from_secs(30);

/// The variable part of a path. One that is not even text is the address of nothing.
#[derive(Debug)]
pub(super) struct Segment(pub(super) String);

impl FromRequestParts<Arc<Http>> for Segment {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, http: &Arc<Http>) -> Result<Self, HttpError> {
        let segment = Path::<String>::from_request_parts(parts, http).await;
        segment.map(|Path(text)| Self(text)).map_err(|_| HttpError::not_found("resource"))
    }
}

/// Several variable parts of a path.
#[derive(Debug)]
pub(super) struct Segments<const N: usize>(pub(super) [String; N]);

impl<const N: usize> FromRequestParts<Arc<Http>> for Segments<N> {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, http: &Arc<Http>) -> Result<Self, HttpError> {
        let segments = Path::<Vec<String>>::from_request_parts(parts, http).await.ok();
        let segments = segments.and_then(|Path(texts)| texts.try_into().ok());
        segments.map(Self).ok_or_else(|| HttpError::not_found("resource"))
    }
}

/// The URLs of the address an unsigned request was sent to.
#[derive(Debug)]
pub(super) struct Here(pub(super) Urls);

impl FromRequestParts<Arc<Http>> for Here {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, http: &Arc<Http>) -> Result<Self, Self::Rejection> {
        Ok(Self(http.urls_for(&parts.headers, &parts.uri).clone()))
    }
}

/// Tells the layers around the handler for which of the CA's addresses a request was signed.
#[derive(Debug, Clone, Default)]
pub(super) struct SignedFor(Arc<OnceLock<Urls>>);

impl SignedFor {
    /// The address, once the request was read.
    pub(super) fn urls(&self) -> Option<&Urls> {
        self.0.get()
    }
}

/// A request signed by an account, named by `kid`, and the URLs it was signed for.
#[derive(Debug)]
pub(super) struct ByAccount(pub(super) AccountRequest, pub(super) Urls);

/// A request signed by the key it carries as `jwk`, and the URLs it was signed for.
#[derive(Debug)]
pub(super) struct ByKey(pub(super) KeyRequest, pub(super) Urls);

/// One or the other: revokeCert knows both (RFC 8555 section 7.6).
#[derive(Debug)]
pub(super) enum ByEither {
    Account(Box<AccountRequest>, Urls),
    Key(Box<KeyRequest>, Urls),
}

impl FromRequest<Arc<Http>> for ByEither {
    type Rejection = HttpError;

    /// Every request that is read is counted, whatever comes of it: for its account, or else for where it came from.
    async fn from_request(request: Request, http: &Arc<Http>) -> Result<Self, HttpError> {
        let visit = Visit::of(request.extensions());
        let (jws, urls) = read(request, http, &visit).await?;
        let outcome = authenticate(http, jws, urls).await;
        let asker = match &outcome {
            Ok(Self::Account(request, _)) => Asker::of(request, visit.network),
            _ => Asker::stranger(visit.network),
        };
        http.ctx.rates.request(&asker)?;
        outcome
    }
}

async fn authenticate(http: &Http, jws: FlatJws, urls: Urls) -> Result<ByEither, HttpError> {
    match jws.protected().key.clone() {
        KeyRef::Kid(kid) => {
            let account = urls.parse_account(&kid).ok_or_else(|| {
                HttpError::new(ProblemKind::AccountDoesNotExist, "`kid` is not the URL of an account of this CA")
            })?;
            Ok(ByEither::Account(Box::new(authenticate::by_account(&http.ctx, jws, account).await?), urls))
        }
        KeyRef::Jwk(key) => Ok(ByEither::Key(Box::new(authenticate::by_key(&http.ctx, jws, key).await?), urls)),
    }
}

impl FromRequest<Arc<Http>> for ByAccount {
    type Rejection = HttpError;

    async fn from_request(request: Request, http: &Arc<Http>) -> Result<Self, HttpError> {
        match ByEither::from_request(request, http).await? {
            ByEither::Account(request, urls) => Ok(Self(*request, urls)),
            ByEither::Key(..) => Err(HttpError::new(
                ProblemKind::Malformed,
                "this resource wants `kid` in the protected header, not `jwk`",
            )),
        }
    }
}

impl FromRequest<Arc<Http>> for ByKey {
    type Rejection = HttpError;

    async fn from_request(request: Request, http: &Arc<Http>) -> Result<Self, HttpError> {
        match ByEither::from_request(request, http).await? {
            ByEither::Key(request, urls) => Ok(Self(*request, urls)),
            ByEither::Account(..) => Err(HttpError::new(
                ProblemKind::Malformed,
                "this resource wants `jwk` in the protected header, not `kid`",
            )),
        }
    }
}

/// The request and the address of this CA that it was signed for.
async fn read(request: Request, http: &Http, visit: &Visit) -> Result<(FlatJws, Urls), HttpError> {
    // Exactly: parameters have no meaning here (section 6.2), and no client sends any.
    let content_type = request.headers().get(CONTENT_TYPE).map(|value| value.as_bytes()).unwrap_or_default();
    if !content_type.eq_ignore_ascii_case(JOSE_CONTENT_TYPE.as_bytes()) {
        let detail = format!("signed requests have the content type {JOSE_CONTENT_TYPE}");
        return Err(Problem::new(ProblemKind::Malformed, detail).with_status(415).into());
    }
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let signed_for = request.extensions().get::<SignedFor>().cloned().unwrap_or_default();
    // Read first: who sends slowly shall hold no place meanwhile.
    let body = read_body(request).await?;
    if let Some(rank) = rank(&path) {
        http.gate.enter(&visit.place, rank).await?;
    }
    let jws = FlatJws::parse(&body).map_err(|error| error.problem())?;
    let Some(urls) = http.all_urls().find(|urls| urls.is_address_of(&jws.protected().url, &path)) else {
        let detail = format!("the request was signed for another URL than {}", http.urls.absolute(&path));
        return Err(HttpError::new(ProblemKind::Unauthorized, detail));
    };
    signed_for.0.get_or_init(|| urls.clone());
    Ok((jws, urls.clone()))
}

/// Orders that were accepted go before new ones; what costs nothing goes to nobody's account.
fn rank(path: &str) -> Option<Rank> {
    let resource = path.split('?').next().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    match resource {
        "directory" | "new-nonce" => None,
        "new-order" | "new-account" | "new-authz" => Some(Rank::Entering),
        _ => Some(Rank::UnderWay),
    }
}

async fn read_body(request: Request) -> Result<Bytes, HttpError> {
    let refuse = |detail: &str, status| Problem::new(ProblemKind::Malformed, detail).with_status(status).into();
    let reading = Limited::new(request.into_body(), MAX_BODY).collect();
    match tokio::time::timeout(BODY_PATIENCE, reading).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(refuse("the body is larger than 50 kB", 413)),
        Ok(Err(_)) => Err(refuse("the body ended before it was complete", 400)),
        Err(_) => Err(refuse("the body took too long to arrive", 408)),
    }
}

/// The members of a payload.
pub(super) fn payload<T: DeserializeOwned>(payload: &[u8]) -> Result<T, HttpError> {
    // serde also takes an array for a struct, and for one whose members are all optional any array is one
    if payload.trim_ascii_start().first() != Some(&b'{') {
        return Err(HttpError::new(ProblemKind::Malformed, "the payload of this request is a JSON object"));
    }
    serde_json::from_slice(payload).map_err(|error| {
        // serde's text may quote input; line and column are enough to find the fault
        let place = format!("line {} column {}", error.line(), error.column());
        HttpError::new(
            ProblemKind::Malformed,
            format!("the payload is not the JSON object this resource takes ({place})"),
        )
    })
}

/// POST-as-GET has an empty payload (RFC 8555 section 6.3).
pub(super) fn must_be_empty(payload: &[u8]) -> Result<(), HttpError> {
    match payload.is_empty() {
        true => Ok(()),
        false => Err(HttpError::new(
            ProblemKind::Malformed,
            "this resource is read by POST-as-GET: the payload must be empty",
        )),
    }
}
