//! Listeners and connections: who may connect, how long they may dawdle, how they are let go. How many come in at once is
//! [`door`]'s; a peer that does not take what it asked for is [`steady`]'s.

mod door;
mod steady;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio_rustls::TlsAcceptor;

pub use self::door::Door;
use self::door::Guest;
use self::steady::Steady;
use crate::http::Peer;
use crate::http::api::Administrator;
use crate::http::ocsp::Front;
use crate::tasks::Tasks;

/// For a TLS handshake and for the head of a request: a client that is slower holds a place that others need.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sockets that are bound but not served yet.
#[derive(Debug)]
pub struct Listeners {
    /// HTTPS.
    pub main: TcpListener,
    /// HTTP.
    pub public: TcpListener,
    /// HTTP, for monitoring.
    pub operations: TcpListener,
    /// Local administration.
    pub admin: UnixListener,
}

impl Listeners {
    /// Where they really are; port 0 became a number.
    pub fn addresses(&self) -> std::io::Result<[(&'static str, SocketAddr); 3]> {
        Ok([
            ("main", self.main.local_addr()?),
            ("public", self.public.local_addr()?),
            ("operations", self.operations.local_addr()?),
        ])
    }
}

/// Binds a TCP listener; the error is a sentence with the remedy.
pub async fn bind(what: &str, address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            format!("cannot listen on {address} (listen.{what}): another program uses that port; stop it or change listen.{what}")
        }
        std::io::ErrorKind::PermissionDenied => format!(
            "cannot listen on {address} (listen.{what}): ports below 1024 need CAP_NET_BIND_SERVICE; change listen.{what} or grant it"
        ),
        _ => format!("cannot listen on {address} (listen.{what}): {error}"),
    })
}

/// Binds the administration socket with mode 0600. Call it under the folder's lock: a socket that is there is stale.
pub fn bind_admin(path: &Path) -> Result<UnixListener, String> {
    let explain = |error: std::io::Error| format!("cannot make the administration socket {}: {error}", path.display());
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(explain(error)),
        _ => {}
    }
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
    let bound = UnixListener::bind(path);
    rustix::process::umask(before);
    bound.map_err(explain)
}

/// Serves HTTPS until shutdown.
pub async fn serve_tls(door: Door, tls: Arc<ServerConfig>, router: Router, tasks: Tasks) {
    let acceptor = TlsAcceptor::from(tls);
    let shutdown = tasks.shutdown();
    while let Some(Guest { stream, peer, place }) = door.next(&shutdown).await {
        let (acceptor, router, connection_tasks) = (acceptor.clone(), router.clone(), tasks.clone());
        tasks.spawn(async move {
            let handshake = tokio::time::timeout(PATIENCE, acceptor.accept(stream)).await;
            match handshake {
                Ok(Ok(stream)) => {
                    let version =
                        if stream.get_ref().1.alpn_protocol() == Some(&b"h2"[..]) { Http::Two } else { Http::One };
                    converse(stream, version, Routed::new(router, Some(peer)), &connection_tasks).await;
                }
                Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
                Err(_) => tracing::debug!("TLS handshake took too long"),
            }
            drop(place);
        });
    }
}

/// Serves HTTP until shutdown.
pub async fn serve_plain(door: Door, router: Router, tasks: Tasks) {
    let shutdown = tasks.shutdown();
    while let Some(Guest { stream, peer, place }) = door.next(&shutdown).await {
        let (router, connection_tasks) = (router.clone(), tasks.clone());
        tasks.spawn(async move {
            converse(stream, Http::One, Routed::new(router, Some(peer)), &connection_tasks).await;
            drop(place);
        });
    }
}

/// Serves what relying parties ask until shutdown.
pub async fn serve_public(door: Door, front: Front, tasks: Tasks) {
    let shutdown = tasks.shutdown();
    while let Some(Guest { stream, peer, place }) = door.next(&shutdown).await {
        let (front, connection_tasks) = (front.of(Some(peer)), tasks.clone());
        tasks.spawn(async move {
            converse(stream, Http::One, front, &connection_tasks).await;
            drop(place);
        });
    }
}

/// Serves the local socket: each request carries who is at the other end, as the kernel tells it.
pub async fn serve_admin(listener: UnixListener, router: Router, tasks: Tasks) {
    let shutdown = tasks.shutdown();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => return,
        };
        let Ok((stream, _)) = accepted else { continue };
        let Ok(peer) = stream.peer_cred() else { continue };
        let router = router.clone().layer(axum::Extension(Administrator::local(peer.uid())));
        let (stream, connection_tasks) = (Steady::new(stream, door::READING), tasks.clone());
        tasks.spawn(async move { converse(stream, Http::One, Routed::new(router, None), &connection_tasks).await });
    }
}

/// A router as a connection calls it: each request carries who is at the other end.
#[derive(Debug, Clone)]
pub struct Routed {
    router: TowerToHyperService<Router>,
    peer: Option<Peer>,
}

impl Routed {
    /// For one connection.
    pub fn new(router: Router, peer: Option<Peer>) -> Self {
        Self { router: TowerToHyperService::new(router), peer }
    }

    /// For another connection.
    pub fn of(&self, peer: Option<Peer>) -> Self {
        Self { peer, ..self.clone() }
    }
}

impl Service<Request<Incoming>> for Routed {
    type Response = axum::response::Response;
    type Error = Infallible;
    type Future = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        self.peer.map(|peer| request.extensions_mut().insert(peer));
        self.router.call(request)
    }
}

/// The version a connection speaks, as TLS agreed on it. To guess it from the first bytes would mean to wait for them, and
/// for that there is no deadline.
#[derive(Debug, Clone, Copy)]
enum Http {
    One,
    Two,
}

/// One connection, HTTP/1.1 or HTTP/2, until its end or until shutdown lets it finish what it is doing.
async fn converse<S, A, B>(stream: S, version: Http, service: A, tasks: &Tasks)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    A: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    A::Future: Send + 'static,
    B: Body<Data = Bytes, Error = axum::Error> + Send + 'static,
{
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(Duration::from_secs(30)).max_concurrent_streams(128);
    let builder = match version {
        Http::One => builder.http1_only(),
        Http::Two => builder.http2_only(),
    };
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let shutdown = tasks.shutdown();
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::trace!(%error, "a connection ended");
    }
}
