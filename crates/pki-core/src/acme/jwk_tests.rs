//! Vectors of RFC 7638 and RFC 8037, and keys nobody may use.

use serde_json::json;

use super::*;

const RSA_N: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
const EC_X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const EC_Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
const ED_X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

fn ec() -> Value {
    json!({ "kty": "EC", "crv": "P-256", "x": EC_X, "y": EC_Y })
}

fn with(mut key: Value, name: &str, value: Value) -> Value {
    key[name] = value;
    key
}

#[test]
fn thumbprints_are_those_of_the_rfcs() {
    let rsa = json!({ "kty": "RSA", "n": RSA_N, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29" });
    let rsa = Jwk::parse(&rsa).unwrap();
    assert_eq!(rsa.thumbprint().to_string(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    let ed = Jwk::parse(&json!({ "kty": "OKP", "crv": "Ed25519", "x": ED_X })).unwrap();
    assert_eq!(ed.thumbprint().to_string(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    assert_eq!(ed.thumbprint().to_string().parse(), Ok(ed.thumbprint()));
    assert_eq!("x".parse::<Thumbprint>(), Err(BadThumbprint));
    assert_eq!(ed.key_authorization("tok"), "tok.kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn the_stored_form_reads_back_and_is_the_only_one() {
    let rsa = json!({ "kty": "RSA", "n": RSA_N, "e": "AQAB" });
    let ed = json!({ "kty": "OKP", "crv": "Ed25519", "x": ED_X });
    for value in [ec(), rsa, ed] {
        let key = Jwk::parse(&value).unwrap();
        assert_eq!(Jwk::from_canonical_json(key.canonical_json()).as_ref(), Ok(&key));
        assert_eq!(key.to_value(), value);
        assert_eq!(Jwk::from_public_key(key.public_key()), Ok(key), "the way back from a certificate's key");
    }
    assert!(Jwk::from_canonical_json(&ec().to_string().replace(',', ", ")).is_err());
}

#[test]
fn larger_curves_read_and_come_back() {
    let p384 = p384::SecretKey::from_slice(&[7; 48]).unwrap().public_key().to_sec1_bytes();
    let p521 = p521::SecretKey::from_slice(&[&[0u8; 2][..], &[7; 64]].concat()).unwrap().public_key().to_sec1_bytes();
    for (algorithm, point) in [(KeyAlgorithm::EcdsaP384, p384), (KeyAlgorithm::EcdsaP521, p521)] {
        let key = Jwk::from_public_key(&PublicKey::from_point(algorithm, &point).unwrap()).unwrap();
        assert_eq!(Jwk::parse(&key.to_value()), Ok(key));
    }
}

/// JWS-5 and instant-acme, which sends both members.
#[test]
fn jws_5_alg_and_use_have_to_agree_when_they_are_there() {
    assert!(Jwk::parse(&with(with(ec(), "alg", json!("ES256")), "use", json!("sig"))).is_ok());
    for (name, value) in [
        ("alg", json!("ES384")),
        ("alg", json!("HS256")),
        ("alg", json!(1)),
        ("use", json!("enc")),
        ("use", json!(null)),
    ] {
        let error = Jwk::parse(&with(ec(), name, value.clone())).unwrap_err();
        assert_eq!(error.kind(), ProblemKind::BadPublicKey, "{name} {value}");
    }
}

/// JWS-7: whoever sends a private key must not have it as account key.
#[test]
fn jws_7_private_members_are_refused() {
    for name in PRIVATE {
        let error = Jwk::parse(&with(ec(), name, json!("AAAA"))).unwrap_err();
        assert_eq!(error.kind(), ProblemKind::BadPublicKey, "{name}");
    }
}

#[test]
fn jws_7_keys_that_are_none_are_refused() {
    let short = URL_SAFE_NO_PAD.encode([1; 31]);
    let off_curve = URL_SAFE_NO_PAD.encode([1; 32]);
    let small = URL_SAFE_NO_PAD.encode([0xff; 128]);
    let zero_led = URL_SAFE_NO_PAD.encode([&[0][..], &URL_SAFE_NO_PAD.decode(RSA_N).unwrap()].concat());
    for bad in [
        json!(null),
        json!([]),
        json!({}),
        json!({ "kty": "oct", "x": "AAAA" }),
        with(ec(), "crv", json!("secp256k1")),
        with(ec(), "crv", json!("P-384")),
        with(ec(), "x", json!(short)),
        with(ec(), "x", json!(off_curve)),
        with(ec(), "x", json!(format!("{EC_X}="))),
        with(ec(), "x", json!(1)),
        json!({ "kty": "RSA", "n": RSA_N }),
        json!({ "kty": "RSA", "n": RSA_N, "e": "AQ" }),
        json!({ "kty": "RSA", "n": small, "e": "AQAB" }),
        json!({ "kty": "RSA", "n": zero_led, "e": "AQAB" }),
        json!({ "kty": "RSA", "n": "", "e": "AQAB" }),
        json!({ "kty": "OKP", "crv": "Ed448", "x": ED_X }),
        json!({ "kty": "OKP", "crv": "Ed25519", "x": short }),
    ] {
        assert!(Jwk::parse(&bad).is_err(), "{bad}");
    }
}

/// Octets moved from one coordinate to the other are the same point under another thumbprint.
#[test]
fn a_key_has_one_spelling() {
    let octets = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let both = [octets(EC_X), octets(EC_Y)].concat();
    let split = |at: usize| {
        let (x, y) = both.split_at(at);
        with(with(ec(), "x", json!(URL_SAFE_NO_PAD.encode(x))), "y", json!(URL_SAFE_NO_PAD.encode(y)))
    };
    assert!(Jwk::parse(&split(32)).is_ok());
    for at in [0, 31, 33, 64] {
        assert!(Jwk::parse(&split(at)).is_err(), "{at}");
    }
}
