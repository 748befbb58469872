use super::*;
use crate::x509::testing::{file, names};

fn key(name: &str) -> PublicKey {
    PublicKey::from_spki_der(&file(&format!("keys/{name}.spki"))).unwrap()
}

#[test]
fn fin_6_every_curve_and_hash_verifies_and_nothing_else() {
    use SignatureAlgorithm as S;
    let mut verified = 0;
    for (name, combinations) in [
        (
            "p256",
            vec![("p256-sha256", S::EcdsaSha256), ("p256-sha384", S::EcdsaSha384), ("p256-sha512", S::EcdsaSha512)],
        ),
        (
            "p384",
            vec![("p384-sha256", S::EcdsaSha256), ("p384-sha384", S::EcdsaSha384), ("p384-sha512", S::EcdsaSha512)],
        ),
        (
            "p521",
            vec![("p521-sha256", S::EcdsaSha256), ("p521-sha384", S::EcdsaSha384), ("p521-sha512", S::EcdsaSha512)],
        ),
        (
            "rsa",
            vec![
                ("rsa-pkcs1-sha256", S::RsaPkcs1Sha256),
                ("rsa-pkcs1-sha384", S::RsaPkcs1Sha384),
                ("rsa-pkcs1-sha512", S::RsaPkcs1Sha512),
                ("rsa-pss-sha256", S::RsaPssSha256),
                ("rsa-pss-sha384", S::RsaPssSha384),
                ("rsa-pss-sha512", S::RsaPssSha512),
            ],
        ),
        ("ed25519", vec![("ed25519", S::Ed25519)]),
    ] {
        let key = key(name);
        for (vector, algorithm) in combinations {
            let signature = file(&format!("signatures/{vector}.sig"));
            key.verify(algorithm, b"message", &signature).unwrap_or_else(|error| panic!("{vector}: {error}"));
            assert_eq!(key.verify(algorithm, b"massage", &signature), Err(KeyError::BadSignature), "{vector}");
            let mut damaged = signature.clone();
            *damaged.last_mut().unwrap() ^= 1;
            assert_eq!(key.verify(algorithm, b"message", &damaged), Err(KeyError::BadSignature), "{vector}");
            assert_eq!(key.verify(algorithm, b"message", &[]), Err(KeyError::BadSignature), "{vector}");
            for other in S::ALL.into_iter().filter(|other| *other != algorithm) {
                assert!(key.verify(other, b"message", &signature).is_err(), "{vector} as {other}");
            }
            verified += 1;
        }
    }
    assert_eq!(verified, 16);
}

#[test]
fn sha_1_signatures_verify_as_nothing() {
    for name in ["p256", "p384", "p521"] {
        let signature = file(&format!("signatures/{name}-sha1.sig"));
        for algorithm in SignatureAlgorithm::ALL {
            assert!(key(name).verify(algorithm, b"message", &signature).is_err(), "{name} as {algorithm}");
        }
    }
}

#[test]
fn keys_keep_their_bytes_and_say_what_they_are() {
    for (name, algorithm) in [
        ("p256", KeyAlgorithm::EcdsaP256),
        ("p384", KeyAlgorithm::EcdsaP384),
        ("p521", KeyAlgorithm::EcdsaP521),
        ("rsa", KeyAlgorithm::Rsa { bits: 2048 }),
        ("ed25519", KeyAlgorithm::Ed25519),
    ] {
        let der = file(&format!("keys/{name}.spki"));
        let key = PublicKey::from_spki_der(&der).unwrap();
        assert_eq!(key.algorithm(), algorithm);
        assert_eq!(key.spki_der(), der);
        if !matches!(algorithm, KeyAlgorithm::Rsa { .. }) {
            assert_eq!(PublicKey::from_point(algorithm, key.bits()).unwrap(), key);
        }
        for length in 0..der.len() {
            assert!(PublicKey::from_spki_der(&der[..length]).is_err(), "{name} cut to {length}");
        }
        assert!(PublicKey::from_spki_der(&[&der[..], &[0]].concat()).is_err(), "{name} with a byte after it");
    }
    let numbers = key("rsa");
    let modulus = &numbers.bits()[numbers.bits().len() - 261..][..256];
    assert_eq!(PublicKey::from_rsa(modulus, &[1, 0, 1]).unwrap(), numbers);
}

#[test]
fn fin_8_other_keys_are_refused_with_a_remedy() {
    for (name, said) in [
        ("secp256k1", "another elliptic curve"),
        ("p224", "another elliptic curve"),
        ("brainpool", "another elliptic curve"),
        ("explicit", "curve spelled out"),
        ("compressed", "uncompressed"),
        ("x25519", "cannot sign"),
        ("ed448", "Ed448"),
        ("rsa-1024", "1024 bits"),
        ("rsa-2044", "2044 bits"),
        ("rsa-exponent-3", "65537"),
        ("rsa-pss", "for RSA-PSS only"),
    ] {
        let error = PublicKey::from_spki_der(&file(&format!("refused-keys/{name}.spki"))).unwrap_err().to_string();
        assert!(error.contains(said), "{name}: {error}");
    }
    assert_eq!(names("refused-keys").len(), 11);
}

#[test]
fn fin_8_points_off_the_curve_are_refused() {
    for (name, algorithm) in
        [("p256", KeyAlgorithm::EcdsaP256), ("p384", KeyAlgorithm::EcdsaP384), ("p521", KeyAlgorithm::EcdsaP521)]
    {
        let mut point = key(name).bits().to_vec();
        *point.last_mut().unwrap() ^= 1;
        assert!(matches!(PublicKey::from_point(algorithm, &point), Err(KeyError::Weak { .. })), "{name}");
        assert!(matches!(PublicKey::from_point(algorithm, &[0]), Err(KeyError::Weak { .. })), "{name}");
        assert!(PublicKey::from_point(algorithm, &[]).is_err(), "{name}");
    }
    // rustls/rcgen#448: the identifier of one curve, the point of another
    assert!(PublicKey::from_point(KeyAlgorithm::EcdsaP256, key("p384").bits()).is_err());
}

#[test]
fn x5_2_the_key_identifier_is_that_of_rfc_7093() {
    let digest: [u8; 32] = Sha256::digest(key("p256").bits()).into();
    assert_eq!(key("p256").key_identifier(), digest[..20]);
}
