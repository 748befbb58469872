use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::ids::Serial;
use crate::x509::certificate::Certificate;
use crate::x509::encoding::{explicit, sequence};
use crate::x509::testing::{DAY, TestCa, TestKey, now};

fn octets(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut element = sequence(&[content]).unwrap();
    element[0] = tag;
    element
}

/// An AlgorithmIdentifier, by the content of its object identifier.
fn algorithm(oid: &[u8], parameters: &[u8]) -> Vec<u8> {
    sequence(&[&octets(6, oid), parameters]).unwrap()
}

const SHA1: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
const SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
const MD5: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x05];
const NULL: &[u8] = &[5, 0];
const NONCE: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x02];
const UNKNOWN: &[u8] = &[0x2a, 0x03];

fn id_with(algorithm: &[u8], issuer: &Certificate, digest: &'static ring::digest::Algorithm, serial: &[u8]) -> Vec<u8> {
    let name = ring::digest::digest(digest, issuer.subject_der());
    let key = ring::digest::digest(digest, issuer.public_key().bits());
    sequence(&[algorithm, &octets(4, name.as_ref()), &octets(4, key.as_ref()), &octets(2, serial)]).unwrap()
}

fn id(issuer: &Certificate, serial: &[u8]) -> Vec<u8> {
    id_with(&algorithm(SHA1, NULL), issuer, &ring::digest::SHA1_FOR_LEGACY_USE_ONLY, serial)
}

fn request(ids: &[Vec<u8>], extensions: &[Vec<u8>]) -> Vec<u8> {
    let entries: Vec<u8> = ids.iter().flat_map(|id| sequence(&[id]).unwrap()).collect();
    let extensions = match extensions {
        [] => Vec::new(),
        all => explicit(2, &sequence(&[&all.concat()]).unwrap()).unwrap(),
    };
    sequence(&[&sequence(&[&sequence(&[&entries]).unwrap(), &extensions]).unwrap()]).unwrap()
}

fn extension(oid: &[u8], is_critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if is_critical { &[1, 1, 0xff] } else { &[] };
    sequence(&[&octets(6, oid), critical, &octets(4, value)]).unwrap()
}

fn nonce(length: usize) -> Vec<u8> {
    extension(NONCE, false, &octets(4, &vec![7; length]))
}

fn ca() -> TestCa {
    TestCa::new(TestKey::fresh(), TestKey::fresh_p384(), None)
}

fn reject(der: &[u8]) -> &'static str {
    Request::parse(der).unwrap_err().0
}

#[test]
fn ocs_4_an_issuer_is_known_by_every_hash_and_by_no_other() {
    let (ca, foreign) = (ca(), ca());
    let issuers = Issuers::new([(7_u8, &ca.certificate), (8, &ca.root)]);
    let of = |id: Vec<u8>| {
        let request = request(&[id], &[]);
        let request = Request::parse(&request).unwrap();
        let id = request.single().unwrap();
        (issuers.find(id).copied(), id.form())
    };
    let sha1 = &ring::digest::SHA1_FOR_LEGACY_USE_ONLY;
    assert_eq!(of(id_with(&algorithm(SHA1, NULL), &ca.certificate, sha1, &[1])), (Some(7), Some(1)));
    assert_eq!(of(id_with(&algorithm(SHA1, &[]), &ca.certificate, sha1, &[1])), (Some(7), Some(0)));
    let sha256 = algorithm(SHA256, &[]);
    assert_eq!(of(id_with(&sha256, &ca.certificate, &ring::digest::SHA256, &[1])), (Some(7), Some(2)));
    assert_eq!(of(id(&ca.root, &[1])).0, Some(8));
    assert_eq!(of(id(&foreign.certificate, &[1])).0, None, "another CA");
    assert_eq!(of(id_with(&algorithm(MD5, NULL), &ca.certificate, sha1, &[1])), (None, None), "another hash");
    assert_eq!(of(id_with(&algorithm(SHA1, &[2, 1, 0]), &ca.certificate, sha1, &[1])), (None, None), "odd parameters");
    // the key of one CA under the name of another
    let mixed = sequence(&[
        &algorithm(SHA1, NULL),
        &octets(4, &sha1_of(ca.root.subject_der())),
        &octets(4, &sha1_of(ca.certificate.public_key().bits())),
        &octets(2, &[1]),
    ]);
    assert_eq!(of(mixed.unwrap()).0, None);
}

