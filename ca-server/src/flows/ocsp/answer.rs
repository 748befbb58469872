//! Reading a certificate's state and signing what is said of it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use pki_core::ids::Serial;
use pki_core::time::Timestamp;
use pki_core::x509::ocsp::{Answer, Refusal, Request, ResponsePlan, Status};
use ring::digest::{SHA256, digest};
use store::certificates::{self, CertificateStatus};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::cache::{Flight, Key, Verdict};
use super::credential::Credential;
use super::{Kept, Made};
use crate::flows::{Context, FlowError};

/// Signatures that are made at once.
const AT_ONCE: usize = 32;

/// Requests that wait for one; more are told to come back.
const WAITING: usize = 4096;

/// How long they wait.
const PATIENCE: Duration = Duration::from_secs(5);

/// The door of requests that need a signature: strangers shall not take the whole machine.
#[derive(Debug)]
pub(super) struct Gate {
    places: Semaphore,
    waiting: AtomicUsize,
}

impl Default for Gate {
    fn default() -> Self {
        Self { places: Semaphore::new(AT_ONCE), waiting: AtomicUsize::new(0) }
    }
}

impl Gate {
    async fn enter(&self) -> Option<SemaphorePermit<'_>> {
        if let Ok(place) = self.places.try_acquire() {
            return Some(place);
        }
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let place = tokio::time::timeout(PATIENCE, self.places.acquire()).await;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        place.ok().and_then(Result::ok)
    }
}

/// Answers a request that [`super::Ocsp::glance`] had no answer for.
pub async fn answer(ctx: &Context, request: &[u8]) -> Made {
    let ocsp = &ctx.ocsp;
    let Ok(request) = Request::parse(request) else { return ocsp.refuse(Refusal::MalformedRequest) };
    let Some(issuer) = ocsp.issuer_of(&request) else { return ocsp.refuse(Refusal::Unauthorized) };
    let asked: Vec<Asked> = request.entries().map(|id| Asked::new(id.der(), id.serial())).collect();
    let key = request.single().filter(|_| request.nonce().is_none()).and_then(|id| Key::new(issuer, id));
    let made = match key {
        Some(key) => once(ctx, key, asked).await,
        None => make(ctx, issuer, asked, request.nonce()).await.map_or_else(Made::Refused, Signed::for_one),
    };
    ocsp.count(&made);
    made
}

/// What is asked of one certificate.
#[derive(Debug, Clone)]
struct Asked {
    id: Bytes,
    /// None for a number that no certificate can have.
    serial: Option<Serial>,
}

impl Asked {
    fn new(id: &[u8], serial: Option<Serial>) -> Self {
        Self { id: Bytes::copy_from_slice(id), serial }
    }
}

/// One signature for all who ask the same at the same time.
async fn once(ctx: &Context, key: Key, asked: Vec<Asked>) -> Made {
    let cache = &ctx.ocsp.cache;
    let flight = cache.flight(key);
    let landing = Landing { ctx, key, flight: Arc::clone(&flight) };
    let made = flight.made.get_or_init(|| fly(ctx, key, asked, &flight)).await.clone();
    drop(landing);
    made
}

/// Whatever comes of a flight, the next question begins another.
struct Landing<'a> {
    ctx: &'a Context,
    key: Key,
    flight: Arc<Flight>,
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.ctx.ocsp.cache.land(&self.key, &self.flight);
    }
}

async fn fly(ctx: &Context, key: Key, asked: Vec<Asked>, flight: &Flight) -> Made {
    match make(ctx, key.issuer(), asked, None).await {
        Ok(signed) => match signed.kept() {
            Some(kept) => {
                ctx.ocsp.cache.put(key, Arc::clone(&kept), flight);
                Made::Kept(kept)
            }
            None => signed.for_one(),
        },
        Err(refusal) => Made::Refused(refusal),
    }
}

/// A signed answer, and what it says.
struct Signed {
    der: Bytes,
    produced_at: Timestamp,
    next_update: Timestamp,
    said: Vec<(Bytes, Status)>,
}

impl Signed {
    fn for_one(self) -> Made {
        Made::Once { said: self.said.iter().map(|(_, status)| *status).collect(), der: self.der }
    }

    /// To be kept; none for what nobody on the way shall keep (OCS-10).
    fn kept(&self) -> Option<Arc<Kept>> {
        let [(id, status @ (Status::Good | Status::Revoked { .. }))] = self.said.as_slice() else { return None };
        let sha256 = digest(&SHA256, &self.der).as_ref().try_into().ok()?;
        Some(Arc::new(Kept {
            der: self.der.clone(),
            produced_at: self.produced_at,
            next_update: self.next_update,
            sha256,
            described: OnceLock::new(),
            status: *status,
            id: id.clone(),
        }))
    }
}

async fn make(ctx: &Context, issuer: u16, asked: Vec<Asked>, nonce: Option<&[u8]>) -> Result<Signed, Refusal> {
    let begun = Instant::now();
    let _place = ctx.ocsp.gate.enter().await.ok_or(Refusal::TryLater)?;
    let post = ctx.ocsp.posts.get(usize::from(issuer)).ok_or(Refusal::InternalError)?;
    // Without a credential nothing can be said, so nothing is looked up.
    let credential = post.credential(ctx.now()).ok_or(Refusal::TryLater)?;
    let standings = load(ctx, post.ca().id, &asked).await.map_err(|error| refusal(&error))?;
    let now = ctx.now().whole_seconds();
    let archive = post.ca().certificate.not_before();
    let said: Vec<(Bytes, Status)> =
        asked.into_iter().zip(&standings).map(|(asked, standing)| (asked.id, status(standing.as_ref()))).collect();
    let answers = said.iter().zip(&standings).map(|((id, status), standing)| Answer {
        id,
        status: *status,
        archive_cutoff: standing.as_ref().filter(|standing| standing.not_after < now).map(|_| archive),
    });
    let plan = ResponsePlan {
        responder: &credential.certificate,
        produced_at: now,
        next_update: (now + ctx.ocsp.settings.answer_life).min(credential.certificate.not_after()),
        answers: answers.collect(),
        nonce,
    };
    let der = sign(&credential, &plan)?;
    let next_update = plan.next_update;
    ctx.metrics.ocsp.observe_signing(begun.elapsed());
    Ok(Signed { der, produced_at: now, next_update, said })
}

