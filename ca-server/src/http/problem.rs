//! Errors as answers: one table from what a flow ends with to a problem document (RFC 8555 section 6.7, RFC 7807).

use api::acme::IdentifierObject;
use api::problem::{CONTENT_TYPE, ProblemDocument, URN_PREFIX};
use axum::http::header::{CONTENT_TYPE as CONTENT_TYPE_HEADER, LINK, LOCATION, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use pki_core::acme::jws::ALGORITHMS;
use pki_core::acme::problem::{Problem, ProblemKind};
use pki_core::random::{self, SystemEntropy};
use std::time::Duration;

use crate::flows::FlowError;

/// An answer that says why not.
#[derive(Debug)]
pub struct HttpError {
    problem: Box<Problem>,
    location: Option<Box<str>>,
    cause: Option<Box<str>>,
    /// One of very many alike: its line would add to the load it tells of.
    is_quiet: bool,
}

/// The problem's type, kept beside the response for the metrics.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind(pub(super) &'static str);

impl HttpError {
    /// A problem of the request.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Problem::new(kind, detail).into()
    }

    /// There is nothing at this address.
    pub fn not_found(thing: &str) -> Self {
        Problem::new(ProblemKind::Malformed, format!("no such {thing}")).with_status(404).into()
    }

    /// The address is known, the method is not one of its own.
    pub fn method_not_allowed() -> Self {
        let detail = "this resource is not used with that method; ACME resources are read by POST-as-GET";
        Problem::new(ProblemKind::Malformed, detail).with_status(405).into()
    }

    /// The key belongs to the account at `location` (RFC 8555 section 7.3.5).
    pub fn key_in_use(location: String) -> Self {
        let problem = Problem::conflict("that key has an account already");
        Self { location: Some(location.into()), ..problem.into() }
    }

    /// There is no time for this request.
    pub(super) fn overloaded(problem: Problem) -> Self {
        Self { is_quiet: true, ..problem.into() }
    }

    /// A handler panicked: the story is in the log, by the panic hook.
    pub(super) fn panicked() -> Self {
        Self::internal("a handler panicked".to_owned())
    }

    fn internal(cause: String) -> Self {
        let detail = "the CA failed; its log has the reason under the id of this answer";
        Self { cause: Some(cause.into()), ..Problem::new(ProblemKind::ServerInternal, detail).into() }
    }
}

impl From<Problem> for HttpError {
    fn from(problem: Problem) -> Self {
        Self { problem: Box::new(problem), location: None, cause: None, is_quiet: false }
    }
}

impl From<FlowError> for HttpError {
    fn from(error: FlowError) -> Self {
        match error {
            FlowError::Problem(problem) => problem.into(),
            // The http layer knows the URL and replaces this where the flow can end so.
            FlowError::KeyInUse(_) => Self::key_in_use(String::new()),
            FlowError::Unavailable { what, cause, retry_after } => {
                Self { cause: Some(cause.into()), ..unavailable(what, retry_after).into() }
            }
            FlowError::Conflict(cause) => {
                let what = "the resource changed while the request was served; try again";
                Self { cause: Some(cause.into()), ..unavailable(what, Duration::from_secs(1)).into() }
            }
            FlowError::Internal(cause) => Self::internal(cause),
        }
    }
}

/// Temporary conditions are never 4xx: some clients take those for final (protocols ERR-2).
fn unavailable(what: &str, retry_after: Duration) -> Problem {
    Problem::new(ProblemKind::ServerInternal, what).with_status(503).with_retry_after(retry_after)
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.problem.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let request_id = data_encoding::HEXLOWER.encode(&random::bytes::<6>(&SystemEntropy::new()));
        match &self.cause {
            Some(cause) => tracing::error!(%request_id, status = status.as_u16(), %cause, "request failed"),
            None if self.is_quiet => tracing::debug!(%request_id, "request sent away"),
            None => {
                // The id in the answer has to be found again (protocols ERR-1), with the settings as they come.
                let (kind, detail) = (self.problem.kind.name(), one_line(&self.problem.detail));
                tracing::info!(%request_id, status = status.as_u16(), kind, detail, "request refused")
            }
        }
        let mut document = document(&self.problem);
        document.request_id = Some(request_id);
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = (status, [(CONTENT_TYPE_HEADER, CONTENT_TYPE)], body).into_response();
        if let Some(wait) = self.problem.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        // Section 7.3.3 wants the terms by both ways.
        if let Some(terms) = &self.problem.instance
            && let Ok(link) = HeaderValue::from_str(&format!("<{terms}>;rel=\"terms-of-service\""))
        {
            response.headers_mut().append(LINK, link);
        }
        if let Some(location) = self.location.as_deref().and_then(|location| HeaderValue::from_str(location).ok()) {
            response.headers_mut().insert(LOCATION, location);
        }
        response.extensions_mut().insert(Kind(self.problem.kind.name()));
        response
    }
}

/// The wire form of a problem, alone or inside a challenge or order.
pub(super) fn document(problem: &Problem) -> ProblemDocument {
    let algorithms = (problem.kind == ProblemKind::BadSignatureAlgorithm)
        .then(|| ALGORITHMS.iter().map(|name| (*name).to_owned()).collect());
    ProblemDocument {
        problem_type: format!("{URN_PREFIX}{}", problem.kind.name()),
        detail: one_line(&problem.detail),
        status: Some(problem.http_status()),
        subproblems: problem
            .subproblems
            .iter()
            .map(|sub| ProblemDocument {
                problem_type: format!("{URN_PREFIX}{}", sub.kind.name()),
                detail: one_line(&sub.detail),
                identifier: Some(IdentifierObject {
                    kind: sub.identifier_type.clone(),
                    value: sub.identifier_value.clone(),
                }),
                ..ProblemDocument::default()
            })
            .collect(),
        algorithms,
        instance: problem.instance.as_deref().map(str::to_owned),
        ..ProblemDocument::default()
    }
}

/// Details repeat parts of requests: they stay one line of bounded length in answers, stored errors and logs.
fn one_line(detail: &str) -> String {
    const MOST: usize = 1000;
    detail.chars().take(MOST).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
