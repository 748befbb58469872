//! The hard envelope: what a key never signs, whoever asks. The bytes are read again here, by a parser that had no
//! part in making them.

mod crl;

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use pki_core::x509::key::SignatureAlgorithm;
use x509_parser::certificate::{TbsCertificate, Validity};
use x509_parser::extensions::{
    BasicConstraints, ExtendedKeyUsage, GeneralName, KeyUsage, ParsedExtension, X509Extension,
};
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;
use x509_parser::x509::{AlgorithmIdentifier, X509Version};

use crate::Purpose;
use crate::error::SignError;

const DAY: Duration = Duration::from_secs(86_400);
const MAX_CHECKPOINT: usize = 4096;
/// `id-pkix-ocsp-nocheck` (RFC 6960).
const NO_CHECK: &str = "1.3.6.1.5.5.7.48.1.5";
/// `id-ce-deltaCRLIndicator` (RFC 5280 section 5.2.4).
const DELTA: &str = "2.5.29.27";
/// `id-on-permanentIdentifier` (RFC 4043).
const PERMANENT_IDENTIFIER: &str = "1.3.6.1.5.5.7.8.3";

/// The limits that a signer keeps by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Whether CA certificates are signed: in a ceremony, never while serving.
    pub ca_certificates: bool,
    /// The longest life of an end entity's certificate.
    pub leaf_life: Duration,
    /// The longest life of a CA certificate.
    pub ca_life: Duration,
    /// The longest life of an OCSP responder's certificate, which nobody can take back.
    pub responder_life: Duration,
    /// The longest time between a CRL and the next one.
    pub crl_life: Duration,
    /// Where all names of end entities must lie; none for anywhere.
    pub permitted: Option<PermittedNames>,
}

/// Names and networks that certificates must stay within.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PermittedNames {
    /// Zones, in lower case without leading dot; a zone holds itself and everything below, the empty one every name.
    pub dns: Vec<String>,
    /// Networks.
    pub networks: Vec<IpNet>,
}

impl Envelope {
    /// For a CA that serves: leaves of 398 days at most, CRLs, and no CA certificate.
    pub fn serving() -> Self {
        Self {
            ca_certificates: false,
            leaf_life: 398 * DAY,
            ca_life: Duration::ZERO,
            responder_life: 30 * DAY,
            crl_life: 90 * DAY,
            permitted: None,
        }
    }

    /// For a ceremony: CA certificates of 20 years and five leap days, and CRLs of 13 months.
    pub fn ceremony() -> Self {
        Self {
            ca_certificates: true,
            leaf_life: Duration::ZERO,
            responder_life: Duration::ZERO,
            ca_life: (20 * 365 + 5) * DAY,
            crl_life: 400 * DAY,
            permitted: None,
        }
    }

    /// Refuses bytes that are not exactly what `purpose` says, or that lie outside the limits.
    pub(crate) fn check(&self, purpose: Purpose, algorithm: SignatureAlgorithm, tbs: &[u8]) -> Result<(), SignError> {
        let checked = match purpose {
            Purpose::Certificate => self.leaf(algorithm, tbs),
            Purpose::CaCertificate => self.ca_certificate(algorithm, tbs),
            Purpose::Crl => self.crl(algorithm, tbs),
            Purpose::OcspResponder => self.responder(algorithm, tbs),
            Purpose::Ocsp => Err("OCSP answers are signed by a responder's key, never by a CA's".into()),
            Purpose::AuditCheckpoint => checkpoint(tbs),
        };
        checked.map_err(|why| {
            SignError::refused(format!(
                "the signer refused to sign {purpose}: {why}; correct the profile or the request, the signer's limits are not lifted by policy"
            ))
        })
    }

    fn leaf(&self, algorithm: SignatureAlgorithm, tbs: &[u8]) -> Result<(), String> {
        let tbs = certificate(algorithm, tbs)?;
        if basic_constraints(&tbs).is_some_and(|constraints| constraints.ca) {
            return Err("it is a CA certificate".into());
        }
        if key_usage(&tbs).is_none_or(|usage| usage.key_cert_sign() || usage.crl_sign()) {
            return Err("its key usage is absent or allows to sign certificates or CRLs".into());
        }
        extended_key_usage(&tbs)?;
        within("its life", life(&tbs.validity)?, self.leaf_life)?;
        self.names(&tbs)
    }

