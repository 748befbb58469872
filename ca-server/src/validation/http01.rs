//! http-01 (RFC 8555 section 8.3, RFC 8738 section 4): a file under `/.well-known/acme-challenge/`.
//!
//! Every address is checked against the guard and then connected to as it is ([`super::connect`]). What a server answers is
//! never echoed, only its status and length: the CA must not be a window into the network.

use std::net::{IpAddr, SocketAddr};

use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::header::{HOST, LOCATION, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use pki_core::acme::problem::ProblemKind;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::target::{Scheme, Target};
use super::{Expectation, Failure, Validator, connect, unverified};

/// A key authorization has 87 octets; white space after it is accepted, more is not read.
const MAX_BODY: usize = 512;

pub(super) async fn validate(validator: &Validator, expectation: Expectation<'_>) -> Result<(), Failure> {
    let mut target = Target::first(validator, expectation);
    for _ in 0..=validator.max_redirects {
        let (address, answer) = fetch(validator, &target).await?;
        match answer {
            Answer::Body(body) => return compare(&target, address, &body, expectation.key_authorizations),
            Answer::Redirect(location) => target = target.follow(validator, &location)?,
        }
    }
    let detail = format!("{} redirects more than {} times", expectation.identifier, validator.max_redirects);
    Err(Failure::permanent(ProblemKind::Connection, detail))
}

enum Answer {
    Body(Bytes),
    Redirect(String),
}

async fn fetch(validator: &Validator, target: &Target) -> Result<(IpAddr, Answer), Failure> {
    let (stream, socket) = connect::to(validator, &target.host, target.port).await?;
    Ok((socket.ip(), exchange(target, socket, stream).await?))
}

async fn exchange(target: &Target, socket: SocketAddr, stream: TcpStream) -> Result<Answer, Failure> {
    match target.scheme {
        Scheme::Http => converse(target, socket, stream).await,
        Scheme::Https => {
            let failed = |why: String| {
                let detail = format!("the TLS handshake with {socket} for {} failed: {why}", target.host);
                Failure::transient(ProblemKind::Tls, detail)
            };
            let name = unverified::server_name(&target.host).map_err(failed)?;
            let stream = unverified::connect(name, &[], stream).await.map_err(failed)?;
            converse(target, socket, stream).await
        }
    }
}

async fn converse<S>(target: &Target, socket: SocketAddr, stream: S) -> Result<Answer, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|_| broken(target, socket))?;
    let request = Request::get(target.path.as_str())
        .header(HOST, target.host_header())
        .header(USER_AGENT, concat!("pilotlight/", env!("CARGO_PKG_VERSION"), " (http-01)"))
        .body(Empty::<Bytes>::new())
        .map_err(|_| broken(target, socket))?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(|_| broken(target, socket))?;
        read(target, socket, response).await
    };
    tokio::pin!(answer, connection);
    // The connection may end before its last bytes were taken from it: then the answer is still awaited.
    tokio::select! {
        biased;
        outcome = &mut answer => outcome,
        _ = &mut connection => answer.await,
    }
}

fn broken(target: &Target, socket: SocketAddr) -> Failure {
    let detail = format!("{socket} broke the connection or did not speak HTTP for {}", target.host);
    Failure::transient(ProblemKind::Connection, detail)
}

async fn read(
    target: &Target,
    socket: SocketAddr,
    response: Response<hyper::body::Incoming>,
) -> Result<Answer, Failure> {
    let status = response.status();
    if status.is_redirection() {
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        return location.map(|location| Answer::Redirect(location.to_owned())).ok_or_else(|| {
            let detail = format!("{socket} redirects for {} without saying where to", target.host);
            Failure::permanent(ProblemKind::Connection, detail)
        });
    }
    if status != StatusCode::OK {
        let detail = format!("{socket} answered {} for {}", status.as_u16(), target.url());
        return Err(Failure::permanent(ProblemKind::Unauthorized, detail));
    }
    match Limited::new(response.into_body(), MAX_BODY).collect().await {
        Ok(body) => Ok(Answer::Body(body.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => {
            let detail = format!("{socket} answered with more than {MAX_BODY} bytes for {}", target.url());
            Err(Failure::permanent(ProblemKind::IncorrectResponse, detail))
        }
        Err(_) => Err(broken(target, socket)),
    }
}

fn compare(target: &Target, address: IpAddr, body: &[u8], key_authorizations: &[String]) -> Result<(), Failure> {
    if key_authorizations.iter().any(|expected| body.trim_ascii_end() == expected.as_bytes()) {
        return Ok(());
    }
    let detail = format!(
        "the answer of {address} for {} is not the key authorization ({} bytes, expected {})",
        target.url(),
        body.len(),
        key_authorizations.first().map_or(0, String::len),
    );
    Err(Failure::permanent(ProblemKind::IncorrectResponse, detail))
}
