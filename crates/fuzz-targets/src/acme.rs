//! Signed requests: the flattened JWS, the account key in it, the external account binding.

use pki_core::acme::eab::BindingRequest;
use pki_core::acme::jwk::Jwk;
use pki_core::acme::jws::{FlatJws, KeyRef, flatten, protected_header};
use serde_json::Value;

/// The URL that bindings in the corpus are made for.
pub const EAB_URL: &str = "https://ca.test/acme/new-account";

/// A public key that nobody needs the private half of: the base point of P-256.
const ACCOUNT_KEY: &str = concat!(
    r#"{"crv":"P-256","kty":"EC","x":"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY","#,
    r#""y":"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"}"#
);

/// The account key that bindings in the corpus are made for.
pub fn eab_account_key() -> Jwk {
    Jwk::from_canonical_json(ACCOUNT_KEY).expect("the base point of P-256 is a key in canonical form")
}

/// A request body: read as a request, as the inner request of a key change, as a binding and as a key.
pub fn jws(input: &[u8]) {
    if let Ok(request) = FlatJws::parse(input) {
        assert!(request.protected().nonce.is_some(), "a request without nonce was accepted");
        header_survives_writing(request);
    }
    if let Ok(inner) = FlatJws::parse_inner(input) {
        assert!(matches!(inner.protected().key, KeyRef::Jwk(_)), "an inner request without key was accepted");
        header_survives_writing(inner);
    }
    let Ok(value) = serde_json::from_slice::<Value>(input) else { return };
    binding(&value);
    key(&value);
}

fn header_survives_writing(request: FlatJws) {
    let before = request.protected().clone();
    let header = protected_header(before.algorithm, &before.key, before.nonce.as_deref(), &before.url);
    let body = flatten(&header, b"{}", b"signature").to_string();
    let parse = if before.nonce.is_some() { FlatJws::parse } else { FlatJws::parse_inner };
    let again = parse(body.as_bytes()).expect("a header that was read can be written and read");
    assert_eq!(*again.protected(), before);
    if let KeyRef::Jwk(key) = &before.key
        && let Ok(verified) = request.verify(key)
    {
        assert_eq!(verified.protected, before);
    }
}

fn binding(value: &Value) {
    if let Ok(binding) = BindingRequest::parse(value, EAB_URL, &eab_account_key()) {
        let key_id = binding.key_id();
        if let Ok(verified) = binding.verify(b"a secret of thirty-two octets...") {
            assert_eq!(verified.key_id(), key_id);
        }
    }
}

fn key(value: &Value) {
    let Ok(key) = Jwk::parse(value) else { return };
    assert_eq!(Jwk::from_canonical_json(key.canonical_json()).as_ref(), Ok(&key));
    let through_spki = Jwk::from_public_key(key.public_key()).expect("a key that was read has a JWK");
    assert_eq!(through_spki.thumbprint(), key.thumbprint(), "two ways to one key differ");
}
