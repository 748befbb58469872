//! Signed requests: nonces, the one retry that `badNonce` asks for, and problems as errors (RFC 8555 section 6).

use std::sync::Arc;

use api::acme::{Directory, JOSE_CONTENT_TYPE};
use api::problem::ProblemDocument;
use hyper::Method;
use pki_core::acme::jws::{self, JwsAlgorithm, KeyRef};
use pki_core::time::Clock;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::AcmeError;
use crate::bundle::Roots;
use crate::http::{self, Client, HttpError, Request, Response, Route};
use crate::keys::AccountKey;

/// A nonce may be refused because the CA restarted; more often than this it is something else.
const NONCE_ATTEMPTS: usize = 4;

/// The payload of a signed request.
#[derive(Debug)]
pub enum Payload {
    /// Reads a resource (RFC 8555 section 6.3).
    PostAsGet,
    /// Asks for something.
    Json(Vec<u8>),
}

impl Payload {
    /// The JSON of a value.
    pub fn json(value: &impl Serialize) -> Result<Self, AcmeError> {
        let bytes = serde_json::to_vec(value);
        bytes.map(Self::Json).map_err(|error| unexpected("write a request", error.to_string()))
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::PostAsGet => &[],
            Self::Json(bytes) => bytes,
        }
    }
}

/// One account at one CA.
#[derive(Debug)]
pub struct AcmeClient {
    http: Client,
    pub(super) directory: Directory,
    directory_url: String,
    key: AccountKey,
    account: Option<String>,
    nonce: Option<String>,
}

impl AcmeClient {
    /// Finds the directory: at `directory` when it is known, else at the first of the base addresses that answers.
    pub async fn connect(
        addresses: &[String],
        directory: Option<&str>,
        roots: &Roots,
        clock: Arc<dyn Clock>,
        key: AccountKey,
    ) -> Result<Self, AcmeError> {
        const ACTION: &str = "read the CA's directory";
        let no_answer = |source| AcmeError::NoAnswer { action: ACTION, source };
        let mut http = Client::new(http::pinned(&roots.to_der(), clock)?, addresses).map_err(no_answer)?;
        let (directory_url, response) = match directory {
            Some(url) => (url.to_owned(), get(&mut http, url, Route::AnyAddress).await.map_err(no_answer)?),
            None => first_directory(&mut http, addresses).await.map_err(no_answer)?,
        };
        let directory = read_json(ACTION, &accept(ACTION, response)?)?;
        Ok(Self { http, directory, directory_url, key, account: None, nonce: None })
    }

    /// The same client, acting for the account of this URL.
    #[must_use]
    pub fn with_account(mut self, url: String) -> Self {
        self.account = Some(url);
        self
    }

    pub(super) fn set_account(&mut self, url: String) {
        self.account = Some(url);
    }

    /// Where the directory was found.
    pub fn directory_url(&self) -> &str {
        &self.directory_url
    }

    /// The account key.
    pub(super) fn key(&self) -> &AccountKey {
        &self.key
    }

    /// The address of something beside ACME at the same CA.
    pub fn beside(&self, path: &str) -> Result<String, AcmeError> {
        let origin = http::origin(&self.directory.new_account);
        let origin = origin.map_err(|source| AcmeError::NoAnswer { action: "read the CA's directory", source })?;
        Ok(origin + path)
    }

    /// Sends a request signed for the account.
    pub async fn post(&mut self, action: &'static str, url: &str, payload: &Payload) -> Result<Response, AcmeError> {
        let kid = self.account.clone().ok_or_else(|| {
            unexpected(action, "this node has no account at the CA; run `renew-agent enroll`".to_owned())
        })?;
        self.signed(action, url, payload, &KeyRef::Kid(kid)).await
    }

    /// Sends a signed request; `jwk` instead of `kid` is for newAccount only.
    pub(super) async fn signed(
        &mut self,
        action: &'static str,
        url: &str,
        payload: &Payload,
        key: &KeyRef,
    ) -> Result<Response, AcmeError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let nonce = self.fresh_nonce(action).await?;
            let header = jws::protected_header(JwsAlgorithm::Es256, key, Some(&nonce), url);
            let signature = self.key.sign(jws::signing_input(&header, payload.bytes()).as_bytes())?;
            let body = jws::flatten(&header, payload.bytes(), &signature).to_string().into_bytes();
            let request = Request { method: Method::POST, url, body: Some((JOSE_CONTENT_TYPE, body)) };
            let response = self.send(action, &request).await?;
            self.nonce = response.header("replay-nonce").map(str::to_owned);
            match accept(action, response) {
                Err(refused) if refused.kind() == Some("badNonce") && attempt < NONCE_ATTEMPTS => {}
                other => return other,
            }
        }
    }

    /// Reads something public.
    pub(super) async fn get(&mut self, action: &'static str, url: &str) -> Result<Response, AcmeError> {
        let response = self.send(action, &Request { method: Method::GET, url, body: None }).await?;
        accept(action, response)
    }

    async fn fresh_nonce(&mut self, action: &'static str) -> Result<String, AcmeError> {
        if let Some(nonce) = self.nonce.take() {
            return Ok(nonce);
        }
        let url = self.directory.new_nonce.clone();
        let response = self.send(action, &Request { method: Method::HEAD, url: &url, body: None }).await?;
        let nonce = response.header("replay-nonce").map(str::to_owned);
        nonce.ok_or_else(|| unexpected(action, format!("{url} gave no nonce")))
    }

    async fn send(&mut self, action: &'static str, request: &Request<'_>) -> Result<Response, AcmeError> {
        let sent = self.http.send(request, Route::AnyAddress).await;
        sent.map_err(|source| AcmeError::NoAnswer { action, source })
    }
}

async fn get(http: &mut Client, url: &str, route: Route) -> Result<Response, HttpError> {
    http.send(&Request { method: Method::GET, url, body: None }, route).await
}

/// Every address of the token in turn; all of them are named when none answers.
async fn first_directory(http: &mut Client, addresses: &[String]) -> Result<(String, Response), HttpError> {
    let mut failed = Vec::new();
    for address in addresses {
        let url = format!("{}/acme/directory", address.trim_end_matches('/'));
        match get(http, &url, Route::Direct).await {
            Ok(response) => return Ok((url, response)),
            Err(HttpError::Unreachable(mut attempts)) => failed.append(&mut attempts),
            Err(other) => return Err(other),
        }
    }
    Err(HttpError::Unreachable(failed))
}

/// An answer below 400, or the problem it carries.
fn accept(action: &'static str, response: Response) -> Result<Response, AcmeError> {
    if response.status < 400 {
        return Ok(response);
    }
    let retry_after = response.retry_after();
    // A proxy in front of the CA answers in HTML; its status still says something.
    let problem = serde_json::from_slice(&response.body).unwrap_or_else(|_| ProblemDocument {
        problem_type: "about:blank".to_owned(),
        detail: "without saying why; look at the CA's log, and at proxies before it".to_owned(),
        ..ProblemDocument::default()
    });
    Err(AcmeError::Refused { action, status: response.status, problem: Box::new(problem), retry_after })
}

/// Reads the JSON body of an answer.
pub(crate) fn read_json<T: DeserializeOwned>(action: &'static str, response: &Response) -> Result<T, AcmeError> {
    serde_json::from_slice(&response.body)
        .map_err(|error| unexpected(action, format!("the CA's answer cannot be read: {error}")))
}

pub(super) fn unexpected(action: &'static str, detail: String) -> AcmeError {
    AcmeError::Unexpected { action, detail }
}
