//! OCSP over HTTP (RFC 6960 appendix A, RFC 9919 sections 6 and 7), in front of the other resources of the public listener.
//!
//! What is kept is answered here without a task or a router on the way, and under one lock of the many that what is kept is
//! shared out to: it is asked for tens of thousands of times a second. Everything else runs in a task of its own, as other
//! requests do.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Wakes, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body as RouterBody;
use axum::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, EXPIRES, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use bytes::Bytes;
use data_encoding::HEXLOWER;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::Service;
use pki_core::time::Timestamp;
use pki_core::x509::ocsp::{MAX_REQUEST, PathRequest, Refusal};

use super::visit::Peer;
use super::{Http, conditions};
use crate::flows::ocsp::{Kept, Made, answer};
use crate::server::Routed;

const OCSP_REQUEST: &str = "application/ocsp-request";
const OCSP_RESPONSE: HeaderValue = HeaderValue::from_static("application/ocsp-response");

/// What nobody shall keep (OCS-10).
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store, max-age=0");

/// How long the body of a POST may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The public listener's service: OCSP here, everything else by the router.
#[derive(Debug, Clone)]
pub struct Front {
    http: Arc<Http>,
    router: Routed,
    /// The usual `Cache-Control`, written once.
    cache_control: HeaderValue,
}

impl Front {
    /// Before `router`, for one connection.
    pub fn new(http: Arc<Http>, router: Router, peer: Option<Peer>) -> Self {
        let cache_control = cache_control(http.ctx.ocsp.usual_max_age());
        Self { http, router: Routed::new(router, peer), cache_control }
    }

    /// The same service for another connection.
    pub fn of(&self, peer: Option<Peer>) -> Self {
        Self { router: self.router.of(peer), ..self.clone() }
    }

    fn answer(&self, request: Request<Incoming>, is_below: bool) -> Reply {
        match *request.method() {
            Method::GET | Method::HEAD if is_below => self.get(&request),
            Method::POST => self.post(request),
            Method::GET | Method::HEAD => self.malformed(),
            _ => {
                let mut response = Response::new(Page::empty());
                *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
                response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
                Reply::ready(response)
            }
        }
    }

    fn get(&self, request: &Request<Incoming>) -> Reply {
        let raw = below(request.uri().path()).unwrap_or_default();
        let now = self.http.ctx.now();
        let decoded = PathRequest::decode(raw);
        // what is no base64 is no request either, and is counted like one that cannot be read
        let octets = decoded.as_ref().map_or(&[][..], PathRequest::octets);
        if let Some(made) = self.http.ctx.ocsp.glance(octets, now) {
            return Reply::ready(self.show(made, Some(request.headers())));
        }
        let (front, octets) = (self.clone(), Bytes::copy_from_slice(octets));
        let conditions = held(request.headers());
        Reply::later(async move {
            let made = front.make(octets).await;
            front.show(made, Some(&conditions))
        })
    }

    fn post(&self, request: Request<Incoming>) -> Reply {
        let kind = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        let is_request = kind.is_none_or(|kind| {
            let kind = kind.split(|octet| *octet == b';').next().unwrap_or_default().trim_ascii();
            kind.eq_ignore_ascii_case(OCSP_REQUEST.as_bytes())
        });
        let length =
            request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if !is_request || length.is_some_and(|length| length > MAX_REQUEST) {
            return self.malformed();
        }
        let front = self.clone();
        Reply::later(async move {
            let body = tokio::time::timeout(PATIENCE, Limited::new(request.into_body(), MAX_REQUEST).collect()).await;
            let octets = match body {
                Ok(Ok(body)) => body.to_bytes(),
                _ => Bytes::new(),
            };
            let made = match front.http.ctx.ocsp.glance(&octets, front.http.ctx.now()) {
                Some(made) => made,
                None => front.make(octets).await,
            };
            front.show(made, None)
        })
    }

