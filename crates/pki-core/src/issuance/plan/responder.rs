//! Certificates of OCSP responders (OCS-7): planned for a key that lives in a replica's memory, on no client's request.

use std::time::Duration;

use crate::ids::Serial;
use crate::issuance::plan::tbs::{self, Frame, Tbs};
use crate::issuance::plan::{IssuingCa, PlanError, Planned, validity};
use crate::policy::profile::KeyUsage;
use crate::time::Timestamp;
use crate::x509::certificate::Certificate;
use crate::x509::key::{PublicKey, SignatureAlgorithm};
use crate::x509::lint::{self, Addresses, Expected, Role};

/// Nobody can take a responder's certificate back, so its life is the time that a stolen key can lie for.
pub const MAX_RESPONDER_LIFE: Duration = Duration::from_secs(30 * 86_400);

const MIN_LIFE: Duration = Duration::from_secs(3600);

/// For relying parties whose clock is behind (X5-8): at most a tenth of the life.
const BACKDATE: Duration = Duration::from_secs(300);

/// What responders are called. With a space in it, so that no verifier takes it for a host name and holds it against the
/// name constraints above.
const NAME: &str = "OCSP responder";

/// A responder's certificate to be planned.
#[derive(Debug)]
pub struct ResponderRequest<'a> {
    /// The responder's key.
    pub public_key: &'a PublicKey,
    /// A fresh serial number.
    pub serial: Serial,
    /// The time.
    pub now: Timestamp,
    /// How long it lives, [`MAX_RESPONDER_LIFE`] at most.
    pub lifetime: Duration,
}

/// Plans a certificate that may sign OCSP answers for certificates of this very key, and do nothing else.
pub fn plan_responder(ca: &IssuingCa, request: ResponderRequest<'_>) -> Result<Planned, PlanError> {
    if !(MIN_LIFE..=MAX_RESPONDER_LIFE).contains(&request.lifetime) {
        return Err(PlanError::ResponderLife);
    }
    if !ca.certificate.may_sign() {
        return Err(PlanError::IssuerMayNotSign(ca.certificate.common_name().unwrap_or_default()));
    }
    if ca.with_chain().any(|above| above.public_key() == request.public_key) {
        return Err(PlanError::IssuersKey);
    }
    if ca.with_chain().filter_map(Certificate::name_constraints).any(|constraints| constraints.limits_subjects) {
        return Err(PlanError::SubjectOutside);
    }
    let (not_before, not_after, cut_from) = life(ca, &request)?;
    let signature_algorithm = SignatureAlgorithm::for_issuer(ca.certificate.public_key().algorithm());
    let mut parts = Tbs::new(Frame {
        serial: request.serial.octets(),
        signature: signature_algorithm,
        issuer: ca.certificate.subject_der(),
        not_before,
        not_after,
        subject: tbs::name(Some(NAME))?,
        public_key: request.public_key,
    })?;
    parts.extensions = vec![
        tbs::authority_key(&ca.certificate)?,
        tbs::subject_key(request.public_key)?,
        tbs::leaf_key_usage(&[KeyUsage::DigitalSignature])?,
        tbs::basic_constraints(false, None)?,
        tbs::ocsp_signing()?,
        tbs::no_check()?,
    ];
    let bytes = parts.to_der()?;
    let expected = Expected {
        issuer: Some(&ca.certificate),
        chain: &ca.chain,
        public_key: request.public_key,
        serial: &request.serial,
        longest_life: request.lifetime,
        addresses: Addresses::default(),
        role: Role::Responder,
    };
    lint::lint(&bytes, &expected)?;
    let crl_urls = Vec::new();
    Ok(Planned { tbs: bytes, signature_algorithm, serial: request.serial, not_before, not_after, cut_from, crl_urls })
}

fn life(
    ca: &IssuingCa,
    request: &ResponderRequest<'_>,
) -> Result<(Timestamp, Timestamp, Option<Timestamp>), PlanError> {
    let now = request.now.whole_seconds();
    let (issuer_begin, issuer_end) = validity::common_life(ca.with_chain()).unwrap_or((now, now));
    if now < issuer_begin {
        return Err(PlanError::IssuerNotYetValid { now, issuer_begin });
    }
    if now >= issuer_end {
        return Err(PlanError::IssuerExpired { issuer_end });
    }
    let not_before = (now - BACKDATE).max(issuer_begin);
    let full_end = (not_before + request.lifetime).whole_seconds();
    let not_after = full_end.min(issuer_end);
    Ok((not_before, not_after, (not_after < full_end).then_some(full_end)))
}

#[cfg(test)]
mod tests {
    use super::super::tests::issuing;
    use super::*;
    use crate::x509::testing::{DAY, TestCa, TestKey, now, serial};

    fn request(key: &PublicKey, lifetime: Duration) -> ResponderRequest<'_> {
        ResponderRequest { public_key: key, serial: serial(), now: now(), lifetime }
    }

    #[test]
    fn ocs_7_a_responder_signs_answers_only_and_carries_no_addresses() {
        let ca = TestCa::new(TestKey::fresh(), TestKey::fresh_p384(), None);
        let (issuing, key) = (issuing(&ca), TestKey::fresh());
        let planned = plan_responder(&issuing, request(&key.public, 7 * DAY)).unwrap();
        let sealed = ca.key.seal(&planned);
        let (_, read) = x509_parser::parse_x509_certificate(sealed.der()).unwrap();
        let oids: Vec<String> = read.extensions().iter().map(|extension| extension.oid.to_id_string()).collect();
        let expected = ["2.5.29.35", "2.5.29.14", "2.5.29.15", "2.5.29.19", "2.5.29.37", "1.3.6.1.5.5.7.48.1.5"];
        assert_eq!(oids, expected);
        let usage = read.extended_key_usage().unwrap().unwrap().value;
        assert!(usage.ocsp_signing && !usage.server_auth && !usage.client_auth && usage.other.is_empty());
        assert_eq!(planned.not_after().since(planned.not_before()), 7 * DAY);
        assert!(sealed.certificate().crl_urls().is_empty());
    }

    #[test]
    fn ocs_7_a_responder_lives_for_days_and_no_longer_than_its_ca() {
        let ca = TestCa::new(TestKey::fresh(), TestKey::fresh(), None);
        let (issuing, key) = (issuing(&ca), TestKey::fresh());
        for wrong in [Duration::from_secs(60), 31 * DAY] {
            assert_eq!(plan_responder(&issuing, request(&key.public, wrong)).unwrap_err(), PlanError::ResponderLife);
        }
        let late = ca.certificate.not_after() - DAY;
        let cut = plan_responder(&issuing, ResponderRequest { now: late, ..request(&key.public, 7 * DAY) }).unwrap();
        assert_eq!(cut.not_after(), ca.certificate.not_after());
        let own = plan_responder(&issuing, request(&ca.key.public, 7 * DAY));
        assert_eq!(own.unwrap_err(), PlanError::IssuersKey);
    }
}