fn sha1_of(bytes: &[u8]) -> [u8; 20] {
    super::sha1(bytes)
}

#[test]
fn ocs_2_what_is_no_request_is_refused() {
    let ca = ca();
    let one = id(&ca.certificate, &[0x40, 1]);
    let good = request(std::slice::from_ref(&one), &[]);
    assert!(Request::parse(&good).is_ok());
    assert!(Request::parse(&[&good[..], &[0]].concat()).is_err(), "bytes after it");
    for length in 0..good.len() {
        assert!(Request::parse(&good[..length]).is_err(), "cut to {length}");
    }
    assert_eq!(reject(&request(&[], &[])), "it asks for nothing");
    assert!(Request::parse(&request(&vec![one.clone(); MAX_ENTRIES], &[])).is_ok());
    assert!(reject(&request(&vec![one.clone(); MAX_ENTRIES + 1], &[])).contains("more than 10"));
    assert!(reject(&request(&vec![one.clone(); 1000], &[])).contains("longer than 4096"));
    for serial in [&[][..], &[0, 1], &[0xff, 0x80]] {
        assert!(Request::parse(&request(&[id(&ca.certificate, serial)], &[])).is_err(), "{serial:?}");
    }
    for (serial, can_be) in
        [(&[0][..], false), (&[0x80], false), (&[0, 0x80], true), (&[1; 21], false), (&[1; 20], true)]
    {
        let request = request(&[id(&ca.certificate, serial)], &[]);
        let request = Request::parse(&request).unwrap();
        assert_eq!(request.single().unwrap().serial().is_some(), can_be, "{serial:?}");
    }
    let wrong_version = explicit(0, &[2, 1, 1]).unwrap();
    let entries = sequence(&[&sequence(&[&one]).unwrap()]).unwrap();
    let version = |version: &[u8]| sequence(&[&sequence(&[version, &entries]).unwrap()]).unwrap();
    assert_eq!(reject(&version(&wrong_version)), "its version is not 1");
    assert!(Request::parse(&version(&explicit(0, &[2, 1, 0]).unwrap())).is_ok(), "spelled out, as some clients do");
}

/// OCS-12: a signature says nothing here, and who asks is of no interest.
#[test]
fn ocs_12_signed_requests_and_requestor_names_are_read_over() {
    let ca = ca();
    let one = id(&ca.certificate, &[0x40, 1]);
    let entries = sequence(&[&sequence(&[&one]).unwrap()]).unwrap();
    let name = explicit(1, &octets(0x82, b"x")).unwrap();
    let tbs = sequence(&[&name, &entries]).unwrap();
    let signature = sequence(&[&algorithm(SHA256, &[]), &octets(3, &[0, 1, 2])]).unwrap();
    let signed = sequence(&[&tbs, &explicit(0, &signature).unwrap()]).unwrap();
    assert_eq!(Request::parse(&signed).unwrap().single().unwrap().der(), one);
    let damaged = sequence(&[&tbs, &explicit(0, &octets(4, &[1])).unwrap()]).unwrap();
    assert!(Request::parse(&damaged).is_err());
}

#[test]
fn ocs_9_nonces_have_1_to_128_octets() {
    let ca = ca();
    let one = id(&ca.certificate, &[0x40, 1]);
    let with = |extensions: &[Vec<u8>]| request(std::slice::from_ref(&one), extensions);
    for length in [1, 15, 16, 32, 127, 128] {
        let request = with(&[nonce(length)]);
        let value = octets(4, &vec![7; length]);
        assert_eq!(Request::parse(&request).unwrap().nonce(), Some(&value[..]), "{length}");
    }
    for length in [0, 129, 1000] {
        assert_eq!(reject(&with(&[nonce(length)])), "its nonce has not 1 to 128 octets", "{length}");
    }
    assert!(Request::parse(&with(&[extension(NONCE, false, &[7; 16])])).is_err(), "no OCTET STRING inside");
    assert!(Request::parse(&with(&[extension(NONCE, false, &[4, 1, 7, 0])])).is_err(), "bytes after it");
    assert_eq!(reject(&with(&[nonce(16), nonce(16)])), "it has two nonces");
    assert!(Request::parse(&with(&[extension(NONCE, true, &[4, 1, 7])])).is_ok(), "critical");
    assert!(Request::parse(&with(&[extension(UNKNOWN, false, &[5, 0])])).is_ok());
    assert!(reject(&with(&[extension(UNKNOWN, true, &[5, 0])])).contains("critical"));
    let single = explicit(0, &sequence(&[&extension(UNKNOWN, true, &[5, 0])]).unwrap()).unwrap();
    let entry = sequence(&[&one, &single]).unwrap();
    let of_one = sequence(&[&sequence(&[&sequence(&[&entry]).unwrap()]).unwrap()]).unwrap();
    assert!(reject(&of_one).contains("critical"));
}