    /// What is answered to that which is seen to be no request before it is read.
    fn malformed(&self) -> Reply {
        Reply::ready(self.show(self.http.ctx.ocsp.refuse(Refusal::MalformedRequest), None))
    }

    /// In a task of its own: a client that hangs up cancels nothing that others wait for, and a panic is an answer.
    async fn make(&self, request: Bytes) -> Made {
        let http = Arc::clone(&self.http);
        let made = self.http.tasks.spawn(async move { answer(&http.ctx, &request).await }).await;
        made.unwrap_or(Made::Refused(Refusal::InternalError))
    }

    fn show(&self, made: Made, conditions: Option<&HeaderMap>) -> Response<Page> {
        match made {
            Made::Kept(kept) => self.show_kept(&kept, conditions),
            Made::Once { der, .. } => uncached(der),
            Made::Refused(why) => refusal(why),
        }
    }

    /// What caches on the way may keep, and until when: whoever has it already is sent its description only (OCS-10, RFC 9919
    /// section 7.2).
    fn show_kept(&self, kept: &Kept, conditions: Option<&HeaderMap>) -> Response<Page> {
        let is_known = conditions.is_some_and(|conditions| is_known(kept, conditions));
        let mut response = Response::new(if is_known { Page::empty() } else { Page::whole(kept.der.clone()) });
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let ocsp = &self.http.ctx.ocsp;
        let max_age = ocsp.max_age(kept, self.http.ctx.now());
        let cache_control =
            if max_age == ocsp.usual_max_age() { self.cache_control.clone() } else { cache_control(max_age) };
        let [tag, produced_at, next_update] = described(kept).clone().map(text);
        let headers = response.headers_mut();
        headers.reserve(8);
        headers.insert(CONTENT_TYPE, OCSP_RESPONSE);
        headers.insert(CACHE_CONTROL, cache_control);
        headers.insert(ETAG, tag);
        headers.insert(LAST_MODIFIED, produced_at);
        headers.insert(EXPIRES, next_update);
        response
    }
}

