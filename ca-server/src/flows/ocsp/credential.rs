//! The responder's key and its certificate (OCS-7): made in memory, asked for, replaced at half of its life.

use std::sync::atomic::Ordering;
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

use super::Authority;

/// A request that nobody answered for so long is given up, and another made.
const GIVEN_UP: Duration = Duration::from_secs(3600);

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

/// Sees to it that every post has a credential; whether something is still waited for. One that gets none keeps the
/// others from nothing.
pub async fn look_after(ctx: &Context) -> Result<bool, FlowError> {
    let now = ctx.now();
    // whose certificate has ended, or one above it, has no leaf left that anybody asks for, and gets no responder
    let living = || ctx.ocsp.posts.iter().filter(|post| now < post.ca().end());
    let mut outcome = Ok(false);
    for post in living() {
        outcome = match (outcome, look_after_one(ctx, post).await) {
            (Ok(before), Ok(is_waiting)) => Ok(before || is_waiting),
            (Err(error), _) | (_, Err(error)) => Err(error),
        };
    }
    let ends = living().map(|post| post.not_after().map_or(0, Timestamp::unix_seconds)).min();
    let replaced = living().filter_map(Post::replace_by).map(Timestamp::unix_seconds).min();
    ctx.metrics.ocsp.responder_not_after.store(ends.unwrap_or(0), Ordering::Relaxed);
    ctx.metrics.ocsp.responder_replace_by.store(replaced.unwrap_or(0), Ordering::Relaxed);
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
    let proof = key.sign(&responder::proven(id, issuer)).map_err(|error| fault(&error))?;
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

/// Takes up the certificate that is waited for; whether it is still waited for.
async fn collect(ctx: &Context, post: &Post) -> Result<bool, FlowError> {
    let Some((id, since)) = post.pending().as_ref().map(|pending| (pending.id, pending.since)) else {
        return Ok(false);
    };
    let found = ctx.store.look(async move |tx| Ok::<_, FlowError>(responders::find(tx, id).await?)).await?;
    match found.map(|record| record.state) {
        Some(ResponderState::Issued { der }) => {
            let Some(pending) = post.pending().take() else { return Ok(false) };
            let certificate = check(&der, &pending.key, post.ca())?;
            tracing::info!(issuer = %post.ca().id, serial = %certificate.serial(), until = %certificate.not_after(), "the OCSP responder has a certificate");
            post.install(Credential { key: pending.key, certificate });
            Ok(false)
        }
        Some(ResponderState::Requested | ResponderState::Planned { .. }) if ctx.now() < since + GIVEN_UP => Ok(true),
        Some(ResponderState::Refused { error }) => {
            *post.pending() = None;
            Err(FlowError::Internal(format!("the OCSP responder gets no certificate: {error}")))
        }
        _ => {
            *post.pending() = None;
            Err(FlowError::Internal("nobody has signed the OCSP responder's certificate; is a server with the CA's key running on this database?".to_owned()))
        }
    }
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
mod tests {
    use pki_core::ids::Serial;
    use pki_core::issuance::plan::{
        IntermediateRequest, ResponderRequest, RootRequest, plan_intermediate, plan_responder, plan_root,
    };
    use pki_core::issuance::plan::{PlanError, Planned};
    use pki_core::issuance::seal::seal;
    use pki_core::random::SystemEntropy;

    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn sealed(planned: Result<Planned, PlanError>, by: &ResponderKey) -> Certificate {
        let planned = planned.unwrap();
        let signature = by.sign(planned.tbs()).unwrap();
        seal(planned.tbs(), planned.signature_algorithm(), &signature, by.public()).unwrap().certificate().clone()
    }

    /// A CA whose own certificate ends after 400 days, and the one above it in its chain after `root_life`.
    fn issuing(begin: Timestamp, root_life: Duration) -> (IssuingCa, ResponderKey) {
        let entropy = SystemEntropy::new();
        let [root_key, key] = [(); 2].map(|()| ResponderKey::generate(&entropy).unwrap());
        let root = |life: Duration| {
            let request = RootRequest {
                common_name: "Root",
                public_key: root_key.public(),
                not_before: begin,
                not_after: begin + life,
                serial: Serial::random(&entropy),
                path_len: None,
            };
            sealed(plan_root(request), &root_key)
        };
        let certificate = plan_intermediate(IntermediateRequest {
            root: &root(DAY * 800),
            common_name: "Issuing CA",
            public_key: key.public(),
            name_constraints: None,
            not_before: begin,
            not_after: begin + DAY * 400,
            serial: Serial::random(&entropy),
            ca_urls: &[],
            crl_urls: &[],
        });
        let certificate = sealed(certificate, &root_key);
        let ca = IssuingCa {
            id: "00112233445566778899aabbccddeeff".parse().unwrap(),
            chain: vec![certificate.clone(), root(root_life)],
            certificate,
            ca_urls: Vec::new(),
            crl_base: String::new(),
            crl_mirrors: Vec::new(),
            has_deltas: false,
            ocsp_urls: Vec::new(),
        };
        (ca, key)
    }

    /// A post that got its responder's certificate, of 7 days at most, at `now`.
    fn post(ca: &IssuingCa, ca_key: &ResponderKey, now: Timestamp) -> Post {
        let entropy = SystemEntropy::new();
        let key = ResponderKey::generate(&entropy).unwrap();
        let (serial, lifetime) = (Serial::random(&entropy), DAY * 7);
        let planned = plan_responder(ca, ResponderRequest { public_key: key.public(), serial, now, lifetime });
        let certificate = sealed(planned, ca_key);
        let post = Post::new(Authority { ca: Arc::new(ca.clone()), key: None });
        post.install(Credential { key, certificate });
        post
    }

    /// Fails when a responder's certificate that ends with its CA, or with the one above it, is asked for again and again,
    /// or one that ends before either is not.
    #[test]
    fn the_last_certificate_is_the_one_that_ends_with_the_first_of_the_chain() {
        let begin = Timestamp::from_unix_seconds(1_800_000_000);
        for root_life in [100, 600] {
            let (ca, key) = issuing(begin, DAY * root_life);
            let end = begin + DAY * root_life.min(400);
            assert_eq!(ca.end(), end);
            let early = post(&ca, &key, end - DAY * 20);
            assert!(!early.is_due(end - DAY * 18) && early.is_due(end - DAY * 16), "{root_life}");
            assert!(early.replace_by().is_some_and(|at| at < end), "{root_life}");
            let last = post(&ca, &key, end - DAY * 2);
            assert_eq!((last.not_after(), last.replace_by()), (Some(end), None), "{root_life}");
            assert!(!last.is_due(end - Duration::from_secs(300)), "{root_life}: it is asked for again");
        }
    }

    /// Fails when the time depends on how long these certificates live at a site, or comes for one that is the last.
    #[test]
    fn ocs_7_it_is_overdue_at_three_quarters_of_any_life_unless_it_ends_with_its_issuer() {
        let (begin, day) = (Timestamp::from_unix_seconds(1_800_000_000), DAY);
        let issuer_end = begin + day * 30;
        for days in [1, 3, 7, 29] {
            let found = latest(begin, begin + day * days, issuer_end);
            assert_eq!(found, Some(begin + Duration::from_secs(64_800) * days), "{days}");
            assert!(begin + day * days / 2 < found.unwrap());
        }
        assert_eq!(latest(begin, issuer_end, issuer_end), None, "cut");
        assert_eq!(latest(issuer_end - day, issuer_end, issuer_end), None);
    }
}
