//! Vectors of RFC 7515 and RFC 8037, one from openssl, requests signed here, and requests that are wrong.

use p256::ecdsa::signature::Signer as _;
use serde_json::json;

use super::*;

const NEW_ACCOUNT: &str = "https://ca.test/acme/new-account";

type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// A key that signs, and its public half.
struct Key {
    jwk: Jwk,
    sign: Sign,
}

fn key(algorithm: crate::x509::key::KeyAlgorithm, point: &[u8], sign: Sign) -> Key {
    let key = crate::x509::key::PublicKey::from_point(algorithm, point).unwrap();
    Key { jwk: Jwk::from_public_key(&key).unwrap(), sign }
}

macro_rules! ec_key {
    ($curve:ident, $algorithm:ident, $scalar:expr) => {{
        let signing = $curve::ecdsa::SigningKey::from_slice($scalar).unwrap();
        let point = $curve::PublicKey::from(*signing.verifying_key()).to_sec1_bytes();
        let sign = move |message: &[u8]| {
            let signature: $curve::ecdsa::Signature = signing.sign(message);
            signature.to_bytes().to_vec()
        };
        key(crate::x509::key::KeyAlgorithm::$algorithm, &point, Box::new(sign))
    }};
}

fn keys() -> Vec<Key> {
    let ed = ring::signature::Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap();
    let point = ring::signature::KeyPair::public_key(&ed).as_ref().to_vec();
    let ed = key(
        crate::x509::key::KeyAlgorithm::Ed25519,
        &point,
        Box::new(move |message| ed.sign(message).as_ref().to_vec()),
    );
    vec![
        ec_key!(p256, EcdsaP256, &[7; 32]),
        ec_key!(p384, EcdsaP384, &[7; 48]),
        ec_key!(p521, EcdsaP521, &[&[0u8; 2][..], &[7; 64]].concat()),
        ed,
    ]
}

fn p256_key() -> Key {
    keys().swap_remove(0)
}

fn body(key: &Key, protected: &str, payload: &[u8]) -> Value {
    let signature = (key.sign)(signing_input(protected, payload).as_bytes());
    flatten(protected, payload, &signature)
}

fn header(key: &Key) -> Value {
    let text = protected_header(key.jwk.algorithm(), &KeyRef::Jwk(key.jwk.clone()), Some("bm9uY2U"), NEW_ACCOUNT);
    serde_json::from_str(&text).unwrap()
}

fn parse(value: &Value) -> Result<FlatJws, JwsError> {
    FlatJws::parse(value.to_string().as_bytes())
}

