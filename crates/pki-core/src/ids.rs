//! Typed identifiers. A bare string never names a thing.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use crate::random::{self, Entropy};
use crate::time::Timestamp;

/// A text that is not an identifier of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct BadId {
    /// What was given, shortened to 64 characters.
    pub text: String,
    /// What was expected, with an article.
    pub expected: &'static str,
}

impl BadId {
    fn new(text: &str, expected: &'static str) -> Self {
        Self { text: text.chars().take(64).collect(), expected }
    }
}

/// 48 bits of Unix milliseconds, then 80 random bits (the idea of UUIDv7): rows of one time lie side by side
/// in an index, which triples the insert rate of a large table (docs/adr/0003).
fn time_ordered(now: Timestamp, entropy: &dyn Entropy) -> [u8; 16] {
    let millis = u64::try_from(now.unix_millis()).unwrap_or(0) << 16;
    let mut id = random::bytes::<16>(entropy);
    for (to, from) in id.iter_mut().zip(millis.to_be_bytes().iter().take(6)) {
        *to = *from;
    }
    id
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; 16]);

        impl $name {
            /// A new identifier that sorts by `now`.
            pub fn new(now: Timestamp, entropy: &dyn Entropy) -> Self {
                Self(time_ordered(now, entropy))
            }

            /// A new identifier without order.
            pub fn random(entropy: &dyn Entropy) -> Self {
                Self(random::bytes(entropy))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&HEXLOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                let bytes = HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
                bytes.map(Self).ok_or_else(|| BadId::new(text, $expected))
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadId;
            fn try_from(text: String) -> Result<Self, BadId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }
    };
}

id!(/// An ACME account (RFC 8555 section 7.1.2).
    AccountId, "an account id");
id!(/// An ACME order (RFC 8555 section 7.1.3).
    OrderId, "an order id");
id!(/// An ACME authorization (RFC 8555 section 7.1.4).
    AuthorizationId, "an authorization id");
id!(/// One certificate, from its plan to long after its end.
    CertificateId, "a certificate id");
id!(/// One issuing key, whatever certificates name it; part of URLs, never reused.
    IssuerId, "an issuer id");
id!(/// A device record.
    DeviceId, "a device id");
id!(/// An external account key (RFC 8555 section 7.3.4); its text is the `kid` of the binding.
    EabKeyId, "an external account key id");
id!(/// The succession of certificates that one holder renews into each other.
    LineageId, "a lineage id");
id!(/// A piece of work that survives a crash.
    JobId, "a job id");
id!(/// A request for an OCSP responder's certificate.
    ResponderId, "an OCSP responder's id");
id!(/// An audit event.
    EventId, "an event id");

/// An ACME challenge (RFC 8555 section 8): one of an authorization's, which it is stored with. Its text is the
/// authorization's id, a hyphen and the place among its challenges.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChallengeId {
    authorization: AuthorizationId,
    place: u8,
}

impl ChallengeId {
    /// The challenge of `authorization` at `place`, counted from nought.
    pub const fn new(authorization: AuthorizationId, place: u8) -> Self {
        Self { authorization, place }
    }

    /// Which authorization it belongs to.
    pub const fn authorization(self) -> AuthorizationId {
        self.authorization
    }

    /// Where it stands among the challenges of its authorization, counted from nought.
    pub const fn place(self) -> u8 {
        self.place
    }

    /// The id of the job that looks at it: the authorization's, with the place in its last byte, which is random.
    pub fn job(self) -> JobId {
        JobId((u128::from_be_bytes(self.authorization.0) ^ u128::from(self.place)).to_be_bytes())
    }
}

impl fmt::Display for ChallengeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.authorization, self.place)
    }
}

impl fmt::Debug for ChallengeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChallengeId({self})")
    }
}

impl FromStr for ChallengeId {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = || BadId::new(text, "a challenge id");
        let (authorization, place) = text.split_once('-').ok_or_else(bad)?;
        let id = Self::new(authorization.parse().map_err(|_| bad())?, place.parse().map_err(|_| bad())?);
        // one text for each challenge: `+1` and `01` are numbers too
        if id.to_string() == text { Ok(id) } else { Err(bad()) }
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $max:literal, $extra:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || $extra.contains(c);
                let starts = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
                if starts && text.len() <= $max && text.chars().all(fits) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(BadId::new(text, $expected))
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadId;
            fn try_from(text: String) -> Result<Self, BadId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
    };
}

name!(/// The name of a policy profile.
    ProfileName, "a profile name (lower-case letters, digits and '-', 63 at most)", 63, "-");
name!(/// The name of a device as people use it.
    DeviceName, "a device name (lower-case letters, digits, '-', '_' and '.', 63 at most)", 63, "-_.");
name!(/// The name of a site.
    SiteName, "a site name (lower-case letters, digits and '-', 63 at most)", 63, "-");

impl SiteName {
    /// The site of everything that names none.
    pub fn home() -> Self {
        Self("home".to_owned())
    }
}

