//! What every flow works with.

use std::sync::{Arc, RwLock};
use std::time::Duration;

use pki_core::ids::IssuerId;
use pki_core::issuance::plan::IssuingCa;
use pki_core::policy::Policy;
use pki_core::random::Entropy;
use pki_core::time::{Clock, Timestamp};
use pki_core::x509::certificate::Certificate;
use pki_core::x509::crl::Crl;
use signer::SiteKey;
use store::Store;
use tokio::sync::Notify;

use crate::flows::crl::CrlDesk;
use crate::flows::denied::Denied;
use crate::flows::handover::Handover;
use crate::flows::issue::IssueDesk;
use crate::flows::nonce::Nonces;
use crate::flows::ocsp::{Authority, Ocsp, OcspSettings};
use crate::flows::policy::PolicyState;
use crate::flows::rates::Rates;
use crate::flows::turnstile::Turnstile;
use crate::flows::underway::Underway;
use crate::telemetry::Metrics;

/// Built once by `app`; shared by all requests and jobs.
#[derive(Debug)]
pub struct Context {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub(crate) entropy: Arc<dyn Entropy>,
    /// The database.
    pub store: Store,
    /// Makes and recognises nonces.
    pub nonces: Nonces,
    /// What every signed request has to pass.
    pub(crate) turnstile: Turnstile,
    /// The policy in force, and how that of the files fares.
    pub policies: PolicyState,
    /// The CA that issues.
    pub issuing: Arc<IssuingCa>,
    /// Other chains of the certificates it issues, each from the certificate of its key upwards.
    pub alternates: Vec<Vec<Certificate>>,
    /// What clients trust.
    pub roots: Vec<Certificate>,
    /// The root whose certificate and list this CA also serves.
    pub root: RootAuthority,
    /// The only way to the signer.
    pub desk: IssueDesk,
    /// Seals secrets in the database.
    pub(crate) site_key: SiteKey,
    /// How long things live.
    pub limits: Limits,
    /// Revocation lists.
    pub crls: CrlDesk,
    /// How often one may do things.
    pub rates: Rates,
    /// Whether newAccount needs a binding (`init` without `--open-acme`).
    pub external_account_required: bool,
    /// What the ACME service offers and tells.
    pub service: Service,
    /// Raised by every restore of a backup.
    pub epoch: i64,
    /// Where this CA is reached; first the external address, then its other names.
    pub addresses: Vec<String>,
    /// Answers what relying parties ask about certificates.
    pub ocsp: Arc<Ocsp>,
    /// What operators watch.
    pub metrics: Arc<Metrics>,
    /// Who is denied, whatever their rows say.
    pub denied: Denied,
    /// Wakes the job worker.
    pub work: Notify,
    /// What the job worker is handed without a claim.
    pub handover: Handover,
    /// Which authorizations are looked at.
    pub underway: Underway,
}

/// The parts of a [`Context`], named.
#[expect(missing_docs, reason = "documented on `Context`")]
pub struct ContextParts {
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub store: Store,
    pub policy: Policy,
    pub issuing: IssuingCa,
    pub alternates: Vec<Vec<Certificate>>,
    pub roots: Vec<Certificate>,
    pub root: RootAuthority,
    pub desk: IssueDesk,
    pub site_key: SiteKey,
    pub limits: Limits,
    pub crls: CrlDesk,
    pub rates: Rates,
    pub external_account_required: bool,
    pub service: Service,
    pub epoch: i64,
    pub addresses: Vec<String>,
    pub metrics: Arc<Metrics>,
    pub owns_database: bool,
    pub handover: Handover,
    pub ocsp: OcspSettings,
    pub former: Vec<Authority>,
}

/// How long the short-lived things live.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// An order that is not finished.
    pub order_life: Duration,
    /// An authorization, pending or valid.
    pub authorization_life: Duration,
    /// How long a request waits for the signer before it answers `processing`.
    pub signing_deadline: Duration,
    /// Names in one order.
    pub max_identifiers: usize,
}

/// What the ACME service offers beyond what every one does, and what it tells its clients; an empty text is none.
#[derive(Debug, Clone, Default)]
pub struct Service {
    /// Terms that accounts have to agree to.
    pub terms_of_service: String,
    /// Where people read about this CA.
    pub website: String,
    /// Where people read why certificates are to be renewed (RFC 9773 section 4.2).
    pub explanation_url: String,
    /// Whether names can be authorised before they are ordered (RFC 8555 section 7.4.1).
    pub new_authz: bool,
    /// Whether pages of other origins may speak ACME here (RFC 8555 section 6.1).
    pub cross_origin: bool,
}

/// The root's public face: its key may be in another building.
#[derive(Debug)]
pub struct RootAuthority {
    /// Part of its addresses.
    pub id: IssuerId,
    /// Its certificate.
    pub certificate: Certificate,
    crl: RwLock<Crl>,
}

impl RootAuthority {
    /// `crl` was signed in a ceremony.
    pub fn new(id: IssuerId, certificate: Certificate, crl: Crl) -> Self {
        Self { id, certificate, crl: RwLock::new(crl) }
    }

    /// Its current revocation list.
    pub fn crl(&self) -> Crl {
        self.crl.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Serves another list from now on.
    pub fn replace_crl(&self, crl: Crl) {
        *self.crl.write().unwrap_or_else(std::sync::PoisonError::into_inner) = crl;
    }
}

impl Context {
    /// Puts the parts together.
    pub fn new(parts: ContextParts) -> Self {
        let now = parts.clock.now();
        let issuing = Arc::new(parts.issuing);
        let own = Authority { ca: Arc::clone(&issuing), key: parts.desk.has_key().then(|| parts.desk.key.clone()) };
        let authorities = std::iter::once(own).chain(parts.former).collect();
        let ocsp = Arc::new(Ocsp::new(authorities, parts.ocsp, Arc::clone(&parts.metrics)));
        let denied = Denied::new(Arc::clone(&parts.metrics));
        denied.listen(Arc::<Ocsp>::clone(&ocsp));
        Self {
            nonces: Nonces::new(&parts.site_key.derive("nonce")),
            turnstile: Turnstile::new(parts.owns_database, now),
            clock: parts.clock,
            entropy: parts.entropy,
            store: parts.store,
            policies: PolicyState::new(parts.policy, now),
            ocsp,
            issuing,
            alternates: parts.alternates,
            roots: parts.roots,
            root: parts.root,
            desk: parts.desk,
            site_key: parts.site_key,
            limits: parts.limits,
            crls: parts.crls,
            rates: parts.rates,
            external_account_required: parts.external_account_required,
            service: parts.service,
            epoch: parts.epoch,
            addresses: parts.addresses,
            denied,
            metrics: parts.metrics,
            work: Notify::new(),
            handover: parts.handover,
            underway: Underway::default(),
        }
    }

    /// The policy in force: taken once a flow, so that no request is decided by half of one.
    pub fn policy(&self) -> Arc<Policy> {
        self.policies.in_force().policy
    }

    /// The certificate of an issuing key, in DER: of the one that issues, of those before it, and of the root.
    pub fn ca_certificate(&self, issuer: IssuerId) -> Option<&[u8]> {
        if issuer == self.root.id {
            return Some(self.root.certificate.der());
        }
        self.ocsp.authority(issuer).map(|authority| authority.ca.certificate.der())
    }

    /// Whether no other process works on the database.
    pub fn owns_database(&self) -> bool {
        self.turnstile.is_own()
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A fresh nonce.
    pub fn fresh_nonce(&self) -> String {
        self.nonces.issue(self.now(), self.entropy.as_ref())
    }
}
