//! Which public keys are too weak to certify (FIN-8, CA/Browser Forum BR 6.1.1.3 as far as a key shows it).
//!
//! The keys that Debian's OpenSSL made from 2006 to 2008 are not recognised: nothing in a key shows them, the lists have
//! hundreds of thousands of entries, and no package carries them any more. No machine that still makes them speaks TLS 1.2,
//! which is the least this CA speaks.

use num_bigint::BigUint;

use crate::x509::key::KeyError;

const NEW_RSA_KEY: &str =
    "make a new key with a current tool, for example `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072`";

fn weak<T>(reason: impl Into<String>, remedy: &'static str) -> Result<T, KeyError> {
    Err(KeyError::Weak { reason: reason.into(), remedy })
}

/// Checks an RSA key given by big-endian modulus and exponent; returns the length of the modulus in bits.
pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<u32, KeyError> {
    let start = modulus.iter().position(|octet| *octet != 0).unwrap_or(modulus.len());
    let octets = modulus.len() - start;
    if octets > 1024 {
        return weak("the RSA modulus is longer than 8192 bits", "use 2048, 3072 or 4096 bits");
    }
    let n = BigUint::from_bytes_be(modulus);
    let bits = n.bits();
    if bits < 2048 {
        return weak(format!("the RSA modulus has {bits} bits, which is fewer than 2048"), NEW_RSA_KEY);
    }
    if !bits.is_multiple_of(8) {
        return weak(format!("the RSA modulus has {bits} bits, which is no multiple of 8"), NEW_RSA_KEY);
    }
    if exponent != [1, 0, 1] {
        return weak("the RSA public exponent is not 65537", NEW_RSA_KEY);
    }
    if let Some(prime) = small_factor(&n) {
        return weak(format!("the RSA modulus is divisible by {prime}"), NEW_RSA_KEY);
    }
    if is_roca(&n) {
        return weak("the RSA key has the fingerprint of ROCA (CVE-2017-15361): its factors can be found", NEW_RSA_KEY);
    }
    if has_close_primes(&n) {
        return weak("the primes of the RSA key are so close together that they can be found", NEW_RSA_KEY);
    }
    Ok(u32::try_from(bits).unwrap_or(u32::MAX))
}

/// The least prime below 752 that divides `n`.
fn small_factor(n: &BigUint) -> Option<u32> {
    let is_prime =
        |candidate: u32| (2..candidate).take_while(|d| d * d <= candidate).all(|d| !candidate.is_multiple_of(d));
    (2..752).filter(|candidate| is_prime(*candidate)).find(|prime| remainder(n, *prime) == 0)
}

fn remainder(n: &BigUint, divisor: u32) -> u32 {
    u32::try_from(n % divisor).unwrap_or(0)
}

/// Moduli of the flawed library are, modulo each of these primes, powers of 65537 (Nemec and others, "The Return
/// of Coppersmith's Attack", 2017). By chance a modulus is so for all of them once in 2^27 or so.
fn is_roca(n: &BigUint) -> bool {
    const PRIMES: [u32; 17] = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];
    PRIMES.into_iter().all(|prime| {
        let wanted = remainder(n, prime);
        let powers = std::iter::successors(Some(1_u32), |power| Some(power * 65537 % prime));
        powers.take(157).any(|power| power == wanted)
    })
}

/// Fermat's method, 100 rounds: finds factors p and q when (p+q)/2 is within 100 of the square root of pq.
fn has_close_primes(n: &BigUint) -> bool {
    let mut a = n.sqrt();
    if &a * &a < *n {
        a += 1_u32;
    }
    let mut rest = &a * &a - n;
    for _ in 0..100 {
        if is_square(&rest) {
            return true;
        }
        rest += &a * 2_u32 + 1_u32;
        a += 1_u32;
    }
    false
}

/// Squares leave few remainders: three small divisions spare nearly all square roots.
fn is_square(n: &BigUint) -> bool {
    let possible = |modulus: u32| {
        let rest = remainder(n, modulus);
        (0..modulus).any(|root| root * root % modulus == rest)
    };
    if !(possible(64) && possible(63) && possible(65) && possible(11)) {
        return false;
    }
    let root = n.sqrt();
    &root * &root == *n
}

/// Checks the point of an EC key: uncompressed, on its curve, not at infinity.
pub(super) fn ec_point(on_curve: bool, octets: &[u8], expected_len: usize) -> Result<(), KeyError> {
    match octets.first() {
        Some(2 | 3) => {
            Err(KeyError::Malformed("its point is compressed; write it uncompressed, as openssl does by default"))
        }
        Some(4) if octets.len() == expected_len && on_curve => Ok(()),
        Some(4) if octets.len() == expected_len => weak("its point is not on the curve", "make a new key"),
        Some(0) => weak("its point is at infinity", "make a new key"),
        _ => {
            Err(KeyError::Malformed("its point has not the length of its curve: curve and key do not belong together"))
        }
    }
}

/// Checks an Ed25519 key: 32 octets, and none of the points of small order, for which anyone can make signatures.
pub(super) fn ed25519(octets: &[u8]) -> Result<(), KeyError> {
    let Ok(mut point) = <[u8; 32]>::try_from(octets) else {
        return Err(KeyError::Malformed("an Ed25519 key has 32 octets"));
    };
    // The sign bit does not change the order.
    point[31] &= 0x7f;
    if SMALL_ORDER.contains(&data_encoding::HEXLOWER.encode(&point).as_str()) {
        return weak("its point is of small order", "make a new key");
    }
    Ok(())
}

/// y coordinates of the points whose order divides 8, and their encodings that are not reduced.
const SMALL_ORDER: [&str; 7] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

#[cfg(test)]
mod tests;
