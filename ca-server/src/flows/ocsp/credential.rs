//! The responder's key and its certificate (OCS-7): made in memory, asked for, replaced at half of its life.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use pki_core::ids::ResponderId;
use pki_core::issuance::plan::IssuingCa;
use pki_core::time::Timestamp;
use pki_core::x509::certificate::Certificate;
use signer::ResponderKey;
use store::responders::{self, ResponderRecord, ResponderState};

use crate::flows::owed::Work;
use crate::flows::{Context, FlowError, responder};
use crate::telemetry::Responder;

use super::Authority;

/// A request that nobody answered for so long is given up, and another made.
const GIVEN_UP: Duration = Duration::from_secs(3600);

const NOBODY: &str =
    "nobody has signed the OCSP responder's certificate; is a server with the CA's key running on this database?";

/// Whoever has the key signs within moments. Who has waited for longer goes on waiting, but at the usual pace: a former key
/// may be gone from every server.
const PROMPT: Duration = Duration::from_secs(60);

/// Rows are kept a little longer than their certificates.
const REMEMBERED: Duration = Duration::from_secs(31 * 86_400);

/// What signs answers.
#[derive(Debug)]
pub struct Credential {
    /// The key; nowhere else than here.
    pub key: ResponderKey,
    /// The CA's word for it.
    pub certificate: Certificate,
}

/// Where answers for one issuing key are signed.
#[derive(Debug)]
pub struct Post {
    /// Whose certificates are asked for.
    pub authority: Authority,
    credential: RwLock<Option<Arc<Credential>>>,
    pending: Mutex<Option<Pending>>,
}

/// A key that waits for its certificate.
#[derive(Debug)]
struct Pending {
    id: ResponderId,
    key: ResponderKey,
    since: Timestamp,
}

impl Post {
    pub(super) fn new(authority: Authority) -> Self {
        Self { authority, credential: RwLock::new(None), pending: Mutex::new(None) }
    }

    /// Whose certificates are asked for.
    pub fn ca(&self) -> &IssuingCa {
        &self.authority.ca
    }

    /// What signs now, if there is anything valid.
    pub fn credential(&self, now: Timestamp) -> Option<Arc<Credential>> {
        let current = self.credential.read().unwrap_or_else(PoisonError::into_inner).clone();
        current.filter(|credential| {
            credential.certificate.not_before() <= now
                && now + Duration::from_secs(1) < credential.certificate.not_after()
        })
    }

    /// When the certificate ends; none without one.
    pub fn not_after(&self) -> Option<Timestamp> {
        let current = self.credential.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().map(|credential| credential.certificate.not_after())
    }

    /// When the certificate should be replaced at the latest; none without one, and none when it is the last.
    fn replace_by(&self) -> Option<Timestamp> {
        let current = self.credential.read().unwrap_or_else(PoisonError::into_inner);
        let certificate = &current.as_ref()?.certificate;
        latest(certificate.not_before(), certificate.not_after(), self.ca().end())
    }

    fn is_due(&self, now: Timestamp) -> bool {
        let current = self.credential.read().unwrap_or_else(PoisonError::into_inner);
        // one that ends with its CA, or one above that, is the last: another would end no later
        let is_last = |certificate: &Certificate| certificate.not_after() >= self.ca().end();
        current.as_ref().is_none_or(|credential| {
            let certificate = &credential.certificate;
            is_past_half(certificate, now) && (!is_last(certificate) || now < certificate.not_before())
        })
    }

    fn pending(&self) -> MutexGuard<'_, Option<Pending>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn install(&self, credential: Credential) {
        *self.credential.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(credential));
    }
}

/// Half of its life is left for whatever keeps the next one from being signed. A clock that went back before its
/// beginning makes it as useless as one that is over.
fn is_past_half(certificate: &Certificate, now: Timestamp) -> bool {
    let life = certificate.not_after().since(certificate.not_before());
    now >= certificate.not_before() + life / 2 || now < certificate.not_before()
}

/// Three quarters of a life: whatever delays the next one had a quarter of it then. What ends with its issuer has no next one.
fn latest(not_before: Timestamp, not_after: Timestamp, issuer_end: Timestamp) -> Option<Timestamp> {
    let life = not_after.since(not_before);
    (not_after < issuer_end).then(|| not_before + life / 4 * 3)
}

/// Sees to it that every post has a credential; whether one is about to come. One that gets none keeps the others from
/// nothing.
pub async fn look_after(ctx: &Context) -> Result<bool, FlowError> {
    let now = ctx.now();
    // whose certificate has ended, or one above it, has no leaf left that anybody asks for, and gets no responder
    let is_living = |post: &Post| now < post.ca().end();
    let mut outcome = Ok(false);
    for post in ctx.ocsp.posts.iter().filter(|post| is_living(post)) {
        outcome = match (outcome, look_after_one(ctx, post).await) {
            (Ok(before), Ok(is_waiting)) => Ok(before || is_waiting),
            (Err(error), _) | (_, Err(error)) => Err(error),
        };
    }
    let posts = ctx.ocsp.posts.iter().enumerate().map(|(number, post)| (number == 0, post));
    let told = posts.filter(|(is_issuing, post)| *is_issuing || is_living(post)).map(|(is_issuing, post)| Responder {
        issuer: post.ca().id,
        is_issuing,
        not_after: post.not_after(),
        replace_by: post.replace_by(),
    });
    ctx.metrics.ocsp.tell_responders(told.collect());
    outcome
}

