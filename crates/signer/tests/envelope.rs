//! What the signer refuses, whoever asks: real certificates and CRLs, each wrong in one way.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use pki_core::random::SystemEntropy;
use pki_core::time::Timestamp;
use pki_core::x509::certificate::Certificate;
use pki_core::x509::crl::{CrlHead, CrlKind, CrlScope};
use pki_core::x509::key::{KeyAlgorithm, SignatureAlgorithm};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CustomExtension, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};
use signer::{Envelope, FileSigner, KeyId, Passphrase, PermittedNames, Purpose, SignError, Signer, generate_key};
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};

fn signer(envelope: Envelope) -> FileSigner {
    let folder = tempfile::tempdir().unwrap();
    let passphrase = Passphrase::from_first_line("p").unwrap();
    let key = KeyId::intermediate();
    generate_key(folder.path(), &key, KeyAlgorithm::EcdsaP256, &passphrase, &SystemEntropy::new()).unwrap();
    FileSigner::open(folder.path(), &passphrase, &[key], envelope).unwrap()
}

async fn sign(signer: &FileSigner, purpose: Purpose, tbs: &[u8]) -> Result<Vec<u8>, SignError> {
    signer.sign(&KeyId::intermediate(), purpose, SignatureAlgorithm::EcdsaSha256, tbs).await
}

