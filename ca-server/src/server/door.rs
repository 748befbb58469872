//! Where connections of a listener come in: so many at once, each on a socket that gets on or is let go.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::steady::Steady;
use crate::http::Peer;

/// Open connections of one listener.
const MAX_CONNECTIONS: usize = 4096;

/// For a reader to take some of what it asked for.
pub(super) const READING: Duration = Duration::from_secs(30);

/// Octets that wait in the kernel behind those that are on their way. What is more would only look like progress: the kernel
/// grows to megabytes a socket, and has room for more only after a third of them was read, which takes a thin line minutes.
const AHEAD: u32 = 16 * 1024;

/// A listener with its places.
#[derive(Debug)]
pub struct Door {
    listener: TcpListener,
    places: Arc<Semaphore>,
    patience: Duration,
}

/// A connection that came in.
#[derive(Debug)]
pub(super) struct Guest {
    pub(super) stream: Steady<TcpStream>,
    pub(super) peer: Peer,
    /// Free again when this is dropped.
    pub(super) place: OwnedSemaphorePermit,
}

impl Door {
    /// With the limits that every listener has.
    pub fn of(listener: TcpListener) -> Self {
        Self { listener, places: Arc::new(Semaphore::new(MAX_CONNECTIONS)), patience: READING }
    }

    /// The next connection, once there is a place for it; none at shutdown.
    pub(super) async fn next(&self, shutdown: &CancellationToken) -> Option<Guest> {
        tokio::select! {
            guest = self.enter() => guest,
            () = shutdown.cancelled() => None,
        }
    }

    async fn enter(&self) -> Option<Guest> {
        let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    // A connection that is gone by now fails here, and soon elsewhere.
                    let _ = prepare(&stream);
                    return Some(Guest { stream: Steady::new(stream, self.patience), peer: Peer(peer), place });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    // Out of file descriptors, mostly: the next attempt would fail as quickly.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    // Answers are small and waited for: they must not be held back for more.
    stream.set_nodelay(true)?;
    SockRef::from(stream).set_tcp_notsent_lowat(AHEAD)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::Router;
    use axum::routing::get;
    use rustls::pki_types::{PrivateKeyDer, ServerName};
    use rustls::{ClientConfig, RootCertStore, ServerConfig};
    use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
    use tokio::net::TcpSocket;
    use tokio::time::timeout;
    use tokio_rustls::TlsConnector;

    use super::*;
    use crate::server::{serve_plain, serve_tls};
    use crate::tasks::Tasks;

    const LARGE: usize = 64 * 1024 * 1024;
    const SOON: Duration = Duration::from_secs(60);

    /// With one place, which a reader who stops keeps for a moment.
    async fn narrow() -> (Door, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let places = Arc::new(Semaphore::new(1));
        (Door { places, patience: Duration::from_millis(200), ..Door::of(listener) }, address)
    }

    fn router() -> Router {
        Router::new().route("/large", get(async || vec![7_u8; LARGE])).route("/small", get(async || "small"))
    }

    async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, path: &str) -> impl AsyncRead + Unpin {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.read_exact(&mut [0; 15]).await.unwrap();
        stream
    }

    /// Somebody asks for a large answer, reads its first line and nothing more; another one is served, and the rest of the large
    /// answer was given up.
    async fn gives_way<S: AsyncRead + AsyncWrite + Unpin>(connect: impl AsyncFn() -> S) {
        let mut stopped = ask(connect().await, "/large").await;
        timeout(SOON, async { ask(connect().await, "/small").await }).await.expect("the place is free again");
        let mut rest = Vec::new();
        let _ = timeout(SOON, stopped.read_to_end(&mut rest)).await.expect("the connection is closed");
        assert!(rest.len() < LARGE, "it was not cut off");
    }

    /// Fails when readers who stop keep everybody else out of the listeners without TLS.
    #[tokio::test]
    async fn who_takes_nothing_makes_room() {
        let (door, address) = narrow().await;
        let tasks = Tasks::default();
        tasks.spawn(serve_plain(door, router(), tasks.clone()));
        gives_way(async || TcpStream::connect(address).await.unwrap()).await;
        tasks.stop().await;
    }

    /// Fails when they do so with TLS.
    #[tokio::test]
    async fn who_takes_nothing_makes_room_with_tls() {
        let (door, address) = narrow().await;
        let tasks = Tasks::default();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, key) = (made.cert.der().clone(), made.signing_key.serialize_der());
        let server = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], PrivateKeyDer::Pkcs8(key.into()))
            .unwrap();
        tasks.spawn(serve_tls(door, Arc::new(server), router(), tasks.clone()));
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let connector = TlsConnector::from(Arc::new(client));
        gives_way(async || {
            let name = ServerName::try_from("localhost").unwrap();
            connector.connect(name, TcpStream::connect(address).await.unwrap()).await.unwrap()
        })
        .await;
        tasks.stop().await;
    }

    /// Fails when somebody who reads has to read more than a little before that is seen here.
    #[tokio::test]
    async fn a_little_that_is_read_is_seen() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut client = socket.connect(listener.local_addr().unwrap()).await.unwrap();
        let stream = listener.accept().await.unwrap().0;
        prepare(&stream).unwrap();
        let (mut read, mut most, mut some) = (0, 0, [0; 1024]);
        while most <= 64 * 1024 && read < 2 * 1024 * 1024 {
            let before = read;
            loop {
                tokio::select! {
                    biased;
                    ready = stream.writable() => {
                        ready.unwrap();
                        break;
                    }
                    got = client.read(&mut some) => read += got.unwrap(),
                }
            }
            while stream.try_write(&[7; 4096]).is_ok() {}
            most = most.max(read - before);
        }
        assert!(most <= 64 * 1024, "{most} octets were read before it was seen");
    }
}
