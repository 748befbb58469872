//! What nobody should send.

use pki_core::x509::ocsp::{Response, Status};
use tests::http::ask;

use crate::world::{OcspAnswer, World, element, extension, id, nonce, request};

const MALFORMED: u8 = 1;
const UNAUTHORIZED: u8 = 6;

/// OCS-2, OCS-5, OCS-6 and OCS-9, by GET and by POST: fails when anything else than the refusal comes back, or nothing, or
/// when the responder does not answer afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn ocs_2_5_6_and_ocs_9_bad_requests_are_refused_with_200() {
    let world = World::start().await;
    let (serial, foreign) = (world.serial(), World::start().await);
    let (one, root) = (world.id(&serial), id(&world.ca.dir().join("ca/root.crt"), &serial, false));
    let good = request(std::slice::from_ref(&one), &[]);
    let with = |extensions: &[Vec<u8>]| request(std::slice::from_ref(&one), extensions);
    let nonce_oid = [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x02];
    let rows: Vec<(&str, Vec<u8>, u8)> = vec![
        ("nothing", Vec::new(), MALFORMED),
        ("no DER", b"hello".to_vec(), MALFORMED),
        ("bytes after it", [&good[..], &[0]].concat(), MALFORMED),
        ("cut", good[..good.len() - 1].to_vec(), MALFORMED),
        ("indefinite length", [&[0x30, 0x80][..], &good[2..], &[0, 0]].concat(), MALFORMED),
        ("no certificates", request(&[], &[]), MALFORMED),
        ("eleven certificates", request(&vec![one.clone(); 11], &[]), MALFORMED),
        ("a thousand certificates", request(&vec![one.clone(); 1000], &[]), MALFORMED),
        ("an empty nonce", with(&[nonce(&[])]), MALFORMED),
        ("a nonce of 129 octets", with(&[nonce(&[7; 129])]), MALFORMED),
        ("a nonce of 3000 octets", with(&[nonce(&[7; 3000])]), MALFORMED),
        ("a nonce that is no OCTET STRING", with(&[extension(&nonce_oid, false, &[7; 16])]), MALFORMED),
        ("two nonces", with(&[nonce(&[1; 16]), nonce(&[2; 16])]), MALFORMED),
        ("a critical extension", with(&[extension(&[0x2a, 0x03], true, &[5, 0])]), MALFORMED),
        ("a huge extension", with(&[extension(&[0x2a, 0x03], false, &[0; 4000])]), MALFORMED),
        ("a serial number with zeros in front", request(&[world.id(&[0, 0, 1])], &[]), MALFORMED),
        ("a foreign issuer", request(&[foreign.id(&serial)], &[]), UNAUTHORIZED),
        ("the root, which is offline", request(std::slice::from_ref(&root), &[]), UNAUTHORIZED),
        ("two issuers", request(&[one.clone(), root.clone()], &[]), UNAUTHORIZED),
        ("two issuers, the other first", request(&[root, one.clone()], &[]), UNAUTHORIZED),
        ("an unknown hash", request(&[md5(&one)], &[]), UNAUTHORIZED),
    ];
    for (what, bytes, code) in &rows {
        assert_eq!(world.post(bytes).await.refusal(), *code, "POST: {what}");
        match bytes.len() {
            // longer than any path: that is refused before anything looks at it
            49_000.. => assert_eq!(world.get(bytes).await.status, 414, "GET: {what}"),
            _ => assert_eq!(world.get(bytes).await.refusal(), *code, "GET: {what}"),
        }
    }
    let address = world.ca.public_address();
    for path in [
        "/ocsp/%zz",
        "/ocsp/MEUw%252B",
        "/ocsp/a",
        "/ocsp/MEUw*",
        "/ocsp",
        "/ocsp/",
        &format!("/ocsp/{}", "M".repeat(20_000)),
    ] {
        assert_eq!(ask(&address, &format!("GET {path}"), "", &[]).await.refusal(), MALFORMED, "{path:.40}");
    }
    assert_eq!(ask(&address, "GET /ocspx", "", &[]).await.status, 404, "another resource");
    let html = format!("Content-Type: text/html\r\nContent-Length: {}\r\n", good.len());
    assert_eq!(ask(&address, "POST /ocsp", &html, &good).await.refusal(), MALFORMED);
    let lie = "Content-Type: application/ocsp-request\r\nContent-Length: 1000000000\r\n";
    assert_eq!(ask(&address, "POST /ocsp", lie, &[]).await.refusal(), MALFORMED, "refused before it is read");
    let chunks = [b"ffff\r\n".to_vec(), vec![0x30; 0xffff]].concat();
    let chunked = "Content-Type: application/ocsp-request\r\nTransfer-Encoding: chunked\r\n";
    assert_eq!(ask(&address, "POST /ocsp", chunked, &chunks).await.refusal(), MALFORMED, "no end in sight");

    let answer = world.get(&good).await.read();
    assert_eq!(answer.told()[0].status, Status::Good, "it goes on answering");
    assert_eq!(answer.told()[0].id, one, "with the CertID that was asked (OCS-4)");
}

/// The same CertID with MD5 for its hash.
fn md5(id: &[u8]) -> Vec<u8> {
    let at = id.windows(7).position(|octets| octets == [6, 5, 0x2b, 0x0e, 0x03, 0x02, 0x1a]).unwrap();
    let algorithm =
        element(0x30, &[element(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x05]), vec![5, 0]].concat());
    // SEQUENCE { SEQUENCE { OID, NULL }, ... }: the inner one ends nine octets after its beginning
    element(0x30, &[&algorithm[..], &id[at + 9..]].concat())
}

/// OCS-9: fails when a nonce that is legal does not come back, or not as it was sent.
#[tokio::test(flavor = "multi_thread")]
async fn ocs_9_nonces_of_every_legal_length_come_back() {
    let world = World::start().await;
    for length in [1_usize, 15, 16, 32, 33, 128] {
        let octets: Vec<u8> = (0..length).map(|at| u8::try_from(at).unwrap()).collect();
        let answer = world.post(&request(&[world.id(&world.serial())], &[nonce(&octets)])).await;
        let value = element(4, &octets);
        assert_eq!(answer.read().nonce(), Some(&value[..]), "{length}");
    }
}

/// OCS-5, OCS-6: fails when one of ten questions gets no answer of its own, or when a number that was never issued, however odd
/// it is, is called anything but unknown.
#[tokio::test(flavor = "multi_thread")]
async fn ocs_5_and_6_each_of_ten_is_answered_and_what_was_never_issued_is_unknown() {
    let world = World::start().await;
    let mut ids: Vec<Vec<u8>> = (1..=9).map(|serial| world.id(&[serial])).collect();
    ids.insert(4, world.id(&world.serial()));
    let ten = world.post(&request(&ids, &[])).await.read();
    let told: Vec<_> = ten.told().iter().map(|told| (told.id.clone(), told.status == Status::Good)).collect();
    let expected: Vec<_> = ids.iter().cloned().zip((0..10).map(|place| place == 4)).collect();
    assert_eq!(told, expected, "each for itself, in the order in which they were asked");
    let unknown = |answer: &Response| answer.told().iter().filter(|told| told.status == Status::Unknown).count();
    assert_eq!(unknown(&ten), 9);
    for odd in [&[0][..], &[0x80], &[0x7f; 21]] {
        let answer = world.post(&request(&[world.id(odd)], &[])).await.read();
        assert_eq!((answer.told().len(), unknown(&answer)), (1, 1), "{odd:?}");
    }
}
