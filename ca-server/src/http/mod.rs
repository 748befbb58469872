//! HTTP: what arrives is bounded, parsed and authenticated here; what is decided comes from `flows`.
//!
//! [`acme`] speaks RFC 8555, [`api`] the JSON API on the administration socket and for agents, [`public`] what clients
//! fetch without TLS, [`operations`] what monitoring asks. [`problem`] is the only place that turns errors into answers.

pub mod acme;
pub mod api;
mod extract;
mod gate;
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