async fn refusal(signer: &FileSigner, purpose: Purpose, tbs: &[u8]) -> String {
    match sign(signer, purpose, tbs).await {
        Err(SignError::NeedsPerson { what }) => what,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

fn leaf() -> CertificateParams {
    let mut params = CertificateParams::new(["gw-1.site.test".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = params.not_before + Duration::from_secs(30 * 86_400);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn tbs(params: &CertificateParams) -> Vec<u8> {
    let der = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    let (_, parsed) = X509Certificate::from_der(der.der()).unwrap();
    parsed.tbs_certificate.as_ref().to_vec()
}

fn changed(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let mut params = leaf();
    change(&mut params);
    tbs(&params)
}

fn ca(params: &mut CertificateParams) {
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.extended_key_usages.clear();
}

fn crl_tbs(days: u64) -> Vec<u8> {
    let mut params = CertificateParams::default();
    ca(&mut params);
    let issuer = Issuer::new(params, KeyPair::generate().unwrap());
    let this_update = rcgen::date_time_ymd(2026, 1, 1);
    let list = CertificateRevocationListParams {
        this_update,
        next_update: this_update + Duration::from_secs(days * 86_400),
        crl_number: SerialNumber::from(7),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let signed = list.signed_by(&issuer).unwrap();
    let (_, parsed) = CertificateRevocationList::from_der(signed.der()).unwrap();
    parsed.tbs_cert_list.as_ref().to_vec()
}

#[tokio::test]
async fn a_leaf_within_the_limits_is_signed() {
    let signer = signer(Envelope::serving());
    let tbs = tbs(&leaf());
    let signature = sign(&signer, Purpose::Certificate, &tbs).await.unwrap();
    let public = signer.public_key(&KeyId::intermediate()).unwrap();
    public.verify(SignatureAlgorithm::EcdsaSha256, &tbs, &signature).unwrap();
}

#[tokio::test]
async fn a_ca_certificate_is_refused_outside_a_ceremony_whatever_it_is_called() {
    let signer = signer(Envelope::serving());
    let tbs = changed(ca);
    assert!(refusal(&signer, Purpose::Certificate, &tbs).await.contains("it is a CA certificate"));
    assert!(refusal(&signer, Purpose::CaCertificate, &tbs).await.contains("in a ceremony only"));
    // a CA in all but name: the right to sign certificates without basic constraints
    let disguised = changed(|params| params.key_usages = vec![KeyUsagePurpose::KeyCertSign]);
    assert!(refusal(&signer, Purpose::Certificate, &disguised).await.contains("key usage"));
}

#[tokio::test]
async fn leaves_outside_the_limits_are_refused() {
    let signer = signer(Envelope::serving());
    let cases = [
        (
            changed(|params| params.not_after = params.not_before + Duration::from_secs(399 * 86_400)),
            "longer than 398.0 days",
        ),
        (changed(|params| params.not_after = params.not_before - Duration::from_secs(1)), "ends before it begins"),
        (changed(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any]), "extended key usage"),
        (changed(|params| params.extended_key_usages.push(ExtendedKeyUsagePurpose::Any)), "extended key usage"),
        (changed(|params| params.extended_key_usages.push(ExtendedKeyUsagePurpose::OcspSigning)), "extended key usage"),
        (changed(|params| params.extended_key_usages.push(ExtendedKeyUsagePurpose::CodeSigning)), "extended key usage"),
        (changed(|params| params.extended_key_usages.clear()), "no extended key usage"),
        (changed(|params| params.key_usages.clear()), "key usage is absent"),
        (changed(|params| params.subject_alt_names.clear()), "no subject alternative name"),
        (
            changed(|params| {
                let principal = vec![1, 3, 6, 1, 4, 1, 311, 20, 2, 3];
                params.subject_alt_names.push(SanType::OtherName((principal, "a@b.test".into())));
            }),
            "a type that is not certified",
        ),
        (
            changed(|params| {
                let mut unknown = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
                unknown.set_criticality(true);
                params.custom_extensions.push(unknown);
            }),
            "critical extension",
        ),
        (changed(|params| params.serial_number = Some(SerialNumber::from_slice(&[0x7f; 21]))), "serial number"),
    ];
    for (tbs, expected) in cases {
        let told = refusal(&signer, Purpose::Certificate, &tbs).await;
        assert!(told.contains(expected), "{expected}: {told}");
        assert!(told.contains("refused to sign a certificate"), "{told}");
    }
}

#[tokio::test]
async fn one_kind_of_bytes_is_never_signed_as_another() {
    let signer = signer(Envelope::serving());
    let (certificate, list) = (tbs(&leaf()), crl_tbs(30));
    sign(&signer, Purpose::Crl, &list).await.unwrap();
    for (purpose, bytes) in [
        (Purpose::Certificate, &list[..]),
        (Purpose::Crl, &certificate),
        (Purpose::AuditCheckpoint, &certificate),
        (Purpose::AuditCheckpoint, &list),
        (Purpose::Ocsp, &certificate),
        (Purpose::Certificate, b""),
        (Purpose::Crl, b"\x30\x80"),
        (Purpose::Certificate, &[&certificate[..], b"\0"].concat()),
        (Purpose::Crl, &[&list[..], b"\0"].concat()),
    ] {
        refusal(&signer, purpose, bytes).await;
    }
    assert!(refusal(&signer, Purpose::Crl, &crl_tbs(91)).await.contains("longer than 90.0 days"));
}

/// CRL-8: fails when a delta is refused as something unknown, or when one is signed that does not say what it is to.
#[tokio::test]
async fn crl_8_a_delta_is_signed_and_says_to_which_list_it_is_one() {
    let mut params = leaf();
    ca(&mut params);
    let key = KeyPair::generate().unwrap();
    let issuer = Certificate::parse(params.self_signed(&key).unwrap().der()).unwrap();
    let at = Timestamp::from_unix_seconds(1_800_000_000);
    let head = CrlHead {
        issuer: &issuer,
        number: 9,
        this_update: at,
        next_update: at + Duration::from_secs(86_400),
        scope: CrlScope::Complete,
        kind: CrlKind::Delta { base: 7 },
    };
    let tbs = head.begin(0).unwrap().finish().unwrap().tbs().to_vec();
    let signer = signer(Envelope::serving());
    sign(&signer, Purpose::Crl, &tbs).await.unwrap();
    // the number in the indicator: OCTET STRING of INTEGER 7, made zero, and made negative
    let place = tbs.windows(5).position(|octets| octets == [0x04, 0x03, 0x02, 0x01, 0x07]).unwrap() + 4;
    for number in [0, 0x87] {
        let mut wrong = tbs.clone();
        *wrong.get_mut(place).unwrap() = number;
        assert!(refusal(&signer, Purpose::Crl, &wrong).await.contains("does not say to which list"), "{number}");
    }
}

#[tokio::test]
async fn the_algorithm_inside_must_be_the_one_asked_for() {
    let signer = signer(Envelope::serving());
    let (key, tbs) = (KeyId::intermediate(), tbs(&leaf()));
    let refused = signer.sign(&key, Purpose::Certificate, SignatureAlgorithm::EcdsaSha384, &tbs).await.unwrap_err();
    assert!(refused.to_string().contains("algorithm identifier"), "{refused}");
    let absent = signer.sign(&KeyId::root(), Purpose::Certificate, SignatureAlgorithm::EcdsaSha256, &tbs).await;
    assert!(absent.unwrap_err().to_string().contains("the key root is not open"));
}

#[tokio::test]
async fn names_stay_within_what_is_permitted() {
    let permitted = PermittedNames { dns: vec!["site.test".into()], networks: vec!["10.0.0.0/8".parse().unwrap()] };
    let signer = signer(Envelope { permitted: Some(permitted), ..Envelope::serving() });
    let named = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        changed(|params| params.subject_alt_names = CertificateParams::new(names).unwrap().subject_alt_names)
    };
    sign(&signer, Purpose::Certificate, &named(&["gw-1.site.test", "10.1.2.3"])).await.unwrap();
    for outside in [&["gw-1.evil.test"][..], &["gw-1.site.test", "evilsite.test"], &["11.0.0.1"], &["fd00::1"]] {
        assert!(refusal(&signer, Purpose::Certificate, &named(outside)).await.contains("lies outside"));
    }
}

#[tokio::test]
async fn a_ceremony_signs_ca_certificates_and_nothing_for_others() {
    let signer = signer(Envelope::ceremony());
    sign(&signer, Purpose::CaCertificate, &changed(ca)).await.unwrap();
    sign(&signer, Purpose::Crl, &crl_tbs(395)).await.unwrap();
    assert!(refusal(&signer, Purpose::Certificate, &tbs(&leaf())).await.contains("longer than 0.0 days"));
    assert!(refusal(&signer, Purpose::CaCertificate, &tbs(&leaf())).await.contains("not a CA certificate"));
    let long = changed(|params| {
        ca(params);
        params.not_after = params.not_before + Duration::from_secs(21 * 366 * 86_400);
    });
    assert!(refusal(&signer, Purpose::CaCertificate, &long).await.contains("longer than"));
}

/// `id-pkix-ocsp-nocheck` (RFC 6960 section 4.2.2.2.1).
fn no_check() -> CustomExtension {
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 48, 1, 5], vec![5, 0])
}

/// The certificate of an OCSP responder, with a change.
fn responder(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let mut params = leaf();
    params.subject_alt_names.clear();
    params.not_after = params.not_before + Duration::from_secs(7 * 86_400);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
    params.custom_extensions = vec![no_check()];
    change(&mut params);
    tbs(&params)
}

/// OCS-7: fails when a key that speaks in the CA's name gets a certificate for anything else, or for longer than days.
#[tokio::test]
async fn ocs_7_a_responder_gets_a_certificate_for_answers_and_nothing_else() {
    let serving = signer(Envelope::serving());
    let good = responder(|_| {});
    sign(&serving, Purpose::OcspResponder, &good).await.unwrap();
    sign(&serving, Purpose::OcspResponder, &responder(|params| params.is_ca = IsCa::ExplicitNoCa)).await.unwrap();
    let usage = |usages: &[ExtendedKeyUsagePurpose]| {
        let usages = usages.to_vec();
        responder(move |params| params.extended_key_usages = usages)
    };
    let keys = |usages: &[KeyUsagePurpose]| {
        let usages = usages.to_vec();
        responder(move |params| params.key_usages = usages)
    };
    let days = |days: u64| {
        responder(move |params| params.not_after = params.not_before + Duration::from_secs(days * 86_400 + 1))
    };
    use ExtendedKeyUsagePurpose::{Any, ClientAuth, OcspSigning, Other, ServerAuth};
    use KeyUsagePurpose::{CrlSign, DigitalSignature, KeyCertSign, KeyEncipherment};
    let cases = [
        (responder(ca), "it is a CA certificate"),
        (keys(&[]), "not digitalSignature alone"),
        (keys(&[KeyEncipherment]), "not digitalSignature alone"),
        (keys(&[DigitalSignature, KeyCertSign]), "not digitalSignature alone"),
        (keys(&[DigitalSignature, CrlSign]), "not digitalSignature alone"),
        (usage(&[]), "no extended key usage"),
        (usage(&[ServerAuth]), "not OCSP signing alone"),
        (usage(&[Any]), "not OCSP signing alone"),
        (usage(&[OcspSigning, Any]), "not OCSP signing alone"),
        (usage(&[OcspSigning, ClientAuth]), "not OCSP signing alone"),
        (usage(&[OcspSigning, Other(vec![1, 3, 6, 1, 4, 1, 99999, 1])]), "not OCSP signing alone"),
        (responder(|params| params.custom_extensions.clear()), "its own state is not to be asked for"),
        (
            responder(|params| {
                params.custom_extensions =
                    vec![CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 48, 1, 5], vec![4, 0])];
            }),
            "its own state is not to be asked for",
        ),
        (responder(|params| params.custom_extensions.push(no_check())), "occurs twice"),
        (responder(|params| params.subject_alt_names = leaf().subject_alt_names), "it has names"),
        (days(30), "longer than 30.0 days"),
        (responder(|params| params.not_after = params.not_before - Duration::from_secs(1)), "ends before it begins"),
    ];
    for (tbs, expected) in cases {
        let told = refusal(&serving, Purpose::OcspResponder, &tbs).await;
        assert!(told.contains(expected), "{expected}: {told}");
    }
    for purpose in [Purpose::Certificate, Purpose::CaCertificate, Purpose::Crl, Purpose::Ocsp] {
        refusal(&serving, purpose, &good).await;
    }
    assert!(refusal(&serving, Purpose::OcspResponder, &tbs(&leaf())).await.contains("not OCSP signing alone"));
    let ceremony = signer(Envelope::ceremony());
    assert!(refusal(&ceremony, Purpose::OcspResponder, &good).await.contains("longer than 0.0 days"));
}