    /// What may say `good` in the CA's name can do nothing else, and not for long: it says of itself that its state is not
    /// to be asked for (RFC 6960 section 4.2.2.2.1).
    fn responder(&self, algorithm: SignatureAlgorithm, tbs: &[u8]) -> Result<(), String> {
        let tbs = certificate(algorithm, tbs)?;
        if basic_constraints(&tbs).is_some_and(|constraints| constraints.ca) {
            return Err("it is a CA certificate".into());
        }
        // digitalSignature is bit 0
        if key_usage(&tbs).is_none_or(|usage| usage.flags != 1) {
            return Err("its key usage is not digitalSignature alone".into());
        }
        let usage = tbs.extended_key_usage().ok().flatten().ok_or("it has no extended key usage")?.value;
        let others = usage.any
            || usage.server_auth
            || usage.client_auth
            || usage.code_signing
            || usage.email_protection
            || usage.time_stamping
            || !usage.other.is_empty();
        if others || !usage.ocsp_signing {
            return Err("its extended key usage is not OCSP signing alone".into());
        }
        let no_check = tbs.extensions().iter().find(|extension| extension.oid.to_id_string() == NO_CHECK);
        if no_check.is_none_or(|extension| extension.value != [5, 0]) {
            return Err("it does not say that its own state is not to be asked for".into());
        }
        if tbs.subject_alternative_name().ok().flatten().is_some() {
            return Err("it has names, which a responder needs none of".into());
        }
        within("its life", life(&tbs.validity)?, self.responder_life)
    }

    fn ca_certificate(&self, algorithm: SignatureAlgorithm, tbs: &[u8]) -> Result<(), String> {
        if !self.ca_certificates {
            return Err(
                "CA certificates are signed in a ceremony only (`ca-server init`, `ca-server root sign`)".into()
            );
        }
        let tbs = certificate(algorithm, tbs)?;
        if !basic_constraints(&tbs).is_some_and(|constraints| constraints.ca) {
            return Err("it is not a CA certificate".into());
        }
        if !key_usage(&tbs).is_some_and(|usage| usage.key_cert_sign()) {
            return Err("its key usage does not allow to sign certificates".into());
        }
        within("its life", life(&tbs.validity)?, self.ca_life)
    }

    fn crl(&self, algorithm: SignatureAlgorithm, tbs: &[u8]) -> Result<(), String> {
        let list = crl::Head::read(tbs)?;
        same_algorithm(&list.signature, algorithm)?;
        extensions(&list.extensions, Some(DELTA))?;
        crl::check_base(&list.extensions)?;
        let numbered =
            |extension: &X509Extension<'_>| matches!(extension.parsed_extension(), ParsedExtension::CRLNumber(_));
        if !list.extensions.iter().any(numbered) {
            return Err("it has no CRL number".into());
        }
        within("its life", span(list.this_update, list.next_update)?, self.crl_life)
    }

    fn names(&self, tbs: &TbsCertificate<'_>) -> Result<(), String> {
        let names = tbs.subject_alternative_name().ok().flatten().ok_or("it has no subject alternative name")?;
        if names.value.general_names.is_empty() {
            return Err("its subject alternative name is empty".into());
        }
        names.value.general_names.iter().try_for_each(|name| match (name, &self.permitted) {
            (GeneralName::DNSName(name), Some(permitted)) if !permitted.holds_dns(name) => {
                Err(format!("the name {name} lies outside the names this CA may certify"))
            }
            (GeneralName::DNSName(_), _) => Ok(()),
            (GeneralName::IPAddress(octets), permitted) => {
                let address = address(octets).ok_or("an IP address in it has neither 4 nor 16 octets")?;
                match permitted {
                    Some(permitted) if !permitted.holds_address(address) => {
                        Err(format!("the address {address} lies outside the networks this CA may certify"))
                    }
                    _ => Ok(()),
                }
            }
            (GeneralName::URI(uri), Some(permitted)) if !permitted.holds_uri(uri) => {
                Err(format!("the host of {uri} lies outside the names this CA may certify"))
            }
            (GeneralName::RFC822Name(address), Some(permitted)) if !permitted.holds_mailbox(address) => {
                Err(format!("the domain of {address} lies outside the names this CA may certify"))
            }
            (GeneralName::URI(_) | GeneralName::RFC822Name(_), _) => Ok(()),
            (GeneralName::OtherName(kind, _), _) if kind.to_id_string() == PERMANENT_IDENTIFIER => Ok(()),
            (other, _) => Err(format!("it has a name of a type that is not certified here ({other})")),
        })
    }
}

