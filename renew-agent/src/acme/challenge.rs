//! Proof of control by http-01 (RFC 8555 section 8.3), for accounts whose names no device record holds.

use std::path::{Path, PathBuf};
use std::time::Duration;

use api::acme::{AuthorizationObject, AuthorizationStatus, ChallengeObject, OrderObject, OrderStatus};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::client::{read_json, unexpected};
use super::order::failed;
use super::{AcmeClient, AcmeError, Payload};
use crate::config::ChallengeConfig;
use crate::files::{self, Access, FileError};

const PATH: &str = "/.well-known/acme-challenge/";
/// Between two looks at an authorization.
const PAUSE: Duration = Duration::from_secs(1);
/// Looks at one authorization before the attempt counts as failed.
const LOOKS: u32 = 60;
/// For one request of the CA.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Why control of a name could not be proven.
#[derive(Debug, thiserror::Error)]
pub enum ChallengeError {
    /// Nothing is configured to answer with.
    #[error(
        "the CA wants a proof of control of {0}: the name is not in this device's record, or the account has no \
         device; have it added to the record, or give `http01_listen` or `webroot` in [challenge]"
    )]
    NotConfigured(String),
    /// The CA offers no http-01 for the name.
    #[error("the CA offers no http-01 challenge for {0}; have the name added to the device's record at the CA")]
    NotOffered(String),
    /// The CA did not see the proof.
    #[error("the CA did not find the proof of control of {name}: {detail}")]
    Failed {
        /// Which name.
        name: String,
        /// What the CA saw.
        detail: String,
    },
    /// The listener could not be opened.
    #[error("cannot listen on {address} for the CA's validation: {source}; free the port, or use `webroot`")]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The file could not be put there.
    #[error(transparent)]
    File(#[from] FileError),
}

impl AcmeClient {
    /// Proves control of every name of a pending order; a device's own orders are ready at once.
    pub async fn prove(
        &mut self,
        url: &str,
        order: OrderObject,
        config: &ChallengeConfig,
    ) -> Result<OrderObject, AcmeError> {
        const ACTION: &str = "prove control of the names";
        if order.status != OrderStatus::Pending {
            return Ok(order);
        }
        for authorization in &order.authorizations {
            let response = self.post(ACTION, authorization, &Payload::PostAsGet).await?;
            let object: AuthorizationObject = read_json(ACTION, &response)?;
            if object.status == AuthorizationStatus::Pending {
                self.prove_one(authorization, &object, config).await?;
            }
        }
        let order = self.order(url).await?;
        match order.status {
            OrderStatus::Pending | OrderStatus::Invalid => Err(failed(ACTION, &order)),
            _ => Ok(order),
        }
    }

    async fn prove_one(
        &mut self,
        url: &str,
        authorization: &AuthorizationObject,
        config: &ChallengeConfig,
    ) -> Result<(), AcmeError> {
        let name = authorization.identifier.value.clone();
        let challenge = authorization.challenges.iter().find(|challenge| challenge.kind == "http-01");
        let (challenge, token) = challenge
            .and_then(|challenge| Some((challenge, challenge.token.clone()?)))
            .ok_or_else(|| ChallengeError::NotOffered(name.clone()))?;
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
            return Err(unexpected("prove control of the names", "the CA's token is not base64url".to_owned()));
        }
        let proof = self.key().public().key_authorization(&token);
        if let Some(webroot) = &config.webroot {
            let file = Placed::new(webroot, &token, &proof)?;
            let outcome = self.validated(url, &name, challenge).await;
            drop(file);
            return outcome;
        }
        let address = config.http01_listen.ok_or(ChallengeError::NotConfigured(name.clone()))?;
        let listener = TcpListener::bind(address).await.map_err(|source| ChallengeError::Listen { address, source })?;
        tokio::select! {
            outcome = self.validated(url, &name, challenge) => outcome,
            () = answer(listener, &token, &proof) => Ok(()),
        }
    }

    async fn validated(&mut self, url: &str, name: &str, challenge: &ChallengeObject) -> Result<(), AcmeError> {
        const ACTION: &str = "ask for the validation of a name";
        self.post(ACTION, &challenge.url, &Payload::Json(b"{}".to_vec())).await?;
        for _ in 0..LOOKS {
            let response = self.post(ACTION, url, &Payload::PostAsGet).await?;
            let now: AuthorizationObject = read_json(ACTION, &response)?;
            match now.status {
                AuthorizationStatus::Valid => return Ok(()),
                AuthorizationStatus::Pending => {
                    tokio::time::sleep(response.retry_after().unwrap_or(PAUSE).clamp(PAUSE, 10 * PAUSE)).await;
                }
                _ => return Err(refused(name, &now).into()),
            }
        }
        let detail = "it is still at work; the next attempt looks again".to_owned();
        Err(ChallengeError::Failed { name: name.to_owned(), detail }.into())
    }
}

fn refused(name: &str, authorization: &AuthorizationObject) -> ChallengeError {
    let error = authorization.challenges.iter().find_map(|challenge| challenge.error.as_ref());
    let detail = error.map_or_else(|| "it does not say why".to_owned(), ToString::to_string);
    ChallengeError::Failed { name: name.to_owned(), detail }
}

/// A file under the web root that goes when the attempt ends.
struct Placed(PathBuf);

impl Placed {
    fn new(webroot: &Path, token: &str, proof: &str) -> Result<Self, ChallengeError> {
        let dir = webroot.join(PATH.trim_matches('/'));
        files::make_dir(&dir, 0o755)?;
        let path = dir.join(token);
        files::replace(&path, proof.as_bytes(), Access::PUBLIC)?;
        Ok(Self(path))
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Answers the CA, one connection after the other, for as long as it is polled.
async fn answer(listener: TcpListener, token: &str, proof: &str) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // A visitor that stalls or hangs up is nobody's problem but its own.
                let _ = tokio::time::timeout(REQUEST_TIMEOUT, reply(stream, token, proof)).await;
            }
            Err(error) => {
                tracing::warn!(%error, "the http-01 listener cannot accept");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn reply(mut stream: TcpStream, token: &str, proof: &str) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|four| four == b"\r\n\r\n") && head.len() < 8192 {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let wanted = format!("GET {PATH}{token} HTTP/1.");
    let (status, body) =
        if head.starts_with(wanted.as_bytes()) { ("200 OK", proof) } else { ("404 Not Found", "not here\n") };
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn visit(address: std::net::SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn the_listener_answers_for_its_token_only() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let visits = async {
            // A visitor that says nothing must not keep the CA waiting for ever.
            drop(TcpStream::connect(address).await.unwrap());
            let good = visit(address, "/.well-known/acme-challenge/tok").await;
            (good, visit(address, "/.well-known/acme-challenge/toktok").await, visit(address, "/etc/passwd").await)
        };
        let (good, longer, other) = tokio::select! {
            answers = visits => answers,
            () = answer(listener, "tok", "tok.print") => unreachable!(),
        };
        assert!(good.starts_with("HTTP/1.1 200") && good.ends_with("\r\n\r\ntok.print"), "{good}");
        assert!(longer.starts_with("HTTP/1.1 404") && other.starts_with("HTTP/1.1 404"));
    }

    #[test]
    fn a_placed_file_goes_with_the_attempt() {
        let dir = tempfile::tempdir().unwrap();
        let placed = Placed::new(dir.path(), "tok", "tok.print").unwrap();
        let path = dir.path().join(".well-known/acme-challenge/tok");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "tok.print");
        drop(placed);
        assert!(!path.exists());
    }
}