/// A certificate's serial number: 1 to 20 octets, positive (RFC 5280 section 4.1.2.2), without leading zeros.
/// They are ordered as numbers are.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Serial(Vec<u8>);

impl Serial {
    /// The most octets (RFC 5280 section 4.1.2.2).
    pub const MAX: usize = 20;

    /// Sixteen random octets with the sign bit cleared and a bit below it set, so that every serial has the same length.
    pub fn random(entropy: &dyn Entropy) -> Self {
        let mut octets = random::bytes::<16>(entropy).to_vec();
        if let Some(first) = octets.first_mut() {
            *first = (*first & 0x7f) | 0x40;
        }
        Self(octets)
    }

    /// From big-endian octets as DER or people write them; leading zeros are dropped.
    pub fn from_octets(octets: &[u8]) -> Result<Self, BadId> {
        let start = octets.iter().position(|octet| *octet != 0).unwrap_or(octets.len());
        match octets.get(start..) {
            Some(rest) if (1..=Self::MAX).contains(&rest.len()) => Ok(Self(rest.to_vec())),
            _ => Err(BadId::new(&HEXLOWER.encode(octets), "a serial number")),
        }
    }

    /// One of `shards` parts of all serial numbers, by their last octets, which are random.
    pub fn shard(&self, shards: u32) -> u32 {
        let low = self.0.iter().rev().take(7).rev().fold(0_u64, |number, octet| number << 8 | u64::from(*octet));
        u32::try_from(low % u64::from(shards.max(1))).unwrap_or(0)
    }

    /// Big-endian octets without leading zeros.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }

    /// Zeros in front up to the longest serial number there is: such octets sort as the numbers do.
    pub fn padded(&self) -> [u8; Self::MAX] {
        let mut octets = [0; Self::MAX];
        for (to, from) in octets.iter_mut().rev().zip(self.0.iter().rev()) {
            *to = *from;
        }
        octets
    }
}

impl Ord for Serial {
    fn cmp(&self, other: &Self) -> Ordering {
        by_number(&self.0, &other.0)
    }
}

impl PartialOrd for Serial {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The order of serial numbers by their octets: without leading zeros the longer one is the greater. None at all are before
/// every number.
pub(crate) fn by_number(one: &[u8], other: &[u8]) -> Ordering {
    (one.len(), one).cmp(&(other.len(), other))
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Serial({self})")
    }
}

impl FromStr for Serial {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        // openssl prints upper case, other tools put colons between octets
        let digits: String = text.chars().filter(|c| *c != ':').collect::<String>().to_ascii_lowercase();
        let even = if digits.len() % 2 == 1 { format!("0{digits}") } else { digits };
        let octets =
            HEXLOWER.decode(even.as_bytes()).map_err(|_| BadId::new(text, "a serial number in hexadecimal"))?;
        Self::from_octets(&octets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SystemEntropy;

    #[test]
    fn ids_sort_by_time_and_read_back() {
        let entropy = SystemEntropy::new();
        let early = OrderId::new(Timestamp::from_unix_millis(1_000), &entropy);
        let late = OrderId::new(Timestamp::from_unix_millis(2_000), &entropy);
        assert!(early.to_string() < late.to_string());
        assert_eq!(early.to_string().parse::<OrderId>(), Ok(early));
        assert!("".parse::<OrderId>().is_err());
        assert!(early.to_string().to_uppercase().parse::<OrderId>().is_err());
    }

    #[test]
    fn serials_are_positive_and_of_one_length() {
        let entropy = SystemEntropy::new();
        for _ in 0..200 {
            let serial = Serial::random(&entropy);
            assert_eq!(serial.octets().len(), 16);
            assert!(serial.octets()[0] & 0x80 == 0 && serial.octets()[0] != 0);
            assert_eq!(serial.to_string().parse::<Serial>().unwrap(), serial);
        }
        assert_eq!("00:0A".parse::<Serial>().unwrap().octets(), [10]);
        assert!("00".parse::<Serial>().is_err());
        assert!("01".repeat(21).parse::<Serial>().is_err());
    }

    #[test]
    fn serials_and_their_padded_octets_sort_as_numbers_do() {
        let texts = ["01", "7f", "ff", "0100", "01ff", &"7f".repeat(16), &"01".repeat(20), &"7f".repeat(20)];
        let rising = texts.map(|text| text.parse::<Serial>().unwrap());
        assert!(rising.is_sorted(), "{rising:?}");
        let padded = rising.map(|serial| serial.padded());
        assert!(padded.is_sorted() && padded[0][..19] == [0; 19] && padded[0][19] == 1, "{padded:?}");
    }

    #[test]
    fn names_are_plain() {
        assert!("gateway".parse::<ProfileName>().is_ok());
        for bad in ["", "Gateway", "-x", "a b", "a/b", "ä"] {
            assert!(bad.parse::<ProfileName>().is_err(), "{bad}");
        }
        assert!("gw_1.site".parse::<DeviceName>().is_ok());
    }
}