impl PermittedNames {
    fn holds_dns(&self, name: &str) -> bool {
        let name = name.strip_prefix("*.").unwrap_or(name);
        let holds =
            |zone: &String| name.strip_suffix(zone.as_str()).is_some_and(|left| left.is_empty() || left.ends_with('.'));
        self.dns.iter().any(|zone| zone.is_empty() || holds(zone))
    }

    /// A URI without host, such as `urn:...`, names nothing that a constraint could be about.
    fn holds_uri(&self, uri: &str) -> bool {
        let Some((_, rest)) = uri.split_once("://") else { return true };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        let (host, is_v6) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, _)) => (address, true),
            None => (host.split(':').next().unwrap_or_default(), false),
        };
        match host.parse::<IpAddr>() {
            Ok(address) => self.holds_address(address),
            Err(_) => !is_v6 && self.holds_dns(&host.to_ascii_lowercase()),
        }
    }

    fn holds_mailbox(&self, address: &str) -> bool {
        address.rsplit_once('@').is_some_and(|(_, domain)| self.holds_dns(&domain.to_ascii_lowercase()))
    }

    fn holds_address(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }
}

/// What every certificate must be: version 3, nothing behind it, no doubled or unreadable extension.
fn certificate(algorithm: SignatureAlgorithm, bytes: &[u8]) -> Result<TbsCertificate<'_>, String> {
    let (rest, tbs) = TbsCertificate::from_der(bytes).map_err(|_| "the bytes are not a TBSCertificate")?;
    if !rest.is_empty() || tbs.version() != X509Version::V3 {
        return Err("it is not a certificate of version 3, or bytes follow it".into());
    }
    same_algorithm(&tbs.signature, algorithm)?;
    extensions(tbs.extensions(), None)?;
    // RFC 5280 section 4.1.2.2
    match tbs.raw_serial() {
        [first, ..] if *first < 0x80 && tbs.raw_serial().len() <= 20 && tbs.raw_serial() != [0] => Ok(tbs),
        _ => Err("its serial number is not positive or longer than 20 octets".into()),
    }
}

