//! HTTP: what arrives is bounded, parsed and authenticated here; what is decided comes from `flows`.
//!
//! [`acme`] speaks RFC 8555, [`api`] the JSON API on the administration socket and for agents, [`public`] what clients
//! fetch without TLS, [`ocsp`] what they ask there, [`operations`] what monitoring asks. [`problem`] is the only place that turns errors into answers.

pub mod acme;
pub mod api;
mod conditions;
mod crl;
mod extract;
mod gate;
pub mod ocsp;
pub mod operations;
mod problem;
pub mod public;
mod urls;
mod visit;
mod wire;

pub use gate::Gate;
pub use problem::HttpError;
pub use urls::Urls;
pub use visit::{Networks, Peer};

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::flows::Context;
use crate::tasks::Tasks;

/// What every handler works with.
#[derive(Debug)]
pub struct Http {
    /// For flows.
    pub ctx: Arc<Context>,
    /// Makes and reads the URLs in answers.
    pub urls: Urls,
    /// The same for the other addresses of this CA: what was asked at one of them is answered with its URLs.
    pub aliases: Vec<Urls>,
    /// Where requests run, so that shutdown waits for them.
    pub tasks: Tasks,
    /// Whether this server wants requests.
    pub ready: Readiness,
    /// PEM of all roots.
    pub roots_pem: String,
    /// What records of dns-persist-01 call this CA.
    pub issuers: Vec<String>,
    /// The door of signed requests.
    pub gate: Arc<Gate>,
    /// Tells clients apart.
    pub networks: Networks,
}

impl Http {
    /// The main address and the others.
    fn all_urls(&self) -> impl Iterator<Item = &Urls> {
        std::iter::once(&self.urls).chain(&self.aliases)
    }

    /// The address that an unsigned request was sent to; the main one when nothing tells.
    pub(crate) fn urls_for(&self, request: &axum::http::HeaderMap, uri: &axum::http::Uri) -> &Urls {
        let host = request.get(axum::http::header::HOST).and_then(|host| host.to_str().ok());
        let authority = uri.authority().map(|authority| authority.as_str()).or(host).unwrap_or_default();
        self.all_urls().find(|urls| urls.is_authority(authority)).unwrap_or(&self.urls)
    }
}

/// What `/readyz` tells.
#[derive(Debug, Default)]
pub struct Readiness(AtomicBool);

impl Readiness {
    /// Sets whether requests are wanted.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::SeqCst);
    }

    /// Whether requests are wanted.
    pub fn get(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Runs each request in a task of its own: a client that hangs up cancels nothing half done, and a panic is answered
/// like any other fault instead of closing the connection.
pub(crate) async fn detach(State(http): State<Arc<Http>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let answer = http.tasks.spawn(next.run(request)).await;
    let response = answer.unwrap_or_else(|_| HttpError::panicked().into_response());
    http.ctx.metrics.count_request(route.as_deref().unwrap_or("unknown"), response.status().as_u16());
    if let Some(kind) = response.extensions().get::<problem::Kind>() {
        http.ctx.metrics.count_problem(kind.0);
    }
    response
}