async fn look_after_one(ctx: &Context, post: &Post) -> Result<bool, FlowError> {
    if post.is_due(ctx.now()) && post.pending().is_none() {
        ask(ctx, post).await?;
    }
    let asked = post.pending().as_ref().map(|pending| pending.id);
    // a signature that failed is tried with every look: no job was written, so nobody else makes it
    if let Some(id) = asked.filter(|_| post.authority.key.is_some()) {
        responder::sign(ctx, id).await?;
    }
    collect(ctx, post).await
}

/// Makes a key and asks for its certificate, by a job where the CA's key is at another server.
async fn ask(ctx: &Context, post: &Post) -> Result<(), FlowError> {
    let fault = |error: &dyn std::fmt::Display| FlowError::Internal(format!("no key for OCSP answers: {error}"));
    let key = ResponderKey::generate(ctx.entropy.as_ref()).map_err(|error| fault(&error))?;
    let now = ctx.now();
    let (id, issuer) = (ResponderId::new(now, ctx.entropy.as_ref()), post.ca().id);
    let proof = key.sign(&responder::text_to_sign(id, issuer)).map_err(|error| fault(&error))?;
    let record = ResponderRecord {
        id,
        issuer,
        replica: ctx.handover.owner().to_owned(),
        spki: key.public().spki_der().to_vec(),
        proof,
        state: ResponderState::Requested,
        created_at: now,
        version: 1,
    };
    let is_signed_here = post.authority.key.is_some();
    ctx.store
        .write(async move |tx| {
            responders::forget(tx, now - REMEMBERED).await?;
            responders::insert(tx, &record).await?;
            if !is_signed_here {
                Work::SignResponder(id).owe(tx, now, now).await?;
            }
            Ok::<_, FlowError>(())
        })
        .await?;
    *post.pending() = Some(Pending { id, key, since: now });
    Ok(())
}

/// Takes up the certificate that is waited for; whether it is about to come.
async fn collect(ctx: &Context, post: &Post) -> Result<bool, FlowError> {
    let Some((id, since)) = post.pending().as_ref().map(|pending| (pending.id, pending.since)) else {
        return Ok(false);
    };
    let found = ctx.store.look(async move |tx| Ok::<_, FlowError>(responders::find(tx, id).await?)).await?;
    let waited = ctx.now().since(since);
    match found.as_ref().map(|record| &record.state) {
        Some(ResponderState::Issued { der }) => {
            let Some(pending) = post.pending().take() else { return Ok(false) };
            let certificate = check(der, &pending.key, post.ca())?;
            tracing::info!(issuer = %post.ca().id, serial = %certificate.serial(), until = %certificate.not_after(), "the OCSP responder has a certificate");
            post.install(Credential { key: pending.key, certificate });
            return Ok(false);
        }
        Some(ResponderState::Requested | ResponderState::Planned { .. }) if waited < GIVEN_UP => {
            return Ok(waited < PROMPT);
        }
        _ => {}
    }
    let why = match found {
        Some(ResponderRecord { state: ResponderState::Refused { error }, .. }) => {
            format!("the OCSP responder gets no certificate: {error}")
        }
        Some(record) => give_up(ctx, &record).await?,
        None => NOBODY.to_owned(),
    };
    *post.pending() = None;
    Err(FlowError::Internal(format!("issuer {}: {why}", post.ca().id)))
}

/// Ends the request together with its job, which would go on failing beside that of the next one. Whoever signs it in the
/// same moment wins.
async fn give_up(ctx: &Context, record: &ResponderRecord) -> Result<String, FlowError> {
    let (id, version, state) = (record.id, record.version, ResponderState::Refused { error: NOBODY.to_owned() });
    ctx.store
        .write(async move |tx| {
            responders::settle(tx, id, &state, version).await?;
            Work::SignResponder(id).done(tx).await?;
            Ok::<_, FlowError>(())
        })
        .await?;
    Ok(NOBODY.to_owned())
}

/// The database is not believed: what comes out of it is for our key, and of the CA's.
fn check(der: &[u8], key: &ResponderKey, ca: &IssuingCa) -> Result<Certificate, FlowError> {
    let bad =
        |why: &dyn std::fmt::Display| FlowError::Internal(format!("the OCSP responder's certificate is wrong: {why}"));
    let certificate = Certificate::parse(der).map_err(|error| bad(&error))?;
    certificate.verify_signed_by(ca.certificate.public_key()).map_err(|error| bad(&error))?;
    match certificate.public_key() == key.public() && certificate.issuer_der() == ca.certificate.subject_der() {
        true => Ok(certificate),
        false => Err(bad(&"it is for another key")),
    }
}

#[cfg(test)]
#[path = "credential_tests.rs"]
mod tests;
