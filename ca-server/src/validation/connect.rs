//! Connections to what is validated: every address is checked against the guard and then connected to as it is, with no
//! second look-up in between.
//!
//! IPv6 goes first; the next address is tried when one fails, or beside it when it dawdles (RFC 8305 section 5).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use pki_core::acme::problem::ProblemKind;
use pki_core::x509::name::Identifier;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::{Failure, Guard, Validator};

/// Addresses of one name and family that are tried: whoever runs its DNS could otherwise have many machines knocked at.
const PER_FAMILY: usize = 2;

/// How long an address has for itself before the next one is tried beside it.
const HEAD_START: Duration = Duration::from_millis(300);

/// Connects to the first address of `host` that takes a connection.
pub(super) async fn to(
    validator: &Validator,
    host: &Identifier,
    port: u16,
) -> Result<(TcpStream, SocketAddr), Failure> {
    let mut waiting = addresses(validator, host).await?.into_iter();
    let (mut running, mut last) = (JoinSet::new(), None);
    loop {
        if let Some(address) = waiting.next() {
            let (socket, guard, host) = (SocketAddr::new(address, port), validator.guard.clone(), host.clone());
            // Half of the whole: what connects late must still be able to answer.
            let patience = validator.timeout / 2;
            running.spawn(async move { open(&guard, &host, socket, patience).await });
        }
        let outcome = if waiting.len() == 0 {
            running.join_next().await
        } else {
            // On timeout the next address is tried beside those that are under way.
            match tokio::time::timeout(HEAD_START, running.join_next()).await {
                Ok(outcome) => outcome,
                Err(_) => continue,
            }
        };
        match outcome {
            Some(Ok(Ok(connected))) => return Ok(connected),
            Some(Ok(Err(failure))) => last = Some(failure),
            Some(Err(_)) => {}
            None if waiting.len() == 0 => break,
            None => {}
        }
    }
    Err(last.unwrap_or_else(|| Failure::transient(ProblemKind::Dns, format!("{host} has no address"))))
}

async fn addresses(validator: &Validator, host: &Identifier) -> Result<Vec<IpAddr>, Failure> {
    let name = match host {
        Identifier::Ip(address) => return Ok(vec![*address]),
        Identifier::Dns(name) => name,
        other => return Err(Failure::permanent(ProblemKind::Malformed, format!("{other} is no host"))),
    };
    let found = validator.resolver.addresses(name).await?;
    let (v6, v4): (Vec<_>, Vec<_>) = found.into_iter().partition(IpAddr::is_ipv6);
    Ok(v6.into_iter().take(PER_FAMILY).chain(v4.into_iter().take(PER_FAMILY)).collect())
}

async fn open(
    guard: &Guard,
    host: &Identifier,
    socket: SocketAddr,
    patience: Duration,
) -> Result<(TcpStream, SocketAddr), Failure> {
    let forbid =
        |forbidden| Failure::permanent(ProblemKind::Connection, format!("{host} is not validated: {forbidden}"));
    let failed = |why: &dyn std::fmt::Display| {
        let detail = format!("connecting to {socket} for {host} failed: {why}");
        Failure::transient(ProblemKind::Connection, detail)
    };
    guard.check(socket).map_err(forbid)?;
    let stream = match tokio::time::timeout(patience, TcpStream::connect(socket)).await {
        Ok(connected) => connected.map_err(|error| failed(&error.kind()))?,
        Err(_) => return Err(failed(&"it did not answer")),
    };
    let from = stream.local_addr().map_err(|error| failed(&error.kind()))?;
    guard.check_opened(from, socket).map_err(forbid)?;
    Ok((stream, socket))
}