/// `known` is critical and not known to the parser: whoever allows it looks at it.
fn extensions(all: &[X509Extension<'_>], known: Option<&str>) -> Result<(), String> {
    for (place, extension) in all.iter().enumerate() {
        if all.iter().take(place).any(|earlier| earlier.oid == extension.oid) {
            return Err(format!("the extension {} occurs twice", extension.oid));
        }
        match extension.parsed_extension() {
            ParsedExtension::ParseError { .. } => return Err(format!("the extension {} is damaged", extension.oid)),
            ParsedExtension::UnsupportedExtension { .. } | ParsedExtension::Unparsed
                if extension.critical && known.is_none_or(|known| extension.oid.to_id_string() != known) =>
            {
                return Err(format!("the critical extension {} is unknown", extension.oid));
            }
            _ => {}
        }
    }
    Ok(())
}

fn same_algorithm(named: &AlgorithmIdentifier<'_>, asked: SignatureAlgorithm) -> Result<(), String> {
    let identifier = asked.identifier_der();
    match AlgorithmIdentifier::from_der(&identifier) {
        Ok((_, asked)) if asked == *named => Ok(()),
        _ => Err(format!("its algorithm identifier is not the one of {asked}")),
    }
}

fn basic_constraints<'a>(tbs: &'a TbsCertificate<'_>) -> Option<&'a BasicConstraints> {
    tbs.basic_constraints().ok().flatten().map(|extension| extension.value)
}

fn key_usage<'a>(tbs: &'a TbsCertificate<'_>) -> Option<&'a KeyUsage> {
    tbs.key_usage().ok().flatten().map(|extension| extension.value)
}

/// TLS server and TLS client, and nothing else: a certificate that could sign code or OCSP answers is not a node's.
fn extended_key_usage(tbs: &TbsCertificate<'_>) -> Result<(), String> {
    let usage: &ExtendedKeyUsage<'_> =
        tbs.extended_key_usage().ok().flatten().ok_or("it has no extended key usage")?.value;
    let others = usage.any
        || usage.code_signing
        || usage.email_protection
        || usage.time_stamping
        || usage.ocsp_signing
        || !usage.other.is_empty();
    match others || !(usage.server_auth || usage.client_auth) {
        true => Err("its extended key usage is not limited to TLS servers and TLS clients".into()),
        false => Ok(()),
    }
}

fn life(validity: &Validity) -> Result<Duration, String> {
    span(validity.not_before, validity.not_after)
}

fn span(from: ASN1Time, to: ASN1Time) -> Result<Duration, String> {
    let seconds = to.timestamp().saturating_sub(from.timestamp());
    u64::try_from(seconds).map(Duration::from_secs).map_err(|_| "it ends before it begins".into())
}

fn within(what: &str, span: Duration, limit: Duration) -> Result<(), String> {
    match span <= limit {
        true => Ok(()),
        false => Err(format!("{what} of {} is longer than {}", days(span), days(limit))),
    }
}

fn days(span: Duration) -> String {
    format!("{:.1} days", span.as_secs_f64() / DAY.as_secs_f64())
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(octets).ok().map(IpAddr::from);
    four.or_else(|| <[u8; 16]>::try_from(octets).ok().map(IpAddr::from))
}

/// Text of at least three lines whose first begins with a letter: no DER structure looks like that.
fn checkpoint(bytes: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not text")?;
    let fits = bytes.len() <= MAX_CHECKPOINT
        && text.ends_with('\n')
        && text.lines().count() >= 3
        && text.starts_with(|first: char| first.is_ascii_alphabetic());
    fits.then_some(()).ok_or_else(|| "it does not have the form of a C2SP checkpoint".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_hold_themselves_and_what_is_below() {
        let permitted = PermittedNames { dns: vec!["site.test".into()], networks: vec!["10.0.0.0/8".parse().unwrap()] };
        for inside in ["site.test", "gw.site.test", "*.site.test", "*.a.site.test"] {
            assert!(permitted.holds_dns(inside), "{inside}");
        }
        for outside in ["evilsite.test", "test", "site.test.evil", "*.test", ""] {
            assert!(!permitted.holds_dns(outside), "{outside}");
        }
        for inside in ["spiffe://site.test/x", "https://a.site.test:8443/x?y", "opc.tcp://10.1.1.1:4840", "urn:x:y"] {
            assert!(permitted.holds_uri(inside), "{inside}");
        }
        for outside in [
            "spiffe://evil.test/site.test",
            "https://site.test@evil.test/",
            "https://evil.test?site.test",
            "https://evil.test#.site.test",
            "opc.tcp://11.1.1.1:4840",
            "https://[2001:db8::1]/",
            "https://",
        ] {
            assert!(!permitted.holds_uri(outside), "{outside}");
        }
        assert!(permitted.holds_mailbox("a@site.test") && !permitted.holds_mailbox("a@evil.test"));
        assert!(permitted.holds_address("10.9.9.9".parse().unwrap()));
        assert!(!permitted.holds_address("11.0.0.1".parse().unwrap()));
    }

    #[test]
    fn a_checkpoint_is_never_der() {
        assert!(checkpoint(b"ca.site.test/audit\n12\nAAAA\n").is_ok());
        assert!(checkpoint(b"0\x0a\x0a\x0a").is_err(), "0x30 opens a SEQUENCE");
        assert!(checkpoint(b"one\ntwo\n").is_err());
        assert!(checkpoint(&[b'a'; 5000]).is_err());
    }
}