/// A responder with a certificate of the CA.
struct Responder {
    key: TestKey,
    certificate: Certificate,
}

impl Responder {
    fn of(ca: &TestCa) -> Self {
        use crate::issuance::plan::{IssuingCa, ResponderRequest, plan_responder};
        let key = TestKey::fresh();
        let id = "00112233445566778899aabbccddeeff".parse().unwrap();
        let issuing = IssuingCa::without_addresses(id, ca.certificate.clone(), [ca.root.clone()]);
        let serial = crate::x509::testing::serial();
        let request = ResponderRequest { public_key: &key.public, serial, now: now(), lifetime: 7 * DAY };
        let certificate = ca.key.seal(&plan_responder(&issuing, request).unwrap()).certificate().clone();
        Self { key, certificate }
    }

    fn plan<'a>(&'a self, answers: Vec<Answer<'a>>, nonce: Option<&'a [u8]>) -> ResponsePlan<'a> {
        let next_update = now() + DAY / 2;
        ResponsePlan { responder: &self.certificate, produced_at: now(), next_update, answers, nonce }
    }

    fn seal(&self, plan: &ResponsePlan<'_>) -> Result<Response, OcspError> {
        let tbs = plan.tbs()?;
        plan.seal(&tbs, &self.key.sign(&tbs))
    }
}

fn answer(id: &[u8], status: Status) -> Answer<'_> {
    Answer { id, status, archive_cutoff: None }
}

#[test]
fn ocs_11_answers_say_what_the_list_says() {
    let ca = ca();
    let responder = Responder::of(&ca);
    let ids: Vec<Vec<u8>> = (1..=5).map(|serial| id(&ca.certificate, &[serial])).collect();
    let at = now() - Duration::from_millis(61_500);
    let statuses = [
        Status::Good,
        Status::Unknown,
        Status::Revoked { at, reason: None },
        Status::Revoked { at, reason: Some(Reason::Unspecified) },
        Status::Revoked { at, reason: Some(Reason::CertificateHold) },
    ];
    let answers = ids.iter().zip(statuses).map(|(id, status)| answer(id, status)).collect();
    let value = octets(4, &[9; 32]);
    let response = responder.seal(&responder.plan(answers, Some(&value))).unwrap();
    let none = Status::Revoked { at: at.whole_seconds(), reason: None };
    let hold = Status::Revoked { at: at.whole_seconds(), reason: Some(Reason::CertificateHold) };
    let told: Vec<Status> = response.told().iter().map(|told| told.status).collect();
    assert_eq!(told, [Status::Good, Status::Unknown, none, none, hold], "no reason says nothing (OCS-11)");
    assert!(response.told().iter().zip(&ids).all(|(told, id)| told.id == *id), "the CertID as it was asked (OCS-4)");
    assert_eq!(response.nonce(), Some(&value[..]), "the nonce as it was sent (OCS-9)");
}

#[test]
fn ocs_8_a_responder_is_named_by_its_key_and_every_answer_has_an_end() {
    let ca = ca();
    let responder = Responder::of(&ca);
    let one = id(&ca.certificate, &[1]);
    let response = responder.seal(&responder.plan(vec![answer(&one, Status::Good)], None)).unwrap();
    assert_eq!(response.responder_key_hash(), sha1_of(responder.key.public.bits()));
    assert_eq!(response.produced_at(), now());
    assert_eq!(response.told()[0].this_update, now());
    assert_eq!(response.told()[0].next_update, Some(now() + DAY / 2));
    assert_eq!(response.certificates(), [responder.certificate.der().to_vec()], "its certificate comes along (OCS-7)");
    let times = response.der().windows(17).filter(|octets| octets.starts_with(b"\x18\x0f2026"));
    assert!(times.clone().count() >= 3 && times.into_iter().all(|octets| octets.ends_with(b"Z")));
}

