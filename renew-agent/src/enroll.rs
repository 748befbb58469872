//! First contact: from one token line to an account and a first certificate.
//!
//! Every step can be done again with the same outcome, and leaves on disk what the next needs: a power cut anywhere
//! is answered by the same command with the same token. The account key is durable before the CA hears of it, since
//! the token is good for that key only.

use std::sync::Arc;

use api::token::{EnrolmentToken, TokenError};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hyper::Method;
use pki_core::time::{Clock, Timestamp};
use pki_core::x509::certificate::Certificate;
use pki_core::x509::pem;
use zeroize::Zeroizing;

use crate::acme::{AcmeClient, AcmeError, Binding};
use crate::bundle::Roots;
use crate::device;
use crate::files::{self, Access, FileError};
use crate::http::{self, Attempt, Client, HttpError, Request, Route, TlsError};
use crate::install::hex;
use crate::keys::{AccountKey, KeyError};
use crate::state::{self, AccountRecord, CaRecord, DeviceRecord, Home, StateError};

/// The largest file of roots that is read from the CA.
const ROOTS_LIMIT: usize = 64 * 1024;

/// Why the node is not enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// The line is no token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Another CA answers than the token was made for.
    #[error(
        "this token belongs to another CA: {address} shows the root {found}, the token asks for {wanted}; take a \
         token that this CA printed, or correct the address it stands behind"
    )]
    OtherCa {
        /// Who answered.
        address: String,
        /// Its roots' fingerprints.
        found: String,
        /// The pins.
        wanted: String,
    },
    /// The clock cannot be right.
    #[error(
        "this node's clock says {now}, which is before the CA's root begins ({begins}); set the clock \
         (`timedatectl set-time`, or let it synchronise) and enrol again"
    )]
    Clock {
        /// What the clock says.
        now: Timestamp,
        /// notBefore of the root.
        begins: Timestamp,
    },
    /// The node belongs to somebody already.
    #[error(
        "this node is already enrolled, by the token {kid} of {address}; `renew-agent enroll --force` gives that up \
         and enrols it anew"
    )]
    Already {
        /// The external account key it was enrolled with.
        kid: String,
        /// Where.
        address: String,
    },
    /// The CA does not take the token.
    #[error(
        "the CA refuses this token: {detail}; if it was used, has expired or was withdrawn, have a new one made \
         (`ca-server device token NAME`) and enrol with that"
    )]
    TokenRefused {
        /// The CA's words.
        detail: String,
    },
    /// What answers at the CA's address sends no roots.
    #[error("cannot read the CA's roots from {address}: {detail}; check that the CA answers there, not a proxy")]
    NoRoots {
        /// Who was asked.
        address: String,
        /// What came instead.
        detail: String,
    },
    /// No address of the token answers.
    #[error("{0}; check network and name resolution of this node, then enrol again with the same token")]
    Unreachable(HttpError),
    /// The CA did not do its part.
    #[error(transparent)]
    Acme(#[from] AcmeError),
    /// State could not be written.
    #[error(transparent)]
    State(#[from] StateError),
    /// The account key could not be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// TLS could not be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// What an enrolled node knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolled {
    /// The account's URL.
    pub account: String,
    /// The device, when the token is one's.
    pub device: Option<DeviceRecord>,
}

/// Enrols the node whose folder is `home` (locked by the caller). Repeating it with the same token is harmless.
pub async fn enroll(
    home: &Home,
    token: &EnrolmentToken,
    clock: Arc<dyn Clock>,
    force: bool,
) -> Result<Enrolled, EnrollError> {
    home.prepare()?;
    let gives_up = gives_up_another(home, token, force)?;
    // Until the right CA has answered, nothing on disk is touched.
    let roots = fetch_roots(token, &clock).await?;
    failpoint::failpoint!("agent.enroll.roots_fetched");
    if gives_up {
        forget(home)?;
    }
    let key = AccountKey::load_or_make(&home.account_key())?;
    failpoint::failpoint!("agent.enroll.key_made");
    store_ca(home, token, &roots)?;
    failpoint::failpoint!("agent.enroll.roots_stored");
    let client = AcmeClient::connect(&token.ca, None, &roots, clock, key).await;
    let mut client = client.map_err(contact)?;
    let account = client.register(&binding(token)?).await.map_err(refused)?;
    failpoint::failpoint!("agent.enroll.account_made");
    let directory = client.directory_url().to_owned();
    state::save(&home.account(), &AccountRecord { url: account.clone(), directory })?;
    failpoint::failpoint!("agent.enroll.account_stored");
    let device = device::ask(&mut client).await?;
    match &device {
        Some(device) => state::save(&home.device(), device)?,
        None => files::remove_if_there(&home.device())?,
    }
    failpoint::failpoint!("agent.enroll.config_stored");
    Ok(Enrolled { account, device })
}

/// Whether an enrolment by another token is to be given up. Without `force` such a node is left alone.
fn gives_up_another(home: &Home, token: &EnrolmentToken, force: bool) -> Result<bool, EnrollError> {
    let Some(before) = state::load::<CaRecord>(&home.ca())?.filter(|before| before.kid != token.kid) else {
        return Ok(false);
    };
    // An attempt that never came to an account binds nobody; its key may be known to the CA under that token.
    if !force && home.account().exists() {
        let address = before.addresses.into_iter().next().unwrap_or_default();
        return Err(EnrollError::Already { kid: before.kid, address });
    }
    Ok(true)
}

/// The account goes; its certificates stay in service until the new account replaces them.
fn forget(home: &Home) -> Result<(), FileError> {
    // In this order: as long as ca.json names the old token, the next attempt comes through here again
    for path in [home.account(), home.device(), home.account_key(), home.ca()] {
        files::remove_if_there(&path)?;
    }
    Ok(())
}

fn binding(token: &EnrolmentToken) -> Result<Binding<'_>, EnrollError> {
    let secret = BASE64_URL_SAFE_NO_PAD.decode(token.secret.expose()).map(Zeroizing::new);
    let secret = secret.map_err(|_| TokenError::Damaged)?;
    Ok(Binding { kid: &token.kid, secret })
}

