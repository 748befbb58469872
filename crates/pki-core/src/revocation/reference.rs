//! How people name one certificate: by its serial number or its SHA-256, as whatever tool they use prints them.

use data_encoding::HEXLOWER;

use crate::ids::Serial;

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// SHA-256 of its DER.
    Fingerprint([u8; 32]),
    /// Its serial number, by every reading of what was given: digits alone may be hexadecimal or decimal.
    Serial(Vec<Serial>),
}

/// A text that names no certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is neither a serial number (hexadecimal, with or without 0x and colons, or decimal) nor a SHA-256 fingerprint \
     (64 hexadecimal digits)"
)]
pub struct NoReference(String);

impl std::str::FromStr for Reference {
    type Err = NoReference;

    fn from_str(text: &str) -> Result<Self, NoReference> {
        Self::parse(text)
    }
}

/// No notation of a serial number or fingerprint is longer.
const LONGEST: usize = 200;

impl Reference {
    /// Reads `4a:0f`, `4A0F`, `0x4a0f`, `serial=4A0F`, `sha256 Fingerprint=AB:CD...`, or decimal digits.
    pub fn parse(text: &str) -> Result<Self, NoReference> {
        let bad = || NoReference(text.chars().take(80).collect());
        if text.len() > LONGEST {
            return Err(bad());
        }
        let bare = text.rsplit('=').next().unwrap_or_default().trim();
        let bare = bare.strip_prefix("0x").or_else(|| bare.strip_prefix("0X")).unwrap_or(bare);
        let digits: String = bare.chars().filter(|c| *c != ':' && !c.is_whitespace()).collect();
        let hexadecimal = digits.to_ascii_lowercase();
        if hexadecimal.len() == 64 {
            let octets = HEXLOWER.decode(hexadecimal.as_bytes()).ok().and_then(|octets| octets.try_into().ok());
            return octets.map(Self::Fingerprint).ok_or_else(bad);
        }
        let mut readings: Vec<Serial> = hexadecimal.parse().into_iter().collect();
        if digits == text.trim()
            && let Some(serial) = decimal(&digits)
            && !readings.contains(&serial)
        {
            readings.push(serial);
        }
        if readings.is_empty() { Err(bad()) } else { Ok(Self::Serial(readings)) }
    }
}

/// From decimal digits to big-endian octets; none beyond the longest serial number.
fn decimal(digits: &str) -> Option<Serial> {
    let mut octets = [0_u8; 20];
    for digit in digits.chars() {
        let mut carry = digit.to_digit(10)?;
        for octet in octets.iter_mut().rev() {
            let sum = u32::from(*octet) * 10 + carry;
            let [.., low] = sum.to_be_bytes();
            *octet = low;
            carry = sum >> 8;
        }
        if carry > 0 {
            return None;
        }
    }
    Serial::from_octets(&octets).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn serials(text: &str) -> Vec<String> {
        match Reference::parse(text) {
            Ok(Reference::Serial(readings)) => readings.iter().map(ToString::to_string).collect(),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn every_usual_notation_is_read() {
        for text in ["4a0f", "4A:0F", "0x4a0f", "serial=4A0F", "00 4a 0f", "4a0F "] {
            assert_eq!(serials(text), ["4a0f"], "{text}");
        }
        assert_eq!(serials("18959"), ["018959", "4a0f"], "digits alone are read both ways");
        assert_eq!(serials("0x18959"), ["018959"]);
        let fingerprint = "sha256 Fingerprint=".to_owned() + &"AB:".repeat(31) + "AB";
        assert_eq!(Reference::parse(&fingerprint), Ok(Reference::Fingerprint([0xab; 32])));
        for text in
            ["", "0", "00", "gw-1", "0x", "zz", &"a".repeat(41), &"f".repeat(65), &"9".repeat(60), &":".repeat(300)]
        {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_serial_is_found_by_hexadecimal_and_by_decimal(number in 1_u128..) {
            let serial = Serial::from_octets(&number.to_be_bytes()).unwrap();
            let hexadecimal = format!("{number:X}");
            for text in [hexadecimal, number.to_string()] {
                let found = serials(&text).contains(&serial.to_string());
                prop_assert!(found, "{}", text);
            }
        }
    }
}
