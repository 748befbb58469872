//! The two CA certificates and the root's CRL, made with keys that exist already.

use std::time::Duration;

use pki_core::ids::{IssuerId, Serial};
use pki_core::issuance::plan::{IntermediateRequest, Planned, RootRequest, plan_intermediate, plan_root};
use pki_core::issuance::seal::seal;
use pki_core::random::Entropy;
use pki_core::time::Timestamp;
use pki_core::x509::certificate::{Certificate, NameConstraints};
use pki_core::x509::crl::{self, Crl, CrlEntry, CrlHead, CrlKind, CrlScope};
use pki_core::x509::key::PublicKey;
use signer::{FileSigner, KeyId, Purpose, Signer};

use crate::ceremony::CeremonyError;

const DAY: Duration = Duration::from_secs(86_400);

/// Twenty years with their leap days.
pub(super) const ROOT_LIFE: Duration = Duration::from_secs((20 * 365 + 5) * 86_400);

/// Five years with a leap day.
pub(super) const INTERMEDIATE_LIFE: Duration = Duration::from_secs((5 * 365 + 1) * 86_400);

/// Thirteen months: an offline root is fetched once a year, with a month to spare.
pub(super) const ROOT_CRL_LIFE: Duration = Duration::from_secs(395 * 86_400);

/// Devices whose clock is a little behind shall not refuse a new CA (X5-8).
const BACKDATE: Duration = Duration::from_secs(3600);

/// What is to be made.
pub(super) struct Wanted<'a> {
    pub(super) name: &'a str,
    pub(super) constraints: Option<&'a NameConstraints>,
    pub(super) root_id: IssuerId,
    pub(super) public_url: &'a str,
    pub(super) intermediate_key: &'a PublicKey,
    pub(super) now: Timestamp,
}

/// What was made.
pub(super) struct Made {
    pub(super) root: Certificate,
    pub(super) intermediate: Certificate,
    pub(super) root_crl: Crl,
}

/// Makes root, intermediate and the root's first CRL with the root key that `signer` has open.
pub(super) async fn make(
    signer: &FileSigner,
    wanted: Wanted<'_>,
    entropy: &dyn Entropy,
) -> Result<Made, CeremonyError> {
    let root_key = signer.public_key(&KeyId::root()).expect("the ceremony opened the root key").clone();
    let begin = (wanted.now - BACKDATE).whole_seconds();
    let planned = plan_root(RootRequest {
        common_name: &format!("{} Root CA", wanted.name),
        public_key: &root_key,
        not_before: begin,
        not_after: begin + ROOT_LIFE,
        serial: Serial::random(entropy),
        path_len: None,
    });
    let root = sign(signer, "root", planned, &root_key).await?;
    let planned = plan_intermediate(IntermediateRequest {
        root: &root,
        common_name: &format!("{} Issuing CA 1", wanted.name),
        public_key: wanted.intermediate_key,
        name_constraints: wanted.constraints,
        not_before: begin,
        not_after: begin + INTERMEDIATE_LIFE,
        serial: Serial::random(entropy),
        ca_urls: &[ca_url(wanted.public_url, wanted.root_id)],
        crl_urls: &[crl_url(wanted.public_url, wanted.root_id)],
    });
    let intermediate = sign(signer, "intermediate", planned, &root_key).await?;
    let root_crl = sign_crl(signer, &root, Vec::new(), None, wanted.now).await?;
    Ok(Made { root, intermediate, root_crl })
}

/// Where a CA's certificate is served.
pub(super) fn ca_url(public: &str, id: IssuerId) -> String {
    format!("{public}/ca/{id}.crt")
}

/// Where a CA's complete CRL is served.
pub(super) fn crl_url(public: &str, id: IssuerId) -> String {
    format!("{public}/crl/{id}.crl")
}

async fn sign(
    signer: &FileSigner,
    what: &'static str,
    planned: Result<Planned, pki_core::issuance::plan::PlanError>,
    root_key: &PublicKey,
) -> Result<Certificate, CeremonyError> {
    let planned = planned.map_err(|source| CeremonyError::Plan { what, source })?;
    let algorithm = planned.signature_algorithm();
    let signature = signer.sign(&KeyId::root(), Purpose::CaCertificate, algorithm, planned.tbs()).await?;
    let sealed = seal(planned.tbs(), algorithm, &signature, root_key);
    sealed.map(|sealed| sealed.certificate().clone()).map_err(|source| CeremonyError::Seal { what, source })
}

/// Signs the root's complete CRL for thirteen months (CRL-2: the number only rises, also after a restore).
pub(super) async fn sign_crl(
    signer: &FileSigner,
    root: &Certificate,
    entries: Vec<CrlEntry>,
    last_number: Option<u64>,
    now: Timestamp,
) -> Result<Crl, CeremonyError> {
    let this_update = now.whole_seconds();
    let seconds = u64::try_from(this_update.unix_seconds()).unwrap_or(0);
    let head = CrlHead {
        issuer: root,
        number: last_number.map_or(seconds, |last| seconds.max(last.saturating_add(1))),
        this_update,
        next_update: (this_update + ROOT_CRL_LIFE).min(root.not_after().max(this_update + DAY)),
        scope: CrlScope::Complete,
        kind: CrlKind::Full { freshest: Vec::new() },
    };
    let algorithm = head.signature_algorithm();
    let tbs = head.tbs(entries)?;
    let signature = signer.sign(&KeyId::root(), Purpose::Crl, algorithm, tbs.tbs()).await?;
    Ok(crl::seal(tbs, &signature)?)
}
