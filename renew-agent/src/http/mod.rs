//! A small HTTPS client: HTTP/1.1 over one kept connection, several addresses for one CA, everything bounded.
//!
//! It knows addresses and trust, nothing of ACME. There is no connection pool and no background task: the
//! connection is driven while an exchange waits, and found closed by the next one.

mod connection;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue, USER_AGENT};
use hyper::{Method, Uri};
use rustls::ClientConfig;

use connection::Connection;
pub use tls::{TlsError, pinned, unverified};

/// Name and version of this program, as servers see it (RFC 8555 section 6.1).
const AGENT: &str = concat!("renew-agent/", env!("CARGO_PKG_VERSION"));
/// For one address to accept a connection and shake hands.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For one answer; a CA that signs slowly answers `processing` long before.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// The largest answer that is read.
const ANSWER_LIMIT: usize = 256 * 1024;

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No address let itself be connected to.
    #[error("the CA is unreachable: {}", attempts(.0))]
    Unreachable(Vec<Attempt>),
    /// The connection was there, the answer was not.
    #[error("no usable answer from {url}: {detail}")]
    Broken {
        /// What was asked for.
        url: String,
        /// What happened instead.
        detail: String,
    },
    /// The address is not one this client speaks to.
    #[error("`{url}` is not an address of a CA: {detail}")]
    BadUrl {
        /// The address.
        url: String,
        /// What is wrong with it.
        detail: &'static str,
    },
}

/// One address that was tried in vain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Host and port.
    pub address: String,
    /// Why it failed.
    pub reason: String,
}

fn attempts(all: &[Attempt]) -> String {
    let each: Vec<_> = all.iter().map(|attempt| format!("{} ({})", attempt.address, attempt.reason)).collect();
    each.join(", ")
}

/// What is sent.
#[derive(Debug)]
pub struct Request<'a> {
    /// GET, HEAD or POST.
    pub method: Method,
    /// The URL, sent byte for byte.
    pub url: &'a str,
    /// Type and bytes of the body, if there is one.
    pub body: Option<(&'static str, Vec<u8>)>,
}

/// What came back.
#[derive(Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// At most [`ANSWER_LIMIT`] bytes.
    pub body: Vec<u8>,
}

impl Response {
    /// A header's value, when it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// `Retry-After` in seconds (RFC 9110 section 10.2.3), a day at most.
    pub fn retry_after(&self) -> Option<Duration> {
        let seconds: u64 = self.header("retry-after")?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds.min(86_400)))
    }
}

/// A URL in the parts a connection needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    host: String,
    port: u16,
    authority: String,
    path: String,
}

impl Target {
    fn parse(url: &str) -> Result<Self, HttpError> {
        let bad = |detail| HttpError::BadUrl { url: url.chars().take(200).collect(), detail };
        let uri: Uri = url.parse().map_err(|_| bad("it is no URL"))?;
        if uri.scheme_str() != Some("https") {
            return Err(bad("it must begin with https://"));
        }
        let authority = uri.authority().ok_or_else(|| bad("it names no host"))?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() || authority.as_str().contains('@') {
            return Err(bad("it names no host"));
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { host, port: authority.port_u16().unwrap_or(443), authority: authority.to_string(), path })
    }

    fn address(&self) -> (String, u16) {
        (self.host.clone(), self.port)
    }
}

/// The scheme and authority of a URL, without a path.
pub(crate) fn origin(url: &str) -> Result<String, HttpError> {
    Ok(format!("https://{}", Target::parse(url)?.authority))
}

/// Where a request may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// To the URL's own host only.
    Direct,
    /// To the URL's own host, else to any other address of the CA, which must prove to be the URL's host.
    AnyAddress,
}

/// One client for one CA.
#[derive(Debug)]
pub struct Client {
    tls: Arc<ClientConfig>,
    addresses: Vec<(String, u16)>,
    connection: Option<Connection>,
}

impl Client {
    /// A client that trusts what `tls` trusts and knows the CA under these base addresses.
    pub fn new(tls: Arc<ClientConfig>, addresses: &[String]) -> Result<Self, HttpError> {
        let addresses =
            addresses.iter().map(|url| Ok(Target::parse(url)?.address())).collect::<Result<_, HttpError>>()?;
        Ok(Self { tls, addresses, connection: None })
    }

    /// Sends a request and reads the whole answer.
    ///
    /// A kept connection that the server closed meanwhile is replaced once, which may send the request twice: a
    /// signed request carries a nonce that works only once.
    pub async fn send(&mut self, request: &Request<'_>, route: Route) -> Result<Response, HttpError> {
        let target = Target::parse(request.url)?;
        if let Some(kept) = self.connection.take_if(|kept| kept.authority() == target.authority)
            && let Ok(response) = self.exchange(kept, request, &target).await
        {
            return Ok(response);
        }
        let fresh = self.connect(&target, route).await?;
        let broken = |detail: String| HttpError::Broken { url: request.url.to_owned(), detail };
        self.exchange(fresh, request, &target).await.map_err(broken)
    }

    async fn connect(&self, target: &Target, route: Route) -> Result<Connection, HttpError> {
        let mut failed = Vec::new();
        for (host, port) in self.candidates(target, route) {
            let attempt = Connection::open((host.as_str(), port), target, Arc::clone(&self.tls));
            let reason = match tokio::time::timeout(CONNECT_TIMEOUT, attempt).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(reason)) => reason,
                Err(_) => format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()),
            };
            failed.push(Attempt { address: format!("{host}:{port}"), reason });
        }
        Err(HttpError::Unreachable(failed))
    }

    fn candidates(&self, target: &Target, route: Route) -> Vec<(String, u16)> {
        let own = target.address();
        let others = self.addresses.iter().filter(|address| **address != own && route == Route::AnyAddress);
        std::iter::once(own.clone()).chain(others.cloned()).collect()
    }

    async fn exchange(
        &mut self,
        mut connection: Connection,
        request: &Request<'_>,
        target: &Target,
    ) -> Result<Response, String> {
        let message = message(request, target)?;
        let exchange = connection.exchange(message, ANSWER_LIMIT);
        let response = tokio::time::timeout(ANSWER_TIMEOUT, exchange)
            .await
            .map_err(|_| format!("nothing came within {} s", ANSWER_TIMEOUT.as_secs()))??;
        self.connection = Some(connection);
        Ok(response)
    }
}

fn message(request: &Request<'_>, target: &Target) -> Result<hyper::Request<connection::Body>, String> {
    let (kind, bytes) = match &request.body {
        Some((kind, bytes)) => (Some(*kind), bytes.clone()),
        None => (None, Vec::new()),
    };
    let mut message = hyper::Request::builder()
        .method(request.method.clone())
        .uri(target.path.as_str())
        .header(HOST, target.authority.as_str())
        .header(USER_AGENT, AGENT)
        .body(connection::Body::new(bytes.into()))
        .map_err(|error| error.to_string())?;
    if let Some(kind) = kind {
        message.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    Ok(message)
}

#[cfg(test)]
mod tests;
