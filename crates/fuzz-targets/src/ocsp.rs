//! OCSP requests, from a body and from a path. What can be read can be answered, and the answer is about that.

use std::sync::OnceLock;
use std::time::Duration;

use data_encoding::{BASE64, BASE64URL_NOPAD};
use pki_core::x509::certificate::Certificate;
use pki_core::x509::ocsp::{
    Answer, Issuers, MAX_ENTRIES, MAX_NONCE, MAX_REQUEST, PathRequest, Request, Response, ResponsePlan, Status,
};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};

use crate::text;

/// A request in DER, a path, or an answer.
pub fn ocsp(input: &[u8]) {
    let _ = Response::parse(input);
    body(input);
    if let Some(path) = text(input).and_then(PathRequest::decode) {
        assert!(path.octets().len() <= MAX_REQUEST);
        body(path.octets());
        let again = PathRequest::decode(&BASE64URL_NOPAD.encode(path.octets()));
        assert_eq!(again.as_ref().map(PathRequest::octets), Some(path.octets()), "two requests in one text");
    }
}

fn body(input: &[u8]) {
    let Ok(request) = Request::parse(input) else { return };
    let path = PathRequest::decode(&BASE64.encode(input));
    assert_eq!(path.as_ref().map(PathRequest::octets), Some(input), "a GET is read as the same request");
    assert!(input.len() <= MAX_REQUEST && (1..=MAX_ENTRIES).contains(&request.entries().len()));
    assert_eq!(request.single().is_some(), request.entries().len() == 1);
    // an OCTET STRING of 1 to 128 octets: its length takes two octets from 128 on
    assert!(request.nonce().is_none_or(|nonce| (3..=MAX_NONCE + 3).contains(&nonce.len())), "the nonce's length");
    let responder = responder();
    let issuers = Issuers::new([(1, &responder.certificate)]);
    for id in request.entries() {
        assert_eq!(id.serial_octets().is_some(), id.serial().is_some());
        assert!(issuers.find(id).is_none() || id.form().is_some(), "found by a hash that is not known");
    }
    answer(&request, responder);
}

/// Fails when a request that was read cannot be answered, or the answer does not repeat what was asked (OCS-4, OCS-9).
fn answer(request: &Request<'_>, responder: &Responder) {
    let produced_at = responder.certificate.not_before().whole_seconds() + Duration::from_secs(60);
    let statuses = [Status::Good, Status::Unknown, Status::Revoked { at: produced_at, reason: None }];
    let answers = request.entries().zip(statuses.into_iter().cycle());
    let plan = ResponsePlan {
        responder: &responder.certificate,
        produced_at,
        next_update: produced_at + Duration::from_secs(3600),
        answers: answers.map(|(id, status)| Answer { id: id.der(), status, archive_cutoff: None }).collect(),
        nonce: request.nonce(),
    };
    let tbs = plan.tbs().expect("a request that was read can be answered");
    let signature = responder.key.sign(&randomness(), &tbs).expect("a signature");
    let response = plan.seal(&tbs, signature.as_ref()).expect("the second parser reads what was planned");
    assert!(response.told().iter().map(|told| told.id.as_slice()).eq(request.entries().map(|id| id.der())));
    assert_eq!(response.nonce(), request.nonce());
}

#[expect(clippy::disallowed_methods, reason = "ECDSA wants it, and nobody relies on these signatures")]
fn randomness() -> SystemRandom {
    SystemRandom::new()
}

struct Responder {
    certificate: Certificate,
    key: EcdsaKeyPair,
}

/// From the test vectors of pki-core.
fn responder() -> &'static Responder {
    static RESPONDER: OnceLock<Responder> = OnceLock::new();
    RESPONDER.get_or_init(|| {
        let certificate = include_bytes!("../../pki-core/testdata/ca/limited.der");
        let key = include_bytes!("../../pki-core/testdata/keys/p256.pk8");
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key, &randomness());
        Responder {
            certificate: Certificate::parse(certificate).expect("a certificate"),
            key: key.expect("the key of that certificate"),
        }
    })
}
