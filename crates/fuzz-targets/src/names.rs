//! Names, addresses, serial numbers and identifiers, as texts.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use pki_core::acme::jwk::Thumbprint;
use pki_core::ids::{DeviceName, OrderId, ProfileName, Serial, SiteName};
use pki_core::time::Timestamp;
use pki_core::x509::name::{DnsName, Identifier, parse_ip};

use crate::text;

/// A text, read as everything that has a canonical spelling.
pub fn names(input: &[u8]) {
    serial_of_octets(input);
    let Some(text) = text(input) else { return };
    dns_name(text);
    identifier("dns", text);
    identifier("ip", text);
    if let Some((kind, value)) = text.split_once(' ') {
        identifier(kind, value);
    }
    if let Ok(address) = parse_ip(text) {
        assert_eq!(parse_ip(&address.to_string()), Ok(address));
        assert!(text.parse::<DnsName>().is_err(), "both a name and an address");
    }
    reads_back::<Serial>(text);
    exact::<OrderId>(text);
    exact::<ProfileName>(text);
    exact::<DeviceName>(text);
    exact::<SiteName>(text);
    exact::<Thumbprint>(text);
    if let Some(at) = Timestamp::parse_rfc3339(text) {
        assert_eq!(Timestamp::parse_rfc3339(&at.rfc3339()), Some(at.whole_seconds()), "{text}");
    }
}

fn dns_name(text: &str) {
    let Ok(name) = text.parse::<DnsName>() else { return };
    reads_back::<DnsName>(text);
    assert_eq!(name.as_str(), text.to_ascii_lowercase());
    assert!(name.as_str().len() <= 253);
    let base: DnsName = name.base().parse().expect("what follows `*.` is a name");
    assert!(!base.is_wildcard() && name.is_within(&base));
}

fn identifier(kind: &str, value: &str) {
    let Ok(identifier) = Identifier::parse(kind, value) else { return };
    assert_eq!(Identifier::parse(identifier.kind(), &identifier.value()).as_ref(), Ok(&identifier));
    assert!(!identifier.without_wildcard().is_wildcard());
    let json = serde_json::to_string(&identifier).expect("texts always serialise");
    let again: Identifier = serde_json::from_str(&json).expect("what was written can be read");
    assert_eq!(again, identifier, "the stored form");
}

fn serial_of_octets(input: &[u8]) {
    let Ok(serial) = Serial::from_octets(input) else { return };
    assert!((1..=20).contains(&serial.octets().len()) && serial.octets().first() != Some(&0));
    assert_eq!(serial.to_string().parse().as_ref(), Ok(&serial));
}

/// What is printed of a value reads as the same value.
fn reads_back<T: FromStr<Err: Debug> + Display + PartialEq + Debug>(text: &str) {
    let Ok(value) = text.parse::<T>() else { return };
    let again: T = value.to_string().parse().expect("what is printed can be read");
    assert_eq!(again, value);
}

/// There is one spelling, and that is the only one accepted.
fn exact<T: FromStr<Err: Debug> + Display>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string(), text);
    }
}
