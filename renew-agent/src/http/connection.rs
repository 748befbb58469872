//! One TLS connection and the exchanges on it.

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Response, Target, tls};

pub(super) type Body = Full<Bytes>;
type Driver = Pin<Box<http1::Connection<TokioIo<TlsStream<TcpStream>>, Body>>>;

/// A connection on which exchanges follow each other.
pub(super) struct Connection {
    authority: String,
    sender: SendRequest<Body>,
    /// `None` once the connection has ended.
    driver: Option<Driver>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("authority", &self.authority).finish_non_exhaustive()
    }
}

impl Connection {
    /// Connects to `address`, which must prove to be the host of `target`.
    pub(super) async fn open(address: (&str, u16), target: &Target, tls: Arc<ClientConfig>) -> Result<Self, String> {
        let name = ServerName::try_from(target.host.clone()).map_err(|_| "its host is no valid name".to_owned())?;
        let tcp = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        // Requests are single small writes; waiting to join them only adds round trips.
        let _ = tcp.set_nodelay(true);
        let stream = TlsConnector::from(tls).connect(name, tcp).await.map_err(|error| tls::explain(&error))?;
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        Ok(Self { authority: target.authority.clone(), sender, driver: Some(Box::pin(driver)) })
    }

    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// Sends one request and reads at most `limit` bytes of answer.
    pub(super) async fn exchange(&mut self, message: hyper::Request<Body>, limit: usize) -> Result<Response, String> {
        let Self { sender, driver, .. } = self;
        let mut answer = pin!(converse(sender, message, limit));
        loop {
            let Some(running) = driver else { return answer.await };
            tokio::select! {
                biased;
                result = &mut answer => return result,
                // A server that closes after its answer ends the driver while the body is still to be read.
                _ = running => *driver = None,
            }
        }
    }
}

async fn converse(
    sender: &mut SendRequest<Body>,
    message: hyper::Request<Body>,
    limit: usize,
) -> Result<Response, String> {
    sender.ready().await.map_err(|error| error.to_string())?;
    let answer = sender.send_request(message).await.map_err(|error| chain(&error))?;
    let (head, body) = answer.into_parts();
    let body = read(body, limit).await?;
    Ok(Response { status: head.status.as_u16(), headers: head.headers, body })
}

async fn read(body: Incoming, limit: usize) -> Result<Vec<u8>, String> {
    let collected = Limited::new(body, limit).collect().await;
    match collected {
        Ok(collected) => Ok(collected.to_bytes().to_vec()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            Err(format!("the answer is larger than {limit} bytes"))
        }
        Err(error) => Err(format!("the answer broke off: {error}")),
    }
}

fn chain(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}
