//! Bindings: the right one, and everything that must not bind.

use super::*;

const URL: &str = "https://ca.test/acme/new-account";
const KID: &str = "0123456789abcdef0123456789abcdef";
const SECRET: &[u8] = b"a secret of thirty-two octets...";

fn account(octet: u8) -> Jwk {
    let point = p256::SecretKey::from_slice(&[octet; 32]).unwrap().public_key().to_sec1_bytes();
    let key = crate::x509::key::PublicKey::from_point(crate::x509::key::KeyAlgorithm::EcdsaP256, &point).unwrap();
    Jwk::from_public_key(&key).unwrap()
}

/// A binding with header and MAC algorithm of choice.
fn binding(header: &Value, payload: &str, algorithm: hmac::Algorithm) -> Value {
    let header = header.to_string();
    let mac =
        hmac::sign(&hmac::Key::new(algorithm, SECRET), jws::signing_input(&header, payload.as_bytes()).as_bytes());
    jws::flatten(&header, payload.as_bytes(), mac.as_ref())
}

#[test]
fn what_the_client_makes_the_server_accepts() {
    let account = account(7);
    let request = BindingRequest::parse(&create(KID, SECRET, URL, &account), URL, &account).unwrap();
    assert_eq!(request.key_id().to_string(), KID);
    assert_eq!(request.verify(SECRET).unwrap().key_id().to_string(), KID);
}

#[test]
fn all_three_macs_are_accepted() {
    for (name, algorithm) in [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)]
    {
        let header = json!({ "alg": name, "kid": KID, "url": URL });
        // a client may order members of the key as it likes: it is compared by thumbprint
        let payload = account(7).to_value().to_string().replace(',', " , ");
        let request = BindingRequest::parse(&binding(&header, &payload, algorithm), URL, &account(7)).unwrap();
        assert!(request.verify(SECRET).is_ok(), "{name}");
    }
}

#[test]
fn a_wrong_mac_and_an_impossible_key_id_look_the_same() {
    let request = BindingRequest::parse(&create(KID, SECRET, URL, &account(7)), URL, &account(7)).unwrap();
    let wrong_mac = request.verify(b"another secret of 32 octets.....").unwrap_err();
    let wrong_id = BindingRequest::parse(&create("nobody", SECRET, URL, &account(7)), URL, &account(7)).unwrap_err();
    assert_eq!(wrong_mac, wrong_id);
    assert_eq!(wrong_mac.problem().kind, ProblemKind::Unauthorized);
    assert_eq!(wrong_mac.problem().http_status(), 403);
}

#[test]
fn a_binding_is_for_one_account_and_one_address() {
    let stolen = create(KID, SECRET, URL, &account(8));
    assert!(matches!(BindingRequest::parse(&stolen, URL, &account(7)), Err(EabError::Malformed(_))));
    let elsewhere = create(KID, SECRET, "https://other.test/acme/new-account", &account(7));
    assert!(matches!(BindingRequest::parse(&elsewhere, URL, &account(7)), Err(EabError::Malformed(_))));
}

#[test]
fn wrong_forms_are_malformed() {
    let payload = account(7).canonical_json().to_owned();
    for header in [
        json!({ "alg": "ES256", "kid": KID, "url": URL }),
        json!({ "alg": "none", "kid": KID, "url": URL }),
        json!({ "alg": "HS256", "kid": KID, "url": URL, "nonce": "AAAA" }),
        json!({ "alg": "HS256", "kid": KID }),
        json!({ "alg": "HS256", "url": URL }),
    ] {
        let error =
            BindingRequest::parse(&binding(&header, &payload, hmac::HMAC_SHA256), URL, &account(7)).unwrap_err();
        assert_eq!(error.problem().kind, ProblemKind::Malformed, "{header}");
    }
    for bad in [json!(null), json!("x"), json!({}), json!([])] {
        assert!(BindingRequest::parse(&bad, URL, &account(7)).is_err());
    }
}

/// ACC-11.
#[test]
fn secrets_begin_with_a_letter_or_a_digit() {
    let entropy = crate::random::SystemEntropy::new();
    for _ in 0..300 {
        let text = secret_text(&*new_secret(&entropy));
        assert!(text.len() == 43 && text.starts_with(|c: char| c.is_ascii_alphanumeric()), "{}", *text);
    }
}
