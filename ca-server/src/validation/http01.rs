//! http-01 (RFC 8555 section 8.3, RFC 8738 section 4): a file under `/.well-known/acme-challenge/`.
//!
//! Every address is checked against the guard and then connected to as it is: no second look-up in between. What a
//! server answers is never echoed, only its status and length: the CA must not be a window into the network.

use std::net::{IpAddr, SocketAddr};

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::header::{HOST, LOCATION, USER_AGENT};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use pki_core::acme::problem::ProblemKind;
use pki_core::x509::name::{DnsName, Identifier};
use tokio::net::TcpStream;

use super::{Expectation, Failure, Validator};

/// A key authorization has 87 octets; white space after it is accepted, more is not read.
const MAX_BODY: usize = 512;

/// Where one request goes.
#[derive(Debug, Clone)]
struct Target {
    host: Identifier,
    port: u16,
    path: String,
}

pub(super) async fn validate(validator: &Validator, expectation: Expectation<'_>) -> Result<(), Failure> {
    let path = format!("/.well-known/acme-challenge/{}", expectation.token);
    let mut target = Target { host: expectation.identifier.clone(), port: validator.http_port, path };
    for _ in 0..=validator.max_redirects {
        let (address, response) = fetch(validator, &target).await?;
        match response {
            Answer::Body(body) => return compare(&target, address, &body, expectation.key_authorization),
            Answer::Redirect(location) => target = follow(validator, &target, &location)?,
        }
    }
    let detail = format!("{} redirects more than {} times", expectation.identifier, validator.max_redirects);
    Err(Failure::permanent(ProblemKind::Connection, detail))
}

enum Answer {
    Body(Bytes),
    Redirect(String),
}

/// Tries each address in turn until one can be connected to.
async fn fetch(validator: &Validator, target: &Target) -> Result<(IpAddr, Answer), Failure> {
    let addresses = match &target.host {
        Identifier::Ip(address) => vec![*address],
        Identifier::Dns(name) => validator.resolver.addresses(name).await?,
    };
    let mut last = None;
    for address in addresses {
        let socket = SocketAddr::new(address, target.port);
        if let Err(forbidden) = validator.guard.check(socket) {
            let detail = format!("{} is not validated: {forbidden}", target.host);
            last = Some(Failure::permanent(ProblemKind::Connection, detail));
            continue;
        }
        match TcpStream::connect(socket).await {
            Ok(stream) => return Ok((address, exchange(target, socket, stream).await?)),
            Err(error) => {
                let detail = format!("connecting to {socket} for {} failed: {}", target.host, error.kind());
                last = Some(Failure::transient(ProblemKind::Connection, detail));
            }
        }
    }
    Err(last.unwrap_or_else(|| Failure::transient(ProblemKind::Dns, format!("{} has no address", target.host))))
}

async fn exchange(target: &Target, socket: SocketAddr, stream: TcpStream) -> Result<Answer, Failure> {
    let broken = || {
        let detail = format!("{socket} broke the connection or did not speak HTTP for {}", target.host);
        Failure::transient(ProblemKind::Connection, detail)
    };
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|_| broken())?;
    let request = Request::get(target.path.as_str())
        .header(HOST, host_header(target))
        .header(USER_AGENT, concat!("pilotlight/", env!("CARGO_PKG_VERSION"), " (http-01)"))
        .body(Empty::<Bytes>::new())
        .map_err(|_| broken())?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(|_| broken())?;
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
        let detail = format!("{socket} answered {} for http://{}{}", status.as_u16(), target.host, target.path);
        return Err(Failure::permanent(ProblemKind::Unauthorized, detail));
    }
    let body = Limited::new(response.into_body(), MAX_BODY).collect().await.map_err(|_| {
        let detail = format!("{socket} answered with more than {MAX_BODY} bytes for {}", target.host);
        Failure::permanent(ProblemKind::Unauthorized, detail)
    })?;
    Ok(Answer::Body(body.to_bytes()))
}

fn compare(target: &Target, address: IpAddr, body: &[u8], key_authorization: &str) -> Result<(), Failure> {
    if body.trim_ascii_end() == key_authorization.as_bytes() {
        return Ok(());
    }
    let detail = format!(
        "the answer of {address} for http://{}{} is not the key authorization ({} bytes, expected {})",
        target.host,
        target.path,
        body.len(),
        key_authorization.len(),
    );
    Err(Failure::permanent(ProblemKind::IncorrectResponse, detail))
}

/// Where a redirect leads; only to the ports validation uses anyway (section 10.4).
fn follow(validator: &Validator, from: &Target, location: &str) -> Result<Target, Failure> {
    let refuse = |why: &str| {
        let detail = format!("{} redirects to an address that is not followed: {why}", from.host);
        Err(Failure::permanent(ProblemKind::Connection, detail))
    };
    let Ok(uri) = location.parse::<Uri>() else { return refuse("it is not a URL") };
    let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let Some(authority) = uri.authority() else { return Ok(Target { path, ..from.clone() }) };
    if authority.as_str().contains('@') {
        return refuse("it carries a user name");
    }
    if uri.scheme_str() != Some("http") {
        return refuse("only http is followed");
    }
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let host = match host.parse::<IpAddr>() {
        Ok(address) => Identifier::Ip(address),
        Err(_) => match host.parse::<DnsName>() {
            Ok(name) if !name.is_wildcard() => Identifier::Dns(name),
            _ => return refuse("its host is neither a name nor an address"),
        },
    };
    let port = authority.port_u16().unwrap_or(80);
    if port != validator.http_port && port != 80 {
        return refuse("its port is not the one of http-01");
    }
    Ok(Target { host, port, path })
}

/// IPv6 literals stand in brackets (RFC 8738 section 3); the default port is left out.
fn host_header(target: &Target) -> String {
    let host = match &target.host {
        Identifier::Ip(IpAddr::V6(address)) => format!("[{address}]"),
        other => other.value(),
    };
    if target.port == 80 { host } else { format!("{host}:{}", target.port) }
}