/// One read for all that is asked.
async fn load(
    ctx: &Context,
    issuer: pki_core::ids::IssuerId,
    asked: &[Asked],
) -> Result<Vec<Option<CertificateStatus>>, FlowError> {
    let serials: Vec<Option<Serial>> = asked.iter().map(|asked| asked.serial.clone()).collect();
    ctx.store
        .look(async move |tx| {
            let mut found = Vec::with_capacity(serials.len());
            for serial in &serials {
                found.push(match serial {
                    Some(serial) => certificates::status(tx, issuer, serial).await?,
                    None => None,
                });
            }
            Ok::<_, FlowError>(found)
        })
        .await
}

/// OCS-5: what was never signed is unknown, never good. OCS-11: as in the CRL.
fn status(standing: Option<&CertificateStatus>) -> Status {
    match standing {
        None => Status::Unknown,
        Some(CertificateStatus { revocation: None, .. }) => Status::Good,
        Some(CertificateStatus { revocation: Some(revocation), .. }) => {
            Status::Revoked { at: revocation.at, reason: revocation.reason }
        }
    }
}

fn sign(credential: &Credential, plan: &ResponsePlan<'_>) -> Result<Bytes, Refusal> {
    let fault = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, "an OCSP answer could not be made");
        Refusal::InternalError
    };
    let tbs = plan.tbs().map_err(|error| fault(&error))?;
    let signature = credential.key.sign(&tbs).map_err(|error| {
        tracing::error!(%error, "an OCSP answer could not be signed");
        Refusal::TryLater
    })?;
    let response = plan.seal(&tbs, &signature).map_err(|error| fault(&error))?;
    Ok(Bytes::copy_from_slice(response.der()))
}

/// OCS-15: whoever may succeed later is told so; a fault of ours is none of that.
fn refusal(error: &FlowError) -> Refusal {
    match error {
        FlowError::Unavailable { cause, .. } => {
            tracing::warn!(%cause, "an OCSP answer has to wait: the database does not answer");
            Refusal::TryLater
        }
        FlowError::Conflict(_) => Refusal::TryLater,
        other => {
            tracing::error!(error = %other, "an OCSP answer could not be made");
            Refusal::InternalError
        }
    }
}

/// Signs anew what is asked for and past half of its life; forgets what nobody asked for.
pub async fn refresh(ctx: &Context) {
    let now = ctx.now();
    let due = ctx.ocsp.cache.review(|kept, was_asked| {
        let half = kept.produced_at + kept.next_update.since(kept.produced_at) / 2;
        match (now >= half, was_asked) {
            (false, _) if kept.produced_at <= now => Verdict::Stays,
            (_, true) => Verdict::Again,
            (_, false) if ctx.ocsp.is_fresh(kept, now) => Verdict::Stays,
            (_, false) => Verdict::Goes,
        }
    });
    let mut round = Round::default();
    for (key, kept) in due {
        if round.leaves_out(&key) {
            continue;
        }
        let asked = Asked { id: kept.id.clone(), serial: Serial::from_octets(key.serial()).ok() };
        round.note(&key, &once(ctx, key, vec![asked]).await);
        // whoever asks now is served between two signatures
        tokio::task::yield_now().await;
    }
    if round.refused > 0 {
        let refused = round.refused;
        tracing::warn!(refused, "answers that are asked for cannot be signed anew; it is tried again");
    }
}

/// How it goes to sign anew what is due. An issuer whose turn comes later is left out of the rest; any other failure is a
/// fault of that one answer and keeps none behind it from its signature.
#[derive(Debug, Default)]
struct Round {
    refused: usize,
    later: Vec<u16>,
}

impl Round {
    fn leaves_out(&self, key: &Key) -> bool {
        self.later.contains(&key.issuer())
    }

    fn note(&mut self, key: &Key, made: &Made) {
        let Made::Refused(refusal) = made else { return };
        self.refused += 1;
        if *refusal == Refusal::TryLater {
            self.later.push(key.issuer());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::ocsp::tests::kept;

    /// Fails when an answer that cannot be made, such as that of a row which cannot be read, keeps those after it from being
    /// signed; or when an issuer without a responder does so to the others, or is asked for every answer of its own.
    #[test]
    fn an_answer_that_cannot_be_signed_anew_holds_up_no_other() {
        let mut round = Round::default();
        let mut tried = Vec::new();
        for (issuer, number) in [(0, 1), (0, 2), (1, 3), (1, 4), (0, 5)] {
            let key = Key::of(issuer, &[number], 0).unwrap();
            if round.leaves_out(&key) {
                continue;
            }
            tried.push(number);
            let made = match number {
                1 => Made::Refused(Refusal::InternalError),
                3 => Made::Refused(Refusal::TryLater),
                _ => Made::Kept(kept(1)),
            };
            round.note(&key, &made);
        }
        assert_eq!((tried, round.refused), (vec![1, 2, 3, 5], 2));
    }
}