#[test]
fn jws_4_what_is_signed_here_verifies_here() {
    for key in keys() {
        let name = key.jwk.algorithm();
        let jws = parse(&body(&key, &header(&key).to_string(), br#"{"x":1}"#)).unwrap();
        assert_eq!(jws.protected().url, NEW_ACCOUNT);
        assert_eq!(jws.protected().nonce.as_deref(), Some("bm9uY2U"));
        assert_eq!(jws.protected().key, KeyRef::Jwk(key.jwk.clone()), "{name}");
        let verified = jws.verify(&key.jwk).unwrap();
        assert_eq!(verified.payload, Payload::Json(br#"{"x":1}"#.to_vec()));

        let kid = KeyRef::Kid("https://ca.test/acme/account/1".into());
        let protected = protected_header(name, &kid, Some("bm9uY2U"), "https://ca.test/acme/order/1");
        let jws = parse(&body(&key, &protected, b"")).unwrap();
        assert_eq!(jws.protected().key, kid);
        assert_eq!(jws.verify(&key.jwk).unwrap().payload, Payload::PostAsGet);
    }
}

/// RS256, made by `openssl dgst -sha256 -sign`.
#[test]
fn a_request_signed_by_openssl_verifies() {
    let text = include_str!("jws_rs256.json");
    let jws = FlatJws::parse(text.as_bytes()).unwrap();
    let KeyRef::Jwk(key) = jws.protected().key.clone() else { panic!("it has a jwk") };
    assert_eq!(jws.verify(&key).unwrap().payload, Payload::Json(br#"{"termsOfServiceAgreed":true}"#.to_vec()));
}

#[test]
fn jws_4_vectors_of_the_rfcs_verify() {
    let vectors = [
        // RFC 7515 appendix A.3
        (
            json!({ "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" }),
            "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        ),
        // RFC 8037 appendix A.4
        (
            json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }),
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        ),
    ];
    for (key, input, signature) in vectors {
        let key = Jwk::parse(&key).unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let signature = key.algorithm().signature_to_x509(&signature).unwrap();
        let algorithm = key.algorithm().signature_algorithm();
        key.public_key().verify(algorithm, input.as_bytes(), &signature).unwrap();
        assert!(key.public_key().verify(algorithm, &input.as_bytes()[1..], &signature).is_err());
    }
}

#[test]
fn jws_6_and_11_every_changed_bit_of_a_signature_is_seen() {
    for key in keys() {
        let good = body(&key, &header(&key).to_string(), b"{}");
        let signature = URL_SAFE_NO_PAD.decode(good["signature"].as_str().unwrap()).unwrap();
        for at in [0, 1, signature.len() / 2, signature.len() - 1] {
            let mut changed = signature.clone();
            changed[at] ^= 1;
            let mut bad = good.clone();
            bad["signature"] = URL_SAFE_NO_PAD.encode(changed).into();
            assert_eq!(parse(&bad).unwrap().verify(&key.jwk).unwrap_err(), JwsError::Signature, "octet {at}");
        }
        for odd in [&signature[1..], &[], &[&[0][..], signature.as_slice()].concat(), &vec![0; signature.len()]] {
            let bad = flatten(&header(&key).to_string(), b"{}", odd);
            assert!(parse(&bad).is_err() || parse(&bad).unwrap().verify(&key.jwk).is_err(), "{} octets", odd.len());
        }
    }
}

#[test]
fn a_payload_under_the_signature_of_another_is_refused() {
    let key = p256_key();
    let mut bad = body(&key, &header(&key).to_string(), b"{}");
    bad["payload"] = "".into();
    assert_eq!(parse(&bad).unwrap().verify(&key.jwk).unwrap_err(), JwsError::Signature);
    let other = keys().swap_remove(1);
    let good = body(&key, &header(&key).to_string(), b"{}");
    assert!(matches!(parse(&good).unwrap().verify(&other.jwk), Err(JwsError::Mismatch { .. })));
}

/// JWS-1: the outer object.
#[test]
fn jws_1_only_the_flattened_form_is_read() {
    let key = p256_key();
    let good = body(&key, &header(&key).to_string(), b"{}");
    let mut odd = good.clone();
    odd["future"] = 1.into();
    assert!(parse(&odd).is_ok(), "members nobody knows are ignored");
    for (name, value) in [
        ("header", json!({})),
        ("signatures", json!([])),
        ("payload", json!(null)),
        ("protected", json!("")),
        ("signature", json!("")),
    ] {
        let mut bad = good.clone();
        bad[name] = value;
        assert_eq!(parse(&bad).unwrap_err().kind(), ProblemKind::Malformed, "{name}");
    }
    let text = good.to_string();
    let twice = text.replacen("{", r#"{"payload":"","#, 1);
    assert!(matches!(FlatJws::parse(twice.as_bytes()), Err(JwsError::Malformed(why)) if why.contains("twice")));
    assert!(FlatJws::parse(&[b' '; MAX_BODY + 1]).is_err());
    assert!(FlatJws::parse(b"").is_err());
}

/// JWS-2: one spelling of base64url only.
#[test]
fn jws_2_base64url_has_one_spelling() {
    let key = p256_key();
    let good = body(&key, &header(&key).to_string(), b"{}");
    assert_eq!(good["payload"], "e30");
    // padding, other alphabet, white space, and bits after the end that are not zero
    for payload in ["e30=", "e3+/", "e3 0", "e31", "e30\n"] {
        let mut bad = good.clone();
        bad["payload"] = payload.into();
        assert_eq!(parse(&bad).unwrap_err().kind(), ProblemKind::Malformed, "{payload:?}");
    }
}

/// JWS-3, JWS-4, NON-3: the protected header.
#[test]
fn jws_3_headers_are_checked_member_by_member() {
    let key = p256_key();
    let changed = |name: &str, value: Value| {
        let mut header = header(&key);
        match value {
            Value::Null => drop(header.as_object_mut().unwrap().remove(name)),
            value => header[name] = value,
        }
        parse(&body(&key, &header.to_string(), b"{}"))
    };
    assert!(changed("extra", json!("x")).is_ok());
    for (name, value, kind) in [
        ("alg", json!(null), ProblemKind::Malformed),
        ("alg", json!("none"), ProblemKind::BadSignatureAlgorithm),
        ("alg", json!("HS256"), ProblemKind::BadSignatureAlgorithm),
        ("alg", json!("PS256"), ProblemKind::BadSignatureAlgorithm),
        ("alg", json!("ES384"), ProblemKind::BadPublicKey),
        ("nonce", json!(null), ProblemKind::Malformed),
        ("nonce", json!(""), ProblemKind::Malformed),
        ("nonce", json!("a=b"), ProblemKind::Malformed),
        ("nonce", json!("a".repeat(513)), ProblemKind::Malformed),
        ("url", json!(null), ProblemKind::Malformed),
        ("url", json!(["x"]), ProblemKind::Malformed),
        ("jwk", json!(null), ProblemKind::Malformed),
        ("jwk", json!({ "kty": "oct" }), ProblemKind::BadPublicKey),
        ("kid", json!("x"), ProblemKind::Malformed),
        ("crit", json!(["exp"]), ProblemKind::Malformed),
        ("b64", json!(false), ProblemKind::Malformed),
    ] {
        let error = changed(name, value.clone()).unwrap_err();
        assert_eq!(error.kind(), kind, "{name} = {value}: {error}");
        assert_eq!(error.algorithms().is_some(), kind == ProblemKind::BadSignatureAlgorithm);
    }
    let twice = header(&key).to_string().replacen('{', r#"{"alg":"none","#, 1);
    assert!(matches!(parse(&body(&key, &twice, b"{}")), Err(JwsError::Malformed(why)) if why.contains("twice")));
    let deep = header(&key).to_string().replacen(r#""kty""#, r#""kty":"RSA","kty""#, 1);
    assert!(matches!(parse(&body(&key, &deep, b"{}")), Err(JwsError::Malformed(why)) if why.contains("twice")));
}

/// ACC-9: the inner JWS of keyChange.
#[test]
fn inner_requests_have_a_key_and_no_nonce() {
    let key = p256_key();
    let read = |protected: &str| FlatJws::parse_inner(body(&key, protected, b"{}").to_string().as_bytes());
    let jwk = KeyRef::Jwk(key.jwk.clone());
    assert!(read(&protected_header(JwsAlgorithm::Es256, &jwk, None, "https://ca.test/x")).is_ok());
    assert!(read(&protected_header(JwsAlgorithm::Es256, &jwk, Some("AAAA"), "https://ca.test/x")).is_err());
    assert!(read(&protected_header(JwsAlgorithm::Es256, &KeyRef::Kid("k".into()), None, "https://ca.test/x")).is_err());
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        let _ = FlatJws::parse(&bytes);
    }

    #[test]
    fn no_header_makes_it_panic(header in r#"\{("(alg|nonce|url|jwk|kid)":("ES256"|"[A-Za-z0-9_-]{0,9}"|\{"kty":"(EC|RSA|OKP)","[a-z]{1,3}":"[A-Za-z0-9]{0,9}"\}|null|1),?){0,6}\}"#) {
        let _ = parse(&flatten(&header, b"{}", &[1; 64]));
    }
}
