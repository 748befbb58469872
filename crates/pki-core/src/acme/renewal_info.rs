//! How renewal information and `replaces` name a certificate (RFC 9773 section 4.1).

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::acme::problem::{Problem, ProblemKind};
use crate::ids::Serial;
use crate::x509::certificate::Certificate;

/// More characters than any name of a certificate has: two parts of 64 octets at most.
const MAX_TEXT: usize = 180;
const MAX_PART: usize = 64;

/// The key that signed a certificate, and its serial number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateName {
    authority_key: Vec<u8>,
    serial: Serial,
}

/// A text that names no certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "that is not the name of a certificate: the authority key identifier and the serial number, each in base64url \
     without padding, with a dot between them (RFC 9773 section 4.1)"
)]
pub struct BadCertificateName;

impl BadCertificateName {
    /// What the client is told.
    pub fn problem(self) -> Problem {
        Problem::new(ProblemKind::Malformed, self.to_string())
    }
}

impl CertificateName {
    /// The name of a certificate; none when it does not name its issuer's key.
    pub fn of(certificate: &Certificate) -> Option<Self> {
        let authority_key = certificate.authority_key_identifier()?.to_vec();
        Some(Self { authority_key, serial: certificate.serial() })
    }

    /// The `keyIdentifier` of its authority key identifier, which is its issuer's subject key identifier.
    pub fn authority_key(&self) -> &[u8] {
        &self.authority_key
    }

    /// Its serial number.
    pub fn serial(&self) -> &Serial {
        &self.serial
    }
}

impl fmt::Display for CertificateName {
    /// The serial number as the content octets of its DER, whose first bit is the sign (ARI-1).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut octets = self.serial.octets().to_vec();
        if octets.first().is_some_and(|first| *first >= 0x80) {
            octets.insert(0, 0);
        }
        write!(f, "{}.{}", URL_SAFE_NO_PAD.encode(&self.authority_key), URL_SAFE_NO_PAD.encode(octets))
    }
}

impl FromStr for CertificateName {
    type Err = BadCertificateName;

    /// A serial number without the leading zero octet of its DER is read too: some clients leave it out (ARI-1).
    fn from_str(text: &str) -> Result<Self, BadCertificateName> {
        let (key, serial) = text.split_once('.').filter(|_| text.len() <= MAX_TEXT).ok_or(BadCertificateName)?;
        let decode = |part: &str| {
            let octets = URL_SAFE_NO_PAD.decode(part).ok();
            octets.filter(|octets| (1..=MAX_PART).contains(&octets.len())).ok_or(BadCertificateName)
        };
        let (authority_key, octets) = (decode(key)?, decode(serial)?);
        // 20 octets and the sign (RFC 5280 section 4.1.2.2)
        let serial = Some(octets).filter(|octets| octets.len() <= 21).ok_or(BadCertificateName)?;
        let serial = Serial::from_octets(&serial).map_err(|_| BadCertificateName)?;
        Ok(Self { authority_key, serial })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 9773 section 4.1.
    #[test]
    fn a_name_reads_back() {
        let text = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE";
        let name: CertificateName = text.parse().unwrap();
        assert_eq!(name.serial().octets(), [0x87, 0x65, 0x43, 0x21]);
        assert_eq!(name.authority_key().len(), 20);
        assert_eq!(name.to_string(), text);
        assert_eq!("aYhba4dGQEHhs3uEe6CuLN4ByNQ.h2VDIQ".parse(), Ok(name), "ARI-1: without the sign octet");
    }

    #[test]
    fn other_texts_are_refused() {
        let long = format!("AAAA.{}", "A".repeat(400));
        for text in
            ["", ".", "AAAA", "AAAA.", ".AAAA", "AAAA.AAAA", "AAAA=.AQAB", "AAAA.AQ.AB", "AAAA.AQB", "AA+A.AQAB", &long]
        {
            assert_eq!(text.parse::<CertificateName>(), Err(BadCertificateName), "{text}");
        }
    }
}