/// The pinned ones among the roots that the CA shows. Nothing vouches for the connection: the pins do.
async fn fetch_roots(token: &EnrolmentToken, clock: &Arc<dyn Clock>) -> Result<Roots, EnrollError> {
    let mut client = Client::new(http::unverified(Arc::clone(clock))?, &[]).map_err(EnrollError::Unreachable)?;
    let mut failed = Vec::new();
    let mut wrong = None;
    for address in &token.ca {
        match roots_at(&mut client, address).await {
            Ok(shown) => match pinned(token, address, shown, clock.now()) {
                // Another address of the list may lead to the right CA.
                Err(error @ EnrollError::OtherCa { .. }) => wrong = Some(error),
                other => return other,
            },
            Err(EnrollError::Unreachable(HttpError::Unreachable(mut attempts))) => failed.append(&mut attempts),
            Err(other) => failed.push(Attempt { address: address.clone(), reason: other.to_string() }),
        }
    }
    Err(wrong.unwrap_or(EnrollError::Unreachable(HttpError::Unreachable(failed))))
}

async fn roots_at(client: &mut Client, address: &str) -> Result<Vec<Certificate>, EnrollError> {
    let no_roots = |detail: String| EnrollError::NoRoots { address: address.to_owned(), detail };
    let url = format!("{}/roots.pem", address.trim_end_matches('/'));
    let request = Request { method: Method::GET, url: &url, body: None };
    let response = client.send(&request, Route::Direct).await.map_err(EnrollError::Unreachable)?;
    if response.status != 200 {
        return Err(no_roots(format!("it answers {}", response.status)));
    }
    if response.body.len() > ROOTS_LIMIT {
        return Err(no_roots("the answer is larger than 64 kB".to_owned()));
    }
    let text = std::str::from_utf8(&response.body).map_err(|_| no_roots("the answer is not text".to_owned()))?;
    pem::parse_pem_bundle(text).map_err(|error| no_roots(error.to_string()))
}

fn pinned(
    token: &EnrolmentToken,
    address: &str,
    shown: Vec<Certificate>,
    now: Timestamp,
) -> Result<Roots, EnrollError> {
    let found: Vec<_> = shown.iter().map(|root| hex(&root.sha256())).collect();
    let kept: Vec<_> = shown.into_iter().filter(|root| token.root_sha256.contains(&hex(&root.sha256()))).collect();
    let Some(begins) = kept.iter().map(Certificate::not_before).min() else {
        let (found, wanted) = (found.join(", "), token.root_sha256.join(" or "));
        return Err(EnrollError::OtherCa { address: address.to_owned(), found, wanted });
    };
    if now < begins {
        return Err(EnrollError::Clock { now, begins });
    }
    Ok(Roots::new(kept))
}

fn store_ca(home: &Home, token: &EnrolmentToken, roots: &Roots) -> Result<(), EnrollError> {
    files::replace(&home.roots(), roots.to_pem().as_bytes(), Access::PUBLIC)?;
    let record =
        CaRecord { addresses: token.ca.clone(), root_sha256: token.root_sha256.clone(), kid: token.kid.clone() };
    Ok(state::save(&home.ca(), &record)?)
}

fn contact(error: AcmeError) -> EnrollError {
    match error {
        AcmeError::NoAnswer { source, .. } => EnrollError::Unreachable(source),
        other => other.into(),
    }
}

fn refused(error: AcmeError) -> EnrollError {
    match &error {
        AcmeError::Refused { status: 403, problem, .. } if error.kind() == Some("unauthorized") => {
            EnrollError::TokenRefused { detail: problem.detail.trim_end_matches('.').to_owned() }
        }
        _ => contact(error),
    }
}

#[cfg(test)]
mod tests;