#[test]
fn ocs_14_answers_are_never_signed_with_sha_1_and_ended_certificates_have_a_cutoff() {
    let ca = ca();
    let responder = Responder::of(&ca);
    let one = id(&ca.certificate, &[1]);
    let ended = Answer { archive_cutoff: Some(now() - 100 * DAY), ..answer(&one, Status::Good) };
    let plan = responder.plan(vec![ended], None);
    assert_eq!(plan.signature_algorithm().to_string(), "ECDSA with SHA-256");
    let response = responder.seal(&plan).unwrap();
    let cutoff = [&[0x06, 0x09][..], &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x06]].concat();
    assert!(response.der().windows(cutoff.len()).any(|octets| octets == cutoff));
}

#[test]
fn what_was_not_planned_is_not_sealed() {
    let ca = ca();
    let responder = Responder::of(&ca);
    let one = id(&ca.certificate, &[1]);
    let good = responder.plan(vec![answer(&one, Status::Good)], None);
    let tbs = good.tbs().unwrap();
    let by_another = TestKey::fresh().sign(&tbs);
    assert!(matches!(good.seal(&tbs, &by_another), Err(OcspError::Signature(_))));
    let revoked = responder.plan(vec![answer(&one, Status::Revoked { at: now(), reason: None })], None);
    let other = revoked.tbs().unwrap();
    assert_eq!(good.seal(&other, &responder.key.sign(&other)), Err(OcspError::Disagreement("the answers")));
    let value = octets(4, &[1]);
    let with_nonce = responder.plan(vec![answer(&one, Status::Good)], Some(&value)).tbs().unwrap();
    assert_eq!(good.seal(&with_nonce, &responder.key.sign(&with_nonce)), Err(OcspError::Disagreement("the nonce")));
    let late = ResponsePlan { next_update: now() + 8 * DAY, ..good.clone() };
    assert!(matches!(late.tbs(), Err(OcspError::Plan(_))), "the responder's certificate ends before");
    let backwards = ResponsePlan { next_update: now(), ..good.clone() };
    assert!(matches!(backwards.tbs(), Err(OcspError::Plan(_))));
    assert!(matches!(ResponsePlan { answers: Vec::new(), ..good }.tbs(), Err(OcspError::Plan(_))));
}

#[test]
fn ocs_15_refusals_are_five_octets() {
    let code = |refusal: Refusal| refusal.der()[4];
    let all = [Refusal::MalformedRequest, Refusal::InternalError, Refusal::TryLater, Refusal::Unauthorized];
    assert_eq!(all.map(code), [1, 2, 3, 6]);
    assert!(all.iter().all(|refusal| Response::parse(refusal.der()).is_err()));
}

proptest! {
    /// Whatever is read is repeated byte for byte, and no bytes end in a panic.
    #[test]
    fn no_bytes_break_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0_usize..200, octet: u8) {
        let _ = Request::parse(&bytes);
        let _ = Response::parse(&bytes);
        let ca = fixed();
        let mut damaged = request(&[id(ca, &[0x40, 1]), id(ca, &[0x41])], &[nonce(32)]);
        let place = at % damaged.len();
        damaged[place] = octet;
        if let Ok(read) = Request::parse(&damaged) {
            for id in read.entries() {
                prop_assert!(damaged.windows(id.der().len()).any(|window| window == id.der()));
                if let Some(serial) = id.serial() {
                    prop_assert_eq!(Some(serial.octets()), id.serial_octets());
                    prop_assert_eq!(Serial::from_octets(serial.octets()), Ok(serial));
                }
            }
        }
    }
}

fn fixed() -> &'static Certificate {
    static CA: std::sync::OnceLock<Certificate> = std::sync::OnceLock::new();
    CA.get_or_init(|| ca().certificate)
}