/// The path below `/ocsp`, as it arrived; none for another resource.
fn below(path: &str) -> Option<&str> {
    // a base address with a slash at its end makes two of them
    let rest = path.trim_start_matches('/').strip_prefix("ocsp")?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

/// `ETag` (RFC 9919 section 7.2), `Last-Modified` and `Expires`, written once for all who are shown it.
fn described(kept: &Kept) -> &[Bytes; 3] {
    kept.described.get_or_init(|| {
        let [produced_at, next_update] = [kept.produced_at, kept.next_update].map(|at| {
            let since = at.since(Timestamp::from_unix_seconds(0));
            Bytes::from(httpdate::fmt_http_date(std::time::UNIX_EPOCH + since))
        });
        [Bytes::from(format!("\"{}\"", HEXLOWER.encode(&kept.sha256))), produced_at, next_update]
    })
}

fn text(text: Bytes) -> HeaderValue {
    // dates and hexadecimal digits
    HeaderValue::from_maybe_shared(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn cache_control(max_age: Duration) -> HeaderValue {
    let text = format!("max-age={}, public, no-transform, must-revalidate", max_age.as_secs());
    HeaderValue::try_from(text).unwrap_or(NO_STORE)
}

fn uncached(der: Bytes) -> Response<Page> {
    let mut response = Response::new(Page::whole(der));
    response.headers_mut().insert(CONTENT_TYPE, OCSP_RESPONSE);
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    response
}

fn refusal(refusal: Refusal) -> Response<Page> {
    uncached(Bytes::from_static(refusal.der()))
}

/// What a conditional request says; the rest of its head is not held while an answer is signed.
fn held(headers: &HeaderMap) -> HeaderMap {
    let of_interest = [IF_NONE_MATCH, IF_MODIFIED_SINCE];
    let lines =
        of_interest.iter().flat_map(|name| headers.get_all(name).iter().map(|line| (name.clone(), line.clone())));
    lines.collect()
}

/// Whether whoever asks has this answer. Dates are whole seconds, and `good` may have been said, here or by another server,
/// in the second of a revocation: by date alone nobody is sent away without hearing of one.
fn is_known(kept: &Kept, headers: &HeaderMap) -> bool {
    if conditions::has_tags(headers) {
        let [tag, ..] = described(kept);
        return conditions::names(headers, tag);
    }
    kept.is_good() && conditions::is_dated(headers, kept.produced_at)
}

impl Service<Request<Incoming>> for Front {
    type Response = Response<Page>;
    type Error = Infallible;
    type Future = Reply;

    fn call(&self, request: Request<Incoming>) -> Reply {
        match below(request.uri().path()) {
            Some(rest) => {
                let is_below = !rest.is_empty();
                self.answer(request, is_below)
            }
            None => {
                let routed = self.router.call(request);
                Reply::later(async move {
                    match routed.await {
                        Ok(response) => response.map(|body| Page(Content::Routed(body))),
                        Err(never) => match never {},
                    }
                })
            }
        }
    }
}

/// A response, now or later.
pub struct Reply(Inner);

enum Inner {
    Ready(Option<Box<Response<Page>>>),
    Later(Pin<Box<dyn Future<Output = Response<Page>> + Send>>),
}

impl Reply {
    fn ready(response: Response<Page>) -> Self {
        Self(Inner::Ready(Some(Box::new(response))))
    }

    fn later(response: impl Future<Output = Response<Page>> + Send + 'static) -> Self {
        Self(Inner::Later(Box::pin(response)))
    }
}

impl Future for Reply {
    type Output = Result<Response<Page>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, wakes: &mut Wakes<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Inner::Ready(response) => match response.take() {
                Some(response) => Poll::Ready(Ok(*response)),
                // polled again after its end, which nobody does
                None => Poll::Ready(Ok(refusal(Refusal::InternalError))),
            },
            Inner::Later(response) => response.as_mut().poll(wakes).map(Ok),
        }
    }
}

/// A body: one piece, or whatever the router made.
#[derive(Debug)]
pub struct Page(Content);

#[derive(Debug)]
enum Content {
    Whole(Bytes),
    Routed(RouterBody),
}

impl Page {
    fn whole(octets: Bytes) -> Self {
        Self(Content::Whole(octets))
    }

    fn empty() -> Self {
        Self(Content::Whole(Bytes::new()))
    }
}

impl Body for Page {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, wakes: &mut Wakes<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match &mut self.0 {
            Content::Whole(octets) if octets.is_empty() => Poll::Ready(None),
            Content::Whole(octets) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(octets))))),
            Content::Routed(body) => Pin::new(body).poll_frame(wakes),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Content::Whole(octets) => octets.is_empty(),
            Content::Routed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Whole(octets) => SizeHint::with_exact(u64::try_from(octets.len()).unwrap_or(u64::MAX)),
            Content::Routed(body) => body.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails when a condition, or a line of one, is lost on the way to an answer that is signed first, or when more is held.
    #[test]
    fn ocs_10_every_line_of_a_condition_is_held_while_an_answer_is_signed() {
        let mut headers = HeaderMap::new();
        for (name, line) in [
            (IF_NONE_MATCH, "\"x\""),
            (IF_NONE_MATCH, "\"y\""),
            (CONTENT_TYPE, OCSP_REQUEST),
            (IF_MODIFIED_SINCE, "Sun, 06 Nov 1994 08:49:37 GMT"),
        ] {
            headers.append(name, HeaderValue::from_static(line));
        }
        let held = held(&headers);
        assert!(conditions::names(&held, b"\"x\"") && conditions::names(&held, b"\"y\""), "{held:?}");
        assert!(held.contains_key(IF_MODIFIED_SINCE) && !held.contains_key(CONTENT_TYPE), "{held:?}");
    }
}
