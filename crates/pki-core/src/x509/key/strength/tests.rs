use num_bigint::BigUint;

use super::*;

/// An odd number of 1024 bits, the top two of them set, so that products have 2048.
fn factor() -> BigUint {
    let digits: Vec<u8> = (0..128_u8).map(|index| index.wrapping_mul(167).wrapping_add(91)).collect();
    let mut number = BigUint::from_bytes_be(&digits);
    number.set_bit(1023, true);
    number.set_bit(1022, true);
    number.set_bit(0, true);
    number
}

/// The first number from `start` in steps of two that small primes do not divide.
fn without_small_factors(mut start: BigUint) -> BigUint {
    while small_factor(&start).is_some() {
        start += 2_u32;
    }
    start
}

fn check(n: &BigUint) -> Result<u32, String> {
    rsa(&n.to_bytes_be(), &[1, 0, 1]).map_err(|error| error.to_string())
}

fn reason(n: &BigUint) -> String {
    check(n).unwrap_err()
}

#[test]
fn close_primes_are_found_and_distant_ones_are_not() {
    let p = without_small_factors(factor());
    let near = without_small_factors(&p + 2_u32);
    assert!(reason(&(&p * &near)).contains("close together"));
    assert!(reason(&(&p * &p)).contains("close together"), "a square");
    // Fermat's method needs (q - p)^2 / (8 sqrt(pq)) rounds: a distance of 2^517 is the last to be found in 100
    let within = without_small_factors(&p + (BigUint::from(1_u32) << 515));
    assert!(reason(&(&p * &within)).contains("close together"));
    let beyond = without_small_factors(&p + (BigUint::from(1_u32) << 530));
    assert_eq!(check(&(&p * &beyond)), Ok(2048));
}

#[test]
fn small_factors_are_found() {
    let p = without_small_factors(factor());
    for prime in [3_u32, 7, 337, 751] {
        let cofactor = without_small_factors(&p + (BigUint::from(1_u32) << 700));
        let n = &p * &cofactor;
        let multiple = &n - (&n % prime);
        let odd = if multiple.bit(0) { multiple } else { multiple + prime };
        assert!(reason(&odd).contains("divisible by"), "{prime}");
    }
    assert!(reason(&(&p * (&p + 1_u32))).contains("divisible by 2"));
    assert_eq!(small_factor(&BigUint::from(757_u32)), None);
}

#[test]
fn roca_keys_are_found() {
    let primorial: BigUint =
        [11_u32, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157].iter().product();
    let residue = BigUint::from(65537_u32).modpow(&BigUint::from(12_345_u32), &primorial);
    let top = (BigUint::from(3_u32) << 2046) / &primorial;
    let mut n = top * &primorial + &residue;
    while small_factor(&n).is_some() {
        n += &primorial;
    }
    assert!(reason(&n).contains("ROCA"));
    let mut other = n + 2_u32;
    while small_factor(&other).is_some() {
        other += 2_u32;
    }
    assert_eq!(check(&other), Ok(2048));
}

#[test]
fn sizes_and_exponents() {
    assert!(reason(&BigUint::from(0_u32)).contains("fewer than 2048"));
    assert!(reason(&((BigUint::from(1_u32) << 2047) - 1_u32)).contains("fewer than 2048"));
    assert!(reason(&((BigUint::from(1_u32) << 8192) + 1_u32)).contains("longer than 8192"));
    let n = without_small_factors(&factor() * &(factor() + (BigUint::from(1_u32) << 700)));
    for exponent in [&[][..], &[3], &[1, 0, 0], &[0, 1, 0, 1], &[1, 0, 3]] {
        assert!(rsa(&n.to_bytes_be(), exponent).is_err(), "{exponent:?}");
    }
}

#[test]
fn ed25519_points_of_small_order_are_refused() {
    for point in SMALL_ORDER {
        let mut octets = data_encoding::HEXLOWER.decode(point.as_bytes()).unwrap();
        assert!(ed25519(&octets).is_err());
        octets[31] |= 0x80;
        assert!(ed25519(&octets).is_err(), "with the sign bit");
        octets[7] ^= 0x10;
        assert!(ed25519(&octets).is_ok());
    }
    assert!(ed25519(&[7; 31]).is_err() && ed25519(&[7; 33]).is_err());
}
